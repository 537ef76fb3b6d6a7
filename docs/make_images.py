"""Draws docs/images from a real run: `poe images`. Each view, dark and light."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "demo"))

import traffic

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "images"
THEMES = ("dark", "light")
VIEWS = ("bridge", "cinema", "defence")
SECONDS = {"bridge": 65}
"""The Bridge shows a minute."""
SCENES = ("sampling", "audit", "why", "exporters")
SCENE_SECONDS = 8
FLEET_SECONDS = 45
"""Until a leak is a curve, and a crash has come again."""


def command(view: str, theme: str, *more: str) -> list[str]:
    """What draws a picture."""
    made = [sys.executable, "-m", "citadel.cli", "render", "--view", view, "--theme", theme]
    return [*made, "--out", str(FOLDER / f"{view}-{theme}.png"), *more]


async def fleet() -> None:
    """An engine with an unruly pool, watched for a while by a window of each theme."""
    with traffic.start() as engine:
        async with traffic.running(engine):
            where = ("--connect", engine.address, "--token", engine.token, "--select", "worker")
            for theme in THEMES:
                drawn = command("fleet", theme, "--seconds", str(FLEET_SECONDS), *where)
                process = await asyncio.create_subprocess_exec(*drawn, cwd=ROOT)
                if await process.wait():
                    raise SystemExit(1)


def main() -> None:
    """One run a picture, so that each shows an engine of its own; Fleet's two share one."""
    FOLDER.mkdir(exist_ok=True)
    wanted = sys.argv[1:] or ["fleet", *VIEWS, *SCENES]
    for view in wanted:
        if view == "fleet":
            asyncio.run(fleet())
            continue
        if view in SCENES:
            for theme in THEMES:
                drawn = command("bridge", theme, "--scene", view, "--seconds", str(SCENE_SECONDS))
                out = str(FOLDER / f"{view}-{theme}.png")
                subprocess.run([*drawn, "--out", out], cwd=ROOT, check=True)
            continue
        for theme in THEMES:
            seconds = str(SECONDS.get(view, 20))
            subprocess.run(command(view, theme, "--seconds", seconds), cwd=ROOT, check=True)


if __name__ == "__main__":
    main()

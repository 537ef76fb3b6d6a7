"""Draws docs/images from a real run: `poe images`. Each view, dark and light."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VIEWS = ("bridge", "fleet", "cinema", "defence")
SECONDS = {"bridge": 65}
"""The Bridge shows a minute."""


def main() -> None:
    """One run a picture, so that each shows an engine of its own."""
    folder = ROOT / "docs" / "images"
    folder.mkdir(exist_ok=True)
    for view in VIEWS:
        for theme in ("dark", "light"):
            command = [sys.executable, "-m", "citadel.cli", "render", "--view", view]
            command += ["--theme", theme, "--seconds", str(SECONDS.get(view, 20))]
            command += ["--out", str(folder / f"{view}-{theme}.png")]
            subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    main()

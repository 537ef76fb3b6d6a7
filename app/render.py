"""Draws the real window to a PNG after the engine has worked for some seconds, with no display.

The same code path as app/main.py, on Qt's offscreen platform: a real engine, a real mission, the
same widgets. `python -m app.render --view bridge --out citadel.png`. Main thread only.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from app import options, scenes

if TYPE_CHECKING:
    from PySide6.QtGui import QPixmap

    from app.room import ControlRoom

CONNECT_SECONDS = 90.0
SELECT_SECONDS = 1.5
FAILED = 1
VIEWS = ("bridge", "fleet", "cinema", "defence")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Its command line."""
    parser = argparse.ArgumentParser(
        prog="python -m app.render", description="Draws the control room to a PNG, headless."
    )
    options.add_arguments(parser)
    parser.add_argument("--view", choices=VIEWS, default="bridge")
    parser.add_argument(
        "--scene", choices=scenes.NAMES, default="", help="a dock or dialog with something in it"
    )
    parser.add_argument("--theme", choices=("dark", "light"), default="dark")
    parser.add_argument("--seconds", type=float, default=8.0, help="how long it runs before")
    parser.add_argument("--scale", type=float, default=1.0, help="pixels for each logical one")
    parser.add_argument(
        "--select",
        default="",
        metavar="TOPIC[:KEY]",
        help="what Fleet and the Inspector show: worker:python-1; without a key the busiest",
    )
    parser.add_argument("--size", type=_size, default=(1600, 900), metavar="WIDTHxHEIGHT")
    parser.add_argument("--out", type=Path, default=Path("citadel.png"), metavar="FILE.png")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Renders; exit code 0 when the file was written."""
    given = parse(arguments)
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    os.environ["QT_SCALE_FACTOR"] = str(given.scale)
    from PySide6.QtCore import QSettings  # noqa: PLC0415 - the platform is chosen first

    from app import aio  # noqa: PLC0415 - as above
    from app.room import ControlRoom, application  # noqa: PLC0415 - as above

    with tempfile.TemporaryDirectory(prefix="citadel-render-") as folder:
        settings = QSettings(str(Path(folder) / "settings.ini"), QSettings.Format.IniFormat)
        chosen = options.from_arguments(given, given.theme)
        if chosen.data_dir is None:
            chosen = replace(chosen, data_dir=Path(folder) / "data")
        made = application(sys.argv[:1])
        room = ControlRoom(made, chosen, settings)
        room.window.resize(*given.size)

        async def run() -> int:
            async with asyncio.TaskGroup() as group:
                group.create_task(room.run(), name="control room")
                try:
                    return await _draw(room, given)
                finally:
                    room.close()

        return aio.run(made, run)


async def _draw(room: ControlRoom, given: argparse.Namespace) -> int:
    await room.furnished.wait()
    room.window.go(given.view)
    connection = room.store.connection
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CONNECT_SECONDS):
            await room.settled.wait()
    if not connection.live:
        told = " ".join(connection.error.split("\n")[:1]) or "no engine answered"
        print(f"error: {told}", file=sys.stderr)  # noqa: T201 - a command line
        return FAILED
    await asyncio.sleep(given.seconds)
    if given.select:
        await _select(room, given.select)
    if given.scene:
        await scenes.play(room, given.scene)
    picture = _picture(room)
    if not picture.save(str(given.out)):
        print(f"error: {given.out} cannot be written", file=sys.stderr)  # noqa: T201 - as above
        return FAILED
    print(f"{given.out}: {picture.width()} × {picture.height()} pixels")  # noqa: T201 - as above
    return 0


def _picture(room: ControlRoom) -> QPixmap:
    """The window, with the dialog that is open over its middle."""
    picture = room.window.grab()
    dialog = room.application.activeModalWidget()
    if dialog is not None:
        from PySide6.QtGui import QPainter  # noqa: PLC0415 - the platform is chosen first

        window = room.window.rect()
        painter = QPainter(picture)
        at = window.center() - dialog.rect().center()
        painter.drawPixmap(at, dialog.grab())
        painter.end()
    return picture


async def _select(room: ControlRoom, wanted: str) -> None:
    topic, _, key = wanted.partition(":")
    if not room.handlers.go_to_row(topic, key or _busiest(room, topic)):
        print(f"there is no {wanted} to select", file=sys.stderr)  # noqa: T201 - a command line
    # What the engine is asked for arrives.
    await asyncio.sleep(SELECT_SECONDS)


def _busiest(room: ControlRoom, topic: str) -> str:
    """The worker that holds the most memory; of the others the first."""
    from app.views.fleet.view import key_of  # noqa: PLC0415 - the platform is chosen first

    store = room.store
    rows = {"pool": store.pools, "worker": store.workers, "session": store.sessions}.get(
        topic, store.poison
    )
    weight = "rss_bytes" if topic == "worker" else "running" if topic == "pool" else ""
    best = max(rows.values(), key=lambda row: row[weight] if weight else 0, default=None)
    return key_of(topic, best) if best is not None else ""


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text} is not WIDTHxHEIGHT")
    return int(width), int(height)


if __name__ == "__main__":
    sys.exit(main())

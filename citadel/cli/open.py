"""`citadel open`: a recording in the control room, or served for other verbs."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import click

from citadel.client.local import require_engine
from citadel.display import has_display
from citadel.errors import Unavailable


@click.command("open")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--headless", is_flag=True, help="Open no window: print the address, and serve.")
def open_(file: Path, *, headless: bool) -> None:
    """Open a .citadel file: in the control room where there is a display."""
    require_engine()
    if headless or not has_display():
        command = [sys.executable, "-m", "engine.main", "--recording", str(file)]
    elif importlib.util.find_spec("app") is None or importlib.util.find_spec("PySide6") is None:
        raise Unavailable(
            "the control room is not installed here",
            subject="PySide6",
            remedy='Install it: pip install "citadel-command[desktop]", or give --headless',
        )
    else:
        command = [sys.executable, "-m", "app.main", str(file)]
    raise SystemExit(subprocess.run(command, check=False).returncode)  # noqa: S603 - our own modules

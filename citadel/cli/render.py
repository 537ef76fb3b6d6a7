"""`citadel render`: the window to a PNG, through the same widgets. Its flags are its own."""

from __future__ import annotations

import importlib.util
import runpy
import sys

import click

from citadel.errors import Unavailable

NEEDS = ("app", "PySide6", "pyqtgraph", "qasync")


@click.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def render(arguments: tuple[str, ...]) -> None:
    """Draw the control room to a PNG; `citadel render --help` has its flags."""
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise Unavailable(
            f"the control room is not installed here: there is no {', '.join(missing)}",
            subject=missing[0],
            remedy='Install it: pip install "citadel-command[desktop,engine]"',
        )
    sys.argv = ["citadel render", *arguments]
    # Not an import: the SDK does not know the control room.
    runpy.run_module("app.render", run_name="__main__", alter_sys=True)

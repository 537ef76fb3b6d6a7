"""`citadel engine`: the engine in this very process. Its flags are its own."""

from __future__ import annotations

import runpy
import sys

import click


@click.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def engine(arguments: tuple[str, ...]) -> None:
    """Run an engine in the foreground; `citadel engine --help` has its flags."""
    from citadel.client.local import require_engine  # noqa: PLC0415 - gRPC is slow to import

    require_engine()
    sys.argv = ["citadel engine", *arguments]
    # Not an import: the SDK does not know the engine.
    runpy.run_module("engine.main", run_name="__main__", alter_sys=True)

"""The root of the command line: the shared options, and the verbs by name."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from citadel.cli.session import options, remember

VERBS = {
    "audit": "Who changed what, when and why.",
    "bridge": "Installed libraries as tools of a pool.",
    "doctor": "Look for what is missing or broken here.",
    "engine": "Run an engine in the foreground.",
    "events": "Follow what happens in an engine.",
    "export": "Where an engine sends its telemetry.",
    "guard": "Try, tune and tighten the guards.",
    "info": "What an engine is.",
    "mission": "Run missions and see their results.",
    "pool": "Worker pools and their tools.",
    "open": "Open a recording.",
    "record": "Keep a stretch of telemetry in a file.",
    "render": "Draw the control room to a PNG.",
    "sampling": "Which traces are kept.",
    "sentinel": "Supervised agents.",
    "trace": "Search and read traces.",
    "why": "Why a trace was kept or dropped.",
    "version": "The versions of this package and its wire.",
}


class Verbs(click.Group):
    """A group whose commands are loaded when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names of the verbs."""
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Loads a verb."""
        if cmd_name not in VERBS:
            return None
        module = import_module(f"citadel.cli.{cmd_name}")
        return getattr(module, cmd_name, None) or getattr(module, f"{cmd_name}_")

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the verb; one that is not there gets the nearest that is."""
        if args[0] not in VERBS and not args[0].startswith("-"):
            near = get_close_matches(args[0], VERBS, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise click.UsageError(f"there is no verb {args[0]!r}{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        """Lists the verbs without loading any."""
        with formatter.section("Verbs"):
            formatter.write_dl(sorted(VERBS.items()))


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="citadel-command", message="%(prog)s %(version)s")
@options
def citadel(**values: Any) -> None:
    """The command center for fleets of AI agents, from a shell.

    Without --connect (or CITADEL_CONNECT), `mission run` and `pool call` start an engine of their
    own; the other verbs talk to the one at 127.0.0.1:7431.
    """
    remember(values)

"""`citadel audit`."""

from __future__ import annotations

import click

from citadel.cli import show
from citadel.cli.session import Session, shared
from citadel.cli.text import date
from citadel.wire.columns import rows

BROKEN = 1


@click.command()
@click.option("--after", default=0, help="Entries after this number.", metavar="N")
@click.option("--limit", default=100, help="How many at most.", show_default=True)
@shared
def audit(session: Session, after: int, limit: int) -> None:
    """Who changed what, when and why. Exits with 1 when the hash chain does not hold."""
    table, intact = session.ask(lambda client: client.audit(after=after, limit=limit))
    entries = rows(table)
    if session.json:
        said = [show.row_plain(entry) for entry in entries]
        show.as_json({"chain_intact": intact, "entries": said})
    else:
        show.table(
            ["no:", "time", "who", "action", "what", "reason", "hash"],
            (
                (
                    entry["seq"],
                    date(entry["time_ns"]),
                    entry["actor"],
                    entry["action"],
                    entry["subject"],
                    entry["reason"],
                    entry["hash"][:12],
                )
                for entry in entries
            ),
            empty="nothing was changed yet",
        )
    if not intact:
        show.note("error: the hash chain does not hold: entries were changed or are missing")
        click.get_current_context().exit(BROKEN)

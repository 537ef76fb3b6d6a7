"""`citadel trace export-parquet`: days that are over, from an engine near or far."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from citadel.cli import show
from citadel.cli.session import Session, shared
from citadel.cli.text import count
from citadel.errors import InvalidRequest
from citadel.spans_parquet import SpansFile, load_arrow

if TYPE_CHECKING:
    from citadel.client.client import Client


@click.command("export-parquet")
@click.argument("target", metavar="FILE_OR_DIR", type=click.Path(path_type=Path))
@click.option("--day", default="", metavar="YYYY-MM-DD", help="Just this day, in UTC.")
@shared
def export_parquet(session: Session, target: Path, day: str) -> None:
    """Writes the spans of days that are over as Parquet.

    Into a folder: a file a day, such as 2026-11-25.parquet, for each day that the engine keeps or
    for the one of --day. A file, which ends in .parquet, takes one day: name it with --day.
    """
    load_arrow()
    single = target.suffix == ".parquet" and not target.is_dir()
    if single and not day:
        raise InvalidRequest(
            "a file takes one day", subject="--day", remedy="Name the day, or give a folder"
        )
    written = session.ask(lambda client: _export(client, target, day, single=single))
    if session.json:
        show.as_json(written)
        return
    show.table(
        ["file", "spans:"],
        ((path, count(spans)) for path, spans in written.items()),
        empty="no day is over",
    )


async def _export(client: Client, target: Path, day: str, *, single: bool) -> dict[str, int]:
    """Spans by the file that they were written into."""
    written: dict[str, int] = {}
    with ExitStack() as open_:
        file, of, path = None, "", target
        async for name, table in client.traces.export(day):
            if file is None or name != of:
                open_.close()  # the day before is whole
                path = path if single else target / f"{name}.parquet"
                path.parent.mkdir(parents=True, exist_ok=True)
                file, of = open_.enter_context(SpansFile(path)), name
            file.write(table)
            written[str(path)] = file.rows
    return written

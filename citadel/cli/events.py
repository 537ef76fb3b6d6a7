"""`citadel events`: what happens, as it happens."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

import click

from citadel.cli import show
from citadel.cli.session import Session, shared
from citadel.cli.text import clean, clock
from citadel.wire.columns import Table, rows
from citadel.wire.topics import STREAMED


@click.command()
@click.option(
    "--topic",
    "topics",
    multiple=True,
    type=click.Choice(STREAMED),
    help="Which tables to follow; without, the events. May be given again.",
)
@click.option("--no-follow", is_flag=True, help="Just what the engine remembers.")
@shared
def events(session: Session, topics: tuple[str, ...], no_follow: bool) -> None:
    """Follow what happens in an engine, until Ctrl+C. With --json, an object a line."""
    asyncio.run(_tail(session, topics or ("event",), follow=not no_follow))


async def _tail(session: Session, topics: tuple[str, ...], *, follow: bool) -> None:
    from citadel.client.watch import Batch, Lost, Snapshot  # noqa: PLC0415 - gRPC: slow to import

    async with session.client() as client, aclosing(client.watch(topics)) as updates:
        async for update in updates:
            match update:
                case Snapshot():
                    _write(session, update.tables)
                    if not follow:
                        return
                case Batch():
                    if update.gap is not None:
                        cause = update.gap.cause
                        show.note(f"— a gap: {update.gap.from_seq}–{update.gap.to_seq} ({cause})")
                    _write(session, update.tables)
                case Lost():
                    show.note(
                        f"— {update.error.message}; tries again in {update.retry_seconds:g} s"
                    )


def _write(session: Session, tables: Mapping[str, Table]) -> None:
    for topic, table in tables.items():
        for row in rows(table):
            if session.json:
                show.as_json({"topic": topic, **show.row_plain(row)}, lines=True)
            else:
                click.echo(clean(line(topic, row)))


def line(topic: str, row: Mapping[str, Any]) -> str:
    """A row in one line."""
    if topic == "event":
        time, severity = clock(row["time_ns"]), row["severity"]
        return f"{time}  {severity:<8}{row['name']:<22}{row['subject']}  {row['message']}".rstrip()
    shown = show.row_plain(row)
    return f"{topic}  " + "  ".join(f"{k}={v}" for k, v in shown.items() if v not in ("", 0, None))

"""`citadel mission`: run, kinds, list, result, cancel, rate."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from citadel.cli import parameters, show
from citadel.cli.session import Session, shared
from citadel.cli.text import ago, count, duration
from citadel.errors import CitadelError, UnknownMission
from citadel.vocabulary import MISSION_CLASSES
from citadel.wire.columns import rows, unpack
from citadel.wire.messages import MissionResult, MissionStatus

if TYPE_CHECKING:
    from citadel.cli.following import Watcher
    from citadel.client.client import Client
    from citadel.wire.messages import MissionKind

ACTOR = "cli"
SHOWN_ROWS = 25
"""Rows of a result that a table shows; --json has all."""
_reason = click.option("--reason", default="", help="Why, for the audit trail.")
_LOOPBACK = ("127.", "localhost:", "[::1]:")


@click.group()
def mission() -> None:
    """Run missions and see their results."""


@mission.command(context_settings={"ignore_unknown_options": True})
@click.argument("kind")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[--PARAMETER VALUE]...")
@click.option("--name", default="", help="What to call it.")
@click.option("--class", "mission_class", default="", type=click.Choice(("", *MISSION_CLASSES)))
@click.option("--detach", is_flag=True, help="Do not wait for its end; needs --connect.")
@click.option("--config", default="", metavar="FILE", help="Settings of an engine of its own.")
@_reason
@shared
def run(
    session: Session,
    kind: str,
    arguments: tuple[str, ...],
    name: str,
    mission_class: str,
    detach: bool,
    config: str,
    reason: str,
) -> None:
    """Run a mission to its end; see `citadel mission kinds` for its parameters.

    Without --connect it starts an engine that lives as long as the mission. Ctrl+C cancels the
    mission.
    """
    if detach and not session.connect:
        raise click.UsageError("--detach needs --connect: an engine that lives on")

    async def work() -> MissionResult:
        async with session.client_or_local(config) as client:
            given = await _parameters(client, kind, arguments)
            started = await client.missions.start(
                kind,
                name=name,
                mission_class=mission_class,
                actor=ACTOR,
                reason=reason,
                **given,
            )
            if detach:
                return MissionResult(status=started)
            with _watcher(quiet=session.json, local=not session.connect) as watcher:
                await watcher.follow(client, started)
            return await client.missions.result(started.id)

    result = asyncio.run(work())
    _show_result(session, result)
    _fail_unless_well(result.status)


@mission.command()
@shared
def kinds(session: Session) -> None:
    """What missions there are, and their parameters."""

    async def work() -> tuple[MissionKind, ...]:
        async with session.client_or_local() as client:
            return await client.missions.kinds()

    found = asyncio.run(work())
    if session.json:
        show.as_json(found)
        return
    for each in found:
        show.record({each.name: each.description})
        schema = json.loads(each.parameters_schema or "{}")
        show.table(["parameter", "type", "default", "meaning"], parameters.described(schema))


@mission.command("list")
@shared
def list_(session: Session) -> None:
    """Missions that run, and the last ones that ended."""
    found = session.ask(lambda client: client.missions.list())
    if session.json:
        show.as_json(found)
        return
    show.table(
        ["id", "kind", "name", "class", "state", "done:", "failed:", "rate:", "started", "error"],
        (
            (
                each.id,
                each.kind,
                each.name,
                each.mission_class,
                each.state,
                _progress(each),
                count(each.failed),
                f"{each.rate:g} /s" if each.rate else "",
                ago(each.started_unix_nanos),
                each.error,
            )
            for each in found
        ),
        empty="no mission was started yet (citadel mission run survey --connect …)",
    )


@mission.command()
@click.argument("mission")
@shared
def result(session: Session, mission: str) -> None:
    """A mission's table of results."""
    _show_result(session, session.ask(lambda client: client.missions.result(mission)))


@mission.command()
@click.argument("mission")
@_reason
@shared
def cancel(session: Session, mission: str, reason: str) -> None:
    """Stop a mission, its Sentinels and their commands."""

    async def ask(client: Client) -> MissionStatus:
        return await client.missions.cancel(mission, actor=ACTOR, reason=reason)

    _show_status(session, session.ask(ask))


@mission.command()
@click.argument("mission")
@click.argument("rate", type=click.FloatRange(min=0))
@_reason
@shared
def rate(session: Session, mission: str, rate: float, reason: str) -> None:
    """Set the units a second that a mission aims at; 0: as fast as it goes."""

    async def ask(client: Client) -> MissionStatus:
        return await client.missions.set_rate(mission, rate, actor=ACTOR, reason=reason)

    _show_status(session, session.ask(ask))


async def _parameters(client: Client, kind: str, arguments: tuple[str, ...]) -> dict[str, Any]:
    known = {each.name: each for each in await client.missions.kinds()}
    if kind not in known:
        raise UnknownMission(
            f"there is no mission {kind!r}",
            subject=kind,
            remedy=f"There are {', '.join(known) or 'none'}: citadel mission kinds",
        )
    given = parameters.read(arguments, json.loads(known[kind].parameters_schema or "{}"))
    if given.get("path") and client.address.startswith(_LOOPBACK):
        # The engine is on this host, but may have been started in another folder.
        given["path"] = _absolute(given["path"])
    return given


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())


def _watcher(*, quiet: bool, local: bool) -> Watcher:
    from citadel.cli.following import Watcher  # noqa: PLC0415 - gRPC is slow to import

    return Watcher(quiet=quiet, patient=not local)


def _fail_unless_well(status: MissionStatus | None) -> None:
    """A mission that did not finish is an error of this command.

    Raises:
        CitadelError: it failed or was cancelled.
    """
    if status is not None and status.state in ("failed", "cancelled"):
        raise CitadelError(
            f"mission {status.id} {status.state}" + (f": {status.error}" if status.error else ""),
            subject=status.id,
        )


def _progress(status: MissionStatus) -> str:
    return f"{count(status.done)} of {count(status.total)}" if status.total else count(status.done)


def _show_status(session: Session, status: MissionStatus) -> None:
    if session.json:
        show.as_json(status)
        return
    show.record(
        {
            "mission": status.id,
            "name": status.name,
            "class": status.mission_class,
            "state": status.state,
            "done": _progress(status),
            "failed": status.failed or "",
            "passes": status.passes or "",
            "took": duration(status.ended_unix_nanos - status.started_unix_nanos)
            if status.ended_unix_nanos
            else "",
            "error": status.error,
            "trace": status.trace_id,
        }
    )


def _show_result(session: Session, result: MissionResult) -> None:
    if session.json:
        if result.status is None or result.status.state not in ("failed", "cancelled"):
            show.as_json({"mission": result.status, "rows": result.table or ()})
        return
    if result.table is not None and result.table.rows:
        _show_rows(rows(unpack(result.table)))
    if result.status is not None:
        summary: dict[str, Any] = json.loads(result.status.summary_json or "{}")
        show.record(
            {
                key.replace("_", " "): value
                for key, value in summary.items()
                if isinstance(value, str | int | float)
            }
        )
        _show_status(session, result.status)


def _show_rows(found: list[dict[str, Any]]) -> None:
    columns = [
        name for name in found[0] if any(row[name] not in ("", 0) for row in found[:SHOWN_ROWS])
    ]
    columns = [name for name in columns if name not in ("sha256", "summary_source")]
    show.table(
        [
            name.replace("_", " ") + ("" if isinstance(found[0][name], str) else ":")
            for name in columns
        ],
        (
            [count(row[name]) if isinstance(row[name], int) else row[name] for name in columns]
            for row in found[:SHOWN_ROWS]
        ),
    )
    if len(found) > SHOWN_ROWS:
        show.note(f"{SHOWN_ROWS} of {count(len(found))} rows; --json has all")

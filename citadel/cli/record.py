"""`citadel record`: start, stop, list, fetch, remove, triggers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from citadel.cli import show
from citadel.cli.session import Session, shared
from citadel.cli.text import count, date
from citadel.errors import InvalidRequest, NotFound
from citadel.wire.messages import RecordingStatus, Triggers

if TYPE_CHECKING:
    from citadel.client.client import Client

ACTOR = "cli"
_reason = click.option("--reason", default="", help="Why, for the audit trail.")


@click.group()
def record() -> None:
    """Keep a stretch of an engine's telemetry in a file."""


@record.command()
@click.argument("name", default="")
@click.option("--seconds", default=0.0, help="Ends by itself after so long.")
@click.option("--max-mib", default=0, help="Ends by itself at this size; without, 1024.")
@click.option("--before", default=0.0, help="Seconds from before now, up to 300.")
@_reason
@shared
def start(
    session: Session, name: str, seconds: float, max_mib: int, before: float, reason: str
) -> None:
    """Begin a recording; without a name it is named after the time."""
    status = session.ask(
        lambda client: client.recordings.start(
            name,
            seconds=seconds,
            max_bytes=max_mib * 2**20,
            before_seconds=before,
            actor=ACTOR,
            reason=reason,
        )
    )
    _show(session, [status])


@record.command()
@click.argument("name")
@_reason
@shared
def stop(session: Session, name: str, reason: str) -> None:
    """End a recording; its file is whole then."""
    status = session.ask(lambda client: client.recordings.stop(name, actor=ACTOR, reason=reason))
    _show(session, [status])


@record.command("list")
@shared
def list_(session: Session) -> None:
    """Recordings that run or are kept, and incidents."""
    _show(session, session.ask(lambda client: client.recordings.list()))


@record.command()
@click.argument("name")
@click.option("--out", type=click.Path(path_type=Path), help="The file; without, NAME.citadel.")
@shared
def fetch(session: Session, name: str, out: Path | None) -> None:
    """Copy a recording here, from whatever engine it is on."""
    path = out or Path(f"{name}.citadel")
    try:
        size = session.ask(lambda client: client.recordings.fetch(name, path))
    except FileExistsError as error:
        raise InvalidRequest(
            f"there is a file {path} already", subject=str(path), remedy="Give another: --out FILE"
        ) from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    if session.json:
        show.as_json({"path": str(path), "bytes": size})
    else:
        show.record({"file": path, "bytes": count(size)})


@record.command()
@click.argument("name")
@_reason
@shared
def remove(session: Session, name: str, reason: str) -> None:
    """Delete a recording at the engine."""
    session.ask(lambda client: client.recordings.remove(name, actor=ACTOR, reason=reason))


@record.command()
@click.option("--on", multiple=True, metavar="ID", help="Turn a trigger on.")
@click.option("--off", multiple=True, metavar="ID", help="Turn a trigger off.")
@click.option("--set", "sets", multiple=True, metavar="ID=VALUE", help="Another threshold.")
@_reason
@shared
def triggers(
    session: Session, on: tuple[str, ...], off: tuple[str, ...], sets: tuple[str, ...], reason: str
) -> None:
    """When the flight recorder keeps an incident; with flags, change that."""

    async def ask(client: Client) -> Triggers:
        present = await client.recordings.triggers()
        if not (on or off or sets):
            return present
        return await client.recordings.set_triggers(
            _changed(present, on, off, sets).triggers,
            before_seconds=present.before_seconds,
            after_seconds=present.after_seconds,
            revision=present.revision,
            actor=ACTOR,
            reason=reason,
        )

    found = session.ask(ask)
    if session.json:
        show.as_json(found)
        return
    show.record(
        {
            "revision": found.revision,
            "keeps": f"{found.before_seconds:g} s before, {found.after_seconds:g} s after",
        }
    )
    show.table(
        ["trigger", "when", "threshold:", "of", "state"],
        (
            (
                each.id,
                each.when,
                f"{each.threshold:g}" if each.threshold else "",
                each.subject or "all",
                "on" if each.enabled else "off",
            )
            for each in found.triggers
        ),
    )


def _changed(
    present: Triggers, on: tuple[str, ...], off: tuple[str, ...], sets: tuple[str, ...]
) -> Triggers:
    known = {each.id: each for each in present.triggers}
    wanted: dict[str, dict[str, object]] = {}
    for name in (*on, *off):
        wanted.setdefault(name, {})["enabled"] = name in on
    for text in sets:
        name, equals, value = text.partition("=")
        try:
            wanted.setdefault(name, {})["threshold"] = float(value)
        except ValueError:
            raise InvalidRequest(f"{text!r} is not ID=VALUE", subject=text) from None
        if not equals:
            raise InvalidRequest(f"{text!r} is not ID=VALUE", subject=text)
    for name in wanted:
        if name not in known:
            raise NotFound(
                f"there is no trigger {name!r}",
                subject=name,
                remedy=f"There are {', '.join(known)}",
            )
    changed = tuple(
        replace(each, **wanted.get(each.id, {}))  # type: ignore[arg-type]
        for each in present.triggers
    )
    return replace(present, triggers=changed)


def _show(session: Session, found: list[RecordingStatus] | tuple[RecordingStatus, ...]) -> None:
    if session.json:
        show.as_json(list(found))
        return
    show.table(
        ["recording", "kind", "state", "from", "until", "rows:", "bytes:", "why"],
        (
            (
                each.name,
                each.kind,
                each.state,
                date(each.since_unix_nanos) if each.since_unix_nanos else "",
                date(each.until_unix_nanos) if each.until_unix_nanos else "",
                count(each.rows),
                count(each.bytes),
                each.error or each.cause,
            )
            for each in found
        ),
        empty="there are no recordings",
    )

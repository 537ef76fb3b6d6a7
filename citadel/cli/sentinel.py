"""`citadel sentinel`: list, inspect, spawn, stop, restart, send."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from citadel.cli import show
from citadel.cli.session import Session, shared
from citadel.cli.text import ago, clock, count
from citadel.errors import InvalidRequest

if TYPE_CHECKING:
    from citadel.client.client import Client
    from citadel.wire.messages import SendReply, SentinelStatus

ACTOR = "cli"
_reason = click.option("--reason", default="", help="Why, for the audit trail.")


@click.group()
def sentinel() -> None:
    """Supervised agents."""


@sentinel.command("list")
@click.option("--mission", default="", metavar="ID", help="Just those of a mission.")
@shared
def list_(session: Session, mission: str) -> None:
    """Each Sentinel and its state."""
    _show(session, session.ask(lambda client: client.sentinels.list(mission)))


@sentinel.command()
@click.argument("sentinel")
@shared
def inspect(session: Session, sentinel: str) -> None:
    """A Sentinel's state and its last transitions."""
    detail = session.ask(lambda client: client.sentinels.inspect(sentinel))
    history: list[dict[str, Any]] = [json.loads(text) for text in detail.history]
    if session.json:
        said = show.plain(detail)
        said["history"] = history
        show.as_json(said)
        return
    if detail.status:
        _show(session, (detail.status,))
    show.as_json(json.loads(detail.state_json or "null"))
    show.table(
        ["time", "from", "to", "cause"],
        (
            (clock(each["time_unix_nanos"]), each["from"], each["to"], each["cause"])
            for each in history
        ),
    )


@sentinel.command()
@click.argument("behaviour")
@click.option("--id", "name", default="", help="Its id; without, the engine gives one.")
@click.option("--mission", default="", metavar="ID", help="The mission that it belongs to.")
@click.option("--options", default="{}", metavar="JSON", help="The behaviour's options.")
@_reason
@shared
def spawn(
    session: Session, behaviour: str, name: str, mission: str, options: str, reason: str
) -> None:
    """Start a Sentinel."""
    given = _json(options, "--options")
    if not isinstance(given, dict):
        raise InvalidRequest("--options is no JSON object", subject="--options")

    async def ask(client: Client) -> SentinelStatus:
        return await client.sentinels.spawn(
            behaviour,
            sentinel=name,
            mission_id=mission,
            options=given,
            actor=ACTOR,
            reason=reason,
        )

    _show(session, (session.ask(ask),))


@sentinel.command()
@click.argument("sentinel")
@_reason
@shared
def stop(session: Session, sentinel: str, reason: str) -> None:
    """End a Sentinel."""

    async def ask(client: Client) -> SentinelStatus:
        return await client.sentinels.stop(sentinel, actor=ACTOR, reason=reason)

    _show(session, (session.ask(ask),))


@sentinel.command()
@click.argument("sentinel")
@_reason
@shared
def restart(session: Session, sentinel: str, reason: str) -> None:
    """Start a Sentinel again: the way out of quarantine."""

    async def ask(client: Client) -> SentinelStatus:
        return await client.sentinels.restart(sentinel, actor=ACTOR, reason=reason)

    _show(session, (session.ask(ask),))


@sentinel.command()
@click.argument("sentinel")
@click.argument("type_", metavar="TYPE")
@click.argument("data", default="null", metavar="[JSON]")
@click.option("--subject", default="", help="What the signal is about.")
@shared
def send(session: Session, sentinel: str, type_: str, data: str, subject: str) -> None:
    """Put a signal into a mailbox."""
    value = _json(data, "the signal's data")

    async def ask(client: Client) -> SendReply:
        return await client.sentinels.send(sentinel, type_, value, subject=subject)

    reply = session.ask(ask)
    if session.json:
        show.as_json(reply)
    else:
        show.record({"signal": reply.signal_id, "mailbox": f"{reply.mailbox} waiting"})


def _show(session: Session, sentinels: tuple[SentinelStatus, ...]) -> None:
    if session.json:
        show.as_json(sentinels)
        return
    show.table(
        ["id", "behaviour", "state", "mission", "mailbox:", "handled:", "restarts:", "for", "why"],
        (
            (
                each.id,
                each.behaviour,
                each.state,
                each.mission_id,
                each.mailbox,
                count(each.handled),
                each.restarts,
                ago(each.since_unix_nanos).removesuffix(" ago"),
                each.cause,
            )
            for each in sentinels
        ),
        empty="there are no Sentinels: a mission brings its own (citadel mission run survey)",
    )


def _json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidRequest(
            f"{what} is no JSON: {error}", subject=what, remedy='For instance {"path": "src"}'
        ) from error

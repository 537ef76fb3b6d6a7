"""`citadel export`: list, add, remove, pause, test."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from citadel.cli import show
from citadel.cli.session import Session, shared
from citadel.cli.text import ago, count, size
from citadel.errors import InvalidRequest, NotFound
from citadel.otlp.config import configured
from citadel.otlp.presets import PRESETS
from citadel.wire.messages import ExporterConfig, ExporterStatus, ListExportersReply

if TYPE_CHECKING:
    from citadel.client.client import Client

ACTOR = "cli"
_OPTIONS: tuple[Any, ...] = (
    click.option("--preset", default="", help=f"A known receiver: {', '.join(PRESETS)}."),
    click.option("--endpoint", default="", metavar="URL", help="Where to; else the preset's."),
    click.option("--protocol", default="", help="http/protobuf or grpc."),
    click.option(
        "--api-key",
        default="",
        help="For the preset's header; env:NAME is read from the engine's environment.",
    ),
    click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="Sent along."),
    click.option(
        "--option", "options", multiple=True, metavar="NAME=VALUE", help="Of the preset: site, …"
    ),
    click.option("--compression", default="", help="gzip or none."),
    click.option(
        "--signal", "signals", multiple=True, help="traces, metrics, logs; may be given again."
    ),
    click.option("--timeout", default=0.0, help="Seconds of one request."),
    click.option("--queue-limit", default=0, help="Rows that may wait."),
)
_reason = click.option("--reason", default="", help="Why, for the audit trail.")


def _described(function: Any) -> Any:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.group()
def export() -> None:
    """Where an engine sends its telemetry."""


@export.command("list")
@shared
def list_(session: Session) -> None:
    """The exporters, and how they stand."""
    found = session.ask(lambda client: client.exporters.list())
    if session.json:
        show.as_json(found)
        return
    _table(found.exporters)


@export.command()
@click.argument("name")
@_described
@_reason
@shared
def add(session: Session, name: str, reason: str, **described: Any) -> None:
    """Add the exporter NAME, or change the one there is: it sends from then on."""
    config = config_of(name, described)
    _status(session, session.ask(_applying(config, reason)))


@export.command()
@click.argument("name")
@_reason
@shared
def remove(session: Session, name: str, reason: str) -> None:
    """End the exporter NAME."""

    async def ask(client: Client) -> int:
        revision = (await client.exporters.list()).revision
        return await client.exporters.remove(name, revision=revision, actor=ACTOR, reason=reason)

    revision = session.ask(ask)
    if session.json:
        show.as_json({"revision": revision})
    else:
        show.record({"removed": name, "revision": revision})


@export.command()
@click.argument("name")
@click.option("--off", is_flag=True, help="Let it send again.")
@_reason
@shared
def pause(session: Session, name: str, off: bool, reason: str) -> None:
    """Let the exporter NAME take nothing more; what waits goes on waiting."""

    async def ask(client: Client) -> ExporterStatus:
        found = await client.exporters.list()
        config = replace(present(found, name), paused=not off)
        return await client.exporters.apply(
            config, revision=found.revision, actor=ACTOR, reason=reason
        )

    _status(session, session.ask(ask))


@export.command()
@click.argument("name", required=False, default="")
@_described
@shared
def test(session: Session, name: str, **described: Any) -> None:
    """Let the engine send one span, and say what came back: to NAME, or to what flags describe."""

    async def ask(client: Client) -> Any:
        if any(described.values()):
            return await client.exporters.test(config_of(name, described))
        if not name:
            raise InvalidRequest(
                "there is nothing to test", remedy="Give the NAME of an exporter, or flags"
            )
        return await client.exporters.test(present(await client.exporters.list(), name))

    found = session.ask(ask)
    if session.json:
        show.as_json(found)
    else:
        show.record(
            {
                "ok": "yes" if found.ok else "no",
                "endpoint": found.endpoint,
                "status": found.status,
                "said": found.detail,
                "trace": found.trace_id,
                "took": f"{found.seconds * 1e3:.0f} ms",
                "to do": found.remedy,
            }
        )
    if not found.ok:
        sys.exit(1)


def config_of(name: str, described: dict[str, Any]) -> ExporterConfig:
    """An exporter from what the flags say.

    Raises:
        InvalidRequest: they make no sense.
    """
    return configured(
        described["preset"],
        name=name,
        endpoint=described["endpoint"],
        protocol=described["protocol"],
        api_key=described["api_key"],
        headers=pairs(described["headers"]),
        options=pairs(described["options"]),
        compression=described["compression"],
        signals=described["signals"],
        timeout=described["timeout"],
        queue_limit=described["queue_limit"],
    )


def pairs(texts: Iterable[str]) -> dict[str, str]:
    """NAME=VALUE texts as a dict.

    Raises:
        InvalidRequest: one is no such text.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            shown = name if equals else text.split(":")[0]
            raise InvalidRequest(f"{shown!r} has no value", remedy="Give NAME=VALUE")
        found[name.strip()] = value
    return found


def present(found: ListExportersReply, name: str) -> ExporterConfig:
    """The exporter of that name.

    Raises:
        NotFound: there is none.
    """
    configs = {each.config.name: each.config for each in found.exporters if each.config}
    if name not in configs:
        raise NotFound(
            f"there is no exporter {name!r}",
            subject=name,
            remedy=f"There are {', '.join(configs)}" if configs else "There are none",
        )
    return configs[name]


def _applying(config: ExporterConfig, reason: str) -> Any:
    async def ask(client: Client) -> ExporterStatus:
        revision = (await client.exporters.list()).revision
        return await client.exporters.apply(config, revision=revision, actor=ACTOR, reason=reason)

    return ask


def _status(session: Session, status: ExporterStatus) -> None:
    if session.json:
        show.as_json(status)
    else:
        _table([status])


def _table(statuses: Iterable[ExporterStatus]) -> None:
    show.table(
        ["name", "state", "endpoint", "signals", "queued:", "sent:", "dropped", "bytes:", "last"],
        (_row(status) for status in statuses),
        empty="there are no exporters: citadel export add NAME --endpoint URL",
    )


def _row(status: ExporterStatus) -> tuple[str, ...]:
    config = status.config or ExporterConfig()
    dropped = " ".join(f"{cause}={count(n)}" for cause, n in sorted(status.dropped.items()))
    return (
        config.name,
        status.state,
        config.endpoint,
        " ".join(config.signals),
        count(status.queued),
        count(sum(status.sent.values())),
        dropped,
        size(status.bytes),
        status.error or ago(status.last_success_unix_nanos),
    )

"""`citadel pool`: list, tools, call, resize, recycle, kill."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import click

from citadel.cli import show
from citadel.cli.session import Session, shared
from citadel.cli.text import ago, count, duration, headline, size
from citadel.errors import InvalidRequest

if TYPE_CHECKING:
    from citadel.client.client import Client
    from citadel.wire.messages import CommandResult, PoolStatus

ACTOR = "cli"
_reason = click.option("--reason", default="", help="Why, for the audit trail.")


@click.group()
def pool() -> None:
    """Worker pools and their tools."""


@pool.command("list")
@shared
def list_(session: Session) -> None:
    """Each pool and its workers."""
    pools = session.ask(lambda client: client.pools.list())
    if session.json:
        show.as_json(pools)
        return
    for each in pools:
        _show_pool(each)
    if not pools:
        show.note("the engine has no pools (add one to its settings: [[pools]])")


@pool.command()
@click.argument("pool")
@shared
def tools(session: Session, pool: str) -> None:
    """What a pool's workers can do, with the schemas of arguments."""
    found = session.ask(lambda client: client.pools.tools(pool))
    if session.json:
        show.as_json(found)
        return
    show.table(
        ["tool", "arguments", "what it does"],
        ((each.name, _signature(each.input_schema), each.description) for each in found),
        empty=f"pool {pool} has no tools yet: its workers start, or failed to",
    )


@pool.command()
@click.argument("pool")
@click.argument("tool")
@click.argument("arguments", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--arguments", "more", metavar="JSON", help="An object with more arguments.")
@click.option("--deadline", type=float, default=0.0, help="Seconds until it is given up.")
@click.option("--mission", default="", help="The mission to count it under.")
@click.option("--config", default="", metavar="FILE", help="Settings of an engine of its own.")
@shared
def call(
    session: Session,
    pool: str,
    tool: str,
    arguments: tuple[str, ...],
    more: str | None,
    deadline: float,
    mission: str,
    config: str,
) -> None:
    """Run a tool and print what it returns. A VALUE is JSON, or else a text."""
    packed = {**_object(more), **dict(_argument(text) for text in arguments)}
    result = asyncio.run(_run(session, pool, tool, packed, deadline, mission, config))
    import msgpack  # noqa: PLC0415 - only here

    value = msgpack.unpackb(result.value)
    if session.json:
        said = {
            "value": value,
            "command": result.id,
            "worker": result.worker,
            "queued_seconds": result.queued_seconds,
            "run_seconds": result.run_seconds,
            "trace_id": result.trace_id,
        }
        show.as_json(said)
        return
    if isinstance(value, str):
        show.text(value)
    else:
        show.as_json(value)
    show.note(
        f"by {result.worker} in {duration(result.run_seconds * 1e9)},"
        f" after {duration(result.queued_seconds * 1e9)} in the queue; trace {result.trace_id}"
    )


@pool.command()
@click.argument("pool")
@click.argument("size", type=click.IntRange(0, 1024))
@_reason
@shared
def resize(session: Session, pool: str, size: int, reason: str) -> None:
    """Set the number of workers."""

    async def ask(client: Client) -> PoolStatus:
        return await client.pools.resize(pool, size, actor=ACTOR, reason=reason)

    _changed(session, session.ask(ask))


@pool.command()
@click.argument("pool")
@click.argument("worker", default="")
@_reason
@shared
def recycle(session: Session, pool: str, worker: str, reason: str) -> None:
    """Replace one worker, or all, without losing a command."""

    async def ask(client: Client) -> PoolStatus:
        return await client.pools.recycle(pool, worker, actor=ACTOR, reason=reason)

    _changed(session, session.ask(ask))


@pool.command()
@click.argument("pool")
@click.argument("worker")
@_reason
@shared
def kill(session: Session, pool: str, worker: str, reason: str) -> None:
    """Kill a worker's process: its command fails, the worker is replaced."""

    async def ask(client: Client) -> PoolStatus:
        return await client.pools.kill_worker(pool, worker, actor=ACTOR, reason=reason)

    _changed(session, session.ask(ask))


async def _run(
    session: Session,
    pool: str,
    tool: str,
    arguments: dict[str, Any],
    deadline: float,
    mission: str,
    config: str,
) -> CommandResult:
    from citadel.client.commands import packed_arguments  # noqa: PLC0415 - gRPC is slow to import
    from citadel.wire.messages import Command  # noqa: PLC0415 - as above

    command = Command(
        pool=pool,
        tool=tool,
        arguments=packed_arguments(arguments),
        deadline_seconds=deadline,
        mission=mission,
    )
    async with session.client_or_local(config) as client:
        return await client.pools.run(command)


def _changed(session: Session, status: PoolStatus) -> None:
    if session.json:
        show.as_json(status)
    else:
        _show_pool(status)


def _show_pool(status: PoolStatus) -> None:
    show.record(
        {
            "pool": status.name,
            "state": status.state,
            "adapter": status.adapter,
            "workers": f"{len(status.workers)} of {status.size}",
            "commands": f"{status.running} running, {status.queued} of {status.queue_limit} queued",
            "error": headline(status.error),
        }
    )
    show.table(
        ["worker", "process:", "state", "memory:", "done:", "failed:", "runs", "since"],
        (
            (
                each.id,
                each.pid or "",
                each.state,
                size(each.rss_bytes) if each.rss_bytes else "",
                count(each.done),
                count(each.failed),
                each.tool,
                ago(each.started_unix_nanos),
            )
            for each in status.workers
        ),
    )


def _argument(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InvalidRequest(
            f"{text!r} is no argument", subject=text, remedy="Write NAME=VALUE, for instance a=1"
        )
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _object(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except ValueError as error:
        raise InvalidRequest(f"--arguments is no JSON: {error}", subject="--arguments") from error
    if not isinstance(found, dict):
        raise InvalidRequest("--arguments is no JSON object", subject="--arguments")
    return found


def _signature(schema: str) -> str:
    """The arguments of a JSON Schema in a line: name: type = default."""
    try:
        found: dict[str, Any] = json.loads(schema) if schema else {}
    except ValueError:
        return ""
    required = set(found.get("required", ()))
    return ", ".join(
        f"{name}: {part.get('type', 'any')}"
        + ("" if name in required else f" = {json.dumps(part.get('default'))}")
        for name, part in found.get("properties", {}).items()
    )

"""`citadel pool`: what pools there are, and what operators change of them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import click

from citadel.cli import show
from citadel.cli.pool_call import call
from citadel.cli.pool_state import ACTOR, end_session, inspect, poison, reason, sessions
from citadel.cli.pool_text import show_pool
from citadel.cli.session import Session, shared

if TYPE_CHECKING:
    from citadel.client.client import Client
    from citadel.vocabulary import PoolState
    from citadel.wire.messages import PoolStatus


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
        show_pool(each)
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
        ["tool", "arguments", "stream", "what it does"],
        (
            (each.name, _signature(each.input_schema), _streams(each), each.description)
            for each in found
        ),
        empty=f"pool {pool} has no tools yet: its workers start, or failed to",
    )


class _Size(click.ParamType[tuple[int, int, int]]):
    """N, or MIN..MAX."""

    name = "N|MIN..MAX"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int, int]:
        """Size, least and most; the last two 0 when the pool keeps its size."""
        found = re.fullmatch(r"(\d{1,6})(?:\.\.(\d{1,6}))?", str(value))
        if found is None or (found[2] and int(found[1]) > int(found[2])):
            self.fail(f"{value!r} is neither a number nor MIN..MAX", param, ctx)
        least = int(found[1])
        return (least, least, int(found[2])) if found[2] else (least, 0, 0)


@pool.command()
@click.argument("pool")
@click.argument("size", type=_Size())
@reason
@shared
def resize(session: Session, pool: str, size: tuple[int, int, int], reason: str) -> None:
    """Set the number of workers; MIN..MAX lets the pool decide in between."""
    number, least, most = size

    async def ask(client: Client) -> PoolStatus:
        return await client.pools.resize(
            pool, number, min_size=least, max_size=most, actor=ACTOR, reason=reason
        )

    _changed(session, session.ask(ask))


@pool.command()
@click.argument("pool")
@reason
@shared
def pause(session: Session, pool: str, reason: str) -> None:
    """Let commands wait, until it is resumed; what runs goes on."""
    _set_state(session, pool, "paused", reason)


@pool.command()
@click.argument("pool")
@reason
@shared
def resume(session: Session, pool: str, reason: str) -> None:
    """Let a paused or draining pool serve."""
    _set_state(session, pool, "serving", reason)


@pool.command()
@click.argument("pool")
@reason
@shared
def drain(session: Session, pool: str, reason: str) -> None:
    """Refuse new commands; those that are there end."""
    _set_state(session, pool, "draining", reason)


@pool.command()
@click.argument("pool")
@click.argument("worker", default="")
@reason
@shared
def recycle(session: Session, pool: str, worker: str, reason: str) -> None:
    """Replace one worker, or all, without losing a command."""

    async def ask(client: Client) -> PoolStatus:
        return await client.pools.recycle(pool, worker, actor=ACTOR, reason=reason)

    _changed(session, session.ask(ask))


@pool.command()
@click.argument("pool")
@click.argument("worker")
@reason
@shared
def kill(session: Session, pool: str, worker: str, reason: str) -> None:
    """Kill a worker's process: its command fails, the worker is replaced."""

    async def ask(client: Client) -> PoolStatus:
        return await client.pools.kill_worker(pool, worker, actor=ACTOR, reason=reason)

    _changed(session, session.ask(ask))


for _each in (call, inspect, sessions, end_session, poison):
    pool.add_command(_each)


def _set_state(session: Session, pool: str, state: PoolState, reason: str) -> None:
    async def ask(client: Client) -> PoolStatus:
        return await client.pools.set_state(pool, state, actor=ACTOR, reason=reason)

    _changed(session, session.ask(ask))


def _changed(session: Session, status: PoolStatus) -> None:
    if session.json:
        show.as_json(status)
    else:
        show_pool(status)


def _streams(tool: Any) -> str:
    return {(True, True): "in, out", (True, False): "in", (False, True): "out"}.get(
        (tool.streams_in, tool.streams_out), ""
    )


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

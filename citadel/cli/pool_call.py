"""`citadel pool call`: one command, with its value or its stream."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Generator, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from citadel.cli import show
from citadel.cli.session import Session, shared
from citadel.cli.text import duration
from citadel.errors import InvalidRequest
from citadel.vocabulary import AFFINITIES, PRIORITIES

if TYPE_CHECKING:
    from citadel.client.commands import CommandOptions
    from citadel.wire.messages import CommandResult


@click.command()
@click.argument("pool")
@click.argument("tool")
@click.argument("arguments", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--arguments", "more", metavar="JSON", help="An object with more arguments.")
@click.option("--deadline", type=float, default=0.0, help="Seconds until it is given up.")
@click.option(
    "--session", "session_key", default="", metavar="KEY", help="Share variables and a worker."
)
@click.option("--affinity", type=click.Choice(AFFINITIES), help="When that worker is busy or dies.")
@click.option("--priority", type=click.Choice(PRIORITIES), help="Before whom it waits.")
@click.option("--mission", default="", help="The mission to count it under.")
@click.option("--stream", is_flag=True, help="Print the items of a tool that gives a stream.")
@click.option("--items", metavar="FILE", help="Its input stream, a JSON value a line; - is stdin.")
@click.option("--config", default="", metavar="FILE", help="Settings of an engine of its own.")
@shared
def call(
    session: Session,
    pool: str,
    tool: str,
    arguments: tuple[str, ...],
    more: str | None,
    session_key: str,
    stream: bool,
    items: str | None,
    config: str,
    **options: Any,
) -> None:
    """Run a tool and print what it returns. A VALUE is JSON, or else a text."""
    from citadel.client.commands import CommandOptions  # noqa: PLC0415 - slow to import

    given = {**_object(more), **dict(_argument(text) for text in arguments)}
    bound = CommandOptions(session=session_key, **options)
    if stream or items:
        asyncio.run(_stream(session, pool, tool, given, bound, items, config))
    else:
        asyncio.run(_call(session, pool, tool, given, bound, config))


async def _call(
    session: Session,
    pool: str,
    tool: str,
    arguments: dict[str, Any],
    options: CommandOptions,
    config: str,
) -> None:
    from citadel.client.commands import unpacked  # noqa: PLC0415 - slow to import

    async with session.client_or_local(config) as client:
        result = await client.pools.run(options.command(pool, tool, arguments))
    value = unpacked(result.value)
    if session.json:
        show.as_json({"value": value, **_about(result)})
        return
    _print(value)
    _note(result)


async def _stream(
    session: Session,
    pool: str,
    tool: str,
    arguments: dict[str, Any],
    options: CommandOptions,
    items: str | None,
    config: str,
) -> None:
    """Prints items as they come: as they are, or with --json an object a line."""
    from citadel.client.pools import Caller  # noqa: PLC0415 - slow to import

    async with session.client_or_local(config) as client:
        caller = Caller(client.connection, pool, options)
        with _lines(items) as lines:
            stream = caller.stream(tool, None if lines is None else _values(lines), **arguments)
            async with aclosing(stream):
                async for item in stream:
                    if session.json:
                        show.as_json({"item": item}, lines=True)
                    else:
                        _print(item, line=True)
    assert stream.result is not None
    if session.json:
        show.as_json({"value": stream.value, **_about(stream.result)}, lines=True)
        return
    if stream.value is not None:
        _print(stream.value)
    _note(stream.result)


@contextmanager
def _lines(where: str | None) -> Generator[TextIO | None]:
    if where is None:
        yield None
    elif where == "-":
        yield sys.stdin
    else:
        try:
            file = Path(where).open(encoding="utf-8")  # noqa: SIM115 - closed below
        except OSError as error:
            raise InvalidRequest(
                f"{where} cannot be read: {error.strerror}", subject=where
            ) from error
        with file:
            yield file


def _values(lines: TextIO) -> Iterator[Any]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as error:
                raise InvalidRequest(
                    f"line {number} of the items is no JSON: {error}", subject="--items"
                ) from error


def _about(result: CommandResult) -> dict[str, Any]:
    return {
        "command": result.id,
        "worker": result.worker,
        "queued_seconds": result.queued_seconds,
        "run_seconds": result.run_seconds,
        "trace_id": result.trace_id,
    }


def _print(value: Any, *, line: bool = False) -> None:
    if isinstance(value, str):
        show.text(value)
        sys.stdout.flush()
    else:
        show.as_json(value, lines=line)


def _note(result: CommandResult) -> None:
    show.note(
        f"by {result.worker} in {duration(result.run_seconds * 1e9)},"
        f" after {duration(result.queued_seconds * 1e9)} in the queue; trace {result.trace_id}"
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

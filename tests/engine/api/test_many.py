"""Many commands over one stream: bounded, batched, each with its own end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from citadel.errors import Cancelled, CommandFailed, EngineError, InvalidRequest, QueueFull
from citadel.wire.failures import from_wire
from citadel.wire.messages import Command, CommandBatch, CommandResult, Outcome
from engine.api.auth import LOCAL
from engine.api.dispatch import Call
from engine.api.many import BATCH_BYTES, MAX_IN_FLIGHT, Many
from engine.pool.settings import PoolCommand
from engine.telemetry.recorder import Recorder


class FakePools:
    """Begins commands; the test ends them."""

    def __init__(self) -> None:
        self.begun: dict[str, asyncio.Future[CommandResult]] = {}
        self.commands: list[PoolCommand] = []
        self.cancelled: list[tuple[str, str]] = []

    def begin(self, command: PoolCommand) -> asyncio.Future[CommandResult]:
        if command.tool == "full":
            raise QueueFull("no room", subject="p", remedy="wait")
        if command.tool == "bug":
            raise KeyError("password")
        self.commands.append(command)
        future = asyncio.get_running_loop().create_future()
        self.begun[command.id] = future
        if command.tool == "echo":
            future.set_result(CommandResult(id=command.id, value=command.arguments))
        return future

    def cancel(self, command_id: str, reason: str, pool: str) -> str:
        assert pool == "p"
        self.cancelled.append((command_id, reason))
        future = self.begun[command_id]
        if not future.done():
            future.set_exception(Cancelled(reason, subject=command_id))
        return "running"


class Stream:
    """A stream of commands without gRPC."""

    def __init__(self) -> None:
        self.pools = FakePools()
        self.closing = asyncio.Event()
        self.requests: asyncio.Queue[CommandBatch | None] = asyncio.Queue()
        call = Call("Pools.RunMany", LOCAL, None, object(), Recorder())
        self.many = Many(self.pools, call, self.closing)
        self.answers = self.many.run(self._requests())

    async def _requests(self) -> AsyncIterator[CommandBatch]:
        while (batch := await self.requests.get()) is not None:
            yield batch

    def send(self, *commands: Command, cancels: tuple[str, ...] = ()) -> None:
        self.requests.put_nowait(CommandBatch(commands=commands, cancels=cancels))

    async def rest(self) -> list[Outcome]:
        return [outcome async for batch in self.answers for outcome in batch.outcomes]


def command(id_: str, tool: str = "echo", **values: Any) -> Command:
    return Command(id=id_, pool="p", tool=tool, **values)


async def turns(number: int = 50) -> None:
    """Lets everything that can happen happen."""
    for _ in range(number):
        await asyncio.sleep(0)


async def test_what_ends_in_one_turn_leaves_in_one_message() -> None:
    stream = Stream()
    stream.send(*(command(f"c{number}", arguments=b"x") for number in range(5)))
    async with aclosing(stream.answers) as answers:
        batch = await anext(answers)
    assert [outcome.id for outcome in batch.outcomes] == [f"c{number}" for number in range(5)]
    assert all(outcome.result.value == b"x" for outcome in batch.outcomes)


async def test_a_command_that_fails_fails_alone() -> None:
    stream = Stream()
    stream.send(
        command("a", "full"),
        command("b", "bug"),
        command("c", affinity="glue"),
        command("d", "wait"),
        command("e"),
    )
    stream.requests.put_nowait(None)
    asyncio.get_running_loop().call_later(
        0.01,
        lambda: stream.pools.begun["d"].set_exception(CommandFailed("no", details={"k": "v"})),
    )
    told = {outcome.id: outcome for outcome in await stream.rest()}
    errors = {key: from_wire(each.error) for key, each in told.items() if each.error}
    assert {key: type(error) for key, error in errors.items()} == {
        "a": QueueFull,
        "b": EngineError,
        "c": InvalidRequest,
        "d": CommandFailed,
    }
    assert (errors["a"].subject, errors["a"].remedy) == ("p", "wait")
    assert "password" not in errors["b"].message
    assert errors["d"].details == {"k": "v"}
    assert told["e"].result is not None


async def test_nobody_reads_and_nothing_more_is_begun() -> None:
    stream = Stream()
    for number in range(3 * MAX_IN_FLIGHT):
        stream.send(command(f"c{number}"))
    stream.requests.put_nowait(None)
    first = await anext(stream.answers)
    await turns(10 * MAX_IN_FLIGHT)
    begun = len(stream.pools.begun)
    assert len(first.outcomes) <= begun <= MAX_IN_FLIGHT, "what was told is not yet taken"
    assert len(first.outcomes) + len(await stream.rest()) == 3 * MAX_IN_FLIGHT


async def test_a_client_that_goes_away_cancels_what_it_began() -> None:
    stream = Stream()
    stream.send(command("done"), command("a", "wait"), command("b", "wait"))
    assert [outcome.id for outcome in (await anext(stream.answers)).outcomes] == ["done"]
    await stream.answers.aclose()
    assert sorted(id_ for id_, _ in stream.pools.cancelled) == ["a", "b"]


async def test_a_command_may_be_given_up_with_the_batch_that_brings_it() -> None:
    stream = Stream()
    stream.send(command("a", "wait"), command("b"), cancels=("a", "never"))
    stream.requests.put_nowait(None)
    told = {outcome.id: outcome for outcome in await stream.rest()}
    assert isinstance(from_wire(told["a"].error), Cancelled)
    assert told["b"].result is not None
    assert [id_ for id_, _ in stream.pools.cancelled] == ["a"]


async def test_an_engine_that_stops_answers_what_was_begun_and_ends_the_stream() -> None:
    stream = Stream()
    stream.send(command("a", "wait"))
    pending = asyncio.get_running_loop().create_task(stream.rest())
    await turns()
    stream.closing.set()
    await turns()
    stream.send(command("late"))
    assert not pending.done()
    stream.pools.begun["a"].set_result(CommandResult(id="a", value=b"v"))
    assert [outcome.id for outcome in await pending] == ["a"]
    assert "late" not in stream.pools.begun


async def test_large_values_go_in_messages_of_their_own() -> None:
    stream = Stream()
    large = b"x" * (BATCH_BYTES // 2 + 1)
    stream.send(*(command(f"c{number}", arguments=large) for number in range(3)))
    stream.requests.put_nowait(None)
    sizes = [len(batch.outcomes) async for batch in stream.answers]
    assert sizes == [1, 1, 1]


async def test_a_command_continues_the_trace_of_its_caller() -> None:
    stream = Stream()
    stream.send(
        command("a", traceparent=f"00-{7:032x}-{9:016x}-01"), command("b", traceparent="nonsense")
    )
    stream.requests.put_nowait(None)
    await stream.rest()
    first, second = stream.pools.commands
    assert (first.parent.trace_id, first.parent.span_id) == (7, 9)
    assert second.parent is None


async def test_a_command_without_an_id_ends_the_stream() -> None:
    stream = Stream()
    stream.send(command("a", "wait"), command(""))
    with pytest.raises(InvalidRequest, match="an id of its own"):
        await stream.rest()
    assert [id_ for id_, _ in stream.pools.cancelled] == ["a"]


async def test_an_id_that_has_not_ended_is_refused_in_any_pool() -> None:
    stream = Stream()
    elsewhere = Command(id="a", pool="q", tool="wait")
    stream.send(command("a", "wait"), elsewhere, cancels=("a",))
    stream.requests.put_nowait(None)
    refused, cancelled = await stream.rest()
    assert refused.error.kind == "InvalidRequest"
    assert "has not ended" in refused.error.message
    assert cancelled.error.kind == "Cancelled"

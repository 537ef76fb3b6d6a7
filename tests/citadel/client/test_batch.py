"""Many calls over one stream: each with its own value or error, bounded, cancelled, broken."""

import asyncio
from pathlib import Path

import pytest

from citadel.client import batch as batches
from citadel.client.client import Client
from citadel.errors import (
    BadArguments,
    Cancelled,
    CommandFailed,
    DeadlineExceeded,
    InvalidRequest,
    MessageTooLarge,
    NotReady,
    Unauthenticated,
    Unavailable,
    UnknownTool,
    WorkerLost,
)
from citadel.testing import EngineUnderTest, assert_whole, find_spans, recorded, start_engine
from citadel.wire import codec
from citadel.wire.messages import Command, CommandBatch

ADAPTERS = Path(__file__).parents[1] / "adapters"


async def idle(client: Client) -> None:
    """Returns once the pool runs nothing."""
    async with asyncio.timeout(30):
        while any(
            each.running or each.queued for each in await client.pools.list() if each.name == "shed"
        ):
            await asyncio.sleep(0.02)


async def test_ten_thousand_calls_each_get_their_own(client: Client) -> None:
    async with client.pools.batch("shed") as batch:
        left = iter(range(10_000))

        async def lane() -> int:
            right = 0
            for number in left:
                right += await batch.call("add", a=number, b=1) == number + 1
            return right

        assert sum(await asyncio.gather(*(lane() for _ in range(200)))) == 10_000


async def test_more_than_fit_wait_for_room(client: Client) -> None:
    many = 3 * batches.MAX_IN_FLIGHT
    async with client.pools.batch("shed") as batch:
        most = 0

        async def one(number: int) -> int:
            nonlocal most
            value = await batch.call("add", a=number)
            most = max(most, len(batch._waiting))
            return value

        values = await asyncio.gather(*(one(number) for number in range(many)))
    assert values == list(range(many))
    assert 0 < most <= batches.MAX_IN_FLIGHT


async def test_a_call_that_fails_fails_alone(client: Client) -> None:
    async with client.pools.batch("shed") as batch:
        outcomes = await asyncio.gather(
            batch.call("add", a=1, b=2),
            batch.call("fail"),
            batch.call("nothing"),
            batch.call("add", a="x"),
            batch.call("add", a=object()),
            batch.call("\ud800"),
            batch.call("echo", value=b"x" * (codec.MAX_MESSAGE_BYTES + 1)),
            batch.call("leave"),
            batch.call("add", a=3, b=4),
            return_exceptions=True,
        )
        assert [outcomes[0], outcomes[-1]] == [3, 7]
        classes = [type(each) for each in outcomes[1:-1]]
        assert classes[:4] == [CommandFailed, UnknownTool, BadArguments, InvalidRequest]
        assert issubclass(classes[4], Exception)
        assert classes[5:] == [MessageTooLarge, WorkerLost]
        assert "LookupError" in str(outcomes[1].details)
        assert outcomes[2].remedy
        assert await batch.call("add", a=5, b=6) == 11


async def test_values_in_their_order_and_the_first_error(client: Client) -> None:
    shed = client.pools.on("shed")
    calls = [("add", {"a": number}) for number in range(50)]
    assert await shed.many(calls) == list(range(50))
    wrong = [("add", {"a": 1}), ("fail", {}), ("nothing", {})]
    with pytest.raises(CommandFailed):
        await shed.many(wrong)
    value, *errors = await shed.many(wrong, errors=True)
    assert value == 1
    assert [type(error) for error in errors] == [CommandFailed, UnknownTool]


async def test_a_caller_that_goes_away_cancels_its_command(client: Client) -> None:
    async with client.pools.batch("shed") as batch:
        async with asyncio.TaskGroup() as tasks:
            call = tasks.create_task(batch.call("doze", seconds=600))
            await runs(client, "doze")
            call.cancel()
        begun = await batch.begin("doze", seconds=600)
        begun.cancel()
        await idle(client)
        assert await batch.call("add", a=1) == 1


async def test_leaving_by_an_exception_cancels_what_was_begun(client: Client) -> None:
    batch = client.pools.batch("shed")
    begun: list[asyncio.Future[str]] = []

    async def leave() -> None:
        async with batch:
            begun.append(await batch.begin("doze", seconds=600))
            await runs(client, "doze")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await leave()
    with pytest.raises(NotReady, match="closed"):
        await begun[0]
    await idle(client)
    with pytest.raises(NotReady, match="not open"):
        await batch.call("add", a=1)


async def test_leaving_waits_for_what_was_begun(client: Client) -> None:
    async with client.pools.batch("shed") as batch:
        futures = [await batch.begin("doze", seconds=0.01) for _ in range(3)]
    assert [future.result() for future in futures] == ["rested"] * 3


async def test_options_go_with_each_call(client: Client) -> None:
    async with client.pools.batch("shed", deadline=0.2) as batch:
        with pytest.raises(DeadlineExceeded):
            await batch.call("doze", seconds=600)
    async with client.pools.batch("shed", priority="soon") as batch:
        with pytest.raises(InvalidRequest, match="'soon' is no priority"):
            await batch.call("add", a=1)


async def test_a_cancel_by_id_reaches_a_command_of_a_batch(client: Client) -> None:
    async with client.pools.batch("shed") as batch:
        begun = await batch.begin("doze", seconds=600)
        (command,) = batch._waiting
        while await runs(client, "doze") != command:
            await asyncio.sleep(0.01)  # the worker stops the one before
        assert await client.pools.cancel(command, reason="enough") == "running"
        with pytest.raises(Cancelled, match="enough"):
            await begun


async def test_calls_of_a_trace_belong_to_it(client: Client) -> None:
    with client.trace("batch job") as span:
        async with client.pools.batch("shed") as batch:
            assert await batch.call("add", a=1, b=2) == 3
    spans = await recorded(client, span, name="batch job")
    assert_whole(spans)
    (command,) = find_spans(spans, name="command add")
    assert command["parent_id"] == span.context.span_id


async def test_a_token_is_asked_for(engine: EngineUnderTest, client: Client) -> None:
    stranger = Client(engine.address, token="wrong")
    try:
        async with stranger.pools.batch("shed") as batch:
            with pytest.raises(Unauthenticated):
                await batch.call("add", a=1)
    finally:
        await stranger.close()


async def test_a_command_without_an_id_ends_the_stream(client: Client) -> None:
    async with client.connection.bidi("Pools.RunMany", traced=False) as stream:
        await stream.send(CommandBatch(commands=(Command(pool="shed", tool="add"),)))
        with pytest.raises(InvalidRequest, match="an id of its own"):
            async for _ in stream.messages():
                pass


async def test_an_engine_that_dies_fails_each_call_that_waits() -> None:
    with start_engine(pools={"shed": "shed:Shed"}, python_path=[ADAPTERS]) as engine:
        async with engine.client() as client, client.pools.batch("shed") as batch:
            assert await batch.call("add", a=1) == 1
            begun = [await batch.begin("doze", seconds=600) for _ in range(3)]
            await asyncio.to_thread(engine.kill)
            for future in begun:
                with pytest.raises(Unavailable):
                    await future
            with pytest.raises(Unavailable):
                await batch.call("add", a=1)


async def runs(client: Client, tool: str) -> str:
    """The id of a command once a worker runs that tool."""
    async with asyncio.timeout(30):
        while True:
            for each in await client.pools.list():
                for worker in each.workers:
                    if worker.tool == tool and worker.command_id:
                        return worker.command_id
            await asyncio.sleep(0.01)

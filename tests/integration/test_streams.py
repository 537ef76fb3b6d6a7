"""Tools that take or give streams, over the wire: items, ends, errors, patience, bounds."""

import asyncio
import signal
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import pytest

from citadel.client.client import Client, connect
from citadel.errors import (
    BadArguments,
    CommandFailed,
    DeadlineExceeded,
    InvalidRequest,
    NotReady,
    Unavailable,
    UnknownTool,
    WorkerLost,
)
from citadel.testing import assert_whole, find_spans, recorded
from citadel.wire.messages import StreamInput

POOL = "workshop"
WORKSHOP = 'pools=[{name="workshop", adapter="workshop:Workshop", size=2}]'
MOST = 4_000
"""Texts of 16 KiB that may be on their way to a reader that has stopped: credit, and gRPC's own."""


async def idle(client: Client) -> bool:
    (shop,) = [each for each in await client.pools.list() if each.name == POOL]
    return not shop.running and not shop.queued


async def test_a_tool_gives_a_stream(client: Client) -> None:
    stream = client.pools.on(POOL).stream("count", up_to=1_000)
    assert [item async for item in stream] == list(range(1_000))
    assert stream.value is None
    assert stream.result is not None
    assert stream.result.worker.startswith(POOL)


async def test_a_tool_takes_a_stream_of_any_kind(client: Client) -> None:
    shop = client.pools.on(POOL)

    async def some() -> AsyncGenerator[int]:
        for number in range(100):
            yield number

    assert await shop.stream("total", some()).finish() == 4950
    assert await shop.stream("total", [1, 2, 3]).finish() == 6
    assert await shop.stream("total", (each for each in range(10))).finish() == 45
    assert await shop.stream("total", []).finish() == 0


async def test_a_tool_answers_item_by_item(client: Client) -> None:
    asked: asyncio.Queue[int] = asyncio.Queue()

    async def ask() -> AsyncGenerator[int]:
        while (number := await asked.get()) >= 0:
            yield number

    async with client.pools.on(POOL).stream("double", ask()) as stream:
        for number in (1, 5, 9):
            asked.put_nowait(number)
            assert await anext(stream) == 2 * number
        asked.put_nowait(-1)
        assert [item async for item in stream] == []


async def test_a_tool_without_a_stream_may_be_asked_the_same_way(client: Client) -> None:
    assert await client.pools.on(POOL).stream("add", a=1, b=2).finish() == 3


async def test_what_goes_wrong_is_typed_and_comes_after_the_items(client: Client) -> None:
    shop = client.pools.on(POOL)
    seen: list[int] = []
    stream = shop.stream("break_off", after=5)
    with pytest.raises(CommandFailed, match="that was all"):
        seen.extend([item async for item in stream])
    again = shop.stream("break_off", after=5)
    assert [await anext(again) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(CommandFailed):
        await anext(again)
    with pytest.raises(UnknownTool):
        await shop.stream("subtract").finish()
    with pytest.raises(BadArguments):
        await shop.stream("count", up_to="many").finish()
    with pytest.raises(UnknownTool):
        await shop.stream("subtract", range(100_000)).finish()
    with pytest.raises(WorkerLost):
        await shop.stream("die").finish()
    with pytest.raises(DeadlineExceeded):
        await client.pools.on(POOL, deadline=0.3).stream("work", seconds=600).finish()


async def test_items_that_cannot_be_had_or_sent_are_the_callers(client: Client, until: Any) -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise LookupError("no more")

    shop = client.pools.on(POOL)
    with pytest.raises(LookupError, match="no more"):
        await shop.stream("total", broken()).finish()
    with pytest.raises(InvalidRequest, match="an item cannot be sent"):
        await shop.stream("total", [1, object()]).finish()
    await until(lambda: idle(client))


async def test_a_reader_that_leaves_ends_the_tool(client: Client, until: Any) -> None:
    stream = client.pools.on(POOL).stream("count", up_to=10**9)
    assert await anext(stream) == 0
    await stream.aclose()
    await until(lambda: idle(client))


async def test_a_reader_that_stops_stops_the_tool(
    client: Client, tmp_path: Path, until: Any
) -> None:
    given = tmp_path / "given"
    async with client.pools.on(POOL).stream("tally", path=str(given), size=16_384) as stream:
        await anext(stream)
        before = -1
        steady = 0
        while steady < 10:  # it gives no more, as often as one looks
            await asyncio.sleep(0.05)
            now = int(given.read_text(encoding="utf-8") or 0)
            steady = steady + 1 if now == before else 0
            before = now
            assert now < MOST
        for _ in range(before + 10):  # and it goes on when it is read
            await anext(stream)
    await until(lambda: idle(client))


async def test_a_tool_that_does_not_read_stops_the_sender(client: Client, until: Any) -> None:
    sent = 0

    def items() -> Iterator[str]:
        nonlocal sent
        while True:
            sent += 1
            yield "x" * 16_384

    stream = client.pools.on(POOL).stream("hold", items(), seconds=600)
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(stream.finish())
        before, steady = -1, 0
        while steady < 10:
            await asyncio.sleep(0.05)
            steady = steady + 1 if sent == before and sent else 0
            before = sent
            assert sent < MOST
        reading.cancel()
    await until(lambda: idle(client))


async def test_many_streams_at_a_time(client: Client) -> None:
    shop = client.pools.on(POOL)

    async def one(number: int) -> int:
        got = 0
        async for item in shop.stream("double", range(number)):
            got += item
        return got

    totals = await asyncio.gather(*(one(number) for number in range(60)))
    assert totals == [sum(range(number)) * 2 for number in range(60)]


async def test_a_stream_is_one_trace(client: Client) -> None:
    with client.trace("streaming") as span:
        await client.pools.on(POOL).stream("count", up_to=3).finish()
    spans = await recorded(client, span, name="streaming")
    assert_whole(spans)
    (api,) = find_spans(spans, source="api")
    (command,) = find_spans(spans, name="command count")
    assert api["name"] == "citadel.wire.v1.Pools/Stream"
    assert command["parent_id"] == api["span_id"]


async def test_the_first_input_names_the_command_and_no_other_does(client: Client) -> None:
    for inputs in ((StreamInput(item=b"\x01"),), ()):
        with pytest.raises(InvalidRequest, match="names its command"):
            await raw(client, *inputs)
    command = client.pools.on(POOL).options.command(POOL, "total", {})
    with pytest.raises(InvalidRequest, match="only the first"):
        await raw(client, StreamInput(command=command), StreamInput(command=command))


async def raw(client: Client, *inputs: StreamInput) -> None:
    async with client.connection.bidi("Pools.Stream") as stream:
        for each in inputs:
            await stream.send(each)
        await stream.end()
        async for _ in stream.messages():
            pass


async def test_an_engine_that_stops_lets_streams_and_batches_end(headless: Any, until: Any) -> None:
    engine = await headless("--set", WORKSHOP)
    async with connect(engine.address) as client:
        stream = client.pools.on(POOL).stream("steps", count=3)
        batch = client.pools.batch(POOL)
        async with batch:
            begun = await batch.begin("work", seconds=1)
            assert await anext(stream) == 0
            engine.process.send_signal(signal.SIGTERM)

            async def draining() -> bool:
                return (await client.pools.list())[0].state == "draining"

            await until(draining)
            assert await begun == "done"
            with pytest.raises((Unavailable, NotReady)):
                await batch.call("add", a=1, b=2)
            assert [item async for item in stream] == [1, 2]
    assert await asyncio.wait_for(engine.process.wait(), 30) == 0

"""Streams on real workers: items in order, credit both ways, ends of every kind, whole accounting.

Everything runs in both profiles.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from itertools import count
from pathlib import Path
from typing import Any

import msgpack
import pytest

from citadel.errors import (
    BadArguments,
    Cancelled,
    CommandFailed,
    DeadlineExceeded,
    InvalidRequest,
    UnknownTool,
    WorkerLost,
)
from citadel.wire.messages import CommandResult
from engine.pool.credit import WINDOW_BYTES, WINDOW_ITEMS
from engine.pool.settings import PoolCommand

PATIENCE = 30.0
_ids = count(1)


@pytest.fixture(params=["process", "thread"])
def streaming(make, request):
    async def made(**settings: Any):
        if request.param == "process":
            return await make("stream_adapters:Streamer", **settings)
        threads = {"profile": "thread", "threads": 2}
        return await make("stream_adapters:ThreadedStreamer", **threads, **settings)

    return made


class Reading:
    """A stream, unpacked."""

    def __init__(
        self, bench, tool: str, /, items: Any = None, *, deadline: float = 0.0, **arguments: Any
    ) -> None:
        self.id = f"s{next(_ids)}"
        command = PoolCommand(
            id=self.id,
            pool="p",
            tool=tool,
            arguments=msgpack.packb(arguments),
            deadline_seconds=deadline,
        )
        self.result: CommandResult | None = None
        self.items: list[Any] = []
        self._stream = bench.pools.stream(command, items)

    async def next(self) -> Any:
        found = await asyncio.wait_for(anext(self._stream), PATIENCE)
        if isinstance(found, CommandResult):
            self.result = found
            with pytest.raises(StopAsyncIteration):
                await anext(self._stream)
            return found
        self.items.append(msgpack.unpackb(found))
        return self.items[-1]

    async def all(self) -> list[Any]:
        async with aclosing(self._stream):
            while self.result is None:
                await self.next()
        return self.items

    async def close(self) -> None:
        await self._stream.aclose()

    @property
    def value(self) -> Any:
        assert self.result is not None
        return msgpack.unpackb(self.result.value)


async def given(*values: Any) -> AsyncIterator[bytes]:
    for value in values:
        yield msgpack.packb(value)


def counts_are_whole(bench) -> bool:
    counts = bench.pools.counts("p")
    status = bench.status
    ended = counts.done + counts.failed + counts.cancelled + counts.rejected + counts.shed
    return counts.submitted == ended + status.queued + status.running


@pytest.mark.parametrize("upto", [0, 1, WINDOW_ITEMS, 1_000])
async def test_items_come_in_order_and_then_the_result(streaming, upto):
    bench = await streaming()
    reading = Reading(bench, "counts", upto=upto)
    assert await reading.all() == list(range(upto))
    assert reading.value == "counted"
    assert reading.result.worker in bench.workers()
    assert await Reading(bench, "counts_async", upto=upto).all() == list(range(upto))
    assert counts_are_whole(bench)
    assert bench.pools.counts("p").done == 2


@pytest.mark.parametrize("tool", ["counts", "counts_async"])
async def test_a_slow_reader_stops_the_producer(streaming, tmp_path: Path, tool):
    bench = await streaming()
    log = tmp_path / "log"
    reading = Reading(bench, tool, upto=100_000, log=str(log))
    assert await reading.next() == 0
    made = -1
    while made != (made := int(log.read_text())) or made < WINDOW_ITEMS - 1:
        await asyncio.sleep(0.05)
    assert made == WINDOW_ITEMS - 1, "one window is made ahead, and no more"
    for _ in range(WINDOW_ITEMS):
        await reading.next()
    await bench.until("more", lambda: int(log.read_text()) > made)
    await reading.close()
    await bench.until("the end", lambda: log.read_text().endswith("closed"))
    assert await bench.call("plain", a=3) == 3


async def test_a_window_has_bytes_too(streaming, tmp_path: Path):
    bench = await streaming()
    log = tmp_path / "log"
    reading = Reading(bench, "sized", upto=1_000, size=300_000, log=str(log))
    await reading.next()
    made = -1
    while made != (made := int(log.read_text())) or made < WINDOW_BYTES // 300_000:
        await asyncio.sleep(0.05)
    assert made == WINDOW_BYTES // 300_000
    await reading.close()


async def test_input_of_any_length(streaming):
    bench = await streaming()
    for items in ([], [1], list(range(1_000))):
        for tool in ("total", "total_async"):
            reading = Reading(bench, tool, given(*items))
            assert await reading.all() == []
            assert reading.value == sum(items)
    reading = Reading(bench, "total", given(1, 2), start=10)
    await reading.all()
    assert reading.value == 13


async def test_no_input_is_an_empty_one(streaming):
    bench = await streaming()
    reading = Reading(bench, "total")
    await reading.all()
    assert reading.value == 0


@pytest.mark.parametrize("tool", ["echo", "echo_async"])
async def test_both_ways_item_by_item(streaming, tool):
    bench = await streaming()
    queue: asyncio.Queue[str | None] = asyncio.Queue()

    async def said() -> AsyncIterator[bytes]:
        while (text := await queue.get()) is not None:
            yield msgpack.packb(text)

    reading = Reading(bench, tool, said())
    for text in ("a", "b", "c"):
        queue.put_nowait(text)
        assert await reading.next() == text
    queue.put_nowait(None)
    assert await reading.all() == ["a", "b", "c"]
    many = [str(number) for number in range(2_000)]
    assert await Reading(bench, tool, given(*many)).all() == many


async def test_the_callers_items_are_taken_as_there_is_room(streaming):
    bench = await streaming()
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        for number in count():
            taken += 1
            yield msgpack.packb(str(number))

    reading = Reading(bench, "echo", endless())
    assert await reading.next() == "0"
    before = -1
    while before != taken:
        before = taken
        await asyncio.sleep(0.05)
    assert taken <= 3 * WINDOW_ITEMS + 1
    await reading.close()
    assert await bench.call("plain") == 1


async def test_items_are_checked_as_the_hint_says(streaming):
    bench = await streaming()
    with pytest.raises(BadArguments, match="item 2 of total does not fit"):
        await Reading(bench, "total", given(1, "x", 3)).all()
    with pytest.raises(BadArguments, match="no msgpack"):
        await Reading(bench, "total", _garbage()).all()


async def _garbage() -> AsyncIterator[bytes]:
    yield b"\xc1"


async def test_a_tool_need_not_take_all(streaming):
    bench = await streaming()
    reading = Reading(bench, "first_of", given(*range(10_000)))
    await reading.all()
    assert reading.value == 0
    assert await bench.call("plain") == 1


async def test_an_input_that_fails_cancels_the_command(streaming):
    bench = await streaming()

    async def failing() -> AsyncIterator[bytes]:
        yield msgpack.packb(1)
        raise LookupError("the file is gone")

    with pytest.raises(LookupError, match="the file is gone"):
        await Reading(bench, "total", failing()).all()
    assert await bench.call("plain") == 1
    assert bench.pools.counts("p").cancelled == 1


@pytest.mark.parametrize("tool", ["counts", "counts_async", "slowly"])
async def test_cancel_by_id_in_the_middle(streaming, tmp_path: Path, tool):
    bench = await streaming()
    log = tmp_path / "log"
    arguments = {"log": str(log)} if tool == "slowly" else {"log": str(log), "upto": 10**6}
    reading = Reading(bench, tool, **arguments)
    await reading.next()
    before = bench.workers()
    assert bench.pools.cancel(reading.id, "enough") == "running"
    with pytest.raises(Cancelled, match="enough"):
        await reading.all()
    await bench.until("the finally block", lambda: log.read_text().endswith("closed"))
    assert await bench.call("plain") == 1
    assert bench.workers() == before, "it ended by itself"
    assert counts_are_whole(bench)


async def test_an_async_tool_is_cancelled_where_it_waits(streaming, tmp_path: Path):
    bench = await streaming()
    log = tmp_path / "log"
    before = bench.workers()
    running = bench.start("waits_forever", id_="w", log=str(log))
    await bench.until("the start", log.exists)
    bench.pools.cancel("w")
    with pytest.raises(Cancelled):
        await running
    await bench.until("the finally block", lambda: log.read_text() == "ended")
    assert await bench.call("plain") == 1
    assert bench.workers() == before


async def test_tasks_that_an_async_tool_leaves_are_ended(streaming):
    bench = await streaming()
    assert [await bench.call("leaves_a_task") for _ in range(4)] == [2] * 4


async def test_death_in_the_middle_comes_after_what_arrived(streaming):
    bench = await streaming()
    reading = Reading(bench, "dies_after", upto=20)
    with pytest.raises(WorkerLost, match="exited with code 5"):
        await reading.all()
    assert reading.items == list(range(20))
    assert await bench.call("plain") == 1
    assert counts_are_whole(bench)


async def test_what_a_generator_raises_comes_after_its_items(streaming):
    bench = await streaming()
    reading = Reading(bench, "fails_after", upto=5)
    with pytest.raises(CommandFailed, match="no more"):
        await reading.all()
    assert reading.items == list(range(5))
    reading = Reading(bench, "unsendable")
    with pytest.raises(CommandFailed, match="cannot be sent"):
        await reading.all()
    assert reading.items == [1]


async def test_the_deadline_counts_while_the_reader_sleeps(streaming, tmp_path: Path):
    bench = await streaming()
    reading = Reading(bench, "counts", upto=10**6, deadline=0.5)
    await reading.next()
    await bench.until("the end", lambda: bench.pools.counts("p").failed == 1)
    with pytest.raises(DeadlineExceeded):
        await reading.next()
    assert await bench.call("plain") == 1


async def test_tools_know_what_time_is_left(streaming):
    bench = await streaming()
    assert 20.0 < await bench.call("left", deadline=30.0) <= 30.0


async def test_streams_are_not_to_be_run_as_plain_commands(streaming):
    bench = await streaming()
    for tool in ("counts", "total", "echo_async"):
        arguments = {"upto": 1} if tool == "counts" else {}
        with pytest.raises(InvalidRequest, match="stream"):
            await bench.call(tool, **arguments)
    assert await bench.call("plain") == 1


async def test_a_plain_tool_streamed_has_only_a_result(streaming):
    bench = await streaming()
    reading = Reading(bench, "plain", given(1, 2, 3), a=7)
    assert await reading.all() == []
    assert reading.value == 7


async def test_a_refused_stream(streaming):
    bench = await streaming()
    with pytest.raises(UnknownTool):
        await Reading(bench, "nothing").all()
    with pytest.raises(BadArguments, match="upto"):
        await Reading(bench, "counts").all()


async def test_tools_say_that_they_stream(streaming):
    bench = await streaming()
    tools = {tool.name: tool for tool in bench.pools.tools("p")}
    found = {name: (tool.streams_in, tool.streams_out) for name, tool in tools.items()}
    assert found["plain"] == (False, False)
    assert found["counts"] == found["counts_async"] == (False, True)
    assert found["total"] == found["total_async"] == (True, False)
    assert found["echo"] == found["echo_async"] == (True, True)
    assert tools["counts"].output_schema == '{"type": "integer"}'
    assert '"x-citadel-items": {"type": "string"}' in tools["echo"].input_schema
    assert '"items"' not in tools["echo"].input_schema.replace("x-citadel-items", "")


async def test_many_streams_at_once(streaming):
    bench = await streaming(size=2)
    readings = [Reading(bench, "echo", given(*map(str, range(n)))) for n in range(0, 400, 20)]
    found = await asyncio.gather(*(reading.all() for reading in readings))
    assert found == [[str(k) for k in range(n)] for n in range(0, 400, 20)]
    assert counts_are_whole(bench)


async def test_spans_count_items(streaming):
    bench = await streaming()
    seen: list[tuple] = []
    bench.recorder.sinks.append(lambda batch: (seen.extend(batch), 0)[1])
    await Reading(bench, "echo", given("a", "b")).all()
    await Reading(bench, "traced").all()
    bench.recorder.drain()
    by_name = {row[8]: row for row in seen}
    assert '"citadel.stream.items_in":2' in by_name["command echo"][15]
    assert '"citadel.stream.items_out":2' in by_name["command echo"][15]
    assert by_name["inside"][3] == by_name["run traced"][2]
    assert by_name["run traced"][3] == by_name["command traced"][2]

"""Large items of streams and large callbacks: in shared memory, copied once, never lost or leaked.

Everything runs in both profiles.
"""

import asyncio
import gc
import socket
import threading
from collections import deque
from collections.abc import AsyncIterator
from contextlib import aclosing
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from citadel import values
from citadel.errors import Cancelled, MessageTooLarge, UnknownTool
from citadel.wire.messages import CommandResult
from engine.pool import frames, single, slabs, slate
from engine.pool.link import Link
from engine.pool.options import MemoryOptions
from engine.pool.results import PoolResult
from engine.pool.settings import PoolCommand
from engine.pool.worker import Worker

PATIENCE = 30.0
LARGE = 1 << 17  # items of 8 bytes: a MiB
pytestmark = pytest.mark.skipif(not slabs.AVAILABLE, reason="no descriptors to hand down")
_ids = count(1)


@pytest.fixture(params=["process", "thread"])
def flowing(make, request):
    async def made(**settings: Any):
        threads = {"profile": "thread", "threads": 2} if request.param == "thread" else {}
        return await make("flowing_adapters:Flowing", **threads, **settings)

    return made


def command(tool: str, /, **arguments: Any) -> PoolCommand:
    packed = values.pack(arguments)
    return PoolCommand(id=f"f{next(_ids)}", pool="p", tool=tool, arguments=packed)


async def given(*items: Any) -> AsyncIterator[bytes]:
    for item in items:
        yield values.pack(item)


async def parcels(*items: Any) -> AsyncIterator[values.Parcel]:
    for item in items:
        yield values.pack_parts(item, 4096)


async def read(stream: Any) -> tuple[list[Any], Any]:
    """Its items and its result, unpacked."""
    found: list[Any] = []
    async with asyncio.timeout(PATIENCE), aclosing(stream):
        async for each in stream:
            if isinstance(each, PoolResult):
                return found, each.parcel.unpacked()
            if isinstance(each, CommandResult):
                return found, values.unpack(each.value)
            found.append(
                each.unpacked() if isinstance(each, values.Parcel) else values.unpack(each)
            )
    raise AssertionError("no result")


async def idle(bench: Any) -> None:
    """Until nobody has any block, and no worker thinks that somebody has."""
    gc.collect()
    await bench.until("all is released", lambda: bench.status.leases == 0)
    assert bench.status.slab_used_bytes == 0


def longest_frame(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes of what the engine hears from workers at once, and says to them."""
    sizes = [0]
    heard, send = Link.data_received, Link.send

    def data_received(self: Link, data: bytes) -> None:
        sizes[0] = max(sizes[0], len(data))
        heard(self, data)

    def sends(self: Link, item: list[Any]) -> None:
        sizes[0] = max(sizes[0], len(frames.frame(item)))
        send(self, item)

    monkeypatch.setattr(Link, "data_received", data_received)
    monkeypatch.setattr(Link, "send", sends)
    return sizes


@pytest.mark.parametrize("tool", ["arrays", "arrays_async", "in_place"])
@pytest.mark.parametrize("way", ["stream", "stream_parts"])
async def test_large_items_that_a_tool_gives(flowing, tool: str, way: str, monkeypatch):
    bench = await flowing()
    longest = longest_frame(monkeypatch)
    stream = getattr(bench.pools, way)(command(tool, upto=40, items=LARGE))
    found, result = await read(stream)
    assert [(each[0], each[-1], len(each)) for each in found] == [(n, n, LARGE) for n in range(40)]
    assert result is None
    assert longest[0] < 16 * 1024, "no array went on the link"
    if way == "stream_parts":
        assert not any(each.flags.owndata or each.flags.writeable for each in found)
        assert bench.status.leases == 40
    del found
    await idle(bench)


@pytest.mark.parametrize("items", [given, parcels])
async def test_large_items_that_a_tool_takes(flowing, items: Any, monkeypatch):
    bench = await flowing()
    longest = longest_frame(monkeypatch)
    wanted = [np.full(LARGE * (1 + 7 * (number % 2)), float(number)) for number in range(12)]
    stream = bench.pools.stream(command("sums"), items(*wanted))
    found, _ = await read(stream)
    assert found == [[float(each.sum()), False] for each in wanted], "views, in their order"
    assert longest[0] < 16 * 1024, "no array went on the link"
    await idle(bench)


async def test_many_more_bytes_than_the_slab_flow_through_it(flowing):
    memory = MemoryOptions(slab_bytes=8 << 20, threshold_bytes=4096)
    bench = await flowing(memory=memory)
    items = [np.full(LARGE, float(number)) for number in range(60)]
    found, _ = await read(bench.pools.stream(command("sums"), parcels(*items)))
    assert [each[0] for each in found] == [float(number * LARGE) for number in range(60)]
    found, _ = await read(bench.pools.stream(command("arrays", upto=60, items=LARGE)))
    assert [each[0] for each in found] == [float(number) for number in range(60)]
    del found
    await idle(bench)


async def test_an_item_larger_than_the_slab_goes_on_the_link(flowing):
    bench = await flowing(memory=MemoryOptions(slab_bytes=1 << 20, threshold_bytes=4096))
    item = np.ones(LARGE * 4)
    found, _ = await read(bench.pools.stream(command("sums"), given(item)))
    assert found[0][0] == LARGE * 4
    found, _ = await read(bench.pools.stream(command("arrays", upto=3, items=LARGE * 4)))
    assert [each[0] for each in found] == [0.0, 1.0, 2.0]
    await idle(bench)


async def test_an_item_that_is_too_large_fails_with_a_remedy(flowing):
    bench = await flowing(max_result_bytes=1 << 20)
    with pytest.raises(MessageTooLarge, match="arrays gave an item of") as caught:
        await read(bench.pools.stream(command("arrays", upto=3, items=LARGE * 2)))
    assert caught.value.remedy
    found, _ = await read(bench.pools.stream_parts(command("arrays", upto=3, items=LARGE * 2)))
    assert len(found) == 3, "a caller in the process takes what the slab takes"
    del found
    await idle(bench)


async def test_items_that_nobody_takes_give_their_memory_back(flowing):
    bench = await flowing()
    items = [np.ones(LARGE // 4) for _ in range(8)]
    found, first = await read(bench.pools.stream(command("first_of"), parcels(*items)))
    assert (found, first) == ([], LARGE // 4)
    await idle(bench)
    for way in (bench.pools.stream, bench.pools.stream_parts):
        async with aclosing(way(command("arrays", upto=1000, items=LARGE // 4))) as stream:
            await anext(stream)
        await bench.until("it has ended", lambda: not bench.status.running)
        await idle(bench)


async def test_a_slow_reader_of_large_items_stops_the_producer(flowing):
    bench = await flowing()
    stream = bench.pools.stream_parts(command("arrays", upto=1000, items=LARGE))
    async with aclosing(stream):
        for _ in range(10):
            await anext(stream)
            await bench.until("more came", lambda: bench.status.leases > 0)
            assert bench.status.leases <= 3, "a window of a MiB, and the item that filled it"
    await idle(bench)


async def test_an_item_that_a_tool_keeps_is_a_leak_after_its_command(flowing):
    bench = await flowing(memory=MemoryOptions(leak_seconds=0.05))
    _, kept = await read(bench.pools.stream(command("keeps"), parcels(np.ones(LARGE))))
    assert kept == 1
    await bench.until("the leak is told", lambda: bench.events("slab.leaked"))
    assert "of keeps are held by" in bench.events("slab.leaked")[0]["message"]
    assert len(bench.events("slab.leaked")) == 1


@pytest.mark.parametrize("tool", ["calls", "calls_async"])
async def test_large_callbacks_do_not_go_on_the_link(flowing, tool: str, monkeypatch):
    bench = await flowing(size=2)
    longest = longest_frame(monkeypatch)
    found = await bench.call(tool, pool="p", tool="about", items=LARGE)
    assert found == ["ndarray", False, LARGE]
    assert await bench.call("sum_of_call", pool="p", items=LARGE) == [LARGE, False, False]
    assert longest[0] < 16 * 1024
    await idle(bench)


async def test_a_large_callback_that_is_given_up_gives_its_memory_back(flowing):
    bench = await flowing(size=2, grace_seconds=0.2)
    asked = command("calls_slowly", pool="p", items=LARGE)
    running = bench.pools.begin(asked)
    await bench.until("the other runs", lambda: bench.status.running == 2)
    assert bench.status.leases
    bench.pools.cancel(asked.id)
    with pytest.raises(Cancelled):
        await running
    del running, asked
    await bench.until("both have ended", lambda: not bench.status.running)
    await idle(bench)


async def test_errors_of_large_callbacks_come_back(flowing):
    bench = await flowing(size=2)
    with pytest.raises(UnknownTool, match="nothing_like_it"):
        await bench.call("calls", pool="p", tool="nothing_like_it", items=LARGE)
    await idle(bench)


@pytest.mark.parametrize("value", [[None, [[1 << 50, 8]]], [b"x", []], 7, [b"x", [[0, "a"]]]])
@pytest.mark.parametrize("kind", ["item", "question"])
async def test_a_worker_that_lies_about_its_slab_is_killed(flowing, value: Any, kind: str):
    bench = await flowing(size=2)
    pool = bench.pools._known("p")
    async with aclosing(bench.pools.stream(command("arrays", upto=1000, items=LARGE))) as stream:
        await anext(stream)
        (call,) = pool.commands.scheduler.calls.values()
        worker: Worker = pool.crew.workers[call.worker]
        if kind == "item":
            pool.worker_said(worker, [frames.YIELD, call.number, value, 1 << 30])
        else:
            asked = ["tool", "p", "plain", value]
            pool.worker_said(worker, [frames.ASK, call.number, 1, b"", *asked])
        await bench.until("it was killed", lambda: bench.events("worker.lost"))
    assert "garbage" in bench.events("worker.lost")[0]["message"]


# ── small items that are made quickly ────────────────────────────────────────────────────────────


@pytest.fixture
def post(monkeypatch: pytest.MonkeyPatch):
    """A worker's post without a worker, and the engine's end of its link; nobody is in a hurry."""
    monkeypatch.setattr(single, "FLUSH_SECONDS", 3600.0)
    workspace = SimpleNamespace(done=deque(), threshold=1 << 17)
    host: Any = SimpleNamespace(workspace=workspace, charge=SimpleNamespace(max_result_bytes=1))
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    board, _, descriptor = slate.create()
    with ours, theirs:
        yield single.Single(ours, slate.connect(f"fd:{descriptor}"), host), theirs, board


def item(sequence: int, value: bytes = b"x") -> list[Any]:
    return [frames.YIELD, 1, value, sequence]


def test_items_that_are_made_quickly_leave_together(post: Any):
    worker, link, board = post
    assert worker.give(item(1), quick=False)
    assert frames.Splitter().feed(link.recv(1 << 16)) == [item(1)], "the first leaves at once"
    wanted = [item(number) for number in range(2, 2 + single.MAX_HELD)]
    for each in wanted[:-1]:
        assert not worker.give(each, quick=True)
    with pytest.raises(BlockingIOError):
        link.recv(1 << 16)
    assert frames.Splitter().feed(board.left()) == wanted[:-1], "a death does not lose them"
    assert board.unsent() == b"", "nobody reads them while they change"
    assert worker.give(wanted[-1], quick=True)
    assert frames.Splitter().feed(link.recv(1 << 16)) == wanted
    assert board.left() == b""


@pytest.mark.parametrize("then", ["slow", "say", "flush", "large"])
def test_items_that_wait_go_before_what_comes_after_them(post: Any, then: str):
    worker, link, board = post
    assert not worker.give(item(1), quick=True)
    wanted = [item(1)]
    if then == "slow":
        worker.give(item(2), quick=False)
        wanted.append(item(2))
    elif then == "large":
        worker.give(item(2, bytes(slate.ITEM_BYTES)), quick=True)
        wanted.append(item(2, bytes(slate.ITEM_BYTES)))
    elif then == "say":
        worker.say([frames.TAINTED, "x"])
        wanted.append([frames.TAINTED, "x"])
    else:
        worker.flush()
    assert frames.Splitter().feed(link.recv(1 << 20)) == wanted
    assert board.left() == b""


def test_no_item_waits_where_no_thread_can_be_started(post: Any, monkeypatch: pytest.MonkeyPatch):
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    worker, link, _ = post
    for number in (1, 2, 3):
        assert worker.give(item(number), quick=True)
    assert frames.Splitter().feed(link.recv(1 << 16)) == [item(1), item(2), item(3)]


@pytest.mark.parametrize("upto", [1, 2, 3, 20, 50])
@pytest.mark.parametrize("tool", ["hurries_then_waits", "hurries_then_waits_async"])
async def test_no_item_waits_for_a_producer_that_pauses(flowing, tmp_path: Path, upto, tool):
    bench = await flowing()
    file = tmp_path / "go"
    async with aclosing(bench.pools.stream(command(tool, upto=upto, file=str(file)))) as stream:
        for number in range(upto):
            # The tool waits for the file: an item that waited for the tool would never come.
            assert values.unpack(await asyncio.wait_for(anext(stream), PATIENCE)) == number
        file.touch()
        assert values.unpack(await asyncio.wait_for(anext(stream), PATIENCE)) == upto


async def test_an_item_that_is_told_twice_is_taken_once(flowing):
    bench = await flowing()
    pool = bench.pools._known("p")
    async with aclosing(bench.pools.stream(command("quickly", upto=500))) as stream:
        found = [values.unpack(await anext(stream))]
        (call,) = pool.commands.scheduler.calls.values()
        again = [frames.YIELD, call.number, values.pack(0), 1]
        pool.worker_said(pool.crew.workers[call.worker], again)
        found += [values.unpack(each) async for each in stream if isinstance(each, bytes)]
    assert found == list(range(500))

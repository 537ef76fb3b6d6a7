"""Profile thread: several commands at once in one worker, each as if it were alone."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from citadel.errors import AdapterFailed, Cancelled, WorkerLost
from engine.pool.child import gil_enabled

SAFE = "thread_adapters:Safe"


@pytest.fixture
def threads(make):
    async def made(number: int = 4, **settings: Any):
        return await make(SAFE, profile="thread", threads=number, **settings)

    return made


async def test_commands_run_at_once_in_one_process(threads):
    bench = await threads(4)
    found = await asyncio.gather(*(bench.call("meet", parties=4) for _ in range(8)))
    assert len({pid for pid, _ in found}) == 1
    assert len({name for _, name in found}) == 4


async def test_no_more_than_there_are_threads(threads):
    bench = await threads(2, size=1)
    found = await asyncio.gather(*(bench.call("crowd") for _ in range(20)))
    assert max(found) == 2


async def test_async_tools_run_on_a_loop_a_thread(threads):
    bench = await threads(3)
    found = await asyncio.gather(*(bench.call("meet_async", parties=3) for _ in range(6)))
    assert len(set(found)) == 3


async def test_a_cancel_is_for_one_of_them(threads, tmp_path: Path):
    bench = await threads(3)
    until = tmp_path / "until"
    calls = [
        bench.start("wait", id_=f"w{n}", started=str(tmp_path / str(n)), until=str(until))
        for n in range(3)
    ]
    await bench.until("all", lambda: all((tmp_path / str(n)).exists() for n in range(3)))
    assert bench.status.running == 3
    waiting = bench.start("wait", id_="x", started=str(tmp_path / "x"), until=str(until))
    await bench.until("one more", lambda: bench.status.queued + bench.status.running == 4)
    bench.pools.cancel("w1")
    with pytest.raises(Cancelled):
        await calls[1]
    await bench.until("the next", (tmp_path / "x").exists)
    until.touch()
    assert await asyncio.gather(calls[0], calls[2], waiting) == ["done"] * 3
    assert bench.events("worker.lost") == []


async def test_a_death_costs_those_that_ran(threads, tmp_path: Path):
    bench = await threads(2)
    until = tmp_path / "until"
    calls = [
        bench.start("wait", started=str(tmp_path / str(n)), until=str(until)) for n in range(2)
    ]
    await bench.until("both", lambda: all((tmp_path / str(n)).exists() for n in range(2)))
    others = [bench.start("crowd") for _ in range(10)]
    await bench.until("the queue", lambda: bench.status.queued + bench.status.running == 12)
    os.kill(bench.status.workers[0].pid, 9)
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(each, WorkerLost) for each in found)
    assert len(await asyncio.gather(*others)) == 10
    counts = bench.pools.counts("p")
    assert (counts.failed, counts.done) == (2, 10)


async def test_spans_and_deadlines_are_each_commands_own(threads):
    bench = await threads(3)
    seen: list[tuple] = []
    bench.recorder.sinks.append(lambda batch: (seen.extend(batch), 0)[1])
    calls = (bench.call("span", name=f"n{n}", parties=3, deadline=20.0 + n) for n in range(6))
    left = await asyncio.gather(*calls)
    assert all(19.0 + n < each <= 20.0 + n for n, each in enumerate(left))
    bench.recorder.drain()
    by_id = {row[2]: row for row in seen}
    inner = [row for row in seen if row[8].startswith("n")]
    assert {row[8] for row in inner} == {f"n{n}" for n in range(6)}
    for row in inner:
        run = by_id[row[3]]
        assert run[8] == "run span"
        assert run[:2] == row[:2]
    assert len({row[:2] for row in inner}) == 6


async def test_a_worker_that_leaves_ends_what_it_has(threads, tmp_path: Path):
    bench = await threads(3)
    until = tmp_path / "until"
    calls = [
        bench.start("wait", started=str(tmp_path / str(n)), until=str(until)) for n in range(3)
    ]
    await bench.until("all", lambda: all((tmp_path / str(n)).exists() for n in range(3)))
    before = bench.workers()
    await bench.pools.recycle("p")
    await bench.until("another", lambda: bool(bench.workers("ready") - before))
    until.touch()
    assert await asyncio.gather(*calls) == ["done"] * 3
    await bench.until("the end", lambda: not bench.workers() & before)
    assert bench.events("worker.lost") == []
    assert bench.events("worker.stopped")


async def test_an_adapter_that_is_not_thread_safe_is_refused(make):
    bench = await make("adapters:Tools", profile="thread", threads=2)
    await bench.until("the failure", lambda: bench.status.state == "failed")
    with pytest.raises(AdapterFailed, match=r"does not say .*thread_safe = True"):
        await bench.call("noop")


@pytest.mark.skipif(not gil_enabled(), reason="this Python has no GIL")
async def test_free_threads_need_such_a_python(make):
    bench = await make(SAFE, profile="free_threaded", threads=2)
    await bench.until("the failure", lambda: bench.status.state == "failed")
    with pytest.raises(AdapterFailed, match=r"without GIL.*environment\.python"):
        await bench.call("crowd")

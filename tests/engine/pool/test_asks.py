"""Tools that call tools: results, typed errors, what is inherited, and what is refused."""

import asyncio
import os
from pathlib import Path
from typing import Any

import msgpack
import pytest

from citadel.errors import (
    Cancelled,
    CommandFailed,
    InvalidRequest,
    NotFound,
    NotReady,
    QueueFull,
)
from engine.pool.asks import MAX_DEPTH, Caller
from engine.pool.options import QueueOptions, ResilienceOptions, ScaleOptions
from engine.pool.settings import PoolCommand

CALLER = "ask_adapters:Caller"
THREADED = {"adapter": "ask_adapters:ThreadedCaller", "profile": "thread"}


@pytest.fixture
def two(make, make_more):
    """Pool p, and pool q beside it."""

    async def made(p: dict[str, Any] | None = None, q: dict[str, Any] | None = None):
        return await make_more(
            {"name": "p", "adapter": CALLER, "size": 1, **(p or {})},
            {"name": "q", "adapter": CALLER, "size": 1, **(q or {})},
        )

    return made


@pytest.mark.parametrize("profile", [{}, {**THREADED, "threads": 2}], ids=["process", "thread"])
async def test_a_tool_calls_a_tool_of_another_pool(two, profile):
    bench = await two(p=profile)
    assert await bench.call("outer", pool="q", tool="value", arguments={"a": 5}) == 5
    assert await bench.call("gathers", pool="q", upto=40) == list(range(40))


@pytest.mark.parametrize(
    ("pool", "tool", "arguments", "kind", "says"),
    [
        ("q", "nothing", {}, "UnknownTool", "has no tool 'nothing'"),
        ("nowhere", "value", {}, "NotFound", "there is no pool 'nowhere'"),
        ("q", "value", {"a": "x"}, "BadArguments", "a: Input should be"),
        ("q", "raises", {}, "CommandFailed", "KeyError"),
    ],
)
async def test_errors_come_back_as_they_were(two, pool, tool, arguments, kind, says):
    bench = await two()
    found = await bench.call("catches", pool=pool, tool=tool, arguments=arguments)
    assert found[0] == kind
    assert says in found[1]
    if kind == "CommandFailed":
        assert found[3]["type"] == "KeyError"
        assert "in raises" in found[3]["traceback"]
        with pytest.raises(CommandFailed, match="KeyError"):
            await bench.call("outer", pool=pool, tool=tool)


async def test_a_tools_own_threads_may_ask(two):
    bench = await two()
    assert await bench.call("from_threads", pool="q", upto=8) == list(range(8))


async def test_a_pool_with_a_free_worker_may_call_itself(two):
    bench = await two(p={"size": 3})
    assert await bench.call("nested", pool="p", depth=2) == 2


async def test_a_call_that_would_wait_for_itself_is_refused(two):
    bench = await two()
    with pytest.raises(NotReady, match="value would never begin") as caught:
        await bench.call("outer", pool="p", tool="value")
    assert "more workers" in caught.value.remedy
    there_and_back = {"pool": "p", "tool": "value"}
    with pytest.raises(NotReady, match="all workers of pool p wait"):
        await bench.call("outer", pool="q", tool="outer", arguments=there_and_back)
    assert await bench.call("value") == 1
    assert bench.status.queued == bench.status.running == 0


async def test_of_calls_that_wait_for_one_another_some_go_on(two, tmp_path: Path):
    bench = await two(p={"size": 2})
    names = [str(tmp_path / "one"), str(tmp_path / "other")]
    calls = [
        bench.start("meets", mine=mine, other=other, pool="p")
        for mine, other in (names, reversed(names))
    ]
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert any(each == 2 for each in found)
    assert all(each == 2 or isinstance(each, NotReady) for each in found)


async def test_threads_count_as_workers(two):
    bench = await two(p={**THREADED, "threads": 3})
    assert await bench.call("nested", pool="p", depth=2) == 2
    with pytest.raises(NotReady, match="nested would never begin"):
        await bench.call("nested", pool="p", depth=3)


async def test_depth_is_bounded(two):
    bench = await two(p={**THREADED, "threads": MAX_DEPTH + 2})
    assert await bench.call("nested", pool="p", depth=MAX_DEPTH) == MAX_DEPTH
    with pytest.raises(InvalidRequest, match=f"{MAX_DEPTH} commands deep"):
        await bench.call("nested", pool="p", depth=MAX_DEPTH + 1)


async def test_the_number_of_calls_at_once_is_bounded(two):
    bench = await two()
    with pytest.raises(Exception, match="waits for 64 commands already"):
        await bench.call("gathers", pool="q", upto=2_000)


async def test_a_full_queue_is_told(two):
    bench = await two(q={"queue_limit": 1})
    with pytest.raises(QueueFull):
        await bench.call("gathers", pool="q", upto=60)


async def test_deadline_and_session_are_inherited(two):
    bench = await two()
    assert await bench.call("outer", pool="q", tool="left", deadline=5.0) <= 5.0
    arguments = {"pool": "q", "tool": "key"}
    command = PoolCommand(
        id="k", pool="p", tool="outer", arguments=msgpack.packb(arguments), session="mine"
    )
    assert msgpack.unpackb((await bench.pools.submit(command)).value) == "mine"


async def test_one_trace_runs_through(two):
    bench = await two()
    seen: list[tuple] = []
    bench.recorder.sinks.append(lambda batch: (seen.extend(batch), 0)[1])
    await bench.call("outer", pool="q", tool="value")
    bench.recorder.drain()
    spans = {row[8]: row for row in seen}
    assert len({(row[0], row[1]) for row in seen}) == 1
    assert spans["run outer"][3] == spans["command outer"][2]
    assert spans["command value"][3] == spans["run outer"][2]
    assert spans["run value"][3] == spans["command value"][2]


async def test_what_was_asked_for_ends_with_its_caller(two, tmp_path: Path):
    bench = await two()
    started = tmp_path / "started"
    arguments = {"started": str(started), "until": str(tmp_path / "never")}
    calling = bench.start("outer", id_="c", pool="q", tool="waits", arguments=arguments)
    await bench.until("the start", started.exists)
    before = bench.workers()
    bench.pools.cancel("c")
    with pytest.raises(Cancelled):
        await calling
    await bench.until("the end", lambda: bench.pools.counts("q").cancelled >= 1)
    assert await bench.call("value") == 1
    assert bench.workers() == before


async def test_a_caller_that_dies_ends_what_it_asked_for(two, tmp_path: Path):
    bench = await two()
    started = tmp_path / "started"
    arguments = {"started": str(started), "until": str(tmp_path / "never")}
    calling = bench.start("outer", pool="q", tool="waits", arguments=arguments)
    await bench.until("the start", started.exists)
    os.kill(bench.status.workers[0].pid, 9)
    await bench.until("the end", lambda: bench.pools.counts("q").cancelled >= 1)
    await asyncio.gather(calling, return_exceptions=True)
    assert await bench.call("value") == 1


async def test_who_waits_behind_a_caller_goes_elsewhere(two, tmp_path: Path):
    bench = await two(p={"size": 2})
    for _ in range(20):
        await asyncio.gather(*(bench.call("perhaps") for _ in range(8)))  # it is known to be short
    started, until = tmp_path / "started", tmp_path / "until"
    calls = [bench.start("perhaps", pool="q", started=str(started), until=str(until))]
    calls += [bench.start("perhaps") for _ in range(40)]
    assert await asyncio.wait_for(asyncio.gather(*calls[1:]), 20) == ["short"] * 40
    await bench.until("the start", started.exists)
    assert not calls[0].done()
    until.touch()
    assert await calls[0] == "waited"
    assert bench.pools.counts("p").failed == 0


async def test_signals_go_to_who_has_sentinels(two):
    bench = await two()
    with pytest.raises(NotReady, match="no Sentinels"):
        await bench.call("signals", to="s1", kind="hello")
    sent: list[tuple[str, str, Any, Caller]] = []

    def send(to: str, kind: str, data: Any, caller: Caller) -> int:
        if to != "s1":
            raise NotFound(f"there is no {to}", subject=to)
        sent.append((to, kind, data, caller))
        return 3

    bench.pools.asks.signal = send
    assert await bench.call("signals", to="s1", kind="hello", data={"a": [1]}) == 3
    assert sent[0][:3] == ("s1", "hello", {"a": [1]})
    assert sent[0][3].pool == "p"
    assert sent[0][3].worker in bench.workers()
    with pytest.raises(NotFound, match="no s2"):
        await bench.call("signals", to="s2", kind="hello")


async def test_what_is_no_name_is_refused_and_the_worker_lives(two):
    bench = await two()
    bench.pools.asks.signal = lambda *_: 0
    before = bench.workers()
    assert await bench.call("misnames") == ["InvalidRequest"] * 3
    assert bench.workers() == before


async def test_a_pool_that_may_not_grow_any_more_does_not_wait_for_that(two):
    bench = await two(p={"scale": ScaleOptions(min_size=1, max_size=3)})
    await bench.pools.resize("p", 1)
    with pytest.raises(NotReady, match="never begin"):
        await bench.call("outer", pool="p", tool="value", deadline=20.0)


IN_MISSION = {"mission": "m"}
ONE = QueueOptions(mission_limit=1)


def submit(bench, tool: str, to: str, /, **arguments: Any) -> asyncio.Task[Any]:
    """A command of the mission, in any pool."""
    command = PoolCommand(
        id=f"{to}-{tool}",
        pool=to,
        tool=tool,
        arguments=msgpack.packb(arguments),
        mission="m",
        deadline_seconds=20.0,
    )
    return asyncio.get_running_loop().create_task(bench.pools.submit(command))


async def test_a_mission_at_its_limit_may_call_its_own_pool(two):
    bench = await two(p={"size": 4, "queue": ONE})
    deep = bench.call("nested", pool="p", depth=3, deadline=20.0, about=IN_MISSION)
    wide = bench.call("gathers", pool="p", upto=20, deadline=20.0, about=IN_MISSION)
    assert await asyncio.gather(deep, wide) == [3, list(range(20))]
    assert bench.pools.counts("p").failed == 0


async def test_callers_that_are_as_many_as_the_limit_do_not_wait_for_one_another(two, tmp_path):
    bench = await two(p={"size": 4, "queue": QueueOptions(mission_limit=2)})
    names = [str(tmp_path / "one"), str(tmp_path / "other")]
    calls = [
        bench.call("meets", mine=mine, other=other, pool="p", deadline=20.0, about=IN_MISSION)
        for mine, other in (names, reversed(names))
    ]
    assert await asyncio.gather(*calls) == [2, 2]


async def test_limits_of_pools_that_call_each_other_do_not_wait_for_one_another(two, tmp_path):
    bench = await two(p={"size": 2, "queue": ONE}, q={"size": 2, "queue": ONE})
    one, other = str(tmp_path / "one"), str(tmp_path / "other")
    calls = [
        submit(bench, "meets", "p", mine=one, other=other, pool="q"),
        submit(bench, "meets", "q", mine=other, other=one, pool="p"),
    ]
    assert [msgpack.unpackb(each.value) for each in await asyncio.gather(*calls)] == [2, 2]


async def test_what_was_not_called_waits_for_who_calls(two, tmp_path):
    bench = await two(p={"size": 2, "queue": ONE})
    started, until = tmp_path / "started", tmp_path / "until"
    waits = {"started": str(started), "until": str(until)}
    calling = bench.start("outer", pool="q", tool="waits", arguments=waits, about=IN_MISSION)
    await bench.until("the start", started.exists)
    other = bench.start("value", about=IN_MISSION)
    assert await bench.call("value", about={"mission": "another"}) == 1
    assert bench.status.queued == 1
    until.touch()
    assert await asyncio.gather(calling, other) == ["waited", 1]


async def test_a_pool_that_drains_lets_what_runs_call(two, tmp_path):
    bench = await two(p={"size": 2})
    mine, other = tmp_path / "mine", tmp_path / "other"
    running = bench.start("meets", mine=str(mine), other=str(other), pool="p")
    await bench.until("the start", mine.exists)
    await bench.pools.set_state("p", "draining")
    with pytest.raises(NotReady, match="draining"):
        await bench.call("value")
    other.touch()
    assert await running == 2


async def test_a_pool_that_drains_refuses_what_those_that_do_not_call(two, tmp_path):
    bench = await two()
    mine, other = tmp_path / "mine", tmp_path / "other"
    running = bench.start("meets", mine=str(mine), other=str(other), pool="q")
    await bench.until("the start", mine.exists)
    await bench.pools.set_state("q", "draining")
    other.touch()
    with pytest.raises(NotReady, match="pool q is draining"):
        await running


async def test_when_all_drain_what_runs_may_call_them(two, tmp_path):
    bench = await two()
    mine, other = tmp_path / "mine", tmp_path / "other"
    running = bench.start("meets", mine=str(mine), other=str(other), pool="q")
    await bench.until("the start", mine.exists)
    draining = asyncio.get_running_loop().create_task(bench.pools.drain(20.0))
    await bench.until("the state", lambda: bench.pools.status()[1].state == "draining")
    other.touch()
    assert await running == 2
    assert await draining


async def test_a_call_that_can_begin_no_more_when_its_pool_shrinks_is_refused(two, tmp_path):
    bench = await two(p={"size": 2})
    untils = {f"wait{number}": tmp_path / f"until{number}" for number in range(2)}
    for name, until in untils.items():
        started = tmp_path / f"{name}.started"
        bench.start("waits", id_=name, started=str(started), until=str(until))
        await bench.until("the start", started.exists)
    stays = bench.status.workers[1]
    untils[stays.command_id].touch()
    await bench.until("a free worker", lambda: bench.status.running == 1)
    calling = bench.start("outer", pool="p", tool="value")
    await bench.until("the queue", lambda: bench.status.queued == 1)
    assert bench.status.running == 2
    await bench.pools.resize("p", 1)
    with pytest.raises(NotReady, match="value would never begin") as caught:
        await calling
    assert "more workers" in caught.value.remedy
    for until in untils.values():
        until.touch()
    assert await bench.call("value") == 1


async def test_a_command_that_is_tried_again_calls_again(two, tmp_path):
    bench = await two(q={"size": 1})
    mark = tmp_path / "mark"
    never = str(tmp_path / "never")
    calling = bench.start("first_waits", pool="q", mark=str(mark), until=never, deadline=20.0)
    await bench.until("the start", (tmp_path / "mark.started").exists)
    os.kill(bench.status.workers[0].pid, 9)
    assert await calling == 2
    counts = bench.pools.counts("q")
    assert (counts.done, counts.cancelled) == (1, 1)


async def test_a_second_copy_may_call_too(two, tmp_path):
    hedging = ResilienceOptions(hedge_quantile=0.9)
    bench = await two(p={"size": 2, "resilience": hedging}, q={"size": 2})
    for _ in range(30):
        await bench.call("first_waits", pool="q")
    mark, never = str(tmp_path / "mark"), str(tmp_path / "never")
    assert await bench.call("first_waits", pool="q", mark=mark, until=never, deadline=20.0) == 2
    assert bench.pools.counts("p").failed == 0
    await bench.until("the loser's end", lambda: bench.pools.counts("q").cancelled >= 1)

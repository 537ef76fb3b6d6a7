"""Workers that hang while no command runs, and commands that nobody would ever have answered."""

import asyncio
from pathlib import Path

import pytest

from citadel.errors import Cancelled, DeadlineExceeded
from engine.pool import frames
from engine.pool.options import QueueOptions, ResilienceOptions

SHORT = {"grace_seconds": 0.1, "start_timeout_seconds": 2.0}
LASTING = "lasting_adapters:Lasting"


async def test_a_worker_that_hangs_between_commands_is_replaced(make):
    bench = await make("hanging_adapters:HangsBetween", **SHORT)
    before = bench.workers()
    await bench.call("noop", about={"session": "s"})
    bench.pools.end_session("p", "s")
    with pytest.raises(DeadlineExceeded):
        await bench.call("noop", deadline=0.2)
    await bench.until("the replacement", lambda: bench.workers("ready") - before)
    assert await bench.call("noop") is None
    assert "it hangs" in bench.events("worker.lost")[0]["message"]


async def test_a_worker_that_does_not_end_is_killed(make):
    bench = await make("hanging_adapters:HangsAtItsEnd", **SHORT)
    before = bench.workers()
    await bench.pools.recycle("p")
    await bench.until("the old one's end", lambda: not bench.workers() & before)
    assert bench.workers("ready", "busy")
    assert bench.events("worker.lost") == [], "it was asked to go"


async def test_a_command_that_is_cancelled_behind_a_long_one_never_begins(make, tmp_path: Path):
    bench = await make("adapters:Wild", grace_seconds=60.0)
    log, until = tmp_path / "log", tmp_path / "until"
    told = {"path": str(log), "last": "long", "until": str(until)}
    for _ in range(50):  # it is known to be short: the next ones wait in the worker
        await bench.call("logs_and_stops_at", text="short", **told)
    first = bench.start("logs_and_stops_at", text="long", **told)
    second = bench.start("logs_and_stops_at", id_="given-up", text="second", **told)
    await bench.until("the long one", lambda: "long" in log.read_text())
    assert bench.status.queued == 0
    assert bench.pools.cancel("given-up") != "unknown"
    with pytest.raises(Cancelled):
        await second
    until.touch()
    await first
    await bench.call("noop")
    assert "second" not in log.read_text()
    bench.exact()


async def test_who_waits_for_a_worker_and_its_mission_goes_on_when_the_worker_drains(
    make, tmp_path: Path
):
    bench = await make(LASTING, size=2, queue=QueueOptions(mission_limit=1))
    about = {"session": "s", "affinity": "strict_queue", "mission": "m"}
    await bench.call("noop", about=about)
    (session,) = bench.pools.sessions("p")
    started, until = tmp_path / "started", tmp_path / "until"
    holding = bench.start("holds", about={"mission": "m"}, started=str(started), until=str(until))
    await bench.until("the mission's other command", started.exists)
    waiting = bench.start("noop", about=about, deadline=20.0)
    await bench.until("it waits", lambda: bench.status.queued == 1)
    await bench.pools.recycle("p", session.worker)
    await bench.until("it drains", lambda: session.worker not in bench.workers("ready", "busy"))
    until.touch()
    await holding
    assert await waiting is None
    bench.exact()


async def test_a_command_whose_second_copy_is_late_is_late(make, tmp_path: Path):
    told = ResilienceOptions(hedge_quantile=0.5)
    bench = await make(LASTING, size=2, resilience=told)
    for _ in range(25):
        await bench.call("slow", until="")
    until = tmp_path / "until"
    slow = bench.start("slow", until=str(until))
    pool = bench.pools._pools["p"]
    scheduler = pool.commands.scheduler

    def twins():
        return [(s, c) for s in scheduler.seats.values() for c in s.calls.values() if c.of]

    await bench.until("the second copy", twins)
    ((seat, twin),) = twins()
    pool.worker_said(pool.crew.workers[seat.id], [frames.DROPPED, twin.number])
    with pytest.raises(DeadlineExceeded):
        await asyncio.wait_for(slow, 10.0)
    until.touch()
    bench.exact()

"""Sessions of real pools, and what happens to them and to commands when workers die."""

import asyncio

import pytest

from citadel.errors import (
    BreakerOpen,
    Conflict,
    Quarantined,
    QuotaExceeded,
    SessionBusy,
    SessionLost,
    UnknownSession,
    WorkerLost,
)
from citadel.wire.columns import rows, unpack
from engine.pool.options import QueueOptions, ResilienceOptions, SessionOptions
from engine.pool.poison import fingerprint

ADAPTER = "lasting_adapters:Lasting"


def in_session(affinity: str = "strict_queue", key: str = "s") -> dict[str, str]:
    return {"session": key, "affinity": affinity}


def shown(bench, topic: str) -> list[dict]:
    _, (batch,) = bench.hub.snapshot([topic])
    return list(rows(unpack(batch)))


# ── sessions ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("affinity", ["hint", "strict_queue", "strict_fail"])
async def test_a_session_stays_on_its_worker_and_keeps_its_variables(make, affinity):
    bench = await make(ADAPTER, size=3)
    answers = [await bench.call("count", about=in_session(affinity)) for _ in range(6)]
    assert [number for number, _ in answers] == [1, 2, 3, 4, 5, 6]
    assert len({pid for _, pid in answers}) == 1
    (session,) = bench.pools.sessions("p")
    assert (session.commands, session.variables_json) == (6, '{"n": 6}')
    assert session.worker in bench.workers()
    await bench.until("the row", lambda: [r["commands"] for r in shown(bench, "session")] == [6])
    assert bench.status.sessions == 1


@pytest.mark.parametrize("affinity", ["hint", "strict_queue"])
async def test_a_session_moves_with_its_variables_when_its_worker_dies(make, affinity):
    bench = await make(ADAPTER, size=2)
    _, first = await bench.call("count", about=in_session(affinity))
    with pytest.raises(WorkerLost):
        await bench.call("dies", about=in_session(affinity))
    number, second = await bench.call("count", about=in_session(affinity))
    assert number == 2
    assert second != first


async def test_a_strict_fail_session_is_lost_with_its_worker_until_it_is_ended(make):
    bench = await make(ADAPTER, size=2)
    await bench.call("count", about=in_session("strict_fail"))
    with pytest.raises(WorkerLost):
        await bench.call("dies", about=in_session("strict_fail"))
    with pytest.raises(SessionLost, match="is lost"):
        await bench.call("count", about=in_session("strict_fail"))
    bench.pools.end_session("p", "s")
    assert (await bench.call("count", about=in_session("strict_fail")))[0] == 1
    bench.exact()


async def test_a_busy_worker_stalls_neither_others_nor_what_need_not_wait(make, tmp_path):
    bench = await make(ADAPTER, size=2)
    until = tmp_path / "until"
    holds = {"started": str(tmp_path / "started"), "until": str(until)}
    first = bench.start("holds", about=in_session(), **holds)
    await bench.until("the start", (tmp_path / "started").exists)
    waits = [bench.start("count", about=in_session()) for _ in range(3)]
    await bench.until("the queue", lambda: bench.status.queued == 3)
    await asyncio.gather(*(bench.call("noop") for _ in range(20)))
    with pytest.raises(SessionBusy, match="not free"):
        await bench.call("count", about=in_session("strict_fail"))
    number, elsewhere = await bench.call("count", about=in_session("hint"))
    until.touch()
    assert await first != elsewhere
    assert number == 1
    answers = await asyncio.gather(*waits)
    assert sorted(answer[0] for answer in answers) == [2, 3, 4]
    bench.exact()


@pytest.mark.parametrize("how", ["recycle", "resize"])
async def test_the_sessions_of_a_worker_that_drains_move(make, how):
    bench = await make(ADAPTER, size=2)
    keys = [f"s{number}" for number in range(4)]
    for key in keys:
        await bench.call("count", about=in_session("strict_queue", key))
    before = bench.workers()
    if how == "recycle":
        await bench.pools.recycle("p")
        await bench.until("new workers", lambda: bench.workers().isdisjoint(before))
    else:
        await bench.pools.resize("p", 1)
        await bench.until("one worker", lambda: len(bench.workers()) == 1)
    for key in keys:
        assert (await bench.call("count", about=in_session("strict_queue", key)))[0] == 2


async def test_operators_set_variables_and_end_sessions(make):
    bench = await make(ADAPTER)
    await bench.call("count", about=in_session())
    session = bench.pools.set_variables("p", "s", b"\x81\xa1n\x29", 1)
    assert (session.variables_json, session.revision) == ('{"n": 41}', 2)
    with pytest.raises(Conflict):
        bench.pools.set_variables("p", "s", b"\x80", 1)
    assert (await bench.call("count", about=in_session()))[0] == 42
    assert bench.pools.end_session("p", "s").state == "gone"
    with pytest.raises(UnknownSession):
        bench.pools.end_session("p", "s")
    await bench.until("no row", lambda: shown(bench, "session") == [])
    assert (await bench.call("count", about=in_session()))[0] == 1


async def test_sessions_and_variables_are_bounded(make):
    bench = await make(ADAPTER, sessions=SessionOptions(limit=1, variables_bytes=100))
    await bench.call("count", about=in_session())
    with pytest.raises(QuotaExceeded, match="1 open sessions"):
        await bench.call("count", about=in_session(key="other"))
    with pytest.raises(QuotaExceeded, match="bytes of variables"):
        await bench.call("fills", about=in_session(), size=200)
    bench.exact()


@pytest.mark.emits("session.ended", "citadel.session.ended")
async def test_an_unused_session_ends(make):
    bench = await make(ADAPTER, sessions=SessionOptions(ttl_seconds=0.1))
    await bench.call("count", about=in_session())
    await bench.until("the end", lambda: bench.pools.sessions() == ())
    assert (await bench.call("count", about=in_session()))[0] == 1
    assert bench.events("session.ended")[0]["subject"] == "s"


# ── failures ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.emits("command.retried", "citadel.command.attempts")
async def test_an_idempotent_command_is_tried_again_for_the_same_caller(make, tmp_path):
    bench = await make(ADAPTER, size=2)
    marks = str(tmp_path / "marks")
    assert await bench.call("dies_so_often", marks=marks, times=2) == 3
    counts = bench.pools.counts("p")
    assert (counts.submitted, counts.done, counts.failed, counts.retried) == (1, 1, 0, 2)
    assert len(bench.events("command.retried")) == 2
    bench.exact()


async def test_retries_are_bounded_and_others_are_not_tried_again(make, tmp_path):
    bench = await make(ADAPTER, size=2, resilience=ResilienceOptions(retries=1))
    marks = tmp_path / "marks"
    with pytest.raises(WorkerLost):
        await bench.call("dies_so_often", marks=str(marks), times=9)
    assert marks.read_text() == "xx"
    other = tmp_path / "other"
    with pytest.raises(WorkerLost):
        await bench.call("dies_so_often_with_effect", marks=str(other), times=9)
    assert other.read_text() == "x"
    bench.exact()


@pytest.mark.emits("poison.quarantined", "poison.released")
async def test_a_command_that_kills_is_quarantined_and_can_be_released(make):
    bench = await make(ADAPTER, resilience=ResilienceOptions(poison_kills=2))
    for _ in range(2):
        with pytest.raises(WorkerLost):
            await bench.call("dies", text="bad")
    with pytest.raises(Quarantined, match="killed 2 workers"):
        await bench.call("dies", text="bad")
    (entry,) = bench.pools.poison()
    assert (entry.tool, entry.kills, entry.quarantined) == ("dies", 2, True)
    assert entry.fingerprint == fingerprint("dies", entry.arguments)
    assert bench.status.poisoned == 1
    assert [row["state"] for row in shown(bench, "poison")] == ["quarantined"]
    assert len(bench.events("poison.quarantined")) == 1
    with pytest.raises(WorkerLost):  # other arguments are another command
        await bench.call("dies", text="also bad")
    bench.pools.release_poison("p", entry.fingerprint)
    with pytest.raises(WorkerLost):
        await bench.call("dies", text="bad")
    bench.exact()


async def test_an_operators_kill_is_no_fault_of_the_command(make, tmp_path):
    bench = await make(ADAPTER, resilience=ResilienceOptions(poison_kills=1))
    task = bench.start("holds", started=str(tmp_path / "started"), until=str(tmp_path / "never"))
    await bench.until("the start", (tmp_path / "started").exists)
    (worker,) = bench.workers("busy")
    await bench.pools.kill("p", worker)
    with pytest.raises(WorkerLost):
        await task
    assert bench.pools.poison() == ()


@pytest.mark.emits("breaker.open", "breaker.half_open", "breaker.closed")
async def test_a_pool_that_fails_too_often_is_tried_with_one_command(make):
    options = ResilienceOptions(breaker_commands=3, breaker_open_seconds=0.2, poison_kills=0)
    bench = await make(ADAPTER, size=2, resilience=options)
    for number in range(3):
        with pytest.raises(WorkerLost):
            await bench.call("dies", text=str(number))
    assert bench.status.breaker == "open"
    with pytest.raises(BreakerOpen, match="fails too often"):
        await bench.call("noop")

    async def let_in() -> bool:
        try:
            await bench.call("noop")
        except BreakerOpen:
            return False
        return True

    async with asyncio.timeout(30):
        while not await let_in():
            await asyncio.sleep(0.02)
    assert bench.status.breaker == "closed"
    assert [len(bench.events(f"breaker.{s}")) for s in ("open", "half_open", "closed")] == [1, 1, 1]
    bench.exact()


@pytest.mark.emits("command.hedged", "citadel.command.attempts")
async def test_a_slow_idempotent_command_has_a_second_copy(make, tmp_path):
    bench = await make(ADAPTER, size=2, resilience=ResilienceOptions(hedge_quantile=0.9))
    for _ in range(30):
        await bench.call("slow_once", mark="", until="")
    hedged = bench.pools.counts("p").hedged
    mark, never = str(tmp_path / "mark"), str(tmp_path / "never")
    assert await bench.call("slow_once", mark=mark, until=never)
    counts = bench.pools.counts("p")
    assert counts.hedged == hedged + 1
    assert (counts.submitted, counts.done) == (31, 31)
    await bench.until("the loser's end", lambda: len(bench.workers("ready")) == 2)
    bench.exact()


async def test_the_queue_of_a_strict_session_counts_for_the_limit(make, tmp_path):
    bench = await make(ADAPTER, size=2, queue_limit=2, queue=QueueOptions(policy="reject"))
    until = tmp_path / "until"
    holds = {"started": str(tmp_path / "started"), "until": str(until)}
    first = bench.start("holds", about=in_session(), **holds)
    await bench.until("the start", (tmp_path / "started").exists)
    waits = [bench.start("count", about=in_session()) for _ in range(2)]
    await bench.until("the queue", lambda: bench.status.queued == 2)
    await bench.call("noop")  # it need not wait: another worker is free
    until.touch()
    await asyncio.gather(first, *waits)
    bench.exact()

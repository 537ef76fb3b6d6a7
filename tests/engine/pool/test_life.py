"""The life of workers in real pools: spares, terms, hearts, limits, sizes; what is told of it."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from citadel.errors import CommandFailed, InvalidRequest, NotFound, WorkerLost
from engine.pool import autoscale, watch
from engine.pool.cgroups import Cgroups
from engine.pool.options import HeartbeatOptions, LimitOptions, RecycleOptions, ScaleOptions

WILD = "adapters:Wild"
linux = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")


# ── spares ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_spare_takes_the_place_of_a_lost_worker_at_once(make):
    bench = await make(size=1, scale=ScaleOptions(spares=1))
    await bench.until("the spare", lambda: len(bench.workers("ready")) == 2)
    first = (await bench.call("process"))["pid"]
    for _ in range(20):
        assert (await bench.call("process"))["pid"] == first, "a spare is outside the schedule"
    (spare,) = (each for each in bench.status.workers if each.pid != first)
    os.kill(first, signal.SIGKILL)
    await bench.until("the loss", lambda: bool(bench.events("worker.replaced")))
    assert (await bench.call("process"))["pid"] == spare.pid
    await bench.until("another spare", lambda: len(bench.workers("ready")) == 2)


# ── terms ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        (RecycleOptions(after_commands=30, jitter=0.5), r"it ran \d+ commands"),
        (RecycleOptions(after_seconds=0.3), r"it is \d+ s old"),
        (RecycleOptions(rss_bytes=150 << 20), r"it has \d+ bytes of memory"),
    ],
)
async def test_a_worker_whose_term_is_over_is_replaced_and_capacity_never_dips(
    make, monkeypatch, terms, says
):
    monkeypatch.setattr(watch, "MEASURE_TICKS", 1)
    bench = await make(WILD, size=2, recycle=terms)
    await bench.until("two", lambda: len(bench.workers("ready")) == 2)
    before = bench.workers()
    least = 2
    replaced: set[str] = set()
    while len(replaced) < 2:
        size = 200 << 20 if terms.rss_bytes else 1
        results = await asyncio.gather(*(bench.start("eats", size=size) for _ in range(8)))
        assert set(results) == {size}, "no command is lost to it"
        least = min(least, len(bench.workers("ready", "busy")))
        replaced = before - bench.workers()
    assert least == 2
    assert bench.events("worker.lost") == []
    reasons = bench.events("worker.recycled")
    assert all(each["message"] for each in reasons)
    assert any(re.search(says, each["message"]) for each in reasons)


# ── hearts ───────────────────────────────────────────────────────────────────────────────────────


@linux
async def test_a_stopped_worker_is_found_and_replaced(make):
    bench = await make(heartbeat=HeartbeatOptions(interval_seconds=0.1, misses=5))
    pid = (await bench.call("process"))["pid"]
    os.kill(pid, signal.SIGSTOP)
    assert (await bench.call("process"))["pid"] != pid, "it had not begun: another worker ran it"
    (lost,) = bench.events("worker.lost")
    assert "heartbeats in a row did not come" in lost["message"]


@linux
async def test_a_heart_beats_under_a_long_command_but_not_under_one_that_holds_all(
    make, tmp_path: Path
):
    options = HeartbeatOptions(interval_seconds=0.1, misses=8)
    bench = await make(size=1, heartbeat=options)
    until = tmp_path / "until"
    long = bench.start("touch_and_wait", started=str(tmp_path / "long"), until=str(until))
    await bench.until("the start", (tmp_path / "long").exists)
    (worker,) = bench.workers()
    beats = bench.pools._pools["p"].crew.workers[worker]
    first = beats.beats
    await bench.until("many beats", lambda: beats.beats > first + options.misses)
    until.touch()
    assert await long == "done"
    with pytest.raises(WorkerLost, match="heartbeats in a row did not come"):
        await bench.call("holds_the_gil", started=str(tmp_path / "held"))


# ── what is told ─────────────────────────────────────────────────────────────────────────────────


@linux
async def test_a_life_is_told_also_after_its_end(make, monkeypatch):
    monkeypatch.setattr(watch, "MEASURE_TICKS", 1)
    monkeypatch.setattr(watch, "SHARE_TICKS", 2)
    bench = await make()
    (worker,) = bench.workers()
    await bench.call("prints", text="hello")

    def told():
        return bench.pools.inspect_worker("p", worker)

    await bench.until("PSS", lambda: any(each.pss_bytes for each in told().memory))
    detail = told()
    assert [each.state for each in detail.history] == ["starting", "busy", "ready"]
    assert 0 < detail.memory[-1].pss_bytes <= detail.memory[-1].rss_bytes
    assert detail.output == ("hello",)
    assert detail.ended == ""
    await asyncio.gather(bench.start("exits", code=5), return_exceptions=True)
    detail = told()
    assert detail.history[-1].state == detail.status.state == "lost"
    assert "exited with code 5" in detail.ended
    assert detail.output == ("hello", "about to exit")
    assert all(each.seconds >= 0 for each in detail.history)
    with pytest.raises(NotFound):
        bench.pools.inspect_worker("p", "p-999")


# ── limits ───────────────────────────────────────────────────────────────────────────────────────


@linux
async def test_a_command_that_eats_too_much_is_told_of_the_limit_and_its_worker_replaced(make):
    limit = 256 << 20
    bench = await make(WILD, limits=LimitOptions(memory_bytes=limit))
    assert await bench.call("eats", size=32 << 20) == 32 << 20
    before = bench.workers()
    with pytest.raises(
        CommandFailed, match=rf"MemoryError.*limits.memory_bytes is {limit}"
    ) as told:
        await bench.call("eats", size=2 * limit)
    assert told.value.details["limit"]
    await bench.until("the replacement", lambda: not bench.workers() & before)
    assert bench.events("worker.lost") == []
    assert bench.events("worker.recycled")


@linux
async def test_a_worker_that_uses_up_its_cpu_time_ends_with_that_named(make):
    bench = await make(WILD, limits=LimitOptions(cpu_seconds=1))
    with pytest.raises(WorkerLost, match=r"SIGXCPU \(its limits.cpu_seconds is 1\)"):
        await bench.call("spins")
    assert await bench.call("noop") is None


@linux
async def test_a_command_that_opens_too_many_files_is_told_of_the_limit(make):
    bench = await make(WILD, limits=LimitOptions(open_files=64))
    await bench.call("opens", files=20)
    with pytest.raises(CommandFailed, match=r"limits\.open_files is 64"):
        await bench.call("opens", files=100)
    assert await bench.call("noop") is None


@linux
async def test_a_limit_holds_in_a_plain_worker_too(make, monkeypatch):
    monkeypatch.setenv("CITADEL_SPAWN", "plain")
    bench = await make(WILD, limits=LimitOptions(open_files=64, processes=1234))
    (worker,) = bench.status.workers
    process = psutil.Process(worker.pid)
    assert process.rlimit(psutil.RLIMIT_NOFILE) == (64, 64)
    assert process.rlimit(psutil.RLIMIT_NPROC) == (1234, 1234)


@linux
@pytest.mark.emits("pool.limits")
async def test_a_folder_that_is_no_cgroup_is_said_and_the_pool_serves(make, tmp_path: Path):
    nowhere = tmp_path / "nowhere"
    options = LimitOptions(memory_bytes=1 << 30, processes=50, cgroup=str(nowhere))
    bench = await make(WILD, limits=options)
    assert await bench.call("noop") is None
    (event,) = bench.events("pool.limits")
    assert str(nowhere) in event["message"]


@pytest.fixture
def groups() -> Iterator[Path]:
    """A new folder in a cgroup v2 tree that can be written; it must be empty in the end."""
    for mount in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = mount.split()
        root = Path(where) / f"citadel-test-{os.getpid()}"
        if kind == "cgroup2" and os.access(where, os.W_OK):
            root.mkdir()
            break
    else:
        pytest.skip("no cgroup v2 folder can be written here")
    yield root
    root.rmdir()


@linux
async def test_a_worker_is_in_its_own_cgroup_which_ends_with_it(groups: Path, make):
    bench = await make(WILD, limits=LimitOptions(memory_bytes=1 << 30, cgroup=str(groups)))
    (worker,) = bench.workers()
    group = Path(str(groups) + f"/citadel-{os.getpid()}-{worker}")
    assert group.name.endswith(worker)
    assert f"/{groups.name}/{group.name}\n" in await bench.call("cgroup")
    if not (group / "memory.max").exists():
        assert "memory.max" in bench.events("pool.limits")[0]["message"]
    await bench.pools.kill("p", worker)
    await bench.until("the end", lambda: not group.exists())
    assert await bench.call("noop") is None


def test_a_group_that_ran_out_of_memory_says_so(tmp_path: Path):
    """On files as the kernel writes them: this machine may not count memory by cgroup v2."""
    told: list[str] = []
    groups = Cgroups(LimitOptions(memory_bytes=4096, cgroup=str(tmp_path)), told.append)
    group = Path(groups.create("w"))
    assert "memory.max" in told[0]
    (group / "memory.max").write_text("max")
    assert Path(groups.create("w")) == group
    assert (group / "memory.max").read_text().startswith("4096")
    assert groups.limits_memory("w")
    (group / "memory.events").write_text("low 0\noom 1\noom_kill 0\n")
    assert groups.killed("w") == ""
    (group / "memory.events").write_text("low 0\noom 1\noom_kill 1\n")
    assert groups.killed("w") == "out of memory: limits.memory_bytes is 4096"


# ── sizes ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.emits("pool.scaled")
async def test_a_pool_grows_under_load_and_shrinks_after_it(make, monkeypatch):
    monkeypatch.setattr(autoscale, "COOL_SECONDS", 0.05)
    options = ScaleOptions(min_size=1, max_size=3, wait_seconds=0.05, idle_seconds=0.3)
    bench = await make(WILD, size=1, scale=options)
    calls = [bench.start("sleeps", seconds=0.1) for _ in range(40)]
    await bench.until("three", lambda: len(bench.workers("ready", "busy")) == 3)
    await asyncio.gather(*calls)
    await bench.until("one", lambda: len(bench.workers()) == 1 == bench.status.size)
    assert len(bench.events("pool.scaled")) >= 4
    assert bench.events("worker.lost") == []
    assert await bench.call("noop") is None


async def test_a_pool_may_have_no_worker_until_there_is_something_to_do(make):
    options = ScaleOptions(min_size=0, max_size=2, idle_seconds=0.2)
    bench = await make(WILD, size=0, scale=options)
    assert bench.workers() == set()
    assert await bench.call("noop") is None
    await bench.until("none", lambda: not bench.workers())
    assert await bench.call("noop") is None


async def test_an_operator_lets_a_pool_size_itself_and_takes_that_back(make):
    bench = await make(WILD, size=1)
    assert (bench.status.min_size, bench.status.max_size) == (0, 0)
    await bench.pools.resize("p", 0, 2, 4)
    assert (bench.status.size, bench.status.min_size, bench.status.max_size) == (2, 2, 4)
    await bench.until("two", lambda: len(bench.workers("ready")) == 2)
    await bench.pools.resize("p", 1)
    assert (bench.status.size, bench.status.min_size, bench.status.max_size) == (1, 0, 0)
    with pytest.raises(InvalidRequest, match="between 5 and 4"):
        await bench.pools.resize("p", 0, 5, 4)

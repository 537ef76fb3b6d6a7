"""Adapters that misbehave: what their callers are told, and that nobody else notices."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import msgpack
import psutil
import pytest

from citadel.errors import (
    AdapterFailed,
    CommandFailed,
    InvalidRequest,
    MessageTooLarge,
    WorkerLost,
)
from engine.pool import restarts, watch
from engine.pool.output import LINES_A_SECOND
from engine.pool.settings import PoolCommand

WILD = "adapters:Wild"
linux = pytest.mark.skipif(sys.platform == "win32", reason="signals and forks")


@pytest.mark.parametrize(
    ("tool", "says"),
    [
        ("interrupts", "KeyboardInterrupt"),
        ("raises_what_cannot_be_told", "Mute"),
        ("surrogates", r"ValueError: \?"),
    ],
)
async def test_whatever_a_tool_raises_is_told_and_the_worker_lives(make, tool, says):
    bench = await make(WILD)
    before = bench.workers()
    with pytest.raises(CommandFailed, match=says):
        await bench.call(tool)
    assert await bench.call("noop") is None
    assert bench.workers() == before


async def test_an_error_whose_details_cannot_be_sent_is_told(make):
    bench = await make(WILD)
    before = bench.workers()
    with pytest.raises(InvalidRequest) as caught:
        await bench.call("details_that_cannot_be_sent")
    assert caught.value.details["path"] == "?"
    assert bench.workers() == before


@pytest.mark.parametrize(
    ("tool", "says", "why"),
    [
        ("quits", "SystemExit: enough", "quits asked the process to end"),
        ("eats_memory", "MemoryError", "eats_memory ran out of memory"),
        pytest.param(
            "opens_files", "Too many open files", "opens_files ran out of file desc", marks=linux
        ),
    ],
)
async def test_a_worker_that_a_tool_left_unfit_is_replaced(make, tool, says, why):
    bench = await make(WILD)
    before = bench.workers()
    with pytest.raises(CommandFailed, match=says):
        await bench.call(tool)
    await bench.until("the replacement", lambda: not bench.workers() & before)
    assert bench.events("worker.unhealthy")[0]["message"].startswith(why)
    assert await bench.call("noop") is None
    assert bench.events("worker.lost") == []


@linux
async def test_a_death_is_told_though_a_child_holds_the_pipes(make):
    bench = await make(WILD)
    with pytest.raises(WorkerLost, match="exited with code 4") as caught:
        await bench.call("leaves_a_child", code=4)
    child = psutil.Process(int(caught.value.message.rpartition(" ")[2]))
    assert child.cmdline() == ["sleep", "600"], "what left the group is none of ours"
    child.kill()
    assert await bench.call("noop") is None


@linux
async def test_what_a_worker_forked_dies_with_it(make):
    bench = await make(WILD)
    child = psutil.Process(await bench.call("forks"))
    (worker,) = bench.workers()
    await bench.pools.kill("p", worker)
    await bench.until("the child's end", lambda: _ended(child))
    assert await bench.call("noop") is None


@linux
async def test_a_closed_link_is_a_death(make):
    bench = await make(WILD)
    assert await bench.call("closes_everything") is None, "the answer is on the slate"
    await bench.until("the death", lambda: bool(bench.events("worker.lost")))
    assert await bench.call("noop") is None


@linux
@pytest.mark.parametrize("tool", ["writes_to_the_link", "says_something_misshapen"])
async def test_garbage_on_the_link_costs_the_worker(make, tool):
    bench = await make(WILD)
    with pytest.raises(WorkerLost, match="garbage"):
        await bench.call(tool)
    assert await bench.call("noop") is None


async def test_a_flood_of_output_is_counted_not_passed_on(make):
    bench = await make(WILD)
    await bench.call("floods", lines=20_000)
    (worker,) = bench.workers()
    await bench.pools.kill("p", worker)
    await bench.until("the end", lambda: bool(bench.events("worker.lost")))
    lines = [event["message"] for event in bench.events("worker.output")]
    held_back = sum(int(line.split()[1]) for line in lines if line.startswith("…"))
    assert lines.count("spam") + held_back == 20_000
    assert len(lines) < 10 * LINES_A_SECOND


async def test_a_result_that_is_too_large(make):
    bench = await make(WILD, max_result_bytes=100_000)
    with pytest.raises(MessageTooLarge, match="inflates returned 200005 bytes, more than 100000"):
        await bench.call("inflates", size=200_000)
    assert len(await bench.call("inflates", size=90_000)) == 90_000


async def test_a_large_result_beside_small_ones(make):
    bench = await make(WILD, size=2)
    sizes = [0, 10, 100_000, 3, 1_000_000, 70_000] * 5
    found = await asyncio.gather(*(bench.call("inflates", size=size) for size in sizes))
    assert [len(each) for each in found] == sizes


async def test_an_async_tool(make):
    bench = await make(WILD)
    assert await bench.call("waits", seconds=0.001) == "waited"


@linux
async def test_a_death_among_short_commands_loses_one_and_repeats_none(make, tmp_path: Path):
    """Answers that were not sent yet outlive the worker: nothing runs twice, one command fails."""
    bench = await make(WILD)
    log = tmp_path / "log"
    await bench.call("logs_and_dies_at", path=str(log), text="first", last="42")
    calls = [
        bench.start("logs_and_dies_at", path=str(log), text=str(number), last="42")
        for number in range(100)
    ]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(results[42], WorkerLost)
    assert [result for result in results if result is not None] == [results[42]]
    assert log.read_text().split() == ["first", *map(str, range(100))]


async def test_answers_do_not_wait_behind_a_command_that_turns_long(make, tmp_path: Path):
    bench = await make(WILD)
    until = tmp_path / "until"
    arguments = {"path": str(tmp_path / "log"), "last": "10", "until": str(until)}
    await bench.call("logs_and_stops_at", text="first", **arguments)
    calls = [
        bench.start("logs_and_stops_at", text=str(number), **arguments) for number in range(20)
    ]
    await asyncio.wait_for(asyncio.gather(*calls[:10]), 20)
    assert not calls[10].done()
    until.touch()
    await asyncio.gather(*calls)


async def test_workers_that_start_and_die_fail_the_pool(make, monkeypatch):
    monkeypatch.setattr(restarts, "BACKOFF_SECONDS", (0.0, 0.01))
    bench = await make("adapters:DiesLater")
    await bench.until("the failure", lambda: bench.status.state == "failed")
    assert "exited with code 9" in bench.status.error
    assert len(bench.events("worker.lost")) >= restarts.START_FAILURES
    assert bench.events("worker.ready")
    with pytest.raises(AdapterFailed, match="code 9"):
        await bench.call("noop")


@pytest.fixture
def fickle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Path, Path]:
    starts, well = tmp_path / "starts", tmp_path / "well"
    starts.touch()
    well.touch()
    monkeypatch.setenv("FICKLE_STARTS", str(starts))
    monkeypatch.setenv("FICKLE_WELL", str(well))
    return starts, well


@pytest.mark.emits("pool.failed", "pool.recovered")
async def test_a_failed_pool_recovers_on_recycle(make, fickle):
    starts, _ = fickle
    starts.unlink()
    bench = await make("adapters:Fickle")
    await bench.until("the failure", lambda: bench.status.state == "failed")
    assert "the file is gone" in bench.status.error
    starts.touch()
    await bench.pools.recycle("p")
    await bench.until("the recovery", lambda: bench.status.state == "serving")
    assert bench.status.error == ""
    assert await bench.call("pid")
    assert bench.events("pool.recovered")


@pytest.mark.emits("pool.degraded")
async def test_old_workers_stay_when_new_ones_do_not_start(make, fickle):
    starts, _ = fickle
    bench = await make("adapters:Fickle")
    pid = await bench.call("pid")
    starts.unlink()
    await bench.pools.recycle("p")
    await bench.until("the news", lambda: bool(bench.events("pool.degraded")))
    assert bench.status.state == "serving"
    assert "the file is gone" in bench.status.error
    assert await bench.call("pid") == pid


@pytest.mark.emits("worker.unhealthy")
async def test_a_worker_that_is_not_well_is_replaced(make, fickle, monkeypatch):
    monkeypatch.setattr(watch, "HEALTH_TICKS", 1)
    _, well = fickle
    bench = await make("adapters:Fickle")
    before = bench.workers()
    well.unlink()
    await bench.until("the news", lambda: bool(bench.events("worker.unhealthy")))
    well.touch()
    await bench.until(
        "the replacement",
        lambda: (
            len(bench.workers("ready")) == len(bench.workers()) == 1
            and not bench.workers() & before
        ),
    )
    assert bench.events("worker.lost") == []


async def test_a_reused_id_is_another_command(make, tmp_path: Path):
    """The answer to a cancelled command is not taken for that of its successor's."""
    bench = await make(WILD)
    first = bench.start("sleeps", id_="same", seconds=0.3)
    await bench.until("the start", lambda: bench.status.running == 1)
    bench.pools.cancel("same")
    assert await bench.call("inflates", id_="same", size=3) == b"\0\0\0"
    await asyncio.gather(first, return_exceptions=True)


async def test_critical_commands_go_first(make, tmp_path: Path):
    bench = await make(WILD)
    log, until = tmp_path / "log", tmp_path / "until"
    blocking = bench.start(
        "logs_and_stops_at", path=str(log), text="block", last="block", until=str(until)
    )
    await bench.until("the start", log.exists)
    classes = ["training", "standard", "critical", "", "critical"]
    calls = []
    for number, mission_class in enumerate(classes):
        arguments = msgpack.packb({"path": str(log), "text": f"{mission_class}{number}"})
        command = PoolCommand(
            id=f"x{number}",
            pool="p",
            tool="logs",
            arguments=arguments,
            mission_class=mission_class,
        )
        calls.append(asyncio.get_running_loop().create_task(bench.pools.submit(command)))
    await bench.until("the queue", lambda: bench.status.queued == len(classes))
    until.touch()
    await asyncio.gather(blocking, *calls)
    order = log.read_text().split()
    assert order == ["block", "critical2", "critical4", "standard1", "3", "training0"]


@linux
async def test_many_deaths_at_once_lose_what_ran_and_nothing_else(make):
    bench = await make(WILD, size=2)
    calls = [bench.start("inflates", size=number % 100) for number in range(600)]
    for _ in range(3):
        await bench.until("workers", lambda: len(bench.workers("ready", "busy")) == 2)
        for worker in bench.status.workers:
            with contextlib.suppress(ProcessLookupError):  # it may have died just now
                os.kill(worker.pid, signal.SIGKILL)
    results = await asyncio.gather(*calls, return_exceptions=True)
    lost = [result for result in results if isinstance(result, BaseException)]
    assert all(isinstance(error, WorkerLost) for error in lost)
    assert len(lost) <= 6
    for number, result in enumerate(results):
        assert isinstance(result, WorkerLost) or len(result) == number % 100


def _ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True

"""Workers that are forked, the zygotes that they come from, and what happens when those die."""

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import psutil
import pytest

from citadel.errors import AdapterFailed, WorkerLost
from engine.pool import births, forks, zygote
from engine.pool.forked import ForkedProcess
from engine.pool.options import EnvironmentOptions
from engine.pool.pools import Pools
from engine.pool.settings import PoolSettings
from engine.pool.spawn import Ears, Interpreter
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder

PATIENCE = 30.0

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="zygotes are Linux's")


def zygotes() -> list[psutil.Process]:
    """The lowest ones of this process: the others are forked from them."""
    children = psutil.Process().children()
    return [each for each in children if "engine.pool.zygote" in each.cmdline()]


def lineage(bench) -> list[int]:
    """The zygotes of a pool's workers, from the one that forked them to the lowest."""
    (parent,) = {psutil.Process(each.pid).ppid() for each in bench.status.workers}
    found = [parent]
    while (above := psutil.Process(found[-1]).ppid()) != os.getpid():
        found.append(above)
    return found


async def test_a_worker_is_forked_alone_and_has_its_own_group_and_random_numbers(make):
    bench = await make(size=2, environment=EnvironmentOptions(preload=("preloads",)))
    await bench.until("two", lambda: len(bench.workers("ready")) == 2)
    _, second, lowest = lineage(bench)
    assert [each.pid for each in zygotes()] == [lowest]
    found = []
    while len({each["pid"] for each in found}) < 2:  # whichever worker is free takes it
        found.append(await bench.call("process"))
    by_pid = {each["pid"]: each for each in found}
    for pid, each in by_pid.items():
        assert (each["imported_by"], each["parent"]) == (second, lineage(bench)[0])
        assert each["group"] == each["session"] == pid
    assert len({each["random"] for each in found}) == len(found)
    assert not [name for name in await bench.call("modules") if name.split(".")[0] == "grpc"]


async def test_a_forked_worker_holds_no_descriptor_of_its_zygote_or_siblings(make):
    bench = await make(size=4)
    await bench.until("four", lambda: len(bench.workers("ready")) == 4)
    parent, lowest = lineage(bench)
    theirs = _descriptors(parent)
    assert theirs & _descriptors(lowest) == {"/dev/null"}
    for worker in bench.status.workers:
        ours = _descriptors(worker.pid)
        assert ours & theirs == {"/dev/null"}
        for other in bench.status.workers:
            if other.pid != worker.pid:
                shared = ours & _descriptors(other.pid)
                assert not [each for each in shared if each.startswith(("socket", "pipe"))]


async def test_variables_reach_the_workers_and_pools_that_differ_have_their_own_zygote(make):
    mine = EnvironmentOptions(variables={"MINE": "1"})
    bench = await make(environment=mine)
    assert (await bench.call("process"))["variables"] == {"MINE": "1"}
    other = await make()
    assert (await other.call("process"))["variables"] == {}
    assert len(zygotes()) == 2


@pytest.mark.parametrize(
    ("preload", "says"),
    [
        ("grpc", "gRPC is imported"),
        ("preload_that_starts_a_thread", "2 threads .*a preload's"),
        ("there_is_no_such_module", "ModuleNotFoundError"),
    ],
)
@pytest.mark.emits("zygote.refused")
async def test_a_zygote_that_is_not_fit_refuses_and_is_passed_by(make, preload, says):
    bench = await make(environment=EnvironmentOptions(preload=(preload,)))
    assert (await bench.call("process"))["parent"] == lineage(bench)[0]
    assert len(lineage(bench)) == 2
    (event,) = bench.events("zygote.refused")
    assert re.search(says, event["message"])


async def test_where_the_lowest_refuses_workers_start_plainly(make, tmp_path: Path):
    (tmp_path / "sitecustomize.py").write_text(
        "import threading\n"
        "threading.Thread(target=threading.Event().wait, name='of the site', daemon=True).start()\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])
    bench = await make(environment=EnvironmentOptions(variables={"PYTHONPATH": path}))
    assert (await bench.call("process"))["parent"] == os.getpid()
    (event,) = bench.events("zygote.refused")
    assert "of the site" in event["message"]


async def test_an_adapter_is_imported_once_and_its_workers_are_forked_after_that(make):
    bench = await make(size=2, environment=EnvironmentOptions())
    await bench.until("two", lambda: len(bench.workers("ready")) == 2)
    adapter, lowest = lineage(bench)
    assert [each.pid for each in zygotes()] == [lowest]
    assert await bench.call("imported_by") == adapter
    apart = await make(environment=EnvironmentOptions(preload_adapter=False))
    assert len(lineage(apart)) == 1
    assert await apart.call("imported_by") == apart.status.workers[0].pid


@pytest.mark.parametrize(
    ("adapter", "says"),
    [
        ("unfit_adapters:Threaded", "2 threads .*an adapter's"),
        ("unfit_adapters_that_leave:Any", "ended .*before it was ready"),
    ],
)
@pytest.mark.emits("adapter.not_preloaded")
async def test_an_adapter_that_cannot_be_imported_once_is_imported_by_each_worker(
    make, adapter, says
):
    bench = await make(adapter)
    assert await bench.call("fine") == "fine"
    (lowest,) = lineage(bench)
    (worker,) = bench.status.workers
    await bench.until(
        "its zygote's end",
        lambda: [each.pid for each in psutil.Process(lowest).children()] == [worker.pid],
    )
    (event,) = bench.events("adapter.not_preloaded")
    assert re.search(says, event["message"])
    assert event["severity"] == "info"
    assert not bench.events("zygote.refused")


async def test_an_import_that_ends_with_the_zygote_below_is_tried_again(make, tmp_path: Path):
    go_on = tmp_path / "go on"
    variables = {"MINE_MAY_GO_ON": str(go_on)}
    starting = asyncio.get_running_loop().create_task(
        make("slow_adapters:Slow", environment=EnvironmentOptions(variables=variables))
    )
    async with asyncio.timeout(PATIENCE):
        while not (importing := [each for one in zygotes() for each in one.children()]):
            await asyncio.sleep(0.01)
    importing[0].parent().kill()
    go_on.touch()
    bench = await starting
    assert await bench.call("fine") == "fine"
    before = bench.workers()
    await bench.pools.kill("p", *before)
    await bench.until("another", lambda: bool(bench.workers("ready") - before))
    assert len(lineage(bench)) == 2


async def test_a_zygote_that_has_ended_is_not_asked_for_a_fork():
    zygotes_ = forks.Zygotes(lambda *_: None)
    found = await zygotes_.ready(forks.Key(interpreter=Interpreter()))
    found.close()
    ears = Ears(on_line=str, on_frame=list, on_garbage=str)
    with pytest.raises(forks.ZygoteLost):
        found.ask(zygote.WORKER, {}, ForkedProcess(ears), ())


async def test_the_zygote_of_an_adapter_that_dies_is_replaced_alone(make):
    bench = await make(size=2)
    await bench.until("two", lambda: len(bench.workers("ready")) == 2)
    before, (first, lowest) = bench.workers(), lineage(bench)
    os.kill(first, signal.SIGKILL)
    await bench.until(
        "two others", lambda: len(bench.workers("ready")) == 2 and not bench.workers() & before
    )
    assert lineage(bench)[1:] == [lowest]
    assert lineage(bench)[0] != first
    (event,) = bench.events("zygote.lost")
    assert "adapters" in event["subject"]
    assert "with code -9" in event["message"]


@pytest.mark.emits("zygote.lost", "worker.lost", "worker.replaced")
async def test_a_zygote_that_dies_is_replaced_and_so_are_its_workers(make, tmp_path: Path):
    bench = await make(size=2)
    await bench.until("two", lambda: len(bench.workers("ready")) == 2)
    before = bench.workers()
    started = tmp_path / "started"
    running = bench.start("stubborn", started=str(started))
    await bench.until("the start", started.exists)
    (first,) = zygotes()
    first.kill()
    with pytest.raises(WorkerLost, match="its zygote ended"):
        await running
    await bench.until(
        "two others", lambda: len(bench.workers("ready")) == 2 and not bench.workers() & before
    )
    (second,) = zygotes()
    assert second.pid != first.pid
    assert bench.status.state == "serving"
    assert bench.events("zygote.lost")
    assert lineage(bench)[-1] == second.pid


async def test_a_zygote_that_hangs_is_killed_and_replaced(make, monkeypatch):
    monkeypatch.setattr(forks, "FORK_SECONDS", 0.2)
    bench = await make()
    first = psutil.Process(lineage(bench)[0])
    first.send_signal(signal.SIGSTOP)
    (worker,) = bench.workers()
    await bench.pools.kill("p", worker)
    await bench.until("the replacement", lambda: bool(bench.workers("ready")))
    assert await bench.call("add", a=1) == 1
    assert not first.is_running()


@pytest.mark.parametrize("preload", [(), ("changing",)])
async def test_recycle_sees_changes_in_what_is_preloaded(make, tmp_path: Path, preload):
    module = tmp_path / "changing.py"
    text = (
        "from citadel.adapter import Adapter, tool\n"
        "class Changing(Adapter):\n"
        "    @tool\n"
        "    def value(self) -> str: return {value!r}\n"
    )
    module.write_text(text.format(value="old"))
    path = os.pathsep.join([str(tmp_path), *sys.path[:1]])
    changing = EnvironmentOptions(preload=preload, variables={"PYTHONPATH": path})
    bench = await make("changing:Changing", environment=changing)
    assert await bench.call("value") == "old"
    first = psutil.Process(lineage(bench)[0])
    module.write_text(text.format(value="the new one"))
    before = bench.workers()
    await bench.pools.recycle("p")
    await bench.until("another", lambda: not bench.workers() & before)
    assert await bench.call("value") == "the new one"
    await bench.until("the old zygote's end", lambda: not first.is_running())


async def test_a_zygote_that_never_serves_is_not_waited_for(make, monkeypatch):
    monkeypatch.setattr(forks, "PRELOAD_SECONDS", 0.5)
    bench = await make(environment=EnvironmentOptions(preload=("preload_that_hangs",)))
    assert len(lineage(bench)) == 2
    assert bench.events("zygote.refused")


async def test_a_fork_that_fails_is_a_start_that_fails(make):
    bench = await make(environment=EnvironmentOptions(preload=("preload_that_breaks_fork",)))
    with pytest.raises(AdapterFailed, match="fork: too many processes"):
        await bench.call("noop")


async def test_without_zygotes_workers_start_plainly(make, monkeypatch):
    monkeypatch.setenv(births.SPAWN_VARIABLE, "plain")
    bench = await make(size=2)
    assert (await bench.call("process"))["parent"] == os.getpid()
    assert zygotes() == []
    with pytest.raises(WorkerLost, match="SIGSEGV"):
        await bench.call("segfaults")
    assert await bench.call("add", a=1) == 1


async def test_pools_share_a_zygote_which_ends_with_them():
    hub = LiveHub("test")
    both = [PoolSettings(name=name, adapter="adapters:Tools", size=1) for name in ("a", "b")]
    pools = Pools(both, Recorder(publish=hub.publish), hub)
    running = asyncio.get_running_loop().create_task(pools.run())
    await asyncio.wait_for(pools.ready(), PATIENCE)
    (one,) = zygotes()
    (of_adapter,) = one.children()
    assert len(of_adapter.children()) == 2
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert not one.is_running()
    # Whoever adopted it may not have reaped it yet.
    assert not of_adapter.is_running() or of_adapter.status() == psutil.STATUS_ZOMBIE


def _descriptors(pid: int) -> set[str]:
    found = set()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.add(str(each.readlink()))
        except FileNotFoundError:
            continue
    return found

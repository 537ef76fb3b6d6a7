"""What happens to workers: deaths, replacement, resize, recycle, output, orphans."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from citadel.errors import InvalidRequest, NotFound, WorkerLost
from engine.pool import births

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("exits", {"code": 7}, "exited with code 7"),
        ("segfaults", {}, "SIGSEGV"),
    ],
)
async def test_a_death_fails_its_command_and_no_other(make, tool, arguments, says):
    bench = await make(size=2)
    others = [bench.start("add", a=n) for n in range(50)]
    with pytest.raises(WorkerLost, match=says) as caught:
        await bench.call(tool, **arguments)
    assert await asyncio.gather(*others) == list(range(50))
    await bench.until("the replacement", lambda: len(bench.workers("ready")) == 2)
    assert caught.value.details["worker"] not in bench.workers()
    assert bench.events("worker.lost")
    assert bench.events("worker.replaced")


async def test_last_words_are_in_the_error(make):
    bench = await make()
    with pytest.raises(WorkerLost, match="about to exit"):
        await bench.call("exits", code=3)


async def test_killed_from_outside(make, tmp_path: Path):
    bench = await make()
    started = tmp_path / "started"
    running = bench.start("stubborn", started=str(started))
    await bench.until("the start", lambda: started.exists() and started.read_text() != "")
    os.kill(int(started.read_text()), signal.SIGKILL)
    with pytest.raises(WorkerLost, match="SIGKILL"):
        await running


async def test_killed_by_an_operator(make, tmp_path: Path):
    bench = await make()
    started = tmp_path / "started"
    running = bench.start("stubborn", started=str(started))
    await bench.until("the start", started.exists)
    (worker,) = bench.workers()
    await bench.pools.kill("p", worker)
    with pytest.raises(WorkerLost, match="killed by an operator"):
        await running
    await bench.until("the replacement", lambda: bool(bench.workers("ready")))
    with pytest.raises(NotFound, match=worker):
        await bench.pools.kill("p", worker)


async def test_what_it_prints_becomes_an_event(make):
    bench = await make()
    await bench.call("prints", text="hello from a worker")
    await bench.until("the event", lambda: bool(bench.events("worker.output")))
    assert bench.events("worker.output")[0]["message"] == "hello from a worker"


async def test_resize_up_and_down(make):
    bench = await make()
    await bench.pools.resize("p", 3)
    await bench.until("three", lambda: len(bench.workers("ready")) == 3)
    await bench.pools.resize("p", 1)
    await bench.until("one", lambda: len(bench.workers()) == 1)
    assert await bench.call("add", a=1) == 1
    assert bench.events("worker.lost") == []
    with pytest.raises(InvalidRequest):
        await bench.pools.resize("p", 0)


async def test_recycle_replaces_without_losing_a_command(make):
    bench = await make(size=2)
    before = bench.workers()
    calls = [bench.start("add", a=n) for n in range(200)]
    await bench.pools.recycle("p")
    assert await asyncio.gather(*calls) == list(range(200))
    await bench.until(
        "two new ones", lambda: len(bench.workers("ready")) == 2 and not bench.workers() & before
    )
    assert bench.events("worker.lost") == []


async def test_drain_takes_no_more_and_lets_end(make, tmp_path: Path):
    bench = await make()
    started, until = tmp_path / "started", tmp_path / "until"
    running = bench.start("touch_and_wait", started=str(started), until=str(until))
    await bench.until("the start", started.exists)
    draining = asyncio.get_running_loop().create_task(bench.pools.drain(20.0))
    await bench.until("the drain", lambda: bench.status.state == "draining")
    until.write_text("")
    assert await running == "done"
    assert await draining


ENGINE = """
import asyncio, msgpack, sys
from engine.pool.pools import Pools
from engine.pool.settings import PoolCommand, PoolSettings
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder

async def main():
    hub = LiveHub('x')
    pool = PoolSettings(name='p', adapter='adapters:Tools', size=2)
    pools = Pools([pool], Recorder(publish=hub.publish), hub)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(pools.run())
        while [w.state for w in pools.status()[0].workers] != ['ready', 'ready']:
            await asyncio.sleep(0.01)
        arguments = msgpack.packb({'started': sys.argv[1]})
        command = PoolCommand(id='c', pool='p', tool='holds_the_gil', arguments=arguments)
        tasks.create_task(pools.submit(command))
        print(*(w.pid for w in pools.status()[0].workers), flush=True)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel for the parent's death")
@pytest.mark.parametrize("way", ["fork", "plain"])
def test_no_worker_outlives_a_killed_engine(tmp_path: Path, way: str) -> None:
    """Not even one that sits in a C function and lets nothing else of its process run."""
    started = tmp_path / "started"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(HERE), str(Path.cwd())]),
        births.SPAWN_VARIABLE: way,
    }
    parent = subprocess.Popen(
        [sys.executable, "-c", ENGINE, str(started)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2
    while not started.exists() or not started.read_text():
        assert parent.poll() is None
    family = psutil.Process(parent.pid).children(recursive=True)
    assert {each.pid for each in family} >= set(pids)
    parent.kill()
    parent.communicate()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []

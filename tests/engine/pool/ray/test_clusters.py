"""Pools on a Ray cluster of two machines: spread, death, loss, return, and nothing left behind."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from citadel.errors import WorkerLost
from engine.pool.options import RayOptions
from engine.pool.ray import placer as placing
from engine.pool.ray.placer import acquire, release

# The fixture `make` gives a pool; see conftest.py above.

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(sys.platform != "linux", reason="a cluster of several nodes on one machine"),
    pytest.mark.timeout(240),
]
ADAPTERS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def two_nodes(start_machines) -> Iterator:
    """Two nodes: one hosts Ray's head, the other is there to be killed."""
    with start_machines([2, 2]) as started:
        placer = acquire(started.address)
        yield started
        release(placer)


def on_ray(machines, **options) -> dict:
    told = {"code": "shared", "cpus_per_worker": 1.0, **options}
    return {"backend": "ray", "ray": RayOptions(address=machines.address, **told)}


def nodes(bench) -> dict[str, str]:
    """The node of each ready worker."""
    return {w.id: w.node for w in bench.status.workers if w.state in ("ready", "busy")}


def actor_of(node: str) -> psutil.Process:
    """A node is called by its address and its actor's process id."""
    return psutil.Process(int(node.rpartition("/")[2]))


async def test_workers_spread_over_the_nodes_and_outlast_an_actor(make, two_nodes, tmp_path):
    bench = await make(size=2, **on_ray(two_nodes, nodes=2))
    await bench.until("both nodes", lambda: len(set(nodes(bench).values())) == 2)
    started = [tmp_path / "one", tmp_path / "two"]
    until = tmp_path / "until"
    calls = [bench.start("touch_and_wait", started=str(each), until=str(until)) for each in started]
    await bench.until("the start", lambda: all(each.exists() for each in started))
    (running,) = [w for w in bench.status.workers if w.pid == int(started[0].read_text())]
    actor_of(running.node).kill()
    with pytest.raises(WorkerLost, match="was lost") as caught:
        await calls[0]
    assert caught.value.details["node"] == running.node
    assert running.node in caught.value.message
    until.touch()
    assert await calls[1] == "done", "the other node does not notice"
    await bench.until("two nodes", lambda: len(set(nodes(bench).values())) == 2)
    assert running.node not in nodes(bench).values(), "it is another actor"
    assert [event["subject"] for event in bench.events("node.lost")] == [running.node]


async def test_a_machine_that_dies_is_replaced_by_one_that_comes(make, two_nodes):
    bench = await make(size=2, **on_ray(two_nodes, nodes=2, cpus_per_worker=2.0))
    await bench.until("both nodes", lambda: len(set(nodes(bench).values())) == 2)
    lost = two_nodes.nodes.pop()
    await asyncio.to_thread(two_nodes.ask, "kill", node=lost)
    await bench.until("the loss", lambda: bool(bench.events("node.lost")))
    await bench.until("one node", lambda: len(nodes(bench)) == 2)
    assert await bench.call("add", a=1) == 1
    assert len(set(nodes(bench).values())) == 1, "the workers go where there is a place"
    two_nodes.nodes.append(await asyncio.to_thread(two_nodes.ask, "add", cpus=2))
    serving: list[int] = []
    losses = len(bench.events("worker.lost"))

    def spread() -> bool:
        serving.append(len(nodes(bench)))
        return len(set(nodes(bench).values())) == 2

    await bench.until("both nodes, by itself", spread)
    # A machine that stalls under these tests may lose a worker meanwhile, and that moves it too.
    lost = bench.events("worker.lost")[losses:]
    assert min(serving) == 2 or lost, "the one that moves serves until another one does"
    await bench.until("the old one's end", lambda: len(bench.status.workers) == 2)
    assert len(bench.events("worker.recycled")) == 1 or lost, "one moved, and then they stay"


async def test_code_that_is_nowhere_else_is_uploaded(make, two_nodes, monkeypatch):
    monkeypatch.syspath_prepend(str(ADAPTERS))
    bench = await make(**on_ray(two_nodes, code="upload"))
    await bench.until("a worker", lambda: bool(nodes(bench)))
    (worker,) = bench.status.workers
    assert "py_modules_files" in psutil.Process(worker.pid).environ()["PYTHONPATH"]
    assert await bench.call("add", a=1, b=2) == 3


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cpus_per_worker": 64.0}, "no node of the cluster has 64 CPUs left"),
        ({"listen": "203.0.113.1:1"}, "cannot be listened for at"),
        ({"code": "upload", "modules": ("nowhere",)}, "'nowhere' is not found"),
    ],
)
async def test_where_there_is_no_place_the_pool_says_why(
    make, two_nodes, options, says, monkeypatch
):
    monkeypatch.syspath_prepend(str(ADAPTERS))
    bench = await make(**on_ray(two_nodes, **options))
    await bench.until("the failure", lambda: bench.status.state == "failed")
    assert says in bench.status.error
    assert "no place on a Ray cluster" in bench.status.error


async def test_ray_that_is_not_installed_is_named_with_its_remedy(make, monkeypatch, tmp_path):
    (tmp_path / "ray.py").write_text("raise ImportError('there is no ray here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    bench = await make(backend="ray")
    await bench.until("the failure", lambda: bench.status.state == "failed")
    assert "there is no ray here" in bench.status.error
    with pytest.raises(Exception, match="p is failed"):
        await bench.call("noop")


@pytest.mark.emits("node.joined", "node.lost")
async def test_a_driver_that_dies_costs_its_nodes_and_is_started_again(make, two_nodes):
    release(acquire(two_nodes.address))  # the module's own stays
    bench = await make(**on_ray(two_nodes))
    before = nodes(bench)
    driver = placing._placers[two_nodes.address, ()]._process
    driver.kill()
    await bench.until("the loss", lambda: bool(bench.events("node.lost")))
    await bench.until("a new node", lambda: bool(nodes(bench)) and nodes(bench) != before)
    assert await bench.call("add", a=1) == 1


PROGRAM = """
import asyncio, json
import psutil
from engine.pool.pools import Pools
from engine.pool.options import RayOptions
from engine.pool.settings import PoolSettings
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder

async def main():
    hub = LiveHub("x")
    ray = RayOptions(cpus_per_worker=0.5)
    pool = PoolSettings(name="p", adapter="adapters:Tools", size=2, backend="ray", ray=ray)
    pools = Pools([pool], Recorder(publish=hub.publish), hub)
    running = asyncio.get_running_loop().create_task(pools.run())
    await pools.ready()
    assert pools.status()[0].state == "serving", pools.status()
    below = [each.pid for each in psutil.Process().children(recursive=True)]
    print(json.dumps(below), flush=True)
    await asyncio.to_thread(input)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("killed", [False, True])
def test_a_local_cluster_leaves_nothing_behind(killed: bool) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ADAPTERS), str(Path.cwd())])}
    engine = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert engine.stdout is not None
    below = [psutil.Process(pid) for pid in json.loads(engine.stdout.readline())]
    names = " ".join(part for each in below for part in _command(each))
    assert "raylet" in names
    assert "engine.pool.ray.agent" in names
    if killed:
        engine.send_signal(signal.SIGKILL)
    engine.communicate("\n")
    _, alive = psutil.wait_procs(below, timeout=30)
    assert [_command(each) for each in alive] == []


def _command(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []

"""What starts that fail, for want of descriptors too, and pools that end leave behind: nothing."""

import asyncio
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgpack
import psutil
import pytest

from citadel.errors import AdapterFailed, WorkerLost
from engine.pool import births, forked, forks
from engine.pool.fork_spawner import ForkSpawner
from engine.pool.forks import Key, Zygotes
from engine.pool.hosting import Charge
from engine.pool.options import EnvironmentOptions
from engine.pool.pools import Pools
from engine.pool.settings import PoolCommand, PoolSettings
from engine.pool.spawn import Ears, Hosted, Interpreter, PlainSpawner
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder
from tests.engine.pool.conftest import Bench

HERE = Path(__file__).parent
PATIENCE = 60.0

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="descriptors are counted in /proc")


def descriptors() -> set[tuple[str, str]]:
    found = set()
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the listing's own
            found.add((each.name, str(each.readlink())))
    return found


@pytest.mark.parametrize("way", ["fork", "plain"])
def test_a_start_without_descriptors_leaves_none_and_costs_no_other_worker(way):
    ended = subprocess.run(
        [sys.executable, "-W", "always::ResourceWarning", str(HERE / "starving.py"), way],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    told = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [each for each in told if each["more"]] == []
    assert all(each["alive"] for each in told)
    failed = [each["said"] for each in told if each["said"]]
    assert len(failed) > 8, "each descriptor that a start needs was missing once"
    assert all("descriptor" in each or os.strerror(errno.EMFILE) in each for each in failed)
    assert told[-1]["said"] == "", "with enough of them it starts"
    assert "ResourceWarning" not in ended.stderr
    assert "zygote" not in ended.stderr, "none was lost"


class Starts:
    """A zygote and its workers, without a pool."""

    def __init__(self, zygotes: Zygotes) -> None:
        self.key = Key(interpreter=Interpreter())
        self.zygotes = zygotes
        self.spawner = ForkSpawner(zygotes, self.key, PlainSpawner())

    async def start(self, name: str = "w") -> Hosted:
        charge = Charge(
            worker=name, pool="p", adapter="adapters:Tools", engine=os.getpid(), max_result_bytes=9
        )
        ears = Ears(on_line=print, on_frame=lambda _: None, on_garbage=print)
        return await asyncio.wait_for(self.spawner.spawn(charge, ears, {}), PATIENCE)


@asynccontextmanager
async def starts():
    zygotes = Zygotes(lambda *_: None)
    try:
        yield Starts(zygotes)
    finally:
        zygotes.close()


async def end(hosted: Hosted) -> None:
    await hosted.process.end()
    await hosted.link.end()
    hosted.slate.close()


async def test_a_worker_that_is_born_after_its_start_was_given_up_is_killed_and_let_go(monkeypatch):
    monkeypatch.setattr(forked, "EXIT_SECONDS", 0.1)
    async with starts() as bench:
        await end(await bench.start("first"))
        zygote = await bench.zygotes.ready(bench.key)
        before = descriptors()
        parent = psutil.Process(zygote.pid)
        parent.send_signal(signal.SIGSTOP)
        late = asyncio.get_running_loop().create_task(bench.start("late"))
        while not zygote._waiting:  # until it is asked
            await asyncio.sleep(0)
        late.cancel()
        await asyncio.wait({late})
        parent.send_signal(signal.SIGCONT)
        await end(await bench.start("next"))
        assert zygote.ended is False
        async with asyncio.timeout(PATIENCE):
            while parent.children() or descriptors() != before:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("number", [errno.ETOOMANYREFS, errno.EMFILE, errno.EMSGSIZE])
async def test_a_request_that_cannot_be_sent_fails_alone(monkeypatch, number):
    monkeypatch.setattr(forks, "FORK_SECONDS", PATIENCE * 2)
    async with starts() as bench:
        first = await bench.start("first")
        zygote = await bench.zygotes.ready(bench.key)
        before = descriptors()

        def refuses(*_: object) -> int:
            raise OSError(number, os.strerror(number))

        with monkeypatch.context() as patch:
            patch.setattr(socket, "send_fds", refuses)
            with pytest.raises(OSError, match=os.strerror(number)):
                await bench.start("second")
        assert descriptors() == before
        third = await bench.start("third")
        assert not first.process.exited.done()
        assert psutil.Process(third.process.pid).ppid() == zygote.pid
        await end(third)
        await end(first)


async def test_a_charge_that_is_too_long_for_a_zygote_fails_alone(monkeypatch):
    async with starts() as bench:
        first = await bench.start("first")
        monkeypatch.setattr(sys, "path", [*sys.path, "/nowhere" * 30_000])
        with pytest.raises(OSError, match="its charge has"):
            await bench.start("second")
        monkeypatch.undo()
        await end(await bench.start("third"))
        assert not first.process.exited.done()
        await end(first)


async def test_a_zygote_without_descriptors_fails_starts_with_the_cause(make):
    few = EnvironmentOptions(preload=("preload_that_leaves_few_descriptors",))
    bench = await make(environment=few)
    with pytest.raises(AdapterFailed, match=f"fork: {os.strerror(errno.EMFILE)}"):
        await bench.call("noop")
    assert bench.events("zygote.lost") == []


def left() -> dict[str, list[str]]:
    """What this process has that should end with its pools."""
    maps = Path("/proc/self/maps").read_text().splitlines()
    threads = [each.name for each in threading.enumerate()]
    return {
        "descriptors": sorted(map(str, descriptors())),
        "processes": [each.name() for each in psutil.Process().children(recursive=True)],
        "shared memory": sorted(each.split()[-2] for each in maps if "memfd:citadel" in each),
        "files": sorted(map(str, Path("/dev/shm").glob("*"))),
        "threads": [each for each in threads if not each.startswith("asyncio_")],  # the loop's own
    }


@pytest.mark.parametrize("way", ["fork", "plain"])
async def test_when_pools_end_nothing_of_them_remains(monkeypatch, way, tmp_path):
    monkeypatch.setenv(births.SPAWN_VARIABLE, way)
    before = left()
    hub = LiveHub("test")
    preloads = EnvironmentOptions(preload=("preloads",))
    settings = [
        PoolSettings(name="p", adapter="adapters:Tools", size=2, environment=preloads),
        PoolSettings(name="q", adapter="thread_adapters:Safe", size=1, profile="thread"),
        PoolSettings(name="w", adapter="adapters:Wild", size=1),
    ]
    pools = Pools(settings, Recorder(publish=hub.publish), hub)
    bench = Bench(pools, hub, Recorder())
    started = tmp_path / "started"
    running = asyncio.get_running_loop().create_task(pools.run())
    try:
        await asyncio.wait_for(pools.ready(), PATIENCE)
        size = msgpack.packb({"size": 1 << 20})
        inflates = PoolCommand(id="w", pool="w", tool="inflates", arguments=size)
        assert len((await pools.submit_parts(inflates)).parcel.unpacked()) == 1 << 20
        with pytest.raises(WorkerLost):
            await bench.call("segfaults")
        await pools.recycle("p")  # which renews the zygote too
        stubborn = bench.start("stubborn", started=str(started))
        await bench.until("the start", started.exists)
        await pools.resize("q", 2)  # one that is being born
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await asyncio.gather(stubborn, return_exceptions=True)
    assert left() == before

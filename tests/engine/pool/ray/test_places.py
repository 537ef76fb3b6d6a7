"""Places of nodes without a cluster: what is let go of, what is told, what is sent along."""

import asyncio
import os
import sys
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgpack
import pytest

from citadel.errors import BadConfig, NotReady
from engine.pool import frames
from engine.pool.options import LimitOptions, RayOptions
from engine.pool.ray import agent, cluster, driver, protocol, shipping
from engine.pool.ray.agent import Agent, connect
from engine.pool.ray.cluster import Cluster
from engine.pool.ray.placer import Placer
from engine.pool.settings import PoolSettings
from engine.pool.spawn import Interpreter
from engine.pool.watch import Watch
from engine.telemetry.recorder import Recorder
from tests.engine.pool.ray.test_nodes import Heard, Visitor, call, door, node, worker

PATIENCE = 30.0


def settings(**options: Any) -> PoolSettings:
    return PoolSettings(name="p", adapter="adapters:Tools", size=1, backend="ray", **options)


class Places:
    """Stands for Ray's driver: the test says what it says."""

    def __init__(self) -> None:
        self.alive = True
        self.connected: Future[str] = Future()
        self.connected.set_result("127.0.0.1")
        self.asked: asyncio.Queue[tuple[Callable[[list[Any]], None], list[Any]]] = asyncio.Queue()
        self.removed: list[bytes] = []

    def place(self, key: bytes, handler: Callable[[list[Any]], None], about: list[Any]) -> None:
        del key
        self.asked.put_nowait((handler, about))

    def remove(self, key: bytes) -> None:
        self.removed.append(key)


async def test_a_node_that_comes_when_its_place_is_gone_is_let_go(monkeypatch):
    places = Places()
    monkeypatch.setattr(cluster, "acquire", lambda *_: places)
    pool = Cluster(settings(), Recorder())

    async def placed() -> None:
        async with pool._placed(0):
            pytest.fail("there is no such place")

    placing = asyncio.get_running_loop().create_task(placed())
    handler, (told, token, *_) = await asyncio.wait_for(places.asked.get(), PATIENCE)
    visitor, key = Visitor(), bytes.fromhex(told["key"])
    ticket = protocol.Ticket(key=key, token=bytes.fromhex(token))
    await connect(told["host"], told["port"], ticket, visitor)
    while pool._door._tickets:  # until it is in
        await asyncio.sleep(0.01)
    handler([driver.GONE, key, "its actor died"])
    with pytest.raises(NotReady, match="its actor died"):
        await placing
    await asyncio.wait_for(visitor.closed.wait(), PATIENCE)
    handler([driver.PLACED, key, "a node", "10.0.0.1", 1])  # too late
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert pool._homes == {}
    assert places.removed == [key]
    pool._door.close()


async def test_a_node_that_did_not_connect_has_no_home(monkeypatch):
    places = Places()
    monkeypatch.setattr(cluster, "acquire", lambda *_: places)
    pool = Cluster(settings(ray=RayOptions(timeout_seconds=0.2)), Recorder())

    async def placed() -> None:
        async with pool._placed(0):
            pytest.fail("it did not connect")

    placing = asyncio.get_running_loop().create_task(placed())
    handler, (told, *_) = await asyncio.wait_for(places.asked.get(), PATIENCE)
    handler([driver.PLACED, bytes.fromhex(told["key"]), "a node", "10.0.0.1", 1])
    with pytest.raises(NotReady, match="did not connect"):
        await placing
    assert pool._homes == {}, "the next try may go there, or others"
    pool._door.close()


async def test_a_driver_that_speaks_nonsense_is_taken_for_ended(monkeypatch, tmp_path: Path):
    nonsense = tmp_path / "python"
    nonsense.write_text("#!/bin/sh\necho what Ray prints\ncat > /dev/null\n")
    nonsense.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(nonsense))
    placer = Placer("nowhere")
    heard: list[list[Any]] = []
    placer.place(b"k", heard.append, [])
    with pytest.raises(NotReady, match="it sent garbage"):
        await asyncio.wait_for(asyncio.wrap_future(placer.connected), PATIENCE)
    await asyncio.to_thread(placer.close)
    assert not placer.alive
    assert [item[0] for item in heard] == [driver.GONE]


def test_what_is_uploaded_is_whole_packages_and_imports_nothing(monkeypatch, tmp_path: Path):
    package = tmp_path / "goes_off"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemError('it was imported')")
    (package / "part.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    told = settings(ray=RayOptions(code="upload", modules=("goes_off.part", "json")))
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    assert str(package) in shipping.uploads(told)
    for wrong in ("nowhere.part", "__main__"):
        with pytest.raises(BadConfig, match="is not found"):
            shipping.uploads(settings(ray=RayOptions(code="upload", modules=(wrong,))))


async def test_a_flood_of_lines_is_counted_on_the_node_and_its_last_lines_are_told():
    async with node() as (there, _):
        heard = Heard()
        hosted = await worker(there, heard)
        text = "\n".join(map(str, range(50_000)))
        hosted.link.send(call(1, "prints", msgpack.packb({"text": text})))
        assert (await heard.next())[:2] == [frames.DONE, 1]
        hosted.link.send([frames.STOP])
        await asyncio.wait_for(hosted.process.exited, PATIENCE)
        assert len(heard.lines) < 25_000
        assert heard.lines[0] == "0"
        assert heard.lines[-2:] == ["49998", "49999"]
        assert len(heard.lines) + sum(heard.untold) == 50_000


class Slow:
    """Stands for a node's worker that takes its time to end."""

    def __init__(self) -> None:
        self.made: list[int] = []
        self.held: dict[int, bool] = {}
        self.killed = asyncio.Event()
        self.go_on = asyncio.Event()

    def tenant(self, number: int, *_: object) -> Any:
        self.made.append(number)
        return _Tenant(self, number)


class _Tenant:
    def __init__(self, slow: Slow, number: int) -> None:
        self._slow, self._number = slow, number

    async def run(self) -> None:
        await self._slow.go_on.wait()

    def kill(self) -> None:
        self._slow.killed.set()

    def hold(self, held: bool) -> None:
        self._slow.held[self._number] = held

    def nudge(self) -> None:
        """Nothing waits."""

    def measure(self) -> list[Any]:
        return [self._number, 0, 0, 0.0]


async def test_a_node_that_leaves_starts_no_more_workers_and_holds_new_ones_with_the_others(
    monkeypatch,
):
    slow = Slow()
    monkeypatch.setattr(agent, "Tenant", slow.tenant)
    async with door() as opened, asyncio.TaskGroup() as tasks:
        ticket = protocol.Ticket()
        arrived = opened.expect(ticket)
        here = Agent(Interpreter(), ())
        serving = tasks.create_task(here.serve(opened.host, opened.port, ticket))
        there = await asyncio.wait_for(arrived, PATIENCE)
        here._uplink.pause_writing()
        there.tell([protocol.SPAWN, 1, {}])
        async with asyncio.timeout(PATIENCE):
            while not slow.made:
                await asyncio.sleep(0.01)
        assert slow.held == {1: True}
        monkeypatch.setattr(protocol, "SILENCE_SECONDS", 0.0)
        await asyncio.wait_for(slow.killed.wait(), PATIENCE)
        monkeypatch.undo()
        monkeypatch.setattr(agent, "Tenant", slow.tenant)
        there.tell([protocol.SPAWN, 2, {}])
        there.tell([protocol.PING, -1.0])
        async with asyncio.timeout(PATIENCE):
            while not any(sample[0] > 1.0 for sample in there._samples):  # its answer came
                await asyncio.sleep(0.01)
        slow.go_on.set()
        await asyncio.wait_for(serving, PATIENCE)
        assert slow.made == [1]
        there.lose("the test ends")


@pytest.mark.parametrize(("backend", "limited"), [("local", "cgroup"), ("ray", "memory")])
def test_a_cgroup_of_the_engines_machine_limits_no_worker_elsewhere(
    tmp_path: Path, backend: Any, limited: str
):
    group = tmp_path / f"citadel-{os.getpid()}-w"
    group.mkdir()
    (group / "memory.max").touch()
    told = PoolSettings(
        name="p",
        adapter="a:A",
        backend=backend,
        limits=LimitOptions(memory_bytes=1 << 30, cgroup=str(tmp_path)),
    )
    watch = Watch(_NoCrew(), told, lambda: pytest.fail("no load"), lambda _: None)  # type: ignore[arg-type]
    assert list(watch.limits(_Named())) == [limited]  # type: ignore[arg-type]


class _NoCrew:
    size = 1


class _Named:
    id = "w"

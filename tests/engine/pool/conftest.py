"""Real pools with real worker processes."""

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Self

import msgpack
import pytest

from citadel.wire.columns import rows, unpack
from engine.pool.options import EnvironmentOptions, RayOptions
from engine.pool.pools import Pools
from engine.pool.ray.placer import acquire, release
from engine.pool.settings import PoolCommand, PoolSettings
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder

HERE = Path(__file__).parent
PATIENCE = 30.0


class Bench:
    """A pool named p, and short ways to use it."""

    def __init__(self, pools: Pools, hub: LiveHub, recorder: Recorder) -> None:
        self.pools = pools
        self.hub = hub
        self.recorder = recorder
        self._numbers = count(1)

    async def call(
        self,
        tool: str,
        /,
        *,
        id_: str = "",
        deadline: float = 0.0,
        parent: Any = None,
        about: dict[str, Any] | None = None,
        **args: Any,
    ) -> Any:
        """Runs a tool; `about` has the command's other fields: session, priority, ..."""
        command = PoolCommand(
            id=id_ or f"c{next(self._numbers)}",
            pool="p",
            tool=tool,
            arguments=msgpack.packb(args),
            deadline_seconds=deadline,
            parent=parent,
            **(about or {}),
        )
        result = await asyncio.wait_for(self.pools.submit(command), PATIENCE)
        return msgpack.unpackb(result.value)

    def start(self, tool: str, /, **arguments: Any) -> asyncio.Task[Any]:
        return asyncio.get_running_loop().create_task(self.call(tool, **arguments))

    @property
    def status(self) -> Any:
        return self.pools.status()[0]

    def exact(self) -> None:
        """Each command is counted once, wherever it is."""
        counts, status = self.pools.counts("p"), self.status
        ended = counts.done + counts.failed + counts.cancelled + counts.rejected + counts.shed
        assert counts.submitted == ended + status.queued + status.running

    def workers(self, *states: str) -> set[str]:
        return {w.id for w in self.status.workers if not states or w.state in states}

    def events(self, name: str) -> list[dict[str, Any]]:
        _, (batch,) = self.hub.snapshot(["event"])
        return [row for row in rows(unpack(batch)) if row["name"] == name]

    async def until(self, what: str, condition: Callable[[], bool]) -> None:
        """Waits for the hub to move until a condition holds."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not condition():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            pytest.fail(f"waited {PATIENCE:.0f} s in vain: {what}; {self.status}")


class Machines:
    """A Ray cluster of several nodes on this machine."""

    def __init__(self, cpus: list[float]) -> None:
        if importlib.util.find_spec("ray") is None or sys.platform != "linux":
            pytest.skip("needs Ray, on Linux")
        self._cpus = cpus

    def __enter__(self) -> Self:
        program = [sys.executable, str(HERE / "ray" / "machines.py")]
        self._process = subprocess.Popen(
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        found = self.ask("start", cpus=self._cpus)
        self.address: str = found["address"]
        self.nodes: list[str] = found["nodes"]
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=PATIENCE)

    def ask(self, what: str, **about: Any) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps({"do": what, **about}), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())


Make = Callable[..., Awaitable[Bench]]


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The adapters of the tests, for the workers."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), *sys.path[:1]]))


RAY_SUITES = {
    "test_commands",
    "test_misbehaviour",
    "test_streams",
    "test_workers",
}
"""The modules whose tests run on both backends, when `CITADEL_TEST_RAY` is set: `poe test` does."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests of a pool run on local workers and on those of a Ray cluster."""
    suite = metafunc.module.__name__.rpartition(".")[2]
    here_only = metafunc.definition.get_closest_marker("local_only")
    wanted = os.environ.get("CITADEL_TEST_RAY") and suite in RAY_SUITES and not here_only
    if "backend" in metafunc.fixturenames and wanted:
        on_ray = pytest.param("ray", marks=pytest.mark.ray)
        metafunc.parametrize("backend", ["local", on_ray], indirect=True)


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The settings of a pool that say where its workers are."""
    if getattr(request, "param", "local") == "local":
        return {}
    machines: Machines = request.getfixturevalue("machines")
    return {
        "backend": "ray",
        "ray": RayOptions(address=machines.address, code="shared", cpus_per_worker=0.1),
    }


@pytest.fixture(scope="session")
def start_machines() -> type[Machines]:
    """Starts a Ray cluster of as many nodes as CPUs are given."""
    return Machines


@pytest.fixture(scope="session")
def machines() -> Iterator[Machines]:
    """A Ray cluster of one node, and the driver that all pools of these tests share."""
    with Machines(cpus=[2]) as started:
        placer = acquire(started.address)
        yield started
        release(placer)


@pytest.fixture
async def make(backend: dict[str, Any]) -> AsyncIterator[Make]:
    async with AsyncExitStack() as stack:

        async def made(adapter: str = "adapters:Tools", **settings: Any) -> Bench:
            # Workers elsewhere are told what the test has set.
            told = {name: value for name, value in os.environ.items() if name.startswith("FICKLE_")}
            environment = EnvironmentOptions(variables=told)
            options = {"size": 1, "environment": environment, **backend, **settings}
            return await stack.enter_async_context(_running(adapter, options))

        yield made


@pytest.fixture
async def make_more() -> AsyncIterator[Make]:
    """Several pools, the first of them p: settings of each."""
    async with AsyncExitStack() as stack:

        async def made(*pools: dict[str, Any]) -> Bench:
            return await stack.enter_async_context(_running_all(pools))

        yield made


def _running(adapter: str, options: dict[str, Any]) -> AbstractAsyncContextManager[Bench]:
    return _running_all([{"name": "p", "adapter": adapter, **options}])


@asynccontextmanager
async def _running_all(settings: Sequence[dict[str, Any]]) -> AsyncIterator[Bench]:
    hub = LiveHub("test")
    recorder = Recorder(publish=hub.publish)
    pools = Pools([PoolSettings(**each) for each in settings], recorder, hub)
    running = asyncio.get_running_loop().create_task(pools.run())
    try:
        await asyncio.wait_for(pools.ready(), PATIENCE)
        yield Bench(pools, hub, recorder)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

"""Real pools with real worker processes."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import msgpack
import pytest

from citadel.wire.columns import rows, unpack
from engine.pool.pools import Pools
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
        self, tool: str, /, *, id_: str = "", deadline: float = 0.0, parent: Any = None, **args: Any
    ) -> Any:
        command = PoolCommand(
            id=id_ or f"c{next(self._numbers)}",
            pool="p",
            tool=tool,
            arguments=msgpack.packb(args),
            deadline_seconds=deadline,
            parent=parent,
        )
        result = await asyncio.wait_for(self.pools.submit(command), PATIENCE)
        return msgpack.unpackb(result.value)

    def start(self, tool: str, /, **arguments: Any) -> asyncio.Task[Any]:
        return asyncio.get_running_loop().create_task(self.call(tool, **arguments))

    @property
    def status(self) -> Any:
        return self.pools.status()[0]

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


Make = Callable[..., Awaitable[Bench]]


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The adapters of the tests, for the workers."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), *sys.path[:1]]))


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    async with AsyncExitStack() as stack:

        async def made(adapter: str = "adapters:Tools", **settings: Any) -> Bench:
            options = {"size": 1, **settings}
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

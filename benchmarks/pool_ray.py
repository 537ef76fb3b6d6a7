"""No-op calls where Ray has a hand: a pool on Ray against bare Ray actors; our pool against both.

Everything has two workers on this machine and 64 calls in flight from one asyncio loop in one
process, which is also Ray's driver for the bare actors. The pool on Ray is on a cluster of this one
machine; between machines the network comes on top, for both sides.
"""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count
from typing import Any, Self

from benchmarks.harness import Ratio, cost_of_calls, interleaved
from citadel.wire.messages import SamplingRule
from engine.pool.options import RayOptions
from engine.pool.pools import Pools
from engine.pool.settings import PoolCommand, PoolSettings
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder
from engine.telemetry.sampling import Sampler

WORKERS = 2
IN_FLIGHT = 64
CALLS = 6_000
PEER_CALLS = 1_500
"""The peers are slower: so a round of theirs takes about as long as one of ours."""
NO_ARGUMENTS = b"\x80"

Call = Callable[[], Awaitable[Any]]


def run() -> list[Ratio]:
    """What a call costs, in µs."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    with asyncio.Runner() as runner, RayActors() as actors, Dask(runner) as dask:
        backend = {"backend": "ray", "ray": RayOptions(address=actors.address, code="shared")}
        with Pooled(runner, **backend) as on_ray, Pooled(runner) as local:
            return [
                _ratio(runner, on_ray.call, actors.call, "Ray actors", "pool on Ray", "≤ 1.25"),
                _ratio(runner, local.call, actors.call, "Ray actors", "local pool", "≤ 0.1"),
                _ratio(runner, local.call, dask.call, "dask", "local pool", "≤ 0.1"),
            ]


def _ratio(
    runner: asyncio.Runner, ours: Call, peer: Call, peer_name: str, what: str, bar: str
) -> Ratio:
    return interleaved(
        lambda: runner.run(_timed(ours, CALLS)),
        lambda: runner.run(_timed(peer, PEER_CALLS)),
        name=f"no-op call, {IN_FLIGHT} in flight, {what}",
        peer_name=peer_name,
        unit="µs",
        bar=bar,
    )


async def _timed(call: Call, calls: int) -> float:
    return await cost_of_calls(call, calls, IN_FLIGHT) * 1e6


class Pooled:
    """A pool of ours."""

    def __init__(self, runner: asyncio.Runner, **settings: Any) -> None:
        self._runner = runner
        self._settings = settings
        self._ids = count()

    def __enter__(self) -> Self:
        self._runner.run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._stop())

    async def call(self) -> None:
        """One command."""
        name = f"c{next(self._ids)}"
        await self._pools.submit(
            PoolCommand(id=name, pool="bench", tool="noop", arguments=NO_ARGUMENTS)
        )

    async def _start(self) -> None:
        hub = LiveHub("bench")
        rules = (SamplingRule(id="all", rate=0.0),)
        self._recorder = Recorder(Sampler(rules), publish=hub.publish)
        settings = PoolSettings(
            name="bench",
            adapter="benchmarks.pool_calls:Nothing",
            size=WORKERS,
            **{"ray": RayOptions(), **self._settings},
        )
        self._pools = Pools([settings], self._recorder, hub)
        loop = asyncio.get_running_loop()
        self._running = loop.create_task(self._pools.run(), name="pools")
        self._draining = loop.create_task(self._drain(), name="drain")
        await self._pools.ready()
        (status,) = self._pools.status()
        if status.state != "serving":
            raise SystemExit(status.error)

    async def _stop(self) -> None:
        for task in (self._draining, self._running):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _drain(self) -> None:
        """What an engine's pulse does."""
        while True:
            self._recorder.drain()
            await asyncio.sleep(0.016)


class RayActors:
    """Two bare actors that run several calls at once, given calls in turn."""

    def __enter__(self) -> Self:
        self._ray = importlib.import_module("ray")
        # As many CPUs as the actors here and those of the pool on Ray ask for.
        told = self._ray.init(
            address="local",
            num_cpus=2 * WORKERS,
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
        )
        self.address: str = told.address_info["gcs_address"]

        class Nothing:
            async def noop(self) -> None:
                """Does nothing."""

        made = self._ray.remote(num_cpus=1, max_restarts=0)(Nothing)
        self._actors = [made.options(max_concurrency=IN_FLIGHT).remote() for _ in range(WORKERS)]
        self._ray.get([actor.noop.remote() for actor in self._actors])
        self._turn = count()
        return self

    def __exit__(self, *_: object) -> None:
        self._ray.shutdown()

    async def call(self) -> None:
        """One call."""
        await self._actors[next(self._turn) % WORKERS].noop.remote()


class Dask:
    """A local cluster of two worker processes with a thread each."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner

    def __enter__(self) -> Self:
        self._runner.run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._stop())

    async def call(self) -> None:
        """One call; impure, or dask would answer from what it remembers."""
        await self._client.submit(_noop, pure=False)

    async def _start(self) -> None:
        distributed = importlib.import_module("distributed")
        self._cluster = await distributed.LocalCluster(
            n_workers=WORKERS,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            asynchronous=True,
        )
        self._client = await distributed.Client(self._cluster, asynchronous=True)
        await self.call()

    async def _stop(self) -> None:
        await self._client.close()
        await self._cluster.close()


def _noop() -> None:
    """The same for dask."""

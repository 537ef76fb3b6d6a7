"""No-op calls on a pool, 64 in flight, against concurrent.futures.ProcessPoolExecutor.

Both have two workers and are called from one asyncio loop in one process. Ours records two spans a
call in one row and none in the others; its metrics are on in all. The CPU row counts the caller's
process and the workers: it holds on a machine that others use too.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from itertools import count
from typing import Self

import psutil

from benchmarks.harness import Ratio, cost_of_calls, interleaved
from citadel.adapter import Adapter, tool
from citadel.wire.messages import SamplingRule
from engine.pool.options import QueueOptions
from engine.pool.pools import Pools
from engine.pool.seats import PREFETCH
from engine.pool.settings import PoolCommand, PoolSettings
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder
from engine.telemetry.sampling import Sampler

WORKERS = 2
IN_FLIGHT = 64
CALLS = 4_000
ALONE = 1_000
"""Calls of a round in which each waits for the one before."""
NO_ARGUMENTS = b"\x80"


class Nothing(Adapter):
    """What a call costs when it does nothing."""

    @tool
    def noop(self) -> None:
        """Does nothing."""


def noop() -> None:
    """The same for the executor."""


def run() -> list[Ratio]:
    """What a call costs, in µs."""
    with asyncio.Runner() as runner, _executor() as executor:
        loop = runner.get_loop()

        async def peer_call() -> None:
            await loop.run_in_executor(executor, noop)

        rows = [*_alone(runner, peer_call), _strict(runner, peer_call)]
        for rate, what, cost, bar in (
            (0.0, "traces sampled out", wall, "≤ 0.25"),
            (0.0, "traces sampled out, CPU time of all processes", _cpu, ""),
            (1.0, "every call traced", wall, ""),
        ):
            with PoolUnderTest(runner, rate) as ours:
                rows.append(
                    interleaved(
                        lambda ours=ours, cost=cost: runner.run(timed(ours.call, cost)),
                        lambda cost=cost: runner.run(timed(peer_call, cost)),
                        name=f"no-op call, {IN_FLIGHT} in flight, {what}",
                        peer_name="ProcessPoolExecutor",
                        unit="µs",
                        bar=bar,
                    )
                )
        return rows


def _alone(runner: asyncio.Runner, peer_call: Callable[[], Awaitable[None]]) -> list[Ratio]:
    """One call at a time: what its caller waits."""
    with PoolUnderTest(runner, 0.0) as ours:
        return [
            interleaved(
                lambda share=share: runner.run(_waited(ours.call, share)),
                lambda share=share: runner.run(_waited(peer_call, share)),
                name=f"no-op call, one at a time, {name}",
                peer_name="ProcessPoolExecutor",
                unit="µs",
                bar=bar,
            )
            for name, share, bar in (("median", 0.5, "≤ 1, stretch 0.6"), ("p99", 0.99, "≤ 1.5"))
        ]


def _strict(runner: asyncio.Runner, peer_call: Callable[[], Awaitable[None]]) -> Ratio:
    """A worker is given a command only when it has none."""
    with PoolUnderTest(runner, 0.0, prefetch=0) as ours:
        return interleaved(
            lambda: runner.run(timed(ours.call, wall)),
            lambda: runner.run(timed(peer_call, wall)),
            name=f"no-op call, {IN_FLIGHT} in flight, strictly one call a worker",
            peer_name="ProcessPoolExecutor",
            unit="µs",
            bar="≤ 0.83, stretch 0.5",
        )


async def _waited(call: Callable[[], Awaitable[None]], share: float) -> float:
    """The quantile of what calls take, one after the other."""
    took: list[float] = []
    for _ in range(ALONE):
        began = time.perf_counter()
        await call()
        took.append(time.perf_counter() - began)
    return sorted(took)[int(share * ALONE)] * 1e6


class PoolUnderTest:
    """A pool of two workers in this process, as an engine has it."""

    def __init__(
        self,
        runner: asyncio.Runner,
        rate: float,
        *,
        prefetch: int = PREFETCH,
        recorder: type[Recorder] = Recorder,
    ) -> None:
        self._runner = runner
        self._rate = rate
        self._queue = QueueOptions(prefetch=prefetch)
        self._recorder_class = recorder
        self._ids = count()

    def __enter__(self) -> Self:
        self._runner.run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._stop())

    async def call(self) -> None:
        """One call that does nothing."""
        command = PoolCommand(
            id=f"c{next(self._ids)}", pool="bench", tool="noop", arguments=NO_ARGUMENTS
        )
        await self._pools.submit(command)

    async def _start(self) -> None:
        hub = LiveHub("bench")
        rules = (SamplingRule(id="all", rate=self._rate),)
        self._recorder = self._recorder_class(Sampler(rules), publish=hub.publish)
        settings = PoolSettings(
            name="bench",
            adapter="benchmarks.pool_calls:Nothing",
            size=WORKERS,
            queue=self._queue,
        )
        self._pools = Pools([settings], self._recorder, hub)
        loop = asyncio.get_running_loop()
        self._running = loop.create_task(self._pools.run(), name="pools")
        self._draining = loop.create_task(self._drain(), name="drain")
        await self._pools.ready()

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


async def timed(call: Callable[[], Awaitable[None]], cost: Callable[[], float]) -> float:
    """The cost of a call, in µs: CALLS of them, IN_FLIGHT at once."""
    return await cost_of_calls(call, CALLS, IN_FLIGHT, cost) * 1e6


def wall() -> float:
    """Seconds on the wall's clock."""
    return time.perf_counter()


def _cpu() -> float:
    """Seconds of CPU that this process and its children have used so far."""
    children = psutil.Process(os.getpid()).children()
    return time.process_time() + sum(sum(each.cpu_times()[:2]) for each in children)


def _executor() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("fork"))

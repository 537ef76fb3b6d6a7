"""How fast workers are born and replaced: against executors, and against what the issue asks for.

A birth is timed until each of 16 workers can take a command; for an executor, until 16 commands
that do nothing are back, by when it has started its 16 processes. Ours counts once as in an engine
that serves: a worker is there, and so are the zygotes; once more with workers that each import the
adapter themselves (`preload_adapter = false`), and once with the zygotes' own start. A death is
timed from `kill -9` of a busy worker, with others under load: until its caller has the error, and
until the pool has as many ready workers as before. The peer of those rows is the bar itself.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager, suppress

from benchmarks.harness import Ratio, interleaved
from benchmarks.nothing import noop
from citadel.errors import WorkerLost
from engine.pool.options import EnvironmentOptions, ScaleOptions
from engine.pool.pools import Pools
from engine.pool.settings import PoolCommand, PoolSettings
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder

ADAPTER = "benchmarks.life_adapter:Plain"
WORKERS = 16
SERVING = 4
NO_ARGUMENTS = b"\x80"
OTHERS = 200
"""Commands that the other workers run while one dies."""
PATIENCE = 30.0


def run() -> list[Ratio]:
    """Milliseconds of births and deaths."""
    rows: list[Ratio] = []
    with asyncio.Runner() as runner:
        for cold, preload, what in (
            (False, True, "a worker there"),
            (False, False, "a worker there, each imports the adapter"),
            (True, True, "zygotes started too"),
        ):
            for method, bar in (("fork", "≤ 3 (1)"), ("spawn", "≤ 0.25 (0.05)")):
                rows.append(
                    interleaved(
                        lambda cold=cold, preload=preload: runner.run(
                            _births(preload=preload, cold=cold)
                        ),
                        lambda method=method: _executor_births(method),
                        name=f"{WORKERS} ready workers, {what}",
                        peer_name=f"ProcessPoolExecutor, {method}",
                        unit="ms",
                        bar=bar if preload and not cold else "",
                    )
                )
        for spares, what in ((0, "no spare"), (1, "a spare")):
            rows += _deaths(runner, spares, f"kill -9 of a worker, {what}")
    return rows


def _deaths(runner: asyncio.Runner, spares: int, what: str) -> list[Ratio]:
    """Two rows of the same deaths: the first runs them, the second reads what it noted."""
    noted: list[float] = []

    def died() -> float:
        error, whole = runner.run(_death(spares))
        noted.append(whole)
        return error

    return [
        interleaved(
            ours,
            lambda limit=limit: limit,
            name=f"{what}: {name}",
            peer_name=f"the {limit:g} ms asked for",
            unit="ms",
            bar="≤ 1 (0.2)",
        )
        for name, limit, ours in (
            ("its caller's error", 50.0, died),
            ("the pool whole", 100.0, lambda: noted.pop(0)),
        )
    ]


@asynccontextmanager
async def _pools(size: int, spares: int = 0, *, preload: bool = True) -> AsyncIterator[Pools]:
    hub = LiveHub("bench")
    settings = PoolSettings(
        name="bench",
        adapter=ADAPTER,
        size=size,
        environment=EnvironmentOptions(preload_adapter=preload),
        scale=ScaleOptions(spares=spares),
    )
    pools = Pools([settings], Recorder(publish=hub.publish), hub)
    running = asyncio.get_running_loop().create_task(pools.run(), name="pools")
    try:
        await pools.ready()
        yield pools
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def _births(*, preload: bool, cold: bool) -> float:
    """Without `cold` one worker, and so its zygotes, is there before; 16 more are timed."""
    if cold:
        began = time.perf_counter()
        async with _pools(WORKERS) as pools:
            await _until(pools, WORKERS)
            return (time.perf_counter() - began) * 1e3
    async with _pools(1, preload=preload) as pools:
        began = time.perf_counter()
        await pools.resize("bench", WORKERS + 1)
        await _until(pools, WORKERS + 1)
        return (time.perf_counter() - began) * 1e3


def _executor_births(method: str) -> float:
    context = multiprocessing.get_context(method)
    began = time.perf_counter()
    with ProcessPoolExecutor(WORKERS, mp_context=context) as executor:
        for each in [executor.submit(noop) for _ in range(WORKERS)]:
            each.result()
        return (time.perf_counter() - began) * 1e3


async def _death(spares: int) -> tuple[float, float]:
    """Milliseconds to the error and to the whole pool; raises when any other command failed."""
    async with _pools(SERVING, spares) as pools:
        await _until(pools, SERVING + spares)
        loop = asyncio.get_running_loop()
        victim = loop.create_task(_submit(pools, "victim", "sleep"))
        await asyncio.sleep(0)  # now it is given
        busy = [w for w in pools.status()[0].workers if w.command_id == "victim"]
        others = [loop.create_task(_submit(pools, f"o{n}", "noop")) for n in range(OTHERS)]
        await asyncio.sleep(0.05)  # the victim sleeps by then
        began = time.perf_counter()
        os.kill(busy[0].pid, signal.SIGKILL)
        whole = loop.create_task(_until(pools, SERVING, without=busy[0].id))
        try:
            await victim
        except WorkerLost:
            error = (time.perf_counter() - began) * 1e3
        else:
            raise AssertionError("the victim was not lost")
        await whole
        ready = (time.perf_counter() - began) * 1e3
        await asyncio.gather(*others)
        return error, ready


async def _submit(pools: Pools, name: str, what: str) -> None:
    command = PoolCommand(id=name, pool="bench", tool=what, arguments=NO_ARGUMENTS)
    await pools.submit(command)


async def _until(pools: Pools, number: int, without: str = "") -> None:
    """Returns when so many workers are ready or busy; looks at each turn of the loop."""
    async with asyncio.timeout(PATIENCE):
        while True:
            workers = pools.status()[0].workers
            if sum(w.state in ("ready", "busy") and w.id != without for w in workers) >= number:
                return
            await asyncio.sleep(0.0005)

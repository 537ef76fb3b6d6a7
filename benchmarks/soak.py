"""A day of a pool in miniature: `poe soak [--commands N] [--seed N] [--workers N]`.

Not a ratio: a proof. Millions of commands run on one pool while workers are killed from outside,
commands kill, leak, print, hang and are cancelled, deadlines pass, and the queue is flooded. It
fails when a caller hears nothing or hears twice, when the pool's own counts differ from what its
callers heard, when memory or descriptors of the engine's process grow, or when a worker is left.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

import msgpack
import psutil

from citadel.errors import (
    Cancelled,
    CitadelError,
    CommandFailed,
    DeadlineExceeded,
    QueueFull,
    WorkerLost,
)
from citadel.wire.messages import SamplingRule
from engine.pool.options import RecycleOptions, ResilienceOptions
from engine.pool.pools import Pools
from engine.pool.settings import PoolCommand, PoolSettings
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder
from engine.telemetry.sampling import Sampler

POOL = "soak"
LANES = 64
"""Callers at once."""
QUEUE_LIMIT = 96
FLOOD_SHARE, FLOOD = 0.0002, 128
"""This share of a caller's turns is a flood: so many commands at once; the queue takes fewer."""
KILL_SECONDS = 0.5
"""Between two kills from outside, on average."""
SAMPLES = 40
"""Measurements of memory over the run; the first quarter is warming up."""
GROWTH = 0.05
"""Memory may grow by this share from the second quarter to the last."""
RING = 4_096
"""Rows of the hub, traces of the sampler: full early, or that they fill would look like a leak."""
SHOWN = 20
"""Lines of what is wrong that are printed."""
END_SECONDS = 30.0
"""How long the pool's processes may take to be gone."""


class Turn(NamedTuple):
    """What a caller may do next, and how often it does."""

    share: float
    tool: str
    deadline: float = 0.0
    cancel: bool = False


TURNS = (
    Turn(900.0, "noop"),
    Turn(70.0, "add"),
    Turn(10.0, "fail"),
    Turn(8.0, "noop", cancel=True),
    Turn(6.0, "large"),
    Turn(2.0, "leak"),
    Turn(2.0, "flood"),
    Turn(1.0, "wait", cancel=True),
    Turn(0.5, "wait", deadline=0.02),
    Turn(0.5, "die"),
)


@dataclass(slots=True)
class Findings:
    """What was seen."""

    heard: Counter[str] = field(default_factory=Counter[str])
    wrong: list[str] = field(default_factory=list[str])
    rss: list[int] = field(default_factory=list[int])
    descriptors: list[int] = field(default_factory=list[int])
    kills: int = 0


async def soak(commands: int, *, workers: int, seed: int) -> list[str]:
    """Runs it; returns what is wrong, as lines."""
    chance = random.Random(seed)
    found = Findings()
    began = time.monotonic()
    asyncio.get_running_loop().set_exception_handler(
        lambda _loop, context: found.wrong.append(
            f"{context['message']}: {context.get('exception')!r}"
        )
    )
    async with _pools(workers) as pools:
        before = {child.pid for child in psutil.Process().children(recursive=True)}
        assert before, "no worker runs"
        left = count()
        killer = asyncio.get_running_loop().create_task(_kill(pools, chance, found), name="killer")
        try:
            async with asyncio.TaskGroup() as lanes:
                for number in range(LANES):
                    lanes.create_task(
                        _lane(pools, left, commands, random.Random(f"{seed}/{number}"), found),
                        name=f"lane {number}",
                    )
        finally:
            killer.cancel()
        counts = pools.counts(POOL)
        children = psutil.Process().children(recursive=True)
    _, alive = psutil.wait_procs(children, timeout=END_SECONDS)
    seconds = time.monotonic() - began
    print(
        f"{sum(found.heard.values()):,} commands in {seconds:,.0f} s"
        f" ({sum(found.heard.values()) / seconds:,.0f}/s), {found.kills} kills from outside"
    )
    print(", ".join(f"{name} {number:,}" for name, number in sorted(found.heard.items())))
    print(f"memory {_mib(found.rss[0])} → {_mib(found.rss[-1])}, {counts}")
    return [*found.wrong, *_judged(found, counts, alive)]


def _judged(found: Findings, counts: object, alive: list[psutil.Process]) -> list[str]:
    heard = found.heard
    expected = {
        "submitted": sum(heard.values()),
        "done": heard["done"],
        "cancelled": heard["cancelled"],
        "rejected": heard["rejected"],
        "failed": heard["raised"] + heard["lost"] + heard["late"],
    }
    wrong = [
        f"{name}: callers heard {number}, the pool counted {getattr(counts, name)}"
        for name, number in expected.items()
        if getattr(counts, name) != number
    ]
    quarter = max(len(found.rss) // 4, 1)
    for what, series in (("memory", found.rss), ("descriptors", found.descriptors)):
        early = max(series[quarter : 2 * quarter] or series)
        late = max(series[-quarter:])
        if late > early * (1 + GROWTH):
            wrong.append(f"{what} grew from {early:,} to {late:,}")
    wrong += [f"process {each.pid} is left over: {each.cmdline()}" for each in alive]
    return wrong


async def _lane(
    pools: Pools, left: count[int], commands: int, chance: random.Random, found: Findings
) -> None:
    every = max(commands // SAMPLES, 1)
    while (number := next(left)) < commands:
        if number % every == 0:
            gc.collect()
            me = psutil.Process()
            found.rss.append(me.memory_info().rss)
            found.descriptors.append(me.num_fds())
            print(f"{number:,} of {commands:,}, {_mib(found.rss[-1])}", flush=True)
        names = [f"c{number}"]
        if chance.random() < FLOOD_SHARE:
            names += [f"c{number}-{more}" for more in range(FLOOD)]
        for outcome in await asyncio.gather(*(_one(pools, each, chance, found) for each in names)):
            found.heard[outcome] += 1


async def _one(pools: Pools, name: str, chance: random.Random, found: Findings) -> str:
    tool_name, arguments, deadline, cancel = _drawn(chance)
    command = PoolCommand(
        id=name,
        pool=POOL,
        tool=tool_name,
        arguments=msgpack.packb(arguments),
        deadline_seconds=deadline,
    )
    if cancel:
        asyncio.get_running_loop().call_later(chance.random() * 0.01, pools.cancel, name)
    try:
        result = await pools.submit(command)
    except CitadelError as error:
        return _outcome(error, found)
    if tool_name == "add":
        value = msgpack.unpackb(result.value)
        if value != arguments["a"] + arguments["b"]:
            found.wrong.append(f"command {name} got the answer of another: {value}")
    return "done"


def _drawn(chance: random.Random) -> tuple[str, dict[str, object], float, bool]:
    """A tool, its arguments, a deadline, and whether it is cancelled."""
    (turn,) = chance.choices(TURNS, [turn.share for turn in TURNS])
    arguments: dict[str, object] = {}
    match turn.tool:
        case "add":
            arguments = {"a": chance.randrange(10**6), "b": chance.randrange(10**6)}
        case "leak":
            arguments = {"size": 1 << 16}
        case "flood":
            arguments = {"lines": 20}
        case "large":
            arguments = {"data": chance.randbytes(chance.choice((1 << 10, 1 << 16, 1 << 19)))}
    return turn.tool, arguments, turn.deadline, turn.cancel


def _outcome(error: CitadelError, found: Findings) -> str:
    match error:
        case QueueFull():
            return "rejected"
        case Cancelled():
            return "cancelled"
        case DeadlineExceeded():
            return "late"
        case WorkerLost():
            return "lost"
        case CommandFailed():
            return "raised"
        case _:
            found.wrong.append(f"unexpected {type(error).__name__}: {error}")
            return "raised"


async def _kill(pools: Pools, chance: random.Random, found: Findings) -> None:
    """Kills a worker now and then, as the kernel would."""
    while True:
        await asyncio.sleep(chance.expovariate(1 / KILL_SECONDS))
        workers = [each for each in pools.status()[0].workers if each.state in ("ready", "busy")]
        if workers:
            with suppress(ProcessLookupError):
                os.kill(chance.choice(workers).pid, signal.SIGKILL)
                found.kills += 1


@asynccontextmanager
async def _pools(workers: int) -> AsyncIterator[Pools]:
    hub = LiveHub("soak", ring=RING)
    sampler = Sampler((SamplingRule(id="some", rate=0.01),), remembered=RING)
    recorder = Recorder(sampler, publish=hub.publish)
    settings = PoolSettings(
        name=POOL,
        adapter="benchmarks.rough:Rough",
        size=workers,
        queue_limit=QUEUE_LIMIT,
        grace_seconds=0.5,
        recycle=RecycleOptions(rss_bytes=200 << 20),
        # Every command here may kill its worker or run late: neither is to be kept out.
        resilience=ResilienceOptions(breaker_share=0, poison_kills=0),
    )
    pools = Pools([settings], recorder, hub)

    async def drain() -> None:
        while True:
            recorder.drain()
            await asyncio.sleep(0.016)

    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(pools.run(), name="pools"), loop.create_task(drain(), name="drain")]
    await pools.ready()
    try:
        yield pools
    finally:
        for task in reversed(tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"


def main() -> int:
    """Runs it from the shell; exits with 1 when something is wrong."""
    parser = argparse.ArgumentParser(prog="poe soak", description=__doc__)
    parser.add_argument("--commands", type=int, default=10_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    wrong = asyncio.run(soak(options.commands, workers=options.workers, seed=options.seed))
    for line in wrong[:SHOWN]:
        print(f"WRONG: {line}")
    print("all as it should be" if not wrong else f"{len(wrong)} things are wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

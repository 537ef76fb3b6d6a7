"""What an item of a tool's stream costs, against a bare multiprocessing.Pipe.

Ours is the in-process API on an asyncio loop, with credit and cancellation; the pipe's other end is
a loop that sends each item as it is made, and ours a loop of blocking receives. Both unpack each.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack, aclosing, suppress
from itertools import count
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from benchmarks.harness import Ratio, interleaved
from benchmarks.piped import piped
from citadel import values
from citadel.adapter import Adapter, tool
from citadel.wire.messages import SamplingRule
from engine.pool.pools import Pools
from engine.pool.settings import PoolCommand, PoolSettings
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder
from engine.telemetry.sampling import Sampler

MIB_ITEMS = 2**20 // 8
_ids = count(1)


def _numbers(upto: int) -> Iterator[int]:
    yield from range(upto)


def _arrays(upto: int) -> Iterator[np.ndarray]:
    for number in range(upto):
        yield np.full(MIB_ITEMS, float(number))


class Streams(Adapter):
    """The same as a pool's tools."""

    @tool
    def numbers(self, upto: int) -> Iterator[int]:
        """Small items."""
        return _numbers(upto)

    @tool
    def arrays(self, upto: int) -> Iterator[Any]:
        """Items of a MiB."""
        return _arrays(upto)


def run() -> list[Ratio]:
    """What an item costs, in µs."""
    rows: list[Ratio] = []
    with ExitStack() as stack:
        pipe = stack.enter_context(piped(_serve))  # forked before there is a loop
        runner = stack.enter_context(asyncio.Runner())
        pools, running = runner.run(_start())
        for tool_, what, items in (
            ("numbers", "stream of numbers, an item", 20_000),
            ("arrays", "stream of numpy arrays of 1 MiB, an item", 200),
        ):
            row = interleaved(
                lambda tool_=tool_, items=items: runner.run(_streamed(pools, tool_, items)),
                lambda tool_=tool_, items=items: _received(pipe, tool_, items),
                name=what,
                peer_name="multiprocessing.Pipe",
                unit="µs",
            )
            rows.append(row)
        runner.run(_stop(running))
    return rows


async def _start() -> tuple[Pools, asyncio.Task[None]]:
    hub = LiveHub("bench")
    recorder = Recorder(Sampler((SamplingRule(id="all", rate=0.0),)), publish=hub.publish)
    settings = PoolSettings(name="bench", adapter="benchmarks.pool_streams:Streams", size=1)
    pools = Pools([settings], recorder, hub)
    running = asyncio.get_running_loop().create_task(pools.run(), name="pools")
    await pools.ready()
    return pools, running


async def _stop(running: asyncio.Task[None]) -> None:
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def _streamed(pools: Pools, tool_: str, items: int) -> float:
    arguments = values.pack({"upto": items})
    command = PoolCommand(id=f"s{next(_ids)}", pool="bench", tool=tool_, arguments=arguments)
    # Who wants arrays takes them where they lie; who wants numbers wants bytes.
    stream = pools.stream(command) if tool_ == "numbers" else pools.stream_parts(command)
    began, found = time.perf_counter(), 0
    async with aclosing(stream):
        async for each in stream:
            if isinstance(each, bytes):
                found += values.unpack(each) == found
            elif isinstance(each, values.Parcel):
                found += each.unpacked()[0] == found
    assert found == items
    return (time.perf_counter() - began) / items * 1e6


def _serve(pipe: Connection) -> None:
    tools = {"numbers": _numbers, "arrays": _arrays}
    while True:
        name, upto = pipe.recv()
        for each in tools[name](upto):
            pipe.send(each)


def _received(pipe: Connection, tool_: str, items: int) -> float:
    began = time.perf_counter()
    pipe.send((tool_, items))
    for number in range(items):
        found = pipe.recv()
        assert (found if tool_ == "numbers" else found[0]) == number
    return (time.perf_counter() - began) / items * 1e6

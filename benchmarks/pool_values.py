"""Large values to a worker and back, against ProcessPoolExecutor and multiprocessing.Pipe.

Both sides run the same tool on the same data: the worker touches each page of what it is given, or
gives what it has made. Ours is the in-process API on one asyncio loop; the executor has two workers
too, and its rows have four calls in flight. "Packed by its caller" is for those who know of no
shared memory: msgpack in, msgpack out; the row before it leaves bytes apart, as arrays are.

The pipe's rows are one call at a time, its two ends used by plain blocking calls; or eight in
flight, over as many pipes and processes as we have workers, a thread for each pipe, which is always
four questions ahead of the answers. Arrays go through a pipe as its `send` sends them, which is
what the bar is for; and, in rows of their own, as raw bytes that the other end makes an array of:
the fastest that a pipe can be. What is copied:

- copied in: the caller's array is its own, and each call copies it into the pool's slab once;
- made in place: the array was made in a lease, so no call copies it;
- copied out: the tool's array is its own, and each call copies it into its worker's slab once;
- made in place by the tool: it is `values.empty`, and no call copies it. It is filled in each call.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from itertools import count
from multiprocessing.connection import Connection
from typing import Any, Self

import numpy as np

from benchmarks.harness import Ratio, cost_of_calls, interleaved
from benchmarks.piped import piped
from citadel import values
from citadel.adapter import Adapter, tool
from citadel.wire.messages import SamplingRule
from engine.pool.options import MemoryOptions
from engine.pool.pools import Pools
from engine.pool.settings import PoolCommand, PoolSettings
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder
from engine.telemetry.sampling import Sampler

WORKERS = 2
IN_FLIGHT = 4
CROWD = 8
"""Arrays in flight where there are several."""
MIB = 2**20
PAGE_ITEMS = 4096 // 8
THRESHOLD = 16 * 1024
"""What the caller leaves apart; the pool's own threshold says what goes through its slab."""


def touched(value: np.ndarray) -> float:
    """The sum of one item of each page."""
    return float(value[::PAGE_ITEMS].sum())


def made(count_: int) -> np.ndarray:
    """An array of an executor's or a pipe's worker."""
    array = np.empty(count_)
    array.fill(1.0)
    return array


def echo(value: bytes) -> bytes:
    """What came."""
    return value


class Values(Adapter):
    """The same as a pool's tools."""

    @tool
    def echo(self, value: bytes) -> bytes:
        """What came."""
        return value

    @tool
    def touched(self, value: Any) -> float:
        """The sum of one item of each page."""
        return touched(value)

    @tool
    def made(self, items: int) -> Any:
        """An array of the tool's own."""
        return made(items)

    @tool
    def made_in_place(self, items: int) -> Any:
        """An array that is not copied."""
        array = values.empty(items)
        array.fill(1.0)
        return array


def run() -> list[Ratio]:
    """What a call costs, in ms."""
    with asyncio.Runner() as runner, _Ours(runner) as ours:
        rows = [*_bytes_rows(runner, ours), *_array_rows(runner, ours)]
        return [*rows, *_crowded_rows(runner, ours)]


def _bytes_rows(runner: asyncio.Runner, ours: _Ours) -> Iterator[Ratio]:
    executor = ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("fork"))
    loop = runner.get_loop()
    with executor:
        for size, what, calls, bar in (
            (16 * 1024, "16 KiB of bytes there and back", 2000, ""),
            (64 * 1024, "64 KiB of bytes there and back", 1000, ""),
            (MIB, "1 MiB of bytes there and back", 200, "≤ 0.5, stretch 0.2"),
            (MIB, "1 MiB of bytes there and back, packed by its caller", 200, ""),
        ):
            call = ours.call if "MiB" in what and "packed" not in what else ours.ordinary_call
            data = bytes(range(256)) * (size // 256)

            async def peer(data: bytes = data) -> None:
                assert await loop.run_in_executor(executor, echo, data) == data

            async def mine(data: bytes = data, call: Callable[..., Any] = call) -> None:
                assert await call("echo", value=data) == data

            yield interleaved(
                lambda mine=mine, calls=calls: runner.run(_timed(mine, calls)),
                lambda peer=peer, calls=calls: runner.run(_timed(peer, calls)),
                name=f"{what}, {IN_FLIGHT} in flight",
                peer_name="ProcessPoolExecutor",
                unit="ms",
                bar=bar,
            )


def _array_rows(runner: asyncio.Runner, ours: _Ours) -> Iterator[Ratio]:
    with piped(_serve) as ask:
        for size, what, calls, bar in (
            (MIB, "1 MiB", 100, "≤ 0.167, stretch 0.083"),
            (64 * MIB, "64 MiB", 4, "≤ 0.04, stretch 0.017"),
        ):
            items = size // 8
            own = made(items)
            leased = ours.lease(size).array("<f8", items)
            leased[:] = own
            for how, mine, theirs, fits in ours.ways(own, leased):
                yield interleaved(
                    lambda mine=mine, calls=calls: runner.run(_timed(mine, calls, lanes=1)),
                    lambda theirs=theirs, fits=fits, calls=calls: _asked(ask, theirs, fits, calls),
                    name=f"numpy {what}, {how}",
                    peer_name="multiprocessing.Pipe",
                    unit="ms",
                    bar=bar,
                )


def _crowded_rows(runner: asyncio.Runner, ours: _Ours) -> Iterator[Ratio]:
    """Arrays of 1 MiB, several in flight on both sides."""
    items, calls = MIB // 8, 2_000
    own = made(items)
    leased = ours.lease(MIB).array("<f8", items)
    leased[:] = own
    for serve, ahead, peer_name, bar in (
        (_serve, _sent_ahead, f"{WORKERS} multiprocessing.Pipe", "≤ 0.167, stretch 0.083"),
        (_serve_raw, _asked_ahead, f"{WORKERS} pipes, raw bytes", ""),
    ):
        with ExitStack() as stack:
            pipes = [stack.enter_context(piped(serve)) for _ in range(WORKERS)]
            threads = stack.enter_context(ThreadPoolExecutor(WORKERS))
            for how, mine, theirs, fits in ours.ways(own, leased):
                asks = partial(ahead, question=theirs, fits=fits, calls=calls // WORKERS)

                def peer(
                    ask: Callable[[Connection], None] = asks,
                    pipes: list[Connection] = pipes,
                    threads: ThreadPoolExecutor = threads,
                ) -> float:
                    began = time.perf_counter()
                    list(threads.map(ask, pipes))
                    return (time.perf_counter() - began) / calls * 1e3

                yield interleaved(
                    lambda mine=mine: runner.run(_timed(mine, calls, lanes=CROWD)),
                    peer,
                    name=f"numpy 1 MiB, {how}, {CROWD} in flight",
                    peer_name=peer_name,
                    unit="ms",
                    bar=bar,
                )


_Way = tuple[str, Callable[[], Awaitable[None]], tuple[str, Any], Callable[[Any], bool]]
"""How an array goes, a call of ours, what a pipe is asked for the same, and what answers fit."""


class _Ours:
    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._ids = count()

    def __enter__(self) -> Self:
        self._runner.run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._stop())

    def lease(self, nbytes: int) -> Any:
        """Memory of the pool."""
        return self._pools.lease("bench", nbytes)

    async def call(self, name: str, **arguments: Any) -> Any:
        """Runs a tool; arrays are not copied on their way back."""
        parcel = values.pack_parts(arguments, THRESHOLD)
        command = PoolCommand(
            id=f"c{next(self._ids)}",
            pool="bench",
            tool=name,
            arguments=b"".join(parcel.head),
            buffers=parcel.buffers,
            parts=True,
        )
        return (await self._pools.submit_parts(command)).parcel.unpacked()

    def ways(self, own: np.ndarray, leased: np.ndarray) -> Iterator[_Way]:
        """The ways that an array can go: one that is the caller's own, and its like in a lease."""
        wanted, items = touched(own), len(own)
        for how, name, arguments in (
            ("copied in", "touched", {"value": own}),
            ("made in place", "touched", {"value": leased}),
            ("copied out", "made", {"items": items}),
            ("made in place by the tool", "made_in_place", {"items": items}),
        ):
            out = "items" in arguments

            def fits(found: Any, *, out: bool = out) -> bool:
                return len(found) == items if out else float(found) == wanted

            async def mine(
                name: str = name,
                arguments: dict[str, Any] = arguments,
                fits: Callable[[Any], bool] = fits,
            ) -> None:
                assert fits(await self.call(name, **arguments))

            yield how, mine, ("made", items) if out else ("touched", own), fits

    async def ordinary_call(self, name: str, **arguments: Any) -> Any:
        """Runs a tool as those do who know of no shared memory: bytes in, bytes out."""
        packed = values.pack(arguments)
        command = PoolCommand(id=f"c{next(self._ids)}", pool="bench", tool=name, arguments=packed)
        return values.unpack((await self._pools.submit(command)).value)

    async def _start(self) -> None:
        hub = LiveHub("bench")
        recorder = Recorder(Sampler((SamplingRule(id="all", rate=0.0),)), publish=hub.publish)
        settings = PoolSettings(
            name="bench",
            adapter="benchmarks.pool_values:Values",
            size=WORKERS,
            memory=MemoryOptions(slab_bytes=512 * MIB),
        )
        self._pools = Pools([settings], recorder, hub)
        loop = asyncio.get_running_loop()
        self._running = loop.create_task(self._pools.run(), name="pools")
        await self._pools.ready()

    async def _stop(self) -> None:
        self._running.cancel()
        with suppress(asyncio.CancelledError):
            await self._running


async def _timed(call: Callable[[], Awaitable[None]], calls: int, lanes: int = IN_FLIGHT) -> float:
    return await cost_of_calls(call, calls, lanes) * 1e3


def _serve(pipe: Connection) -> None:
    tools = {"touched": touched, "made": made}
    while True:
        name, argument = pipe.recv()
        pipe.send(tools[name](argument))


def _serve_raw(pipe: Connection) -> None:
    """Sums what is large; makes what is asked for by a small number. Raw bytes both ways."""
    while True:
        asked = pipe.recv_bytes()
        if len(asked) > MIB // 2:
            pipe.send_bytes(repr(touched(np.frombuffer(asked))).encode())
        else:
            pipe.send_bytes(made(int(asked)).data.cast("B"))


def _asked_ahead(
    pipe: Connection, question: tuple[str, Any], fits: Callable[[Any], bool], calls: int
) -> None:
    """Asks so often in raw bytes, some questions ahead of the answers; one of the two is small."""
    name, argument = question
    out = name == "made"
    data = str(argument).encode() if out else argument.data.cast("B")
    for _ in _ahead(calls, lambda: pipe.send_bytes(data)):
        found = pipe.recv_bytes()
        assert fits(np.frombuffer(found) if out else found)


def _sent_ahead(
    pipe: Connection, question: tuple[str, Any], fits: Callable[[Any], bool], calls: int
) -> None:
    """Asks so often as a pipe sends objects, some questions ahead of the answers."""
    for _ in _ahead(calls, lambda: pipe.send(question)):
        assert fits(pipe.recv())


def _ahead(calls: int, ask: Callable[[], None]) -> Iterator[int]:
    """Before each answer is taken, so many questions have been asked."""
    sent = 0
    for answered in range(calls):
        while sent < min(calls, answered + CROWD // WORKERS):
            ask()
            sent += 1
        yield answered


def _asked(
    pipe: Connection, question: tuple[str, Any], fits: Callable[[Any], bool], calls: int
) -> float:
    began = time.perf_counter()
    for _ in range(calls):
        pipe.send(question)
        assert fits(pipe.recv())
    return (time.perf_counter() - began) / calls * 1e3

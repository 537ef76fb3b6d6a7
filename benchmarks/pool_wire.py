"""No-op calls through gRPC, 64 in flight: one call a request, and many over one stream.

The engine is a process of its own with two workers, as in use; the client is in this process. The
peers are called from the same loop: a bare grpc.aio echo in a child process, which is sent what our
command has on the wire, and concurrent.futures.ProcessPoolExecutor with two workers. Traces are
sampled out, metrics are on. The CPU row counts all processes of either side: it holds on a machine
that others use too.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import grpc.aio
import psutil

from benchmarks.grpc_echo import PATH
from benchmarks.harness import Ratio, cost_of_calls, interleaved
from benchmarks.pool_calls import NO_ARGUMENTS, noop
from citadel.client.batch import Batch
from citadel.client.client import Client, connect
from citadel.client.local import LocalEngine
from citadel.wire import codec
from citadel.wire.messages import Command

ROOT = Path(__file__).parents[1]
WORKERS = 2
IN_FLIGHT = 64
CALLS = 4_000
POOL = "bench"
SETTINGS = f"""
[telemetry]
sample_rate = 0.0

[[pools]]
name = "{POOL}"
adapter = "benchmarks.pool_calls:Nothing"
size = {WORKERS}
"""
COMMAND = Command(pool=POOL, tool="noop", arguments=NO_ARGUMENTS)

Call = Callable[[], Awaitable[object]]


def run() -> list[Ratio]:
    """What a call costs, in µs."""
    with asyncio.Runner() as runner, _bare() as port, _executor() as executor:
        stack = AsyncExitStack()
        client, batch = runner.run(_open(stack))
        channel = runner.run(_channel(port))
        stub, data = channel.unary_unary(PATH), codec.encode(COMMAND)
        loop = runner.get_loop()

        async def unary() -> None:
            await client.pools.run(COMMAND)

        async def batched() -> None:
            await batch.call("noop")

        async def echo() -> None:
            await stub(data)

        async def execute() -> None:
            await loop.run_in_executor(executor, noop)

        def row(name: str, ours: Call, peer: Call, peer_name: str, bar: str, cost: Cost) -> Ratio:
            return interleaved(
                lambda: runner.run(_timed(ours, cost)),
                lambda: runner.run(_timed(peer, cost)),
                name=f"{name}, {IN_FLIGHT} in flight",
                peer_name=peer_name,
                unit="µs",
                bar=bar,
            )

        bare, pool = "bare grpc.aio echo", "ProcessPoolExecutor"
        try:
            return [
                row("no-op through gRPC unary", unary, echo, bare, "≤ 1.33, stretch 1", _wall),
                row("the same, CPU time of all processes", unary, echo, bare, "", _cpu),
                row("no-op in a batch", batched, execute, pool, "≤ 1, stretch 0.33", _wall),
                row("the same, CPU time of all processes", batched, execute, pool, "", _cpu),
            ]
        finally:
            runner.run(channel.close())
            runner.run(stack.aclose())


async def _channel(port: int) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(f"127.0.0.1:{port}")


async def _open(stack: AsyncExitStack) -> tuple[Client, Batch]:
    """A client of an engine of its own, and an open batch."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="citadel-bench-")))
    (folder / "engine.toml").write_text(SETTINGS, encoding="utf-8")
    arguments = ["--config", str(folder / "engine.toml"), "--metrics", "127.0.0.1:0"]
    engine = await stack.enter_async_context(
        LocalEngine(arguments, data_dir=folder / "data", environment={"PYTHONPATH": str(ROOT)})
    )
    client = await stack.enter_async_context(connect(engine.address, token=engine.token))
    return client, await stack.enter_async_context(client.pools.batch(POOL))


async def _timed(call: Call, cost: Cost) -> float:
    return await cost_of_calls(call, CALLS, IN_FLIGHT, cost) * 1e6


Cost = Callable[[], float]


def _wall() -> float:
    return time.perf_counter()


def _cpu() -> float:
    """Seconds of CPU that this process and all below it have used so far."""
    children = psutil.Process(os.getpid()).children(recursive=True)
    return time.process_time() + sum(sum(each.cpu_times()[:2]) for each in children)


@contextmanager
def _bare() -> Iterator[int]:
    """The port of a bare echo in a child process."""
    command = [sys.executable, "-m", "benchmarks.grpc_echo"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as echo:
        assert echo.stdin
        assert echo.stdout
        yield int(echo.stdout.readline())
        echo.stdin.close()


@contextmanager
def _executor() -> Iterator[ProcessPoolExecutor]:
    """Its workers are forked at once, before gRPC has threads."""
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(WORKERS, mp_context=context) as executor:
        for future in [executor.submit(noop) for _ in range(WORKERS)]:
            future.result()
        yield executor

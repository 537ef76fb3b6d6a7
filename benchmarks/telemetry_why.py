"""Why a trace is missing, against looking one up by its id: at a million dropped traces.

Both run on the loop as the engine has them: the store's reader and the log's search in a thread.
The cost is the 99th percentile of a round.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.harness import Ratio, interleaved
from citadel.wire.messages import SamplingRule
from engine.telemetry.decisions import DecisionLog
from engine.telemetry.recorder import Recorder
from engine.telemetry.sampling import Sampler
from engine.telemetry.store import SpanStore
from engine.telemetry.why import Evidence, explain

DROPPED = 1_000_000
STORED = 20_000
SPANS_OF_TRACE = 5
LOOKUPS = 400
CHUNK = 10_000


def run(rounds: int = 9) -> list[Ratio]:
    """One row."""
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        log, store = DecisionLog(Path(folder) / "decisions"), SpanStore(Path(folder) / "spans")
        ids = random.Random(7)
        dropped = runner.run(_drop(log))
        stored = runner.run(_keep(store))

        async def why() -> None:
            trace_id = ids.choice(dropped)
            decisions = await asyncio.to_thread(log.of, trace_id)
            found = explain(Evidence(trace_id=trace_id, decisions=decisions, stored=0))
            assert (found.fate, found.rule_id) == ("dropped", "none")

        async def get() -> None:
            rows, _ = await store.get(ids.choice(stored))
            assert len(rows) == SPANS_OF_TRACE

        row = interleaved(
            lambda: runner.run(_p99(why)),
            lambda: runner.run(_p99(get)),
            name=f"why() at {DROPPED:,} dropped traces, p99",
            peer_name="a trace by its id",
            unit="s",
            rounds=rounds,
            bar="≤ 10, stretch 2",
        )
        log.close()
        store.close()
    return [row]


async def _p99(ask: Callable[[], Awaitable[None]]) -> float:
    took: list[float] = []
    for _ in range(LOOKUPS):
        began = time.perf_counter()
        await ask()
        took.append(time.perf_counter() - began)
    return sorted(took)[round(0.99 * LOOKUPS) - 1]


async def _drop(log: DecisionLog) -> list[int]:
    recorder = Recorder(Sampler([SamplingRule(id="none", rate=0.0)]))
    recorder.log_decisions(log.write)
    ids: list[int] = []
    for _ in range(DROPPED // CHUNK):
        for _ in range(CHUNK):
            span = recorder.span("step", root=True)
            span.end()
            ids.append(span.trace_id)
        recorder.drain()
        await log.flush()
    return ids


async def _keep(store: SpanStore) -> list[int]:
    recorder = Recorder(Sampler([SamplingRule(id="all", rate=1.0)]))
    recorder.sinks.append(store.write)
    ids: list[int] = []
    for _ in range(STORED):
        with recorder.span("root", root=True) as span:
            for _ in range(SPANS_OF_TRACE - 1):
                recorder.span("child").end()
        ids.append(span.trace_id)
        if len(ids) % 200 == 0:
            recorder.drain()
            await store.flush()
    return ids

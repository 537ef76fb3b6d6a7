"""What a pool's telemetry costs: no-op calls with it, against the same pool without.

Ours traces at 0 % and counts as an engine does. The peers are the same code with a recorder that
starts no spans, or that counts and times nothing. 64 calls are in flight; two workers.
"""

# ruff: noqa: ARG002, D102 - methods that do nothing, in the place of those that do
from __future__ import annotations

import asyncio
from typing import Any, Self

from benchmarks.harness import Ratio, interleaved
from benchmarks.pool_calls import IN_FLIGHT, PoolUnderTest, timed, wall
from engine.telemetry.counter import Counter
from engine.telemetry.histogram import Histogram
from engine.telemetry.recorder import Recorder
from engine.telemetry.span import Span
from engine.telemetry.starting import Starter

ROUNDS = 61
"""The differences are small, and rounds swing."""


class _NoSpan(Span):
    """Stands for every span there is."""

    __slots__ = ()
    sampled = recording = False  # type: ignore[assignment]
    trace_id = span_id = 0  # type: ignore[assignment]
    mission = mission_class = sentinel = ""  # type: ignore[assignment]

    def __init__(self) -> None:  # nothing is recorded
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def end(self, end_ns: int | None = None) -> None: ...

    def error(self, error: BaseException | str) -> None: ...


class _NoCounter(Counter):
    def __init__(self) -> None:  # nothing is counted
        pass

    def add(self, amount: float = 1.0) -> None: ...


class _NoHistogram(Histogram):
    def record(self, seconds: float) -> None: ...


_NO_SPAN, _NO_COUNTER, _NO_HISTOGRAM = _NoSpan(), _NoCounter(), _NoHistogram()


class WithoutTracing(Recorder):
    """Starts no spans."""

    def span(self, name: str, **_: Any) -> Span:
        return _NO_SPAN

    def starter(self, prefix: str, **_: Any) -> Starter:
        return lambda *_: _NO_SPAN


class WithoutMetrics(Recorder):
    """Counts and times nothing."""

    def counter(self, name: str, **_: str) -> Counter:
        return _NO_COUNTER

    def duration(self, name: str, subject: str = "") -> Histogram:
        return _NO_HISTOGRAM


def run() -> list[Ratio]:
    """What a call costs with and without, in µs."""
    rows: list[Ratio] = []
    with asyncio.Runner() as runner, PoolUnderTest(runner, 0.0) as ours:
        for peer, name, bar in (
            (WithoutTracing, "tracing at 0 %", "≤ 1.05"),
            (WithoutMetrics, "metrics on", "≤ 1.1"),
        ):
            with PoolUnderTest(runner, 0.0, recorder=peer) as without:
                rows.append(
                    interleaved(
                        lambda: runner.run(timed(ours.call, wall)),
                        lambda without=without: runner.run(timed(without.call, wall)),
                        name=f"no-op call, {IN_FLIGHT} in flight, {name}",
                        peer_name="our pool without",
                        unit="µs",
                        rounds=ROUNDS,
                        bar=bar,
                    )
                )
    return rows

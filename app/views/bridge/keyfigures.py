"""Which figures the Bridge leads with, where each comes from, and how it is written. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app import figures
from app.models.latency import LatencyHistory
from app.models.series import SeriesHistory
from app.store import FleetStore
from app.views.bridge.kpi import Kpi
from app.views.bridge.lines import Line, Source
from app.views.bridge.timeaxis import TimeAxis
from citadel.vocabulary import CHANNELS

COMMAND = "citadel.command.duration"
REQUESTS = "citadel.guard.requests"
Values = NDArray[np.float64]


def key_figures(store: FleetStore, axis: TimeAxis) -> list[Kpi]:
    """The tiles, from left to right."""
    series, latency = store.series, store.latency
    hint = "of the run time of commands in a worker, exact"
    blocked = [f"{REQUESTS}.{channel}.block" for channel in CHANNELS]

    def total(values: Values) -> str:
        return figures.count(round(float(values.sum()) * axis.seconds / max(len(values), 1)))

    def rate_of(*names: str) -> str:
        return _rate(_sum(series, *names)(axis.start_ns, axis.end_ns, axis.seconds))

    return [
        Kpi(
            "Commands",
            "series.1",
            _sum(series, "citadel.commands"),
            _rate,
            "Commands that ended, a second",
            lambda: f"{figures.count(store.counter('citadel.commands'))} in all",
        ),
        Kpi("Median", "series.3", _percentile(latency, 0.5), _seconds, f"p50 {hint}"),
        Kpi("p99", "series.6", _percentile(latency, 0.99), _seconds, f"p99 {hint}"),
        Kpi(
            "Queued",
            "series.2",
            lambda start, end, columns: series.peaks("pool.queued", start, end, columns),
            lambda values: figures.count(float(values[-1])),
            "Commands that wait for a worker",
            lambda: f"{sum(pool['running'] for pool in store.pools.values())} running",
        ),
        Kpi(
            "Failed",
            "decision.block",
            _sum(series, "pool.failed"),
            _rate,
            "Commands that failed, a second",
            lambda: f"{sum(pool['failed'] for pool in store.pools.values()):,} in all",
        ),
        Kpi(
            "Blocked",
            "series.4",
            _sum(series, *blocked),
            total,
            "Requests that the guards blocked in the stretch shown",
            lambda: f"{rate_of(REQUESTS)} checked",
        ),
        Kpi(
            "Spans",
            "series.7",
            _sum(series, "citadel.spans.kept"),
            _rate,
            "Spans that the sampling policy kept, a second",
            lambda: f"{rate_of('citadel.spans.dropped')} dropped",
        ),
    ]


def throughput(store: FleetStore) -> list[Line]:
    """Commands that ended, a second."""
    series = store.series
    return [
        Line("done", "series.1", _sum(series, "pool.done"), "/s", filled=True),
        Line("failed", "series.6", _sum(series, "pool.failed"), "/s"),
    ]


def queue_depth(store: FleetStore) -> list[Line]:
    """Commands that wait and run: the most in each column, so that no peak is missed."""
    series = store.series
    waiting: Source = lambda start, end, n: series.peaks("pool.queued", start, end, n)  # noqa: E731 - typed
    running: Source = lambda start, end, n: series.peaks("pool.running", start, end, n)  # noqa: E731 - typed
    return [
        Line("waiting", "series.2", waiting, filled=True, stepped=True),
        Line("running", "series.3", running, stepped=True),
    ]


def _sum(series: SeriesHistory, *prefixes: str) -> Source:
    def values(start: int, end: int, columns: int) -> Values:
        rates = [series.rates(prefix, start, end, columns) for prefix in prefixes]
        return np.asarray(np.sum(rates, axis=0), np.float64)

    return values


def _percentile(latency: LatencyHistory, share: float) -> Source:
    return lambda start, end, columns: latency.percentiles(COMMAND, start, end, columns, [share])[0]


def _seconds(values: Values) -> str:
    known = values[~np.isnan(values)]
    return figures.seconds(float(known[-1])) if len(known) else "–"


def _rate(values: Values) -> str:
    """Of the last whole columns: the newest one is still filling up."""
    return figures.rate(float(values[-4:-1].mean())) if len(values) else "–"

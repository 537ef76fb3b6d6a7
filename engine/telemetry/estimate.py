"""Counts and quantiles of all spans, told from those of the traces that were sampled. Pure.

Traces are kept or not, each on its own and whole, so a trace that stands for w traces adds w times
what it has (Horvitz and Thompson), and the variance is that of a Poisson sample of traces: the sum
of w (w - 1) y² over the traces kept. The interval of a quantile is the quantiles at the ends of the
interval of its rank (Woodruff, 1952). Traces that only a keep-rule kept have weight 0: they are no
part of the sample. Where everything was kept the interval is the value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959964
"""Of a normal variable, 95 % are within so many standard deviations."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate, and where the truth is in 19 cases of 20."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Spans that were kept, a value each."""

    trace: NDArray[np.int64]
    """Which trace it is of: a number from 0 on."""
    weight: NDArray[np.float64]
    """How many traces its trace stands for; of a trace it is the same everywhere."""
    seconds: NDArray[np.float64]
    error: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimates:
    """What there was."""

    traces: Interval
    spans: Interval
    errors: Interval
    quantiles: tuple[Interval, ...]
    """Of durations in seconds, in the order in which they were asked for; NaN without spans."""


def estimate(sample: Sample, quantiles: Sequence[float] = (0.5, 0.9, 0.99)) -> Estimates:
    """Estimates what the sample was taken from."""
    weights, spans, errors = _by_trace(sample)
    return Estimates(
        traces=_total(weights, np.minimum(spans, 1.0)),
        spans=_total(weights, spans),
        errors=_total(weights, errors),
        quantiles=_quantiles(sample, weights, spans, quantiles),
    )


def _by_trace(sample: Sample) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Of each trace its weight, its spans, and those with an error."""
    count = int(sample.trace.max()) + 1 if len(sample.trace) else 0
    weights = np.zeros(count)
    weights[sample.trace] = sample.weight
    spans = np.bincount(sample.trace, minlength=count).astype(float)
    errors = np.bincount(sample.trace, weights=sample.error, minlength=count)
    return weights, spans, errors


def _total(weights: NDArray[Any], values: NDArray[Any]) -> Interval:
    """The sum over all traces of a value that each kept one has."""
    total = float(weights @ values)
    margin = Z95 * math.sqrt(_variance(weights, values))
    # There were at least as many as were kept.
    seen = float(values.sum())
    return Interval(total, max(seen, total - margin), max(seen, total + margin))


def _variance(weights: NDArray[Any], values: NDArray[Any]) -> float:
    return float((weights * np.maximum(weights - 1.0, 0.0)) @ values**2)


def _quantiles(
    sample: Sample, weights: NDArray[Any], spans: NDArray[Any], wanted: Sequence[float]
) -> tuple[Interval, ...]:
    whole = float(weights @ spans)
    if whole <= 0.0:
        nothing = Interval(math.nan, math.nan, math.nan)
        return (nothing,) * len(wanted)
    counts = sample.weight > 0.0
    order = np.argsort(sample.seconds[counts], kind="stable")
    seconds = sample.seconds[counts][order]
    share = np.cumsum(sample.weight[counts][order]) / whole

    def at(rank: float) -> float:
        # The last share is 1 but for rounding.
        found = int(np.searchsorted(share, min(max(rank, 0.0), 1.0) - 1e-12))
        return float(seconds[min(found, len(seconds) - 1)])

    made: list[Interval] = []
    for q in wanted:
        value = at(q)
        below = np.bincount(
            sample.trace, weights=sample.seconds <= value, minlength=len(spans)
        ).astype(float)
        # How each trace pulls at the share of spans below the value.
        reached = float(weights @ below) / whole
        margin = Z95 * math.sqrt(_variance(weights, (below - reached * spans) / whole))
        made.append(Interval(value, at(q - margin), at(q + margin)))
    return tuple(made)

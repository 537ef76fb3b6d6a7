from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.telemetry.estimate import Estimates, Interval, Sample, estimate

QUANTILES = (0.5, 0.9, 0.99)


class Population:
    """Traces of some spans each; those of a group are sampled at its rate."""

    def __init__(self, seed: int, traces: int) -> None:
        random = np.random.default_rng(seed)
        spans = random.integers(1, 8, traces)
        self.trace = np.repeat(np.arange(traces), spans)
        rates = np.array([0.02, 0.1, 0.5, 1.0])[random.integers(0, 4, traces)]
        self.rate = rates[self.trace]
        # Spans of a trace are alike, and those of rare ones slow: naive figures are far off.
        slow = random.lognormal(0.0, 0.7, traces) / rates
        self.seconds = slow[self.trace] * random.lognormal(0.0, 0.3, len(self.trace))
        self.error = (random.random(traces) < 0.1)[self.trace]
        self.traces = traces

    def sampled(self, seed: int) -> Estimates:
        kept = np.random.default_rng(seed).random(self.traces)[self.trace] < self.rate
        _, trace = np.unique(self.trace[kept], return_inverse=True)
        return estimate(
            Sample(
                trace=trace,
                weight=(1 / self.rate[kept]).astype(np.float64),
                seconds=self.seconds[kept].astype(np.float64),
                error=self.error[kept],
            ),
            QUANTILES,
        )

    def truth(self) -> list[float]:
        return [
            self.traces,
            len(self.trace),
            self.error.sum(),
            *np.quantile(self.seconds, QUANTILES, method="inverted_cdf"),
        ]


def test_estimates_are_unbiased_and_their_intervals_cover_the_truth() -> None:
    population = Population(1, 20_000)
    runs = [population.sampled(seed) for seed in range(200)]
    told = [[each.traces, each.spans, each.errors, *each.quantiles] for each in runs]
    for number, truth in enumerate(population.truth()):
        intervals = [each[number] for each in told]
        values = np.array([each.value for each in intervals])
        # The mean of 200 is within four of its standard errors; quantiles have a little bias.
        slack = 4 * values.std() / math.sqrt(len(values)) + (0.01 * truth if number > 2 else 0)
        assert abs(values.mean() - truth) < slack, number
        covered = sum(each.low <= truth <= each.high for each in intervals) / len(intervals)
        assert 0.90 <= covered <= 0.99, number


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0.001, 100), st.booleans()), min_size=1))
def test_where_all_is_kept_it_is_exact(spans: list[tuple[int, float, bool]]) -> None:
    _, trace = np.unique([each[0] for each in spans], return_inverse=True)
    seconds = np.array([each[1] for each in spans])
    error = np.array([each[2] for each in spans])
    found = estimate(
        Sample(trace=trace, weight=np.ones(len(spans)), seconds=seconds, error=error), QUANTILES
    )
    for interval, truth in zip(
        (found.traces, found.spans, found.errors),
        (trace.max() + 1, len(spans), error.sum()),
        strict=True,
    ):
        assert interval == Interval(truth, truth, truth)
    exact = np.quantile(seconds, QUANTILES, method="inverted_cdf")
    assert [each.value for each in found.quantiles] == pytest.approx(list(exact))
    assert all(each.low == each.value == each.high for each in found.quantiles)


def test_of_nothing_there_is_nothing_and_keep_rules_count_for_none() -> None:
    nothing = np.array([], dtype=np.int64)
    empty = estimate(
        Sample(trace=nothing, weight=nothing * 1.0, seconds=nothing * 1.0, error=nothing > 0)
    )
    assert (empty.spans, empty.traces) == (Interval(0, 0, 0), Interval(0, 0, 0))
    assert all(math.isnan(each.value) for each in empty.quantiles)
    only_kept = estimate(
        Sample(
            trace=np.array([0, 0]),
            weight=np.zeros(2),
            seconds=np.ones(2),
            error=np.array([True, False]),
        )
    )
    assert only_kept.errors == Interval(0.0, 1.0, 1.0), "one was seen, whatever is estimated"
    assert math.isnan(only_kept.quantiles[0].value)

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.telemetry.histogram import (
    LARGEST_SECONDS,
    PER_OCTAVE,
    SMALLEST_SECONDS,
    Histogram,
    bucket_of,
    quantile,
    upper_bound,
)

durations = st.floats(SMALLEST_SECONDS * 1.01, LARGEST_SECONDS * 0.99)


@given(durations)
def test_a_bucket_holds_its_durations(seconds: float) -> None:
    bucket = bucket_of(seconds)
    assert upper_bound(bucket - 1) * (1 - 1e-12) <= seconds <= upper_bound(bucket) * (1 + 1e-12)


@pytest.mark.parametrize("octave", range(-29, 20))
def test_powers_of_two_are_upper_bounds_to_the_bit(octave: int) -> None:
    assert bucket_of(2.0**octave) == octave * PER_OCTAVE - 1
    assert upper_bound(octave * PER_OCTAVE - 1) == 2.0**octave
    assert bucket_of(2.0**octave * (1 + 1e-12)) == octave * PER_OCTAVE


@pytest.mark.parametrize("odd", [0.0, -1.0, math.nan, math.inf, -math.inf, 1e-300, 1e300])
def test_odd_durations_are_counted_at_an_end(odd: float) -> None:
    histogram = Histogram()
    histogram.record(odd)
    assert histogram.total == sum(histogram.counts.values()) == 1
    assert bucket_of(SMALLEST_SECONDS) <= next(iter(histogram.counts)) <= bucket_of(LARGEST_SECONDS)
    assert math.isfinite(histogram.sum)


@given(st.lists(durations, min_size=1, max_size=50), st.floats(0.01, 1.0))
def test_a_quantile_is_right_to_within_a_bucket(values: list[float], q: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    exact = sorted(values)[max(1, math.ceil(q * len(values))) - 1]
    assert bucket_of(histogram.quantile(q)) in {bucket_of(exact), bucket_of(exact) + 1}


@given(st.lists(st.lists(durations, max_size=20), max_size=6))
def test_what_was_taken_adds_up_to_all(parts: list[list[float]]) -> None:
    histogram = Histogram()
    merged: dict[int, int] = {}
    for part in parts:
        for value in part:
            histogram.record(value)
        for bucket, count in histogram.take_fresh().items():
            merged[bucket] = merged.get(bucket, 0) + count
    assert merged == histogram.counts
    assert histogram.take_fresh() == {}
    assert histogram.total == sum(map(len, parts))


def test_nothing_has_no_quantile() -> None:
    assert math.isnan(quantile({}, 0.5))

"""Counters and gauges over time: values hold until the next, rates add up to what was counted."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.models.series import POINTS, SeriesHistory

SECOND = 1_000_000_000
T0 = 1_700_000_000 * SECOND


def test_a_value_holds_until_the_next_one() -> None:
    history = SeriesHistory()
    history.gauge("pool.queued.a", T0 + 2 * SECOND, 5)
    history.gauge("pool.queued.a", T0 + 4 * SECOND, 1)
    times = T0 + np.arange(6, dtype=np.int64) * SECOND
    assert history.at("pool.queued.a", times).tolist() == [0, 0, 5, 5, 1, 1]


def test_series_of_a_prefix_are_summed() -> None:
    history = SeriesHistory()
    history.gauge("pool.queued.a", T0, 5)
    history.gauge("pool.queued.b", T0, 2)
    history.gauge("pool.queued_elsewhere", T0, 100)
    assert history.values("pool.queued", T0, T0 + SECOND, 2).tolist() == [7, 7]
    assert history.names("pool.queued.") == ["pool.queued.a", "pool.queued.b"]


@given(
    st.lists(st.tuples(st.integers(1, 500), st.integers(0, 50)), min_size=1, max_size=60),
    st.integers(1, 90),
)
def test_rates_add_up_to_what_was_counted(steps: list[tuple[int, int]], columns: int) -> None:
    history = SeriesHistory()
    at, total = T0, 0
    history.counter("done", at, 0)
    for wait, grown in steps:
        at, total = at + wait * 10_000_000, total + grown
        history.counter("done", at, total)
    rates = history.rates("done", T0, at, columns)
    seconds = (at - T0) / SECOND / columns
    assert (rates >= 0).all()
    assert np.isclose(rates.sum() * seconds, total)


def test_a_counter_that_is_first_heard_of_late_makes_no_spike() -> None:
    history = SeriesHistory()
    history.counter("done", T0 + 5 * SECOND, 1_000_000)
    history.counter("done", T0 + 6 * SECOND, 1_000_010)
    assert history.rates("done", T0, T0 + 10 * SECOND, 10).max() == 10


def test_a_counter_that_begins_anew_makes_no_hole() -> None:
    history = SeriesHistory()
    for second, total in enumerate((10, 20, 3, 9)):
        history.counter("done", T0 + second * SECOND, total)
    assert history.rates("done", T0, T0 + 3 * SECOND, 3).tolist() == [10, 0, 6]


def test_the_newest_points_are_kept() -> None:
    history = SeriesHistory()
    for number in range(POINTS + 10):
        history.gauge("g", T0 + number, float(number))
    assert history.at("g", np.array([T0 + 9, T0 + 10, T0 + POINTS + 9])).tolist() == [
        0,
        10,
        POINTS + 9,
    ]


def test_what_is_unknown_is_zero() -> None:
    history = SeriesHistory()
    assert history.values("nothing", T0, T0 + SECOND, 3).tolist() == [0, 0, 0]
    assert history.rates("nothing", T0, T0 + SECOND, 3).tolist() == [0, 0, 0]
    history.gauge("g", T0, 3)
    history.clear()
    assert history.names() == []


def test_a_peak_shorter_than_a_column_is_kept() -> None:
    history = SeriesHistory()
    for offset, value in ((0, 1), (1_300, 9), (1_400, 2), (5_000, 0)):
        history.gauge("g", T0 + offset * 1_000_000, value)
    assert history.peaks("g", T0 - SECOND, T0 + 6 * SECOND, 7).tolist() == [1, 1, 9, 2, 2, 2, 0]


@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 50)), max_size=40), st.integers(1, 50)
)
def test_peaks_are_the_highest_values_that_held(steps: list[tuple[int, int]], columns: int) -> None:
    history = SeriesHistory()
    at, held = T0, [(T0 - SECOND, 0)]
    for wait, value in steps:
        at += wait * 10_000_000
        history.gauge("g", at, value)
        held.append((at, value))
    end = at + SECOND
    found = history.peaks("g", T0 - SECOND, end, columns)
    edges = (T0 - SECOND + np.linspace(0, end - T0 + SECOND, columns + 1).astype(np.int64)).tolist()
    for column in range(columns):
        low, high = edges[column], edges[column + 1]
        before = [value for when, value in held if when <= low][-1]
        within = [value for when, value in held if low < when <= high]
        assert found[column] == max([before, *within])

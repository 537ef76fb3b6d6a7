"""Durations over time: counts are exact, percentiles are those of the buckets, time moves on."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.models.latency import (
    HIGHEST,
    LOWEST,
    SECONDS_KEPT,
    LatencyHistory,
    percentiles_of,
    upper_seconds,
)
from citadel.wire.columns import Table, pack, unpack

SECOND = 1_000_000_000
T0 = 1_700_000_000 * SECOND
NAME = "citadel.command.duration"


def told(*given: tuple[float, int, int], name: str = NAME) -> Table:
    rows = [(T0 + round(at * SECOND), name, "python", bucket, count) for at, bucket, count in given]
    return unpack(pack("latency", rows))


OBSERVED = st.lists(
    st.tuples(
        st.integers(0, SECONDS_KEPT - 1), st.integers(LOWEST, HIGHEST - 1), st.integers(1, 9)
    ),
    min_size=1,
    max_size=40,
)


@given(OBSERVED, st.integers(1, 200))
def test_every_count_is_in_the_heatmap_once(given: list, columns: int) -> None:
    history = LatencyHistory()
    history.append(told(*sorted(given)))
    counts = history.heatmap(NAME, T0, T0 + SECONDS_KEPT * SECOND, columns)
    assert counts.shape == (columns, HIGHEST - LOWEST)
    assert int(counts.sum()) == history.total == sum(count for _, _, count in given)
    by_bucket = np.zeros(HIGHEST - LOWEST, np.int64)
    for _, bucket, count in given:
        by_bucket[bucket - LOWEST] += count
    assert (counts.sum(axis=0) == by_bucket).all()


@given(OBSERVED, st.sampled_from((0.5, 0.9, 0.99, 1.0)))
def test_a_percentile_is_the_bucket_in_which_that_share_has_ended(
    given: list, share: float
) -> None:
    history = LatencyHistory()
    history.append(told(*sorted(given)))
    values = sorted(bucket for _, bucket, count in given for _ in range(count))
    rank = max(1, int(np.ceil(len(values) * share)))
    expected = 2.0 ** ((values[rank - 1] + 1) / 16)
    found = history.percentile(NAME, T0, T0 + SECONDS_KEPT * SECOND, share)
    assert found is not None
    assert np.isclose(found, expected)


def test_what_lies_beyond_the_buckets_is_counted_at_the_edge() -> None:
    history = LatencyHistory()
    history.append(told((0, LOWEST - 500, 2), (0, HIGHEST + 500, 3)))
    counts = history.heatmap(NAME, T0, T0 + SECOND, 1)[0]
    assert (counts[0], counts[-1]) == (2, 3)


def test_old_seconds_give_way() -> None:
    history = LatencyHistory()
    history.append(told((0, 0, 5)))
    history.append(told((SECONDS_KEPT, 0, 1)))
    counts = history.heatmap(NAME, T0, T0 + (SECONDS_KEPT + 1) * SECOND, 1)
    assert int(counts.sum()) == 1
    history.append(told((0, 0, 5)))  # too late: its second is someone else's now
    assert int(history.heatmap(NAME, T0, T0 + (SECONDS_KEPT + 1) * SECOND, 1).sum()) == 1


def test_a_silence_longer_than_what_is_kept_empties_all() -> None:
    history = LatencyHistory()
    history.append(told(*((n, 0, 1) for n in range(50))))
    history.append(told((20 * SECONDS_KEPT, 0, 1)))
    assert int(history.heatmap(NAME, T0, T0 + 30 * SECONDS_KEPT * SECOND, 9).sum()) == 1


def test_where_nothing_was_there_is_no_percentile() -> None:
    history = LatencyHistory()
    assert history.percentile(NAME, T0, T0 + SECOND, 0.5) is None
    history.append(told((0, 0, 1)))
    found = history.percentiles(NAME, T0, T0 + 2 * SECOND, 2, [0.5])
    assert np.isnan(found[0]).tolist() == [False, True]
    assert history.percentile("another", T0, T0 + SECOND, 0.5) is None


def test_names_are_apart() -> None:
    history = LatencyHistory()
    history.append(told((0, 0, 1)))
    history.append(told((0, 3, 4), name="citadel.guard.duration"))
    assert history.names() == [NAME, "citadel.guard.duration"]
    assert int(history.heatmap(NAME, T0, T0 + SECOND, 1).sum()) == 1


def test_an_empty_stretch_is_empty() -> None:
    history = LatencyHistory()
    history.append(told((0, 0, 1)))
    assert history.heatmap(NAME, T0 + SECOND, T0 + SECOND, 3).sum() == 0
    assert history.heatmap(NAME, T0 + 5 * SECOND, T0 + 9 * SECOND, 3).sum() == 0


def test_buckets_are_otels() -> None:
    assert np.isclose(upper_seconds(np.array([-LOWEST - 1]))[0], 1.0)
    counts = np.zeros((1, HIGHEST - LOWEST), np.uint32)
    counts[0, -LOWEST + 16 - 1] = 1
    assert np.isclose(percentiles_of(counts, [0.5])[0, 0], 2.0)

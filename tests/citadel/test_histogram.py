from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from citadel.histogram import added, percentile, upper_bound
from engine.telemetry.histogram import bucket_of


@given(st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=50), st.floats(0.01, 1.0))
def test_a_percentile_is_right_to_within_a_bucket(seconds: list[float], share: float) -> None:
    counts = added((bucket_of(each), 1) for each in seconds)
    exact = sorted(seconds)[max(0, math.ceil(share * len(seconds) - 1e-9) - 1)]
    found = percentile(counts, share)
    assert exact <= found * (1 + 1e-12)
    assert found <= exact * 2 ** (1 / 16) * (1 + 1e-12)


def test_of_nothing_there_is_none_and_weights_count() -> None:
    assert math.isnan(percentile({}, 0.5))
    assert math.isnan(percentile({3: 0.0}, 0.5))
    assert percentile({3: 0.0, 5: 1.5, 9: 0.5}, 0.5) == upper_bound(5)
    assert percentile(added([(9, 1.0), (5, 0.5), (9, 2.0)]), 0.5) == upper_bound(9)

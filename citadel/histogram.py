"""Percentiles of durations from histograms: OpenTelemetry's exponential ones, 16 buckets an octave.

What the topics `span_histogram` and `latency` carry: bucket i is of seconds above 2^(i/16), up to
2^((i+1)/16). Counts of buckets may be added up over anything, and percentiles taken of the sum;
they are right to within one bucket (4.4 %). Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

PER_OCTAVE = 16


def upper_bound(bucket: int) -> float:
    """The longest duration of a bucket, in seconds."""
    return 2.0 ** ((bucket + 1) / PER_OCTAVE)


def added(rows: Iterable[tuple[int, float]]) -> dict[int, float]:
    """Counts by bucket, of buckets and counts that may come again."""
    found: dict[int, float] = {}
    for bucket, count in rows:
        found[bucket] = found.get(bucket, 0.0) + count
    return found


def percentile(counts: Mapping[int, float], share: float) -> float:
    """The duration in seconds that this share (0 to 1) does not exceed; NaN when empty."""
    total = math.fsum(counts.values())
    if total <= 0.0:
        return math.nan
    seen = 0.0
    for bucket in sorted(counts):
        seen += counts[bucket]
        # The sum of many parts may be a little less than the whole.
        if seen >= share * total * (1 - 1e-12) and counts[bucket] > 0.0:
            return upper_bound(bucket)
    return upper_bound(max(counts))

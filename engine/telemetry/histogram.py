"""Base-2 exponential histograms of durations (OpenTelemetry, scale 4: 16 buckets an octave).

Pure, mergeable, exact in their counts; a quantile is right to within one bucket (4.4 %).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

SCALE = 4
PER_OCTAVE = 2**SCALE
SMALLEST_SECONDS = 2.0**-30
LARGEST_SECONDS = 2.0**20
"""A nanosecond and twelve days: anything beyond is counted as this, which bounds the buckets."""


def bucket_of(seconds: float) -> int:
    """The index i of the bucket with 2^(i/16) < seconds <= 2^((i+1)/16)."""
    bounded = min(LARGEST_SECONDS, max(SMALLEST_SECONDS, seconds))  # NaN: the smallest
    return math.ceil(math.log2(bounded) * PER_OCTAVE) - 1


def upper_bound(bucket: int) -> float:
    """The longest duration of a bucket, in seconds."""
    return 2.0 ** ((bucket + 1) / PER_OCTAVE)


def quantile(counts: Mapping[int, int], q: float) -> float:
    """The q-quantile in seconds: the upper bound of its bucket; NaN when empty."""
    total = sum(counts.values())
    if not total:
        return math.nan
    rank, seen = max(1, math.ceil(q * total)), 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= rank:
            return upper_bound(bucket)
    return upper_bound(max(counts))


class Histogram:
    """Counts by bucket, with the exact count and sum."""

    __slots__ = ("counts", "fresh", "sum", "total")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.fresh: dict[int, int] = {}
        self.total = 0
        self.sum = 0.0

    def record(self, seconds: float) -> None:
        """Counts one duration."""
        bucket = bucket_of(seconds)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1
        self.fresh[bucket] = self.fresh.get(bucket, 0) + 1
        self.total += 1
        self.sum += min(LARGEST_SECONDS, max(0.0, seconds))

    def take_fresh(self) -> dict[int, int]:
        """The counts since the last call."""
        fresh, self.fresh = self.fresh, {}
        return fresh

    def quantile(self, q: float) -> float:
        """The q-quantile over all that was recorded, in seconds."""
        return quantile(self.counts, q)

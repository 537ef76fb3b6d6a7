"""Base-2 exponential histograms of durations (OpenTelemetry, scale 4: 16 buckets an octave).

Mergeable, exact in their counts; a quantile is right to within one bucket (4.4 %). One thread
records, any may read.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Mapping

import numpy as np

SCALE = 4
PER_OCTAVE = 2**SCALE
SMALLEST_SECONDS = 2.0**-30
LARGEST_SECONDS = 2.0**20
"""A nanosecond and twelve days: anything beyond is counted as this, which bounds the buckets."""
PENDING = 4_096
"""Durations that wait to be sorted into buckets, many at a time."""


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
    """Counts by bucket, with the exact count and sum.

    To record is an append; whoever reads sorts what waits into buckets first.
    """

    __slots__ = ("_counts", "_fresh", "_lock", "_pending", "_sum", "_total")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._fresh: dict[int, int] = {}
        self._total = 0
        self._sum = 0.0
        self._pending: deque[float] = deque()
        self._lock = threading.Lock()

    def record(self, seconds: float) -> None:
        """Counts one duration."""
        self._pending.append(seconds)
        if len(self._pending) >= PENDING:
            self._sort()

    @property
    def counts(self) -> Mapping[int, int]:
        """All counts by bucket."""
        self._sort()
        return self._counts

    @property
    def total(self) -> int:
        """How many durations there were."""
        self._sort()
        return self._total

    @property
    def sum(self) -> float:
        """Seconds of all of them."""
        self._sort()
        return self._sum

    def take_fresh(self) -> dict[int, int]:
        """The counts since the last call."""
        self._sort()
        with self._lock:
            fresh, self._fresh = self._fresh, {}
        return fresh

    def reading(self) -> tuple[dict[int, int], float]:
        """The counts by bucket and the sum in seconds, of one moment; from any thread."""
        self._sort()
        with self._lock:
            return dict(self._counts), self._sum

    def quantile(self, q: float) -> float:
        """The q-quantile over all that was recorded, in seconds."""
        return quantile(self.counts, q)

    def _sort(self) -> None:
        """Sorts what waits into the buckets."""
        with self._lock:
            waiting = len(self._pending)
            if not waiting:
                return
            # Popped one by one: an append from another thread is in the deque, or in the next turn.
            values = np.array([self._pending.popleft() for _ in range(waiting)])
            bounded = np.nan_to_num(values, nan=0.0).clip(SMALLEST_SECONDS, LARGEST_SECONDS)
            found = np.ceil(np.log2(bounded) * PER_OCTAVE).astype(np.int64) - 1
            for bucket, count in zip(*np.unique(found, return_counts=True), strict=True):
                index, number = int(bucket), int(count)
                self._counts[index] = self._counts.get(index, 0) + number
                self._fresh[index] = self._fresh.get(index, 0) + number
            self._total += waiting
            self._sum += float(np.nan_to_num(values, nan=0.0).clip(0.0, LARGEST_SECONDS).sum())

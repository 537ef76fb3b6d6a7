"""Histograms of span durations by minute, mission and name. Pure.

Buckets are engine/telemetry/histogram.py's: 16 an octave. `count` counts rows; `weight` is the sum
of their adjusted counts, so how many spans there were before sampling. Both are added over minutes,
days and missions, and a percentile is taken of the sum: percentiles are never averaged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from engine.telemetry.encode import Row
from engine.telemetry.histogram import LARGEST_SECONDS, PER_OCTAVE, SMALLEST_SECONDS
from engine.telemetry.policy import adjusted_count

MINUTE_NS = 60 * 10**9

Sample = tuple[int, int, str, str, int]
"""Start and end in nanoseconds, mission, name and threshold of a span."""
HistogramRow = tuple[int, str, str, int, int, float]
"""Minute (unix), mission, name, bucket, count, weight."""


def samples_of(rows: Iterable[Row]) -> list[Sample]:
    """What the histograms need of rows of topic `span`."""
    return [(row[4], row[5], row[11], row[8], row[20]) for row in rows]


Counts = Counter[tuple[int, str, str, int, int]]
"""How many spans there are of a minute, mission, name, bucket and threshold."""


def counted(samples: Sequence[Sample]) -> Counts:
    """The samples, counted."""
    if not samples:
        return Counter()
    starts, ends, missions, names, thresholds = zip(*samples, strict=True)
    began = np.array(starts, dtype=np.int64)
    seconds = (np.array(ends, dtype=np.int64) - began) / 1e9
    bounded = seconds.clip(SMALLEST_SECONDS, LARGEST_SECONDS)
    buckets = (np.ceil(np.log2(bounded) * PER_OCTAVE) - 1).astype(np.int64).tolist()
    minutes = (began // MINUTE_NS).tolist()
    return Counter(zip(minutes, missions, names, buckets, thresholds, strict=True))


def folded_rows(counts: Counts) -> list[HistogramRow]:
    """The counts with their weights; thresholds are no longer told apart."""
    rows: dict[tuple[int, str, str, int], tuple[int, float]] = {}
    for (minute, mission, name, bucket, threshold), count in counts.items():
        at = (minute, mission, name, bucket)
        before, weight = rows.get(at, (0, 0.0))
        rows[at] = (before + count, weight + count * adjusted_count(threshold))
    return [(*key, *value) for key, value in rows.items()]

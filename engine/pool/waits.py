"""How long commands waited lately: the median over the last seconds. A sans-IO core.

It costs a command nothing: two snapshots of the histogram that counts the waits anyway are
compared when somebody asks.
"""

from __future__ import annotations

from engine.telemetry.histogram import Histogram, quantile

WINDOW_SECONDS = 5.0
"""The median is over the last one to two windows."""


class RecentWaits:
    """The fresh part of a histogram."""

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._older: dict[int, int] = {}
        self._newer: dict[int, int] = {}
        self._turned = float("-inf")

    def median(self, now: float) -> float:
        """In seconds; 0 when nothing began."""
        counts = self._histogram.counts
        if now - self._turned >= WINDOW_SECONDS:
            self._older, self._newer, self._turned = self._newer, dict(counts), now
        older = self._older
        fresh = {
            bucket: number - older.get(bucket, 0)
            for bucket, number in counts.items()
            if number > older.get(bucket, 0)
        }
        return quantile(fresh, 0.5) if fresh else 0.0

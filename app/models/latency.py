"""Durations over time, from the engine's exact histograms: for heatmaps and percentile lines.

One grid a name: a row a second, a column a bucket (OTel's exponential histogram, scale 4). Bounded;
numpy only, no Qt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from citadel.wire.columns import Table

SECONDS_KEPT = 900
LOWEST, HIGHEST = -320, 160
"""Buckets that are told apart: 1 µs to 1,024 s. What lies beyond is counted at the edge."""
PER_OCTAVE = 16
NAMES = 64
"""Names that are kept; more are ignored."""
SECOND = 1_000_000_000
_BUCKETS = HIGHEST - LOWEST


class LatencyHistory:
    """Counts by name, second and bucket."""

    def __init__(self) -> None:
        self._grids: dict[str, NDArray[np.uint32]] = {}
        self._newest = 0
        self.total = 0

    def append(self, table: Table) -> None:
        """Takes rows of topic `latency`."""
        seconds = (table["time_ns"] // SECOND).astype(np.int64)
        if not len(seconds):
            return
        self._advance(int(seconds.max()))
        buckets = np.clip(table["bucket"] - LOWEST, 0, _BUCKETS - 1).astype(np.int64)
        counts = table["count"].astype(np.uint32)
        names: NDArray[Any] = table["name"]
        fresh = seconds > self._newest - SECONDS_KEPT
        for name in set(names.tolist()):
            grid = self._grid(str(name))
            if grid is None:
                continue
            chosen = (names == name) & fresh
            slots = seconds[chosen] % SECONDS_KEPT
            np.add.at(grid, (slots, buckets[chosen]), counts[chosen])
            self.total += int(counts[chosen].sum())

    def clear(self) -> None:
        """Forgets everything."""
        self._grids.clear()
        self._newest = self.total = 0

    def names(self) -> list[str]:
        """The durations that were seen."""
        return sorted(self._grids)

    def heatmap(self, name: str, start_ns: int, end_ns: int, columns: int) -> NDArray[np.uint32]:
        """Counts by column of time and bucket: shape (columns, buckets), from LOWEST on."""
        found = np.zeros((columns, _BUCKETS), np.uint32)
        grid = self._grids.get(name)
        if grid is None or end_ns <= start_ns:
            return found
        first = max(start_ns // SECOND, self._newest - SECONDS_KEPT + 1)
        last = min((end_ns - 1) // SECOND, self._newest)
        if last < first:
            return found
        seconds = np.arange(first, last + 1)
        middle = (seconds * SECOND + SECOND // 2 - start_ns) / (end_ns - start_ns)
        column = np.clip((middle * columns).astype(np.int64), 0, columns - 1)
        np.add.at(found, column, grid[seconds % SECONDS_KEPT])
        return found

    def percentiles(
        self, name: str, start_ns: int, end_ns: int, columns: int, shares: Sequence[float]
    ) -> NDArray[np.float64]:
        """Percentiles in seconds by column: shape (shares, columns); NaN where nothing was."""
        return percentiles_of(self.heatmap(name, start_ns, end_ns, columns), shares)

    def percentile(self, name: str, start_ns: int, end_ns: int, share: float) -> float | None:
        """One percentile over a stretch, in seconds; None when nothing was."""
        value = float(self.percentiles(name, start_ns, end_ns, 1, [share])[0, 0])
        return None if np.isnan(value) else value

    def _grid(self, name: str) -> NDArray[np.uint32] | None:
        if name not in self._grids:
            if len(self._grids) >= NAMES:
                return None
            self._grids[name] = np.zeros((SECONDS_KEPT, _BUCKETS), np.uint32)
        return self._grids[name]

    def _advance(self, second: int) -> None:
        """Empties the rows of the seconds that begin now."""
        if second <= self._newest:
            return
        steps = min(second - self._newest, SECONDS_KEPT)
        slots = np.arange(second - steps + 1, second + 1) % SECONDS_KEPT
        for grid in self._grids.values():
            grid[slots] = 0
        self._newest = second


def upper_seconds(bucket: NDArray[np.int64]) -> NDArray[np.float64]:
    """The longest duration of a bucket, by its index from LOWEST."""
    return 2.0 ** ((bucket + LOWEST + 1) / PER_OCTAVE)


def percentiles_of(counts: NDArray[np.uint32], shares: Sequence[float]) -> NDArray[np.float64]:
    """Percentiles of rows of bucket counts; see `LatencyHistory.percentiles`."""
    running = counts.cumsum(axis=1, dtype=np.int64)
    totals = running[:, -1]
    found = np.full((len(shares), len(counts)), np.nan)
    for index, share in enumerate(shares):
        ranks = np.maximum(1, np.ceil(totals * share)).astype(np.int64)
        bucket = (running < ranks[:, None]).sum(axis=1)
        found[index] = np.where(totals > 0, upper_seconds(bucket), np.nan)
    return found

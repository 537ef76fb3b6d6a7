"""Counters and gauges over time. Counters become rates; both are rings of (time, value).

An engine tells a value when it changed, so a value holds until the next one. Pure; numpy, no Qt.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

POINTS = 4_096
"""Points that a series keeps; at four a second, a quarter of an hour."""
SERIES = 4_096
"""Series that are kept; more are ignored."""
SECOND = 1_000_000_000


class _Ring:
    __slots__ = ("count", "times", "values")

    def __init__(self) -> None:
        self.times = np.zeros(POINTS, np.int64)
        self.values = np.zeros(POINTS, np.float64)
        self.count = 0

    def add(self, time_ns: int, value: float) -> None:
        slot = self.count % POINTS
        self.times[slot], self.values[slot] = time_ns, value
        self.count += 1

    def ordered(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        if self.count <= POINTS:
            return self.times[: self.count], self.values[: self.count]
        start = self.count % POINTS
        return np.roll(self.times, -start), np.roll(self.values, -start)


class SeriesHistory:
    """Series by name: `counter name.label values`, `pool.queued.NAME`."""

    def __init__(self) -> None:
        self._rings: dict[str, _Ring] = {}

    def counter(self, name: str, time_ns: int, total: float) -> None:
        """A counter's total at a time."""
        self.gauge(name, time_ns, total)

    def gauge(self, name: str, time_ns: int, value: float) -> None:
        """A value at a time."""
        ring = self._rings.get(name)
        if ring is None:
            if len(self._rings) >= SERIES:
                return
            ring = self._rings[name] = _Ring()
        ring.add(time_ns, value)

    def clear(self) -> None:
        """Forgets everything."""
        self._rings.clear()

    def names(self, prefix: str = "") -> list[str]:
        """The series that begin so."""
        return sorted(name for name in self._rings if name.startswith(prefix))

    def at(self, name: str, times: NDArray[np.int64]) -> NDArray[np.float64]:
        """The values that held at some times; 0 before the first one."""
        ring = self._rings.get(name)
        if ring is None:
            return np.zeros(len(times))
        known, values = ring.ordered()
        index = np.searchsorted(known, times, side="right") - 1
        return np.where(index >= 0, values[np.maximum(index, 0)], 0.0)

    def values(self, prefix: str, start_ns: int, end_ns: int, columns: int) -> NDArray[np.float64]:
        """The sum of some series' values at the end of each column."""
        edges = _edges(start_ns, end_ns, columns)[1:]
        total = np.zeros(columns)
        for name in self._matching(prefix):
            total += self.at(name, edges)
        return total

    def peaks(self, prefix: str, start_ns: int, end_ns: int, columns: int) -> NDArray[np.float64]:
        """The sum of some series' highest values in each column, however short they held."""
        edges = _edges(start_ns, end_ns, columns)
        total = np.zeros(columns)
        for name in self._matching(prefix):
            known, values = self._rings[name].ordered()
            # From the value that held when the column began to the last one that came in it.
            low = np.searchsorted(known, edges[:-1], side="right") - 1
            high = np.searchsorted(known, edges[1:], side="right")
            pairs = np.stack([np.maximum(low, 0), high], axis=1).ravel()
            tops = np.maximum.reduceat(np.append(values, 0.0), pairs)[::2]
            total += np.where(high > 0, tops, 0.0)
        return total

    def rates(self, prefix: str, start_ns: int, end_ns: int, columns: int) -> NDArray[np.float64]:
        """The growth of some counters a second, by column. A counter that fell was begun anew."""
        edges = _edges(start_ns, end_ns, columns)
        seconds = (end_ns - start_ns) / columns / SECOND
        total = np.zeros(columns)
        for name in self._matching(prefix):
            ring = self._rings[name]
            known, values = ring.ordered()
            # Before its first point a counter is taken as it was then: it may have begun earlier.
            index = np.maximum(np.searchsorted(known, edges, side="right") - 1, 0)
            total += np.maximum(np.diff(values[index]), 0.0) / seconds
        return total

    def _matching(self, prefix: str) -> list[str]:
        return [name for name in self._rings if name == prefix or name.startswith(f"{prefix}.")]


def _edges(start_ns: int, end_ns: int, columns: int) -> NDArray[np.int64]:
    """The edges of columns; offsets, since unix nanoseconds do not fit a float."""
    return start_ns + np.linspace(0, end_ns - start_ns, columns + 1).astype(np.int64)

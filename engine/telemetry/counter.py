"""One exact counter of the recorder, found once and added to often. Loop thread only."""

from __future__ import annotations

CounterKey = tuple[str, tuple[tuple[str, str], ...]]
"""Its name, and its labels in order."""


class Counter:
    """A row of the recorder's counters."""

    __slots__ = ("_counters", "_key")

    def __init__(self, counters: dict[CounterKey, float], key: CounterKey) -> None:
        self._counters = counters
        self._key = key

    def add(self, amount: float = 1.0) -> None:
        """Counts."""
        self._counters[self._key] += amount

"""Which numbers are due when: O(1) to add and to take out. A sans-IO core.

Deadlines are rounded up to ticks; a heap holds the distinct ticks only, never one entry a command.
"""

from __future__ import annotations

import heapq
import math

TICK_SECONDS = 0.005
"""A deadline is found at most this late."""
_SPARE_TICKS = 1_024
"""Ticks without commands that may wait to be forgotten, beside one for each command."""


class Deadlines:
    """Numbers by the tick at which they are due."""

    __slots__ = ("_count", "_order", "_ticks")

    def __init__(self) -> None:
        self._ticks: dict[int, set[int]] = {}
        self._order: list[int] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, number: int, deadline: float) -> int:
        """The number is due at the deadline; returns its tick, by which it is taken out."""
        tick = math.ceil(deadline / TICK_SECONDS)
        numbers = self._ticks.get(tick)
        if numbers is None:
            if len(self._order) > 2 * self._count + _SPARE_TICKS:
                self._compact()
            numbers = self._ticks[tick] = set()
            heapq.heappush(self._order, tick)
        numbers.add(number)
        self._count += 1
        return tick

    def discard(self, number: int, tick: int) -> None:
        """The number is due no more."""
        numbers = self._ticks.get(tick)
        if numbers is not None and number in numbers:
            numbers.remove(number)
            self._count -= 1

    def due(self, now: float) -> list[int]:
        """Takes out the numbers whose tick has come, the earliest first."""
        found: list[int] = []
        while self._order and self._order[0] * TICK_SECONDS <= now:
            found += sorted(self._ticks.pop(heapq.heappop(self._order)))
        self._count -= len(found)
        return found

    def next(self) -> float | None:
        """When `due` has something to say."""
        while self._order and not self._ticks[self._order[0]]:
            del self._ticks[heapq.heappop(self._order)]
        return self._order[0] * TICK_SECONDS if self._order else None

    def _compact(self) -> None:
        self._ticks = {tick: numbers for tick, numbers in self._ticks.items() if numbers}
        self._order = sorted(self._ticks)

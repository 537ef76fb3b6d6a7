"""Rows that wait to be sent: bounded in number and in size, fair between signals. Pure.

Guarded by its owner's lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from citadel.otlp.metrics import Point

MAX_CHARACTERS = 256 * 2**20
"""Of JSON in the spans that wait: their number alone would let 64 KB a span add up to gigabytes."""
MAX_READINGS = 4
"""Readings of all metrics that may wait; they are cumulative, so a lost one is made good."""
_JSON_COLUMNS = (15, 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """All metrics at one moment."""

    points: Sequence[Point]
    start_ns: int
    time_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one request is made of: rows, or one reading."""

    signal: str
    rows: list[Any]
    reading: Reading | None = None

    @property
    def size(self) -> int:
        """Rows or points."""
        return len(self.reading.points) if self.reading else len(self.rows)


class Waiting:
    """One queue a signal."""

    def __init__(self) -> None:
        self.spans: deque[Any] = deque()
        self.logs: deque[Any] = deque()
        self.readings: deque[Reading] = deque()
        self.characters = 0
        self._turn = 0

    def room(self, signal: str, limit: int) -> int:
        """Rows of a signal that there is a place for."""
        if signal == "traces" and self.characters >= MAX_CHARACTERS:
            return 0
        queue = self.spans if signal == "traces" else self.logs
        return max(0, limit - len(queue))

    def add(self, signal: str, rows: Sequence[Any]) -> None:
        """Adds rows of topic `span` or `event`."""
        if signal == "traces":
            self.spans.extend(rows)
            self.characters += sum(len(row[15]) + len(row[16]) for row in rows)
        else:
            self.logs.extend(rows)

    def give_back(self, work: Work, rows: list[Any]) -> None:
        """Puts rows at the head, that one request had no place for."""
        queue = self.spans if work.signal == "traces" else self.logs
        queue.extendleft(reversed(rows))
        if work.signal == "traces":
            self.characters += sum(len(row[15]) + len(row[16]) for row in rows)

    def __len__(self) -> int:
        """Rows, and readings as one each."""
        return len(self.spans) + len(self.logs) + len(self.readings)

    def next(self, most: int) -> Work:
        """What is to be sent next; signals that have something take turns."""
        while True:
            self._turn = (self._turn + 1) % 3
            if self._turn == 0 and self.readings:
                return Work(signal="metrics", rows=[], reading=self.readings.popleft())
            if self._turn == 1 and self.logs:
                return Work(signal="logs", rows=_popped(self.logs, most))
            if self._turn == 2 and self.spans:
                rows = _popped(self.spans, most)
                self.characters -= sum(len(row[15]) + len(row[16]) for row in rows)
                return Work(signal="traces", rows=rows)

    def clear(self) -> list[Any]:
        """Forgets everything; returns the spans."""
        spans = list(self.spans)
        self.__init__()
        return spans


def _popped(queue: deque[Any], most: int) -> list[Any]:
    if len(queue) <= most:
        rows = list(queue)
        queue.clear()
        return rows
    return [queue.popleft() for _ in range(most)]

"""What became of the rows that a sender took: sent + dropped + queued = taken, always. Pure.

Guarded by its owner's lock. Rows are spans, metric points and log records, by signal.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Cause = Literal["queue_full", "rejected", "unreachable", "invalid", "shutdown"]
CAUSES: tuple[Cause, ...] = ("queue_full", "rejected", "unreachable", "invalid", "shutdown")
"""The queue was full; the receiver would not have them; it could not be reached for too long; they
cannot be sent; the sender ended first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A sender at one moment."""

    state: str
    taken: int
    queued: int
    sent: Mapping[str, int]
    dropped: Mapping[str, int]
    """By cause."""
    retries: int
    bytes: int
    """Of acknowledged requests, before compression."""
    error: str
    """The last one; "" after a success."""
    last_success_ns: int
    last_failure_ns: int

    @property
    def residual(self) -> int:
        """Taken - sent - dropped - queued: 0, or it lost count."""
        return self.taken - sum(self.sent.values()) - sum(self.dropped.values()) - self.queued


class Account:
    """The counts of one sender."""

    def __init__(self) -> None:
        self.taken = self.queued = self.retries = self.bytes = 0
        self.sent: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.error = ""
        self.last_success_ns = self.last_failure_ns = 0

    def take(self, rows: int, room: int) -> int:
        """Counts rows that come, of which `room` have a place; returns how many have none."""
        lost = max(0, rows - room)
        self.taken += rows
        self.queued += rows - lost
        if lost:
            self.dropped["queue_full"] += lost
        return lost

    def send(self, signal: str, rows: int, rejected: int, data: int) -> None:
        """Counts rows that were acknowledged, but for those that the receiver rejected."""
        rejected = min(rejected, rows)
        self.queued -= rows
        self.sent[signal] += rows - rejected
        self.bytes += data
        self.last_success_ns = time.time_ns()
        if rejected:
            self.dropped["rejected"] += rejected

    def drop(self, cause: Cause, rows: int) -> None:
        """Counts rows that were queued and are given up."""
        if rows:
            self.queued -= rows
            self.dropped[cause] += rows

    def fail(self, error: str) -> None:
        """Notes what went wrong."""
        self.error = error
        self.last_failure_ns = time.time_ns()

    def figures(self, state: str) -> Figures:
        """Everything, as it is now."""
        return Figures(
            state=state,
            taken=self.taken,
            queued=self.queued,
            sent=dict(self.sent),
            dropped=dict(self.dropped),
            retries=self.retries,
            bytes=self.bytes,
            error=self.error,
            last_success_ns=self.last_success_ns,
            last_failure_ns=self.last_failure_ns,
        )

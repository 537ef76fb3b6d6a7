"""A ceiling in spans a second: the threshold that keeps a rule's traces below it. Pure.

The threshold moves a few times a second with what came in, so the decision for each trace is still
its random bits against a known number: traces are whole, and adjusted counts stay right. It holds
on average, not for each second: a burst may exceed it until the next look, 0.25 s later.
"""

from __future__ import annotations

import math

from citadel.trace import RANDOM_BITS
from engine.telemetry.policy import DROP_ALL, threshold

LOOK_SECONDS = 0.25
"""Between two looks at what came in."""
MEMORY_SECONDS = 2.0
"""What came in longer ago counts for less than a third of what comes in now."""
LEAST_RATE = 2.0**-RANDOM_BITS
STEP = 1.02
"""Two rates next to each other differ by this factor."""


class Ceiling:
    """What came in under one rule, and the rate that follows from it."""

    __slots__ = ("_per_second", "_since_ns", "_size", "kept", "limit", "rate", "spans", "traces")

    def __init__(self, limit: float, now_ns: int) -> None:
        self.limit = limit
        self.rate = 1.0
        """The share of traces that is kept."""
        self.traces = 0
        """Traces that came in since the last look; whoever decides counts them."""
        self.kept = 0
        """Of these, the kept ones."""
        self.spans = 0
        """Spans of kept traces since the last look; whoever records counts them."""
        self._since_ns = now_ns
        self._per_second = 0.0
        self._size = 1.0

    @property
    def threshold(self) -> int:
        """Traces whose 56 random bits are below it are dropped."""
        return min(threshold(self.rate), DROP_ALL)

    def look(self, now_ns: int) -> bool:
        """Takes what came in since the last look; whether the rate moved."""
        seconds = (now_ns - self._since_ns) / 1e9
        if seconds < 0:  # the clock has jumped back
            self._since_ns = now_ns
        if seconds < LOOK_SECONDS:
            return False
        fading = math.exp(-seconds / MEMORY_SECONDS)
        fresh = self.traces / seconds
        # More is believed at once, less only by and by.
        faded = self._per_second * fading + fresh * (1 - fading)
        self._per_second = max(fresh, faded) if fresh > self._per_second else faded
        if self.kept:
            self._size += (max(self.spans / self.kept, 1.0) - self._size) * (1 - fading)
        self.traces = self.kept = self.spans = 0
        self._since_ns = now_ns
        expected = self._per_second * self._size
        wanted = min(1.0, max(self.limit / expected, LEAST_RATE)) if expected else 1.0
        # In steps, so that there are few thresholds to write down, and small moves are none.
        rate = STEP ** -math.ceil(math.log(1 / wanted) / math.log(STEP)) if wanted < 1 else 1.0
        moved, self.rate = rate != self.rate, rate
        return moved

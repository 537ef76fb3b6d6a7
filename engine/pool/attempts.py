"""When an idempotent command is tried again, and when a second copy of it runs: a sans-IO core.

Only tools that say they are idempotent are ever run twice. A retry follows a lost worker, after a
back-off that doubles, with jitter, and that ends before the deadline. A hedge follows a command
that is slower than the quantile of what its tool took lately. Others cost nothing here.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Iterable

from engine.pool.call import Call
from engine.pool.options import ResilienceOptions

RECENT = 256
"""Durations of a tool that are remembered."""
ENOUGH = 20
"""Without so many durations nobody is called slow."""
REFRESH = 16
"""New durations after which the quantile is computed again."""


class Attempts:
    """What is known of one pool's idempotent tools."""

    def __init__(self, options: ResilienceOptions, rng: random.Random | None = None) -> None:
        self.idempotent: frozenset[str] = frozenset()
        self.hedging: frozenset[str] = frozenset()
        """The tools whose commands may have a second copy."""
        self._options = options
        self._rng = rng or random.Random()  # noqa: S311 - jitter is no secret
        self._recent: dict[str, _Recent] = {}

    def know(self, idempotent: Iterable[str]) -> None:
        """The pool's idempotent tools."""
        self.idempotent = frozenset(idempotent)
        self.hedging = self.idempotent if self._options.hedge_quantile else frozenset()

    def retry_after(self, call: Call, now: float) -> float | None:
        """Seconds after which a command whose worker is lost is tried again; None: it is not."""
        options = self._options
        if call.tool not in self.idempotent or call.attempts > options.retries:
            return None
        if call.session is not None and call.session.affinity == "strict_fail":
            return None
        jitter = self._rng.uniform(0.5, 1.5)
        seconds = options.retry_backoff_seconds * 2 ** (call.attempts - 1) * jitter
        return seconds if now + seconds < call.deadline else None

    def took(self, tool: str, seconds: float) -> None:
        """A tool of `hedging` took so long."""
        self._recent.setdefault(tool, _Recent()).add(seconds)

    def slow_after(self, tool: str) -> float | None:
        """Seconds after which a command of a tool of `hedging` is slow; None: nobody knows."""
        recent = self._recent.get(tool)
        return recent.quantile(self._options.hedge_quantile) if recent else None


class _Recent:
    """What a tool took lately."""

    __slots__ = ("_fresh", "_seconds", "_value")

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=RECENT)
        self._fresh = 0
        self._value: float | None = None

    def add(self, seconds: float) -> None:
        self._seconds.append(seconds)
        self._fresh += 1

    def quantile(self, q: float) -> float | None:
        if len(self._seconds) < ENOUGH:
            return None
        if self._value is None or self._fresh >= REFRESH:
            ordered = sorted(self._seconds)
            self._value = ordered[min(len(ordered), math.ceil(q * len(ordered))) - 1]
            self._fresh = 0
        return self._value

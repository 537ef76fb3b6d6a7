"""How many workers a pool wants, by how long commands wait: a sans-IO core.

Commands that wait too long call for more workers, half as many again; a pool that has had more than
it needed for a while lets one go. The two thresholds lie apart, and after each change there is a
pause, so that a load between them changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.pool.options import ScaleOptions

GROW = 1.5
"""At most so many times as many workers in one step, or one more."""
COOL_SECONDS = 1.0
"""Between two steps up: the workers of the last one must have had time to help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a pool has to do."""

    queued: int
    wait_seconds: float
    """How long the command that has waited longest has waited; 0: none waits."""
    busy: int
    """Workers that have commands."""


class Autoscale:
    """Decides on the size of one pool."""

    __slots__ = ("_changed", "_idle_since", "_needed", "options")

    def __init__(self, options: ScaleOptions) -> None:
        self.options = options
        self._changed = float("-inf")
        self._idle_since: float | None = None
        self._needed = 0
        """The most workers that were busy since then."""

    @property
    def on(self) -> bool:
        """Whether the pool sizes itself."""
        return self.options.max_size > 0

    def step(self, now: float, size: int, load: Load) -> tuple[int, str]:
        """The size that is wanted now, and why it is another one; no reason: it is the same.

        Sizes are within the bounds whatever the load is.
        """
        low, high = self.options.min_size, self.options.max_size
        bounded = min(max(size, low), high)
        if bounded != size:
            return self._to(now, bounded), f"the bounds are {low} and {high}"
        if load.queued and not size:
            return self._to(now, 1), "commands wait and there is no worker"
        if load.queued and load.wait_seconds >= self.options.wait_seconds:
            self._idle_since = None
            if size >= high or now - self._changed < COOL_SECONDS:
                return size, ""
            more = min(load.queued, max(1, int(size * GROW) - size))
            return self._to(now, min(high, size + more)), (
                f"{load.queued} commands wait, one for {load.wait_seconds:.2f} s"
            )
        return self._rest(now, size, low, load)

    def _rest(self, now: float, size: int, low: int, load: Load) -> tuple[int, str]:
        if load.queued or load.busy >= size:
            self._idle_since = None
            return size, ""
        if self._idle_since is None:
            self._idle_since, self._needed = now, load.busy
        self._needed = max(self._needed, load.busy)
        idle = self.options.idle_seconds
        if size <= low or now - self._idle_since < idle:
            return size, ""
        needed = self._needed
        return self._to(now, max(low, size - 1)), (
            f"not more than {needed} of {size} workers were busy for {idle:g} s"
        )

    def _to(self, now: float, size: int) -> int:
        self._changed = now
        self._idle_since = None
        return size

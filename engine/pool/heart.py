"""Whether a worker's heart beats: a sans-IO core.

A thread of the worker counts beats on the slate, also while a long command runs; one that is
stopped, or sits in C code that holds the interpreter, does not. Before the first beat nothing is
judged: the start has a limit of its own.
"""

from __future__ import annotations

from engine.pool.options import HeartbeatOptions


class Heart:
    """What was heard of one worker."""

    __slots__ = ("_beats", "_heard", "_options")

    def __init__(self, options: HeartbeatOptions) -> None:
        self._options = options
        self._beats = 0
        self._heard = 0.0

    def listen(self, now: float, beats: int) -> int:
        """The beats in a row that did not come, when so many have come so far."""
        if beats != self._beats:
            self._beats, self._heard = beats, now
        if not self._beats:
            return 0
        return max(0, int((now - self._heard) / self._options.interval_seconds) - 1)

    def verdict(self, missed: int) -> str:
        """Why it is to be killed; empty: it is not."""
        limit = self._options.misses
        if not limit or missed < limit:
            return ""
        return (
            f"it hangs: {missed} heartbeats in a row did not come,"
            f" one each {self._options.interval_seconds:g} s"
        )

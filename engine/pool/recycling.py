"""When a worker is to be replaced although it serves: a sans-IO core.

Each worker draws its own limits once, so that workers of one age do not leave together.
"""

from __future__ import annotations

from engine.pool.options import RecycleOptions


class Term:
    """How long one worker may serve."""

    __slots__ = ("_commands", "_rss", "_seconds")

    def __init__(self, options: RecycleOptions, draw: float) -> None:
        """`draw` is a random number from 0 up to 1: limits shrink by that share of the jitter."""
        share = 1.0 - options.jitter * draw
        self._seconds = options.after_seconds * share
        self._commands = options.after_commands * share
        self._rss = options.rss_bytes * share

    def over(self, seconds: float, commands: int, rss_bytes: int) -> str:
        """Why a worker of that age, with so many commands and bytes, is to go; empty: it is not."""
        if self._seconds and seconds >= self._seconds:
            return f"it is {seconds:.0f} s old"
        if self._commands and commands >= self._commands:
            return f"it ran {commands} commands"
        if self._rss and rss_bytes >= self._rss:
            return f"it has {rss_bytes} bytes of memory"
        return ""

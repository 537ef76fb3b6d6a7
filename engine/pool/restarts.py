"""How soon the next worker is started, and whether starting any makes sense: a sans-IO core.

Two things go wrong: workers that never become ready (the adapter does not import, raises or hangs
in setup), and workers that do and then die by themselves before they have done anything. A death
under a command is the command's doing and costs no wait.
"""

from __future__ import annotations

START_FAILURES = 3
"""Workers in a row that do not start before a pool that has no other worker is failed."""
CRASHES = 5
"""Workers in a row that start and die idle before such a pool is failed."""
PROVED_SECONDS = 5.0
"""A worker that lived for this long, or answered a command, was no crash on start."""
BACKOFF_SECONDS = (0.0, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 15.0)
"""Waits after so many failures in a row; the last one repeats for as long as it fails."""


class Restarts:
    """The failures in a row of one pool's workers."""

    __slots__ = ("crashes", "unstarted")

    def __init__(self) -> None:
        self.unstarted = 0
        self.crashes = 0

    @property
    def crash_loop(self) -> bool:
        """Workers become ready and die: being ready proves nothing now."""
        return self.crashes >= CRASHES

    @property
    def hopeless(self) -> bool:
        """Workers do not stay: a pool without any is failed."""
        return self.unstarted >= START_FAILURES or self.crash_loop

    @property
    def failures(self) -> int:
        """The failures in a row that count for the wait."""
        return max(self.unstarted, self.crashes)

    @property
    def wait(self) -> float:
        """Seconds until the next worker may be started."""
        return BACKOFF_SECONDS[min(self.failures, len(BACKOFF_SECONDS) - 1)]

    def became_ready(self) -> None:
        """The adapter imports and sets up."""
        self.unstarted = 0

    def proved(self) -> None:
        """A worker did its work, or stayed."""
        self.unstarted = self.crashes = 0

    def did_not_start(self) -> None:
        """A worker ended before it was ready."""
        self.unstarted += 1

    def died(self, lived_seconds: float, *, answered: bool, under_command: bool) -> None:
        """A worker that was ready ended without being asked to."""
        if answered or lived_seconds >= PROVED_SECONDS:
            self.proved()
        elif not under_command:
            self.crashes += 1

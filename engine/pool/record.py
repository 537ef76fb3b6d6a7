"""What is remembered of one worker: the states it was in, for how long and why, and its memory.

Sans-IO; both are bounded, whatever happens: a worker flips between ready and busy thousands of
times a second, so each of those two is one entry with its total; a memory curve that is full is
thinned.
"""

from __future__ import annotations

from dataclasses import dataclass

from citadel.vocabulary import WorkerState
from citadel.wire.messages import MemoryPoint, StateChange

MAX_POINTS = 256
"""Points of a memory curve: a full one loses every second, and from then on takes half as many."""


@dataclass(slots=True)
class _Stay:
    """A state that a worker is or was in."""

    since_ns: int
    cause: str = ""
    spent_ns: int = 0
    """In earlier stays."""


class Record:
    """The life of one worker."""

    __slots__ = ("_every", "_memory", "_skipped", "_state", "_stays")

    def __init__(self, now_ns: int) -> None:
        self._state: WorkerState = "starting"
        self._stays: dict[WorkerState, _Stay] = {"starting": _Stay(now_ns)}
        self._memory: list[MemoryPoint] = []
        self._every = 1
        self._skipped = 0

    def to(self, state: WorkerState, now_ns: int, cause: str = "") -> None:
        """It is in another state from now on."""
        left = self._stays[self._state]
        left.spent_ns += now_ns - left.since_ns
        self._state = state
        stay = self._stays.get(state)
        if stay is None:
            self._stays[state] = _Stay(now_ns, cause)
        else:
            stay.since_ns, stay.cause = now_ns, cause

    def measured(self, now_ns: int, rss_bytes: int, pss_bytes: int) -> None:
        """Its memory was this."""
        self._skipped += 1
        if self._skipped < self._every:
            return
        self._skipped = 0
        self._memory.append(
            MemoryPoint(time_unix_nanos=now_ns, rss_bytes=rss_bytes, pss_bytes=pss_bytes)
        )
        if len(self._memory) >= MAX_POINTS:
            del self._memory[1::2]
            self._every *= 2

    def history(self, now_ns: int) -> tuple[StateChange, ...]:
        """Its states by when it was last in them: since when, why, and how long in all."""
        found = [
            StateChange(
                state=state,
                since_unix_nanos=stay.since_ns,
                cause=stay.cause,
                seconds=(stay.spent_ns + (now_ns - stay.since_ns if state == self._state else 0))
                / 1e9,
            )
            for state, stay in self._stays.items()
        ]
        return tuple(sorted(found, key=lambda each: each.since_unix_nanos))

    def memory(self) -> tuple[MemoryPoint, ...]:
        """Its memory over its life."""
        return tuple(self._memory)

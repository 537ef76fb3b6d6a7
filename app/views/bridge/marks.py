"""What happened to the engine, for all charts of the Bridge: policy changes, crashes, gaps.

Read from the store's event log as it grows; bounded. Main thread only.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from app.clock import MARKED_EVENTS
from app.store import FleetStore

MARKS_KEPT = 200
TOKENS = {"policy": "accent.base", "crash": "state.lost", "gap": "state.reconnecting"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One happening."""

    time_ns: int
    kind: str
    text: str


class Marks:
    """Follows a store."""

    def __init__(self, store: FleetStore) -> None:
        self._store = store
        self._events: deque[Mark] = deque(maxlen=MARKS_KEPT)
        self._seen = 0

    def follow(self) -> tuple[Mark, ...]:
        """All that is known by now."""
        log = self._store.events
        if log.total < self._seen:  # another life of the engine
            self._events.clear()
            self._seen = 0
        for row in log.since(self._seen):
            if (kind := MARKED_EVENTS.get(row["name"])) is not None:
                text = " · ".join(filter(None, (row["name"], row["subject"], row["message"])))
                self._events.append(Mark(time_ns=row["time_ns"], kind=kind, text=text))
        self._seen = log.total
        gaps = [
            Mark(
                time_ns=note.time_ns,
                kind="gap",
                text=f"{note.gap.to_seq - note.gap.from_seq + 1} rows are missing here",
            )
            for note in self._store.connection.gaps
        ]
        return (*self._events, *gaps)

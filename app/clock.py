"""The room's clock: live or frozen, what arrived since, and the density strip with its markers.

Everything on screen is state(t). While frozen, batches are kept here instead of going to the store,
so that nothing which a view reads can move; ingest goes on. The backlog is bounded: beyond the
bound the oldest log rows are dropped and counted, and state rows are reduced to the last of each
key. Policies and connection are controls, not telemetry: they pass. Pure; main thread only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from app.store import FleetStore, Row
from citadel.wire.columns import Table, rows
from citadel.wire.topics import TOPICS

MAX_BEHIND = 400_000
"""The most rows that wait while frozen."""

DENSITY_SECONDS = 900
"""The stretch that the density strip remembers, one bucket a second."""

MARKERS_KEPT = 500
PASSING = ("sampling", "defense", "audit")
"""Topics that a frozen room still takes in."""

SECOND = 1_000_000_000

MARKED_EVENTS = {
    "worker.lost": "crash",
    "sentinel.quarantined": "crash",
    "pool.failed": "crash",
    "sampling.changed": "policy",
    "defense.changed": "policy",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """Something on the clock bar: policy, crash or block."""

    time_ns: int
    kind: str
    text: str


class RoomClock:
    """Stands between the stream and the store."""

    def __init__(self, store: FleetStore) -> None:
        self._store = store
        self._behind: deque[Mapping[str, Table]] = deque()
        self._frozen_ns = 0
        self._rows = 0
        self.behind = 0
        self.dropped = 0
        self.markers: deque[Marker] = deque(maxlen=MARKERS_KEPT)
        self.density: deque[tuple[int, int]] = deque(maxlen=DENSITY_SECONDS)
        self.generation = 0

    @property
    def frozen(self) -> bool:
        """Whether the views stand still."""
        return bool(self._frozen_ns)

    def now_ns(self, engine_now_ns: int) -> int:
        """The time that is on screen."""
        return self._frozen_ns or engine_now_ns

    def take(self, batch: Mapping[str, Table], time_ns: int) -> None:
        """One batch of the stream, with the engine's time of it."""
        self._count(batch, time_ns)
        self._mark(batch)
        self.generation += 1
        if not self.frozen:
            self._store.apply(batch)
            return
        passing = {topic: table for topic, table in batch.items() if topic in PASSING}
        waiting = {topic: table for topic, table in batch.items() if topic not in PASSING}
        self._store.apply(passing)
        arrived = sum(map(_length, waiting.values()))
        if arrived:
            self._behind.append(waiting)
            self.behind += arrived
            self._rows += arrived
            self._bound()

    def reset(self, snapshot: Mapping[str, Table]) -> None:
        """A snapshot replaces everything, and so ends a freeze of what it replaces."""
        self._behind.clear()
        self._rows = self.behind = self.dropped = self._frozen_ns = 0
        self.markers.clear()
        self._mark(snapshot)
        self.generation += 1
        self._store.reset(snapshot)

    def freeze(self, time_ns: int) -> None:
        """Stops the views at a time."""
        if not self.frozen:
            self._frozen_ns = time_ns
            self.generation += 1

    def show_moment(self, time_ns: int) -> None:
        """Freezes the views at a moment of the past; time axes end there."""
        self._frozen_ns = max(time_ns, 1)
        self.generation += 1

    def go_live(self) -> None:
        """Catches up with all that waited, in order."""
        waiting, self._behind = self._behind, deque()
        self._rows = self.behind = self._frozen_ns = 0
        self.generation += 1
        for batch in waiting:
            self._store.apply(batch)

    def _bound(self) -> None:
        """Drops the oldest log rows; merges the oldest state rows into the next batch."""
        while self._rows > MAX_BEHIND and len(self._behind) > 1:
            oldest = self._behind.popleft()
            states = {topic: table for topic, table in oldest.items() if topic in _LATEST_MATTERS}
            lost = sum(_length(oldest[topic]) for topic in oldest.keys() - states.keys())
            if states:
                self._merge(states)
            self.dropped += lost
            self._rows -= lost

    def _merge(self, states: Mapping[str, Table]) -> None:
        following = dict(self._behind.popleft())
        for topic, table in states.items():
            later = following.get(topic)
            following[topic] = table if later is None else _joined(topic, table, later)
            kept = _length(following[topic])
            self._rows -= _length(table) + (0 if later is None else _length(later)) - kept
        self._behind.appendleft(following)

    def _count(self, batch: Mapping[str, Table], time_ns: int) -> None:
        happened = sum(_length(table) for topic, table in batch.items() if topic in _HAPPENINGS)
        second = time_ns // SECOND
        if self.density and self.density[-1][0] == second:
            self.density[-1] = (second, self.density[-1][1] + happened)
        else:
            self.density.append((second, happened))

    def _mark(self, batch: Mapping[str, Table]) -> None:
        for row in _rows_of(batch, "event"):
            if row["name"] in MARKED_EVENTS:
                text = " · ".join(filter(None, (row["name"], row["subject"], row["message"])))
                self._add(row["time_ns"], MARKED_EVENTS[row["name"]], text)
        for row in _rows_of(batch, "verdict"):
            if row["decision"] == "block":
                self._add(row["time_ns"], "block", f"{row['layer']} blocked a {row['channel']}")

    def _add(self, time_ns: int, kind: str, text: str) -> None:
        self.markers.append(Marker(time_ns=time_ns, kind=kind, text=text))


_LATEST_MATTERS = ("pool", "worker", "sentinel", "mission", "counter")
_HAPPENINGS = ("span", "event", "verdict", "audit")


def _length(table: Table) -> int:
    return next((len(column) for column in table.values()), 0)


def _rows_of(batch: Mapping[str, Table], topic: str) -> list[Row]:
    table = batch.get(topic)
    return [] if table is None else rows(table)


def _joined(topic: str, earlier: Table, later: Table) -> Table:
    """Both tables' rows, reduced to the last one of each key, in order."""
    table = {name: np.concatenate((earlier[name], later[name])) for name in earlier}
    keys = zip(*(table[column].tolist() for column in TOPICS[topic].key), strict=True)
    last = sorted({key: index for index, key in enumerate(keys)}.values())
    return {name: column[last] for name, column in table.items()}

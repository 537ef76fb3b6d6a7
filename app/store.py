"""What the control room knows of one engine: a pure reducer of the engine's stream.

It holds rows and histories, takes batches, and counts a generation a topic, so that views know
what moved. It refuses to know Qt, clocks, sockets or widgets; times come with the rows. Main
thread only.

The histories of latencies, spans, series and workers' lives are
app/models/{latency,spans,series,lives}.py. The store feeds them with `latency.append(table)`,
`spans.append(table)`, `series.counter(name, time_ns, total)`, `series.gauge(name, time_ns, value)`
and `lives.take(row)`, and empties each with `clear()`.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from app.models.latency import LatencyHistory
from app.models.lives import Lives
from app.models.series import SeriesHistory
from app.models.spans import SpanColumns
from citadel.vocabulary import GONE
from citadel.wire.columns import Table, rows
from citadel.wire.messages import EngineInfo, Gap
from citadel.wire.topics import STREAMED

K = TypeVar("K")
Row = dict[str, Any]
LinkState = Literal["idle", "connecting", "live", "reconnecting", "lost"]

LOG_ROWS = 20_000
"""The newest rows that a log keeps; older ones are counted and dropped."""

STRIP_TRANSITIONS = 512
"""The newest transitions that a Sentinel's strip keeps."""

STRIPS = 2_000
"""The most Sentinels whose strips are kept, the oldest go first."""

GAPS_KEPT = 100

POOL_GAUGES = (
    "queued",
    "queued_urgent",
    "queued_normal",
    "queued_later",
    "queue_wait",
    "running",
    "size",
)
"""What a pool's history keeps besides its totals."""


class RowLog:
    """The newest rows of a log topic, oldest first, and how many there ever were."""

    __slots__ = ("_rows", "total")

    def __init__(self, limit: int = LOG_ROWS) -> None:
        self._rows: deque[Row] = deque(maxlen=limit)
        self.total = 0

    def extend(self, new: Sequence[Row]) -> None:
        """Appends rows; the oldest ones fall out at the limit."""
        self._rows.extend(new)
        self.total += len(new)

    def since(self, total: int) -> list[Row]:
        """The rows that came after the first `total` ones, as far as they are still kept."""
        fresh = min(max(self.total - total, 0), len(self._rows))
        if not fresh:
            return []
        start = len(self._rows) - fresh
        return [row for index, row in enumerate(self._rows) if index >= start]

    def clear(self) -> None:
        """Forgets rows and count."""
        self._rows.clear()
        self.total = 0

    @property
    def dropped(self) -> int:
        """Rows that fell out."""
        return self.total - len(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def __getitem__(self, index: int) -> Row:
        return self._rows[index]


@dataclass(frozen=True, slots=True, kw_only=True)
class GapNote:
    """A stretch of the stream that this window does not have."""

    time_ns: int
    gap: Gap


@dataclass(slots=True, kw_only=True)
class ConnectionState:
    """How the window stands to its engine; app/link.py writes it."""

    mode: Literal["embedded", "remote"] = "embedded"
    state: LinkState = "idle"
    address: str = ""
    instance_id: str = ""
    info: EngineInfo | None = None
    # When the last message arrived, by this machine's clock in unix nanoseconds.
    last_message_ns: int = 0
    # The engine's clock minus this machine's, at the last message.
    clock_offset_ns: int = 0
    attempt: int = 0
    error: str = ""
    remedy: str = ""
    gaps: deque[GapNote] = field(default_factory=lambda: deque[GapNote](maxlen=GAPS_KEPT))

    @property
    def live(self) -> bool:
        """Whether what is on screen is what is."""
        return self.state == "live"


class FleetStore:
    """The present state and recent history of one engine."""

    def __init__(self) -> None:
        self.pools: dict[str, Row] = {}
        self.workers: dict[tuple[str, str], Row] = {}
        self.sessions: dict[tuple[str, str], Row] = {}
        self.poison: dict[tuple[str, str], Row] = {}
        self.exporters: dict[str, Row] = {}
        self.recordings: dict[str, Row] = {}
        self.sentinels: dict[str, Row] = {}
        self.missions: dict[str, Row] = {}
        self.sampling: Row | None = None
        self.defense: Row | None = None
        self.events = RowLog()
        self.verdicts = RowLog()
        self.audit = RowLog()
        self.counters: dict[tuple[str, str], float] = {}
        self.latency = LatencyHistory()
        self.spans = SpanColumns()
        self.series = SeriesHistory()
        self.lives = Lives()
        self.sentinel_history: dict[str, deque[tuple[int, str]]] = {}
        self.connection = ConnectionState()
        self.generation: dict[str, int] = dict.fromkeys((*STREAMED, "connection"), 0)
        self.received_rows = 0
        self.received: dict[str, int] = dict.fromkeys(STREAMED, 0)
        """Rows that came, by topic."""
        self._last_audit = 0
        self._columns: dict[str, Callable[[Table], None]] = {
            "span": self.spans.append,
            "latency": self.latency.append,
        }
        self._rows: dict[str, Callable[[list[Row]], None]] = {
            "event": self.events.extend,
            "verdict": self.verdicts.extend,
            "audit": self._take_audit,
            "counter": self._take_counters,
            "pool": self._take_pools,
            "worker": self._take_workers,
            "session": self._take_sessions,
            "poison": self._take_poison,
            "exporter": self._take_exporters,
            "recording": self._take_recordings,
            "sentinel": self._take_sentinels,
            "mission": self._take_missions,
            "sampling": self._take_sampling,
            "defense": self._take_defense,
        }

    # ── in ──────────────────────────────────────────────────────────────────────────────────────
    def reset(self, snapshot: Mapping[str, Table]) -> None:
        """Starts over with a snapshot: another engine, or another life of the same one."""
        for keyed in (
            self.pools,
            self.workers,
            self.sessions,
            self.poison,
            self.exporters,
            self.recordings,
            self.sentinels,
            self.missions,
            self.counters,
        ):
            keyed.clear()
        for log in (self.events, self.verdicts, self.audit):
            log.clear()
        for history in (self.latency, self.spans, self.series, self.lives):
            history.clear()
        self.sentinel_history.clear()
        self.sampling = self.defense = None
        self._last_audit = 0
        self.received = dict.fromkeys(STREAMED, 0)
        self.apply(snapshot)
        for topic in self.generation:
            self.touch(topic)

    def apply(self, batch: Mapping[str, Table]) -> None:
        """Takes in one batch: tables by topic, rows in the order they happened."""
        for topic, table in batch.items():
            count = _length(table)
            if count and topic in self.generation:
                self.received_rows += count
                self.received[topic] += count
                if topic in self._columns:
                    self._columns[topic](table)
                else:
                    self._rows[topic](rows(table))
                self.touch(topic)

    def touch(self, topic: str) -> None:
        """Says that a topic changed; app/link.py says so of "connection"."""
        self.generation[topic] += 1

    # ── out ─────────────────────────────────────────────────────────────────────────────────────
    def rules(self) -> list[Row]:
        """The sampling rules in force, in order."""
        return _json_list(self.sampling, "rules")

    def keep_rules(self) -> list[Row]:
        """The keep-rules in force, in order."""
        return _json_list(self.sampling, "keep")

    def overrides(self) -> list[Row]:
        """The overrides in force: messages of the wire, each with its rule."""
        return _json_list(self.sampling, "overrides")

    def sampling_warnings(self) -> list[str]:
        """What the engine finds odd about the sampling policy."""
        found: list[str] = json.loads(self.sampling["warnings"] or "[]") if self.sampling else []
        return found

    def layers(self) -> list[Row]:
        """The guard layers in force, in order."""
        return _json_list(self.defense, "layers")

    @property
    def strict(self) -> bool:
        """Whether the guards are in strict mode."""
        return bool(self.defense and self.defense["strict"])

    def counters_by(self, name: str, label: str) -> dict[str, float]:
        """A counter's sums by the value of one label."""
        found: dict[str, float] = {}
        for (known, text), value in self.counters.items():
            if known == name:
                key = str(json.loads(text or "{}").get(label, ""))
                found[key] = found.get(key, 0.0) + value
        return found

    def counter(self, name: str, **labels: str) -> float:
        """The sum of a counter over all label sets that have the given labels."""
        return sum(
            value
            for (known, text), value in self.counters.items()
            if known == name and (not labels or labels.items() <= json.loads(text or "{}").items())
        )

    # ── each topic ──────────────────────────────────────────────────────────────────────────────
    def _take_workers(self, new: list[Row]) -> None:
        for row in new:
            _put(self.workers, (row["pool"], row["id"]), row)
            self.lives.take(row)

    def _take_sessions(self, new: list[Row]) -> None:
        for row in new:
            _put(self.sessions, (row["pool"], row["key"]), row)

    def _take_poison(self, new: list[Row]) -> None:
        for row in new:
            _put(self.poison, (row["pool"], row["fingerprint"]), row)

    def _take_exporters(self, new: list[Row]) -> None:
        for row in new:
            _put(self.exporters, row["name"], row)

    def _take_recordings(self, new: list[Row]) -> None:
        for row in new:
            _put(self.recordings, row["name"], row)

    def _take_missions(self, new: list[Row]) -> None:
        for row in new:
            _put(self.missions, row["id"], row)

    def _take_sampling(self, new: list[Row]) -> None:
        self.sampling = new[-1]

    def _take_defense(self, new: list[Row]) -> None:
        self.defense = new[-1]

    def _take_audit(self, new: list[Row]) -> None:
        """An entry that came with a snapshot and again by the stream is kept once."""
        fresh: list[Row] = []
        for row in new:
            if row["seq"] > self._last_audit:
                self._last_audit = row["seq"]
                fresh.append(row)
        self.audit.extend(fresh)

    def _take_counters(self, new: list[Row]) -> None:
        for row in new:
            key = (row["name"], row["labels"])
            self.counters[key] = row["value"]
            self.series.counter(_series_name(*key), row["time_ns"], row["value"])

    def _take_pools(self, new: list[Row]) -> None:
        for row in new:
            name, time_ns = row["name"], row["time_ns"]
            _put(self.pools, name, row)
            if row["state"] == GONE:
                for keyed in (self.workers, self.sessions, self.poison):
                    for key in [key for key in keyed if key[0] == name]:
                        del keyed[key]
                self.lives.end_all(name)
                continue
            for gauge in POOL_GAUGES:
                self.series.gauge(f"pool.{gauge}.{name}", time_ns, float(row[gauge]))
            for total in ("submitted", "done", "failed"):
                self.series.counter(f"pool.{total}.{name}", time_ns, float(row[total]))

    def _take_sentinels(self, new: list[Row]) -> None:
        for row in new:
            name = row["id"]
            _put(self.sentinels, name, row)
            strip = self.sentinel_history.get(name)
            if strip is None:
                if len(self.sentinel_history) >= STRIPS:
                    del self.sentinel_history[next(iter(self.sentinel_history))]
                strip = self.sentinel_history[name] = deque(maxlen=STRIP_TRANSITIONS)
            if not strip or strip[-1][1] != row["state"]:
                strip.append((row["since_ns"], row["state"]))


def _put(rows_by_key: dict[K, Row], key: K, row: Row) -> None:
    if row["state"] == GONE:
        rows_by_key.pop(key, None)
    else:
        rows_by_key[key] = row


def _length(table: Table) -> int:
    return next((len(column) for column in table.values()), 0)


def _json_list(row: Row | None, column: str) -> list[Row]:
    found: list[Row] = json.loads(row[column] or "[]") if row else []
    return found


def _series_name(name: str, labels: str) -> str:
    """A counter's series: its name, and its labels' values in order: "name" or "name.a.b"."""
    values: dict[str, str] = json.loads(labels) if labels else {}
    return ".".join((name, *(values[key] for key in sorted(values))))

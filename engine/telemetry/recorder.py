"""Records spans, events, counters and durations. Asyncio-loop thread only; never blocks.

Counters and durations are taken before sampling and are exact. Spans of traces that the policy
drops are counted and forgotten. Kept ones wait in a bounded queue for `drain`, which encodes them
and hands them to the sinks (span store, live hub). At any moment started = kept + dropped by cause
+ in flight.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from citadel.trace import SpanContext
from citadel.vocabulary import KIND_INTERNAL, STATUS_ERROR
from citadel.wire.columns import Table
from citadel.wire.messages import LedgerReply
from engine.telemetry.catalogue import COUNTERS, DURATIONS, EVENTS
from engine.telemetry.counter import Counter, CounterKey
from engine.telemetry.encode import Row, attributes_json, clean, clean_text, foreign_row
from engine.telemetry.histogram import Histogram
from engine.telemetry.ingest import COLUMNS, sound
from engine.telemetry.policy import RANDOM_MASK, Root, RootTuple
from engine.telemetry.sampling import Sampler
from engine.telemetry.span import MASK64, Span, UnkeptSpan, current_span

QUEUE_LIMIT = 65_536
"""Kept spans that may wait for `drain`; more are dropped as `queue_full`."""
ANNOUNCE_AFTER_NS = 50_000_000
"""Spans still open after this long are announced to watchers, who so see work in flight."""
MAX_ANNOUNCED = 4_096
"""Open spans that are announced at a time."""
MAX_SERIES = 1_000
"""Label sets a counter, and subjects a duration; what comes beyond counts as `other`."""
OTHER = "other"

SpanSink = Callable[[Sequence[Row]], int]
"""Takes rows of topic `span`, returns how many it had to drop."""


Parent = Span | SpanContext | None
Starter = Callable[[str, Parent, str, str, str], Span]
"""Starts a span: the rest of its name, parent (None: a new trace), mission, its class, Sentinel."""


class SpanKeeper(Protocol):
    """A sink that writes later, and says what became of the rows that it took."""

    written: int
    lost: int

    def write(self, rows: Sequence[Row]) -> int:
        """Takes rows; returns how many it had to drop at once."""
        ...


class _FromContext:
    """Says: the parent is the current span, if there is one."""


CURRENT = _FromContext()


class Recorder:
    """The one place where the engine's steps are recorded."""

    def __init__(
        self,
        sampler: Sampler | None = None,
        *,
        publish: Callable[[str, Row], object] | None = None,
        clock: Callable[[], int] = time.time_ns,
        ids: random.Random | None = None,
    ) -> None:
        self.sampler = sampler or Sampler()
        self.clock = clock
        self.counters: dict[CounterKey, float] = {}
        self.durations: dict[tuple[str, str], Histogram] = {}
        self.sinks: list[SpanSink] = []
        self._publish = publish
        # Seeded by the system once: then an id needs no system call.
        seeded = ids or random.Random(random.SystemRandom().getrandbits(256))  # noqa: S311 - ids are no secrets
        self._bits = seeded.getrandbits
        self._keeper: SpanKeeper | None = None
        self._queue: deque[Span | Row] = deque()
        self._fresh: deque[Span] = deque()
        self._announced: dict[int, Span] = {}
        self._series: dict[str, int] = {}
        self._started = self._ended = self._handed = self._sampled_out = 0
        causes = ("queue_full", "store_full", "store_failed", "invalid")
        self._dropped: dict[str, int] = dict.fromkeys(causes, 0)

    def current(self) -> Span | None:
        """The span that code runs in."""
        return current_span.get()

    def keep_in(self, keeper: SpanKeeper) -> None:
        """Keeps spans there; the ledger counts them as kept when they are written."""
        self._keeper = keeper
        self.sinks.append(keeper.write)

    def span(
        self,
        name: str,
        *,
        parent: Span | SpanContext | _FromContext | None = CURRENT,
        root: bool = False,
        kind: int = KIND_INTERNAL,
        source: str = "engine",
        service: str = "",
        mission: str = "",
        mission_class: str = "",
        sentinel: str = "",
        pool: str = "",
        attributes: Mapping[str, Any] | None = None,
        start_ns: int | None = None,
        links: Sequence[SpanContext] = (),
    ) -> Span:
        """Starts a span: below the current one, below `parent`, or as a root of a new trace.

        Mission, class and Sentinel are the parent's where they are not given. A parent from another
        process continues its trace; whether the trace is kept is this engine's policy to say.
        """
        above = None if root else current_span.get() if parent is CURRENT else parent
        now = self.clock() if start_ns is None else start_ns
        if above is None:
            trace_id, parent_id = self._bits(128) or 1, 0
            about = (mission_class, mission, sentinel, pool, source, name)
            sampled = self.sampler.begun(trace_id, about, now)
        elif isinstance(above, Span):
            mission = mission or above.mission
            mission_class = mission_class or above.mission_class
            sentinel = sentinel or above.sentinel
            trace_id, parent_id, sampled = above.trace_id, above.span_id, above.sampled
        else:
            assert isinstance(above, SpanContext)
            trace_id, parent_id = above.trace_id, above.span_id
            about = (mission_class, mission, sentinel, pool, source, name)
            sampled = self.sampler.kept(trace_id, about, now, sampled_by_caller=above.sampled)
        self._started += 1
        if not sampled:
            return UnkeptSpan(self, trace_id, mission, mission_class, sentinel)
        span = Span(self, name, trace_id, self._bits(64) or 1, parent_id, now)
        span.kind, span.source, span.service, span.links = kind, source, service, links
        span.mission, span.mission_class = mission, mission_class
        span.sentinel, span.pool = sentinel, pool
        span.attributes = dict(attributes) if attributes else {}
        self._fresh.append(span)
        if len(self._fresh) > QUEUE_LIMIT:
            self._fresh.popleft()
        return span

    def starter(
        self, prefix: str, *, source: str, service: str, pool: str, kind: int = KIND_INTERNAL
    ) -> Starter:
        """Starts spans that have these in common, for those who start many.

        As `span`, named `prefix` and what it is told, but cheaper where the policy drops the trace:
        that is most of what happens when few traces are kept.
        """
        sampler, clock, bits = self.sampler, self.clock, self._bits
        known: dict[str, tuple[RootTuple, int]] = {}
        sampler.caches.append(known)

        def about(what: str, *root: str) -> tuple[RootTuple, int]:
            mission, mission_class, sentinel = root
            first = (mission_class, mission, sentinel, pool, source, prefix + what)
            found = first, sampler.threshold(first)
            if not any(root) and len(known) < MAX_SERIES:
                known[what] = found
            return found

        def start(
            what: str, parent: Parent, mission: str, mission_class: str, sentinel: str
        ) -> Span:
            if parent is None:
                found = None if mission or mission_class or sentinel else known.get(what)
                root, limit = found or about(what, mission, mission_class, sentinel)
                trace_id = bits(128) or 1
                kept = (trace_id & RANDOM_MASK) >= limit
                sampler.remember((trace_id, clock(), root, kept))
                if not kept:
                    self._started += 1
                    return UnkeptSpan(self, trace_id, mission, mission_class, sentinel)
                parent = SpanContext(trace_id, 0)
            elif isinstance(parent, UnkeptSpan):
                self._started += 1
                return parent.child(mission, mission_class, sentinel)
            return self.span(
                prefix + what,
                parent=parent,
                kind=kind,
                source=source,
                service=service,
                pool=pool,
                mission=mission,
                mission_class=mission_class,
                sentinel=sentinel,
            )

        return start

    def finish(self, span: Span) -> None:
        """Takes an ended span that is kept; called by `Span.end`."""
        self._ended += 1
        if span.status == STATUS_ERROR:
            self.sampler.flag(span.trace_id)
        if span.announced:
            self._announced.pop(span.span_id, None)
        self._enqueue(span)

    def finish_unkept(self, span: Span) -> None:
        """Counts an ended span that the policy drops; called by `UnkeptSpan.end`."""
        self._sampled_out += 1  # which says that it has ended, too
        if span.status == STATUS_ERROR:
            self.sampler.flag(span.trace_id)

    def ingest(self, table: Table) -> int:
        """Takes spans of workers or clients (topic `span`); returns how many were kept."""
        kept = 0
        for row in zip(*(table[name].tolist() for name in COLUMNS), strict=True):
            about = Root(row[12], row[11], row[13], row[14], row[9], row[8])
            kept += self.ingest_row(row[0] << 64 | row[1], about, row)
        return kept

    def ingest_row(self, trace_id: int, about: Root, row: Row) -> bool:
        """Takes one ended span from elsewhere; whether it was kept."""
        self._started += 1
        taken = sound(row)
        if taken is None:
            self._dropped["invalid"] += 1
            self._ended += 1
            return False
        kept = self.sampler.kept(trace_id, about, self.clock())
        if taken[7] == STATUS_ERROR:
            self.sampler.flag(trace_id)
        if not kept:
            self._sampled_out += 1
            return False
        self._ended += 1
        return self._enqueue(taken)

    def event(
        self,
        name: str,
        *,
        subject: str = "",
        severity: str = "info",
        message: str = "",
        context: Span | SpanContext | _FromContext | None = CURRENT,
        mission: str = "",
        **attributes: Any,
    ) -> None:
        """Publishes an event of the catalogue at once; events are not sampled."""
        assert name in EVENTS, f"{name} is not in the catalogue of events"
        if not self._publish:
            return
        where = current_span.get() if isinstance(context, _FromContext) else context
        if isinstance(where, Span):
            mission = mission or where.mission
        trace_id = where.trace_id if where else 0
        self._publish(
            "event",
            (
                self.clock(),
                severity,
                name,
                clean(subject),
                clean_text(message),
                trace_id >> 64,
                trace_id & MASK64,
                clean(mission),
                attributes_json(attributes),
            ),
        )

    def count(self, name: str, amount: float = 1.0, **labels: str) -> None:
        """Adds to an exact counter of the catalogue."""
        self.counter(name, **labels).add(amount)

    def counter(self, name: str, **labels: str) -> Counter:
        """An exact counter of the catalogue, for those who count often."""
        key = (name, tuple(sorted(labels.items())))
        if key not in self.counters:
            assert name in COUNTERS, f"{name} is not in the catalogue of counters"
            assert labels.keys() == set(COUNTERS[name].labels), f"{name} has other labels"
            if not self._room(name):
                key = (name, tuple((label, OTHER) for label in sorted(labels)))
            self.counters.setdefault(key, 0.0)
        return Counter(self.counters, key)

    def observe(self, name: str, seconds: float, subject: str = "") -> None:
        """Adds to an exact histogram of durations of the catalogue."""
        self.duration(name, subject).record(seconds)

    def duration(self, name: str, subject: str = "") -> Histogram:
        """An exact histogram of durations of the catalogue, for those who observe often."""
        histogram = self.durations.get((name, subject))
        if histogram is None:
            assert name in DURATIONS, f"{name} is not in the catalogue of durations"
            subject = subject if self._room(name) else OTHER
            histogram = self.durations.setdefault((name, subject), Histogram())
        return histogram

    def drain(self) -> int:
        """Hands what was recorded since the last call to the sinks; returns how many rows."""
        queue = self._queue
        batch: list[Row] = []
        while queue:
            item = queue.popleft()
            batch.append(item.row() if isinstance(item, Span) else foreign_row(item))
        if batch:
            self._handed += len(batch)
            for sink in self.sinks:
                # A row that one sink dropped is not kept, whatever the others did.
                full = sink(batch)
                self._dropped["store_full"] += full
                self._handed -= full
        self._show(batch)
        return len(batch)

    def open_rows(self) -> list[Row]:
        """The rows of the open spans that were announced, for those who begin to watch now."""
        return [span.row() for span in self._announced.values()]

    def ledger(self) -> LedgerReply:
        """What was started is kept, dropped by cause, or in flight (as is what waits)."""
        dropped, kept = {"sampled_out": self._sampled_out, **self._dropped}, self._handed
        if self._keeper is not None:
            kept, lost = self._keeper.written, self._keeper.lost
            dropped["store_failed"] = lost
        ended = self._ended + self._sampled_out
        on_the_way = self._handed - kept - dropped["store_failed"]
        return LedgerReply(
            started=self._started,
            kept=kept,
            in_flight=self._started - ended + len(self._queue) + on_the_way,
            dropped=dropped,
        )

    def _show(self, batch: list[Row]) -> None:
        """Publishes ended spans, and those that have been open for a while."""
        late = self.clock() - ANNOUNCE_AFTER_NS
        fresh, publish = self._fresh, self._publish
        while fresh and (fresh[0].end_ns or fresh[0].start_ns < late):
            span = fresh.popleft()
            if publish and not span.end_ns and len(self._announced) < MAX_ANNOUNCED:
                span.announced = True
                self._announced[span.span_id] = span
                publish("span", span.row())
        if publish:
            for row in batch:
                publish("span", row)

    def _enqueue(self, item: Span | Row) -> bool:
        if len(self._queue) >= QUEUE_LIMIT:
            self._dropped["queue_full"] += 1
            return False
        self._queue.append(item)
        return True

    def _room(self, name: str) -> bool:
        """Whether the name may have one more label set; takes it."""
        series = self._series.get(name, 0)
        self._series[name] = series + 1
        return series < MAX_SERIES

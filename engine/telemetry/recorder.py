"""Records spans, events, counters and durations. Asyncio-loop thread only; never blocks.

Counters and durations are taken before sampling and are exact. Spans of traces that the policy
drops are counted and forgotten. Kept ones wait in a bounded queue for `drain`, which encodes them
and hands them to the sinks (span store, live hub).
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar, Token
from typing import Any, Final, Self

from citadel.trace import SpanContext, new_span_id, new_trace_id
from citadel.vocabulary import KIND_INTERNAL, STATUS_ERROR, STATUS_UNSET
from citadel.wire.columns import Table, rows
from citadel.wire.messages import LedgerReply
from citadel.wire.topics import TOPICS
from engine.telemetry.catalogue import COUNTERS, DURATIONS, EVENTS
from engine.telemetry.histogram import Histogram
from engine.telemetry.redact import clean
from engine.telemetry.sampling import Root, Sampler

QUEUE_LIMIT = 65_536
"""Kept spans that may wait for `drain`; more are dropped as `queue_full`."""
ANNOUNCE_AFTER_NS = 50_000_000
"""Spans still open after this long are announced to watchers, who so see work in flight."""
MAX_EVENTS = 128
"""Events a span keeps; the number dropped is an attribute."""

_MASK64: Final = 2**64 - 1
_current: ContextVar[Span | None] = ContextVar("citadel_span", default=None)


class _FromContext:
    """Says: the parent is the current span, if there is one."""


CURRENT = _FromContext()


class Span:
    """A step of a trace. As a context manager it is the current span, and records an exception."""

    __slots__ = (
        "_recorder",
        "_token",
        "attributes",
        "context",
        "end_ns",
        "events",
        "kind",
        "mission",
        "mission_class",
        "name",
        "parent_id",
        "pool",
        "sentinel",
        "service",
        "source",
        "start_ns",
        "status",
    )

    def __init__(self, recorder: Recorder, context: SpanContext, parent_id: int, name: str) -> None:
        self._recorder = recorder
        self._token: Token[Span | None] | None = None
        self.context = context
        self.parent_id = parent_id
        self.name = name
        self.kind = KIND_INTERNAL
        self.source = "engine"
        self.service = self.mission = self.mission_class = self.sentinel = self.pool = ""
        self.attributes: dict[str, Any] | None = None
        self.events: list[dict[str, Any]] | None = None
        self.status = STATUS_UNSET
        self.start_ns = self.end_ns = 0

    def set(self, key: str, value: str | float | bool) -> None:
        """Sets an attribute."""
        if self.attributes is None:
            self.attributes = {}
        self.attributes[key] = value

    def event(self, name: str, **attributes: Any) -> None:
        """Adds an event; those past MAX_EVENTS are counted only."""
        if self.events is None:
            self.events = []
        if len(self.events) >= MAX_EVENTS:
            dropped = (self.attributes or {}).get("citadel.dropped_events", 0)
            self.set("citadel.dropped_events", dropped + 1)
            return
        self.events.append(
            {"time_ns": self._recorder.clock(), "name": name, "attributes": clean(attributes)}
        )

    def error(self, error: BaseException | str) -> None:
        """Ends up with status ERROR; an exception becomes an `exception` event, as in OTel."""
        self.status = STATUS_ERROR
        kind = type(error).__qualname__ if isinstance(error, BaseException) else "error"
        self.set("error.type", kind)
        self.event("exception", **{"exception.type": kind, "exception.message": str(error)})

    def end(self, end_ns: int | None = None) -> None:
        """Ends it; a second call does nothing."""
        if not self.end_ns:
            self.end_ns = end_ns or self._recorder.clock()
            self._recorder.finish(self)

    def __enter__(self) -> Self:
        self._token = _current.set(self)
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._token is not None:
            _current.reset(self._token)
        if error is not None:
            self.error(error)
        self.end()

    def row(self) -> tuple[Any, ...]:
        """The columns of topic `span`."""
        trace_id = self.context.trace_id
        return (
            trace_id >> 64,
            trace_id & _MASK64,
            self.context.span_id,
            self.parent_id,
            self.start_ns,
            self.end_ns,
            self.kind,
            self.status,
            self.name,
            self.source,
            self.service,
            self.mission,
            self.mission_class,
            self.sentinel,
            self.pool,
            json.dumps(clean(self.attributes)) if self.attributes else "{}",
            json.dumps(self.events) if self.events else "[]",
        )


SpanSink = Callable[[Sequence[tuple[Any, ...]]], int]
"""Takes rows of topic `span`, returns how many it had to drop."""


class Recorder:
    """The one place where the engine's steps are recorded."""

    def __init__(
        self,
        sampler: Sampler | None = None,
        *,
        publish: Callable[[str, tuple[Any, ...]], None] | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.sampler = sampler or Sampler()
        self.clock = clock
        self.counters: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        self.durations: dict[tuple[str, str], Histogram] = {}
        self.sinks: list[SpanSink] = []
        self._publish = publish
        self._queue: deque[Span | tuple[Any, ...]] = deque()
        self._fresh: deque[Span] = deque()
        self._started = self._kept = self._ended = 0
        self._dropped: dict[str, int] = {"sampled_out": 0, "queue_full": 0, "store_full": 0}

    def current(self) -> Span | None:
        """The span that code runs in."""
        return _current.get()

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
        above = _current.get() if isinstance(parent, _FromContext) else parent
        if root:
            above = None
        now = start_ns or self.clock()
        if isinstance(above, Span):
            mission = mission or above.mission
            mission_class = mission_class or above.mission_class
            sentinel = sentinel or above.sentinel
            trace_id, parent_id = above.context.trace_id, above.context.span_id
            sampled = above.context.sampled
        else:
            trace_id = above.trace_id if above else new_trace_id()
            parent_id = above.span_id if above else 0
            sampled = self.sampler.kept(
                trace_id,
                Root(mission_class, mission, sentinel, pool, source, name),
                now,
                sampled_by_caller=above.sampled if above else True,
            )
        span = Span(self, SpanContext(trace_id, new_span_id(), sampled), parent_id, name)
        span.kind, span.source, span.service, span.start_ns = kind, source, service, now
        span.mission, span.mission_class = mission, mission_class
        span.sentinel, span.pool = sentinel, pool
        if attributes:
            span.attributes = dict(attributes)
        for link in links:
            span.set("citadel.link.trace_id", link.trace_hex)
        self._started += 1
        if sampled:
            self._fresh.append(span)
            if len(self._fresh) > QUEUE_LIMIT:
                self._fresh.popleft()
        return span

    def finish(self, span: Span) -> None:
        """Takes an ended span; called by `Span.end`."""
        self._ended += 1
        if span.status == STATUS_ERROR:
            self.sampler.flag(span.context.trace_id)
        if span.context.sampled:
            self._enqueue(span)
        else:
            self._dropped["sampled_out"] += 1

    def ingest(self, table: Table) -> int:
        """Takes spans of workers or clients (topic `span`); returns how many were kept."""
        kept = 0
        for row in rows(table):
            trace_id = row["trace_hi"] << 64 | row["trace_lo"]
            about = Root(*(row[key] for key in Root.__dataclass_fields__))
            kept += self.ingest_row(trace_id, about, tuple(row[c] for c in TOPICS["span"].columns))
        return kept

    def ingest_row(self, trace_id: int, about: Root, row: tuple[Any, ...]) -> bool:
        """Takes one ended span from elsewhere; whether it was kept."""
        self._started += 1
        self._ended += 1
        if not self.sampler.kept(trace_id, about, self.clock()):
            self._dropped["sampled_out"] += 1
            return False
        return self._enqueue(row)

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
        where = _current.get() if isinstance(context, _FromContext) else context
        if isinstance(where, Span):
            mission = mission or where.mission
            where = where.context
        trace_id = where.trace_id if where else 0
        if self._publish:
            self._publish(
                "event",
                (
                    self.clock(),
                    severity,
                    name,
                    subject,
                    message,
                    trace_id >> 64,
                    trace_id & _MASK64,
                    mission,
                    json.dumps(clean(attributes)),
                ),
            )

    def count(self, name: str, amount: float = 1.0, **labels: str) -> None:
        """Adds to an exact counter of the catalogue."""
        assert name in COUNTERS, f"{name} is not in the catalogue of counters"
        key = (name, tuple(sorted(labels.items())))
        self.counters[key] = self.counters.get(key, 0.0) + amount

    def observe(self, name: str, seconds: float, subject: str = "") -> None:
        """Adds to an exact histogram of durations of the catalogue."""
        histogram = self.durations.get((name, subject))
        if histogram is None:
            assert name in DURATIONS, f"{name} is not in the catalogue of durations"
            histogram = self.durations[name, subject] = Histogram()
        histogram.record(seconds)

    def drain(self) -> int:
        """Hands what was recorded since the last call to the sinks; returns how many rows."""
        batch: list[tuple[Any, ...]] = []
        while self._queue:
            item = self._queue.popleft()
            batch.append(item.row() if isinstance(item, Span) else item)
        if batch:
            for sink in self.sinks:
                self._dropped["store_full"] += sink(batch)
            self._kept += len(batch)
        self._show(batch)
        return len(batch)

    def _show(self, batch: list[tuple[Any, ...]]) -> None:
        """Publishes ended spans, and those that have been open for a while."""
        late = self.clock() - ANNOUNCE_AFTER_NS
        while self._fresh and (self._fresh[0].end_ns or self._fresh[0].start_ns < late):
            span = self._fresh.popleft()
            if not span.end_ns and self._publish:
                self._publish("span", span.row())
        if self._publish:
            for row in batch:
                self._publish("span", row)

    def ledger(self) -> LedgerReply:
        """What was started is kept, dropped by cause, or in flight (as is what waits here)."""
        lost_later = self._dropped["store_full"]
        return LedgerReply(
            started=self._started,
            kept=self._kept - lost_later,
            in_flight=self._started - self._ended + len(self._queue),
            dropped=dict(self._dropped),
        )

    def _enqueue(self, item: Span | tuple[Any, ...]) -> bool:
        if len(self._queue) >= QUEUE_LIMIT:
            self._dropped["queue_full"] += 1
            return False
        self._queue.append(item)
        return True

"""Records spans, events, counters and durations. Asyncio-loop thread only; never blocks.

Counters and durations are taken before sampling and are exact. Spans of traces that the policy
drops are counted and forgotten. Those that a keep-rule may still keep are held (engine/telemetry/
tail.py). Kept ones wait in a bounded queue for `drain`, which encodes them and hands them to the
sinks (span store, live hub, exporters). Always, started = kept + dropped by cause + in flight.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from citadel.trace import SpanContext, with_threshold
from citadel.vocabulary import KIND_INTERNAL, STATUS_ERROR, DropCause
from citadel.wire.columns import Table
from citadel.wire.messages import LedgerReply
from engine.telemetry.catalogue import fits
from engine.telemetry.decided import Decision, Match, Trace
from engine.telemetry.encode import TRACE_STATE, Row, attributes_json, clean, clean_text
from engine.telemetry.ingest import COLUMNS, sound, whole
from engine.telemetry.ledger import Ledger, SpanKeeper
from engine.telemetry.measures import Measures
from engine.telemetry.policy import RANDOM_MASK, Root, RootTuple
from engine.telemetry.sampling import Sampler
from engine.telemetry.span import MASK64, Span, UnkeptSpan, current_span
from engine.telemetry.starting import Common, Starter, starting
from engine.telemetry.tail import Tail

QUEUE_LIMIT = 65_536
"""Kept spans that may wait for `drain`; more are dropped as `queue_full`."""
ANNOUNCE_AFTER_NS = 50_000_000
"""Spans still open after this long are announced to watchers, who so see work in flight."""
MAX_ANNOUNCED = 4_096
"""Open spans that are announced at a time."""
MAX_LOSSES = 262_144
"""Traces of which a loss is remembered between two drains; of more it is not explained."""
ROW_BYTES = 96
"""What a span takes besides its texts, in bytes."""

SpanSink = Callable[[Sequence[Row]], int]
"""Takes rows of topic `span`, returns how many it had to drop."""

Ended = Span | tuple[Trace, Row]
"""A span of ours, or a row from elsewhere."""


class _FromContext:
    """Says: the parent is the current span, if there is one."""


CURRENT = _FromContext()


class Recorder(Measures):
    """The one place where the engine's steps are recorded."""

    def __init__(
        self,
        sampler: Sampler | None = None,
        *,
        publish: Callable[[str, Row], object] | None = None,
        clock: Callable[[], int] = time.time_ns,
        ids: random.Random | None = None,
    ) -> None:
        super().__init__()
        self.sampler = sampler or Sampler()
        self.tail = Tail(self.sampler.remember, self._release, self._drop)
        self.clock = clock
        self.sinks: list[SpanSink] = []
        self.losses: deque[Decision] = deque(maxlen=MAX_LOSSES)
        """What befell spans of kept traces, for the log of decisions."""
        self.commands: deque[tuple[str, int]] = deque(maxlen=MAX_LOSSES)
        """Commands, each with its trace, for the same."""
        self._log: Callable[[Sequence[Decision], Sequence[tuple[str, int]]], object] | None = None
        self._publish = publish
        # Seeded by the system once: then an id needs no system call.
        seeded = ids or random.Random(random.SystemRandom().getrandbits(256))  # noqa: S311 - ids are no secrets
        self.bits = seeded.getrandbits
        self._queue: deque[Ended] = deque()
        self._fresh: deque[Span] = deque(maxlen=QUEUE_LIMIT)
        self._announced: dict[int, Span] = {}
        self.books = Ledger()
        self._lost_by: dict[tuple[str, str], Match] = {}

    def current(self) -> Span | None:
        """The span that code runs in."""
        return current_span.get()

    def keep_in(self, keeper: SpanKeeper) -> None:
        """Keeps spans there; the ledger counts them as kept when they are written."""
        self.books.keeper = keeper
        self.sinks.append(keeper.write)

    def log_decisions(
        self, write: Callable[[Sequence[Decision], Sequence[tuple[str, int]]], object]
    ) -> None:
        """Hands all decisions, and which commands they were of, there with each drain."""
        self._log = write
        self.sampler.logging = True

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
        if isinstance(above, UnkeptSpan):
            self.books.started += 1
            return above.child(mission, mission_class, sentinel)
        now = self.clock() if start_ns is None else start_ns
        if isinstance(above, Span):
            mission = mission or above.mission
            mission_class = mission_class or above.mission_class
            sentinel = sentinel or above.sentinel
            trace, trace_id, parent_id = above.trace, above.trace_id, above.span_id
            found, state = trace.match, above.trace_state
            if not trace.recording:  # decided meanwhile
                trace = None
        else:
            about = (mission_class, mission, sentinel, pool, source, name)
            trace_id, parent_id = self.bits(128) or 1, 0
            found, state = self.sampler.found(about, now), ""
            if above is None:
                if found.plain and (trace_id & RANDOM_MASK) < found.threshold:
                    self.sampler.remember((trace_id, now, found, False))
                    trace = None  # as most are, where few traces are kept
                else:
                    trace = self.sampler.begun(trace_id, found, now)
            else:
                assert isinstance(above, SpanContext)
                trace_id, parent_id, state = above.trace_id, above.span_id, above.trace_state
                trace = self._continued(above, about, now)
                if trace is None:
                    found = self.sampler.dropped_by(trace_id)
        if trace is None:
            self.books.started += 1
            return UnkeptSpan(self, trace_id, found, mission, mission_class, sentinel)
        span = self.recorded(trace, name, parent_id, now)
        span.kind, span.source, span.service, span.links = kind, source, service, links
        span.mission, span.mission_class = mission, mission_class
        span.sentinel, span.pool, span.trace_state = sentinel, pool, state
        span.entry = not isinstance(above, Span)
        span.attributes = dict(attributes) if attributes else {}
        return span

    def starter(
        self, prefix: str, *, source: str, service: str, pool: str, kind: int = KIND_INTERNAL
    ) -> Starter:
        """Starts spans that have these in common, for those who start many.

        As `span`, named `prefix` and what it is told, but cheaper where the policy drops the trace.
        """
        common = Common(prefix=prefix, source=source, service=service, pool=pool, kind=kind)
        return starting(self, common)

    def finish(self, span: Span) -> None:
        """Takes an ended span that is recorded; called by `Span.end`."""
        trace = span.trace
        self.books.ended += 1
        trace.open -= 1
        if span.status == STATUS_ERROR:
            trace.errors += 1
        if span.announced:
            self._announced.pop(span.span_id, None)
        if span.entry:
            self.tail.root_ended(trace, span.end_ns - span.start_ns, span.end_ns)
        self._ended(trace, span, span.end_ns)

    def finish_unkept(self, span: UnkeptSpan) -> None:
        """Counts an ended span that the policy drops; called by `UnkeptSpan.end`."""
        self.books.sampled_out[span.match.cause] += 1  # which says that it has ended, too

    def lost(self, trace_ids: Iterable[int], cause: DropCause, by: str = "") -> None:
        """Remembers that spans of these traces were lost, and who lost them, to explain it later.

        May be called from any thread.
        """
        found = self._lost_by.get((cause, by))
        if found is None:
            found = self._lost_by.setdefault((cause, by), Match(Root(), cause=cause, rule_id=by))
        now = self.clock()
        self.losses.extend((trace_id, now, found, False) for trace_id in set(trace_ids))

    def ingest(self, table: Table) -> int:
        """Takes spans of workers or clients (topic `span`); returns how many were kept."""
        kept = 0
        for row in zip(*(table[name].tolist() for name in COLUMNS), strict=True):
            about = Root(row[12], row[11], row[13], row[14], row[9], row[8])
            kept += self.ingest_row(row[0] << 64 | row[1], about, row)
        return kept

    def ingest_row(self, trace_id: int, about: RootTuple, row: Row) -> bool:
        """Takes one ended span from elsewhere; whether it was kept, or is held."""
        books = self.books
        books.started += 1
        taken = sound(row)
        if taken is None:
            books.lost["invalid"] += 1
            books.ended += 1
            return False
        now = self.clock()
        state = taken[TRACE_STATE] and with_threshold(taken[TRACE_STATE], None)  # they kept it
        trace = self.sampler.of(trace_id, about, now, trace_state=state)
        if trace is None or not trace.recording:
            if taken[7] == STATUS_ERROR:
                self.sampler.flag(trace_id)
            found = trace.match if trace else self.sampler.dropped_by(trace_id)
            books.sampled_out[found.cause] += 1
            return False
        books.ended += 1
        if taken[TRACE_STATE]:
            trace.sampled_before(taken[TRACE_STATE])
        trace.errors += taken[7] == STATUS_ERROR
        if not taken[3]:
            self.tail.root_ended(trace, taken[5] - taken[4], now)
        return self._ended(trace, (trace, taken), now)

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
        assert fits(name, severity, attributes), f"{name} as a {severity} with {list(attributes)}"
        if not self._publish:
            return
        where = current_span.get() if isinstance(context, _FromContext) else context
        if isinstance(where, Span):
            mission = mission or where.mission
        trace_id = where.trace_id if where else 0
        if self.sampler.drops_event(name, mission, trace_id or self.bits(128)):
            self.count("citadel.events.sampled_out")
            return
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

    def drain(self) -> int:
        """Hands what was recorded since the last call to the sinks; returns how many rows."""
        now = self.clock()
        self.tail.look(now)
        self.sampler.look(now)
        queue = self._queue
        batch: list[Row] = []
        while queue:
            item = queue.popleft()
            if isinstance(item, Span):
                trace, row = item.trace, item.row()
            else:
                trace, foreign = item
                row = (*whole(foreign)[:-1], trace.threshold)
            trace.bytes += ROW_BYTES + sum(len(text) for text in row if type(text) is str)
            batch.append(row)
        if batch:
            self.books.handed += len(batch)
            for sink in self.sinks:
                # A row that one sink dropped is not kept, whatever the others did.
                full = sink(batch)
                self.books.lost["store_full"] += full
                self.books.handed -= full
        self._show(batch)
        if self._log is None:
            self.commands.clear()
            self.losses.clear()
        else:
            self._write_decisions(self._log)
        return len(batch)

    def close(self) -> None:
        """Decides what is held and hands everything on: nothing more is recorded."""
        self.tail.decide_all(self.clock())
        self.drain()

    def open_rows(self) -> list[Row]:
        """The rows of the open spans that were announced, for those who begin to watch now."""
        return [span.row() for span in self._announced.values()]

    def ledger(self) -> LedgerReply:
        """What was started is kept, dropped by cause, or in flight (as is what waits)."""
        return self.books.reply(queued=len(self._queue), held=self.tail.held)

    def _write_decisions(
        self, write: Callable[[Sequence[Decision], Sequence[tuple[str, int]]], object]
    ) -> None:
        fresh = self.sampler.take_new()
        self.count_decisions(fresh)
        if self.losses:
            # Popped one by one: exporters add to it from their own threads.
            fresh.append([self.losses.popleft() for _ in range(len(self.losses))])
        commands = list(self.commands)
        self.commands.clear()
        for chunk in fresh or ([[]] if commands else []):
            write(chunk, commands)
            commands = []

    def recorded(self, trace: Trace, name: str, parent_id: int, now: int) -> Span:
        """Starts a span of a trace that is recorded; whoever asks fills in the rest."""
        self.books.started += 1
        trace.open += 1
        span = Span(self, name, trace, self.bits(64) or 1, parent_id, now)
        self._fresh.append(span)
        return span

    def _continued(self, above: SpanContext, about: RootTuple, now: int) -> Trace | None:
        """The trace of a span in another process, as far as it is recorded here."""
        trace = self.sampler.of(
            above.trace_id, about, now, by_caller=above.sampled, trace_state=above.trace_state
        )
        return trace if trace is None or trace.recording else None

    def _ended(self, trace: Trace, item: Ended, now: int) -> bool:
        """Queues or holds what has ended, or drops it when its trace was dropped meanwhile."""
        trace.last_ns = now
        if trace.undecided:
            self.tail.hold(trace, item, now)
            if not trace.open and trace.undecided:
                self.tail.quiet(trace, now)
            return trace.recording
        if trace.kept:
            return self._enqueue(trace, item)
        self._drop(trace, [item])
        return False

    def _release(self, trace: Trace, held: list[Any]) -> None:
        for item in held:
            self._enqueue(trace, item)

    def _drop(self, trace: Trace, held: list[Any]) -> None:
        self.books.ended -= len(held)
        self.books.sampled_out[trace.match.cause] += len(held)

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

    def _enqueue(self, trace: Trace, item: Ended) -> bool:
        if len(self._queue) >= QUEUE_LIMIT:
            self.books.lost["queue_full"] += 1
            self.lost((trace.trace_id,), "queue_full")
            return False
        trace.spans += 1
        if trace.match.ceiling is not None:
            trace.match.ceiling.spans += 1
        self._queue.append(item)
        return True

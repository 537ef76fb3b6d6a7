"""A span that the engine records. Cheap by design: slots, no lock, nothing encoded until drained.

Lives on the event loop's thread. Calls on a span that has ended do nothing, as OpenTelemetry asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Self

from citadel import semconv
from citadel.trace import SpanContext, with_threshold
from citadel.vocabulary import STATUS_ERROR, STATUS_UNSET
from engine.telemetry.encode import (
    Row,
    attributes_json,
    clean,
    clean_text,
    events_json,
    links_json,
)

if TYPE_CHECKING:
    from engine.telemetry.decided import Match, Trace
    from engine.telemetry.recorder import Recorder

MAX_EVENTS = 128
"""Events a span keeps; the number dropped is an attribute."""
MASK64 = 2**64 - 1
_ENDED = 1
"""Stands for a time that is of no interest."""

current_span: ContextVar[Span | None] = ContextVar("citadel_span", default=None)
"""The span that the present task is in."""


class Span:
    """A step of a trace. As a context manager it is the current span, and records an exception."""

    __slots__ = (
        "_context",
        "_outer",
        "_recorder",
        "announced",
        "attributes",
        "end_ns",
        "entry",
        "events",
        "kind",
        "links",
        "mission",
        "mission_class",
        "name",
        "parent_id",
        "pool",
        "recording",
        "sentinel",
        "service",
        "source",
        "span_id",
        "start_ns",
        "status",
        "status_message",
        "trace",
        "trace_id",
        "trace_state",
    )

    sampled = True
    """Whether it is recorded: its trace is kept, or may still be."""

    def __init__(
        self,
        recorder: Recorder,
        name: str,
        trace: Trace,
        span_id: int,
        parent_id: int,
        start_ns: int,
    ) -> None:
        self._recorder = recorder
        self.name = name
        self.trace = trace
        self.trace_id = trace.trace_id
        self.span_id = span_id
        self.parent_id = parent_id
        self.recording = True
        self.start_ns = start_ns
        self.entry = False
        """Whether nothing of its trace here is above it."""
        # The recorder fills in what else it was given: each value is set once.
        self.kind: int
        self.source: str
        self.service: str
        self.mission: str
        self.mission_class: str
        self.sentinel: str
        self.pool: str
        self.attributes: dict[str, Any]
        self.links: Sequence[SpanContext]
        self.end_ns = 0
        self.status = STATUS_UNSET
        self.status_message = self.trace_state = ""
        self.events: list[tuple[str, int, dict[str, Any]]] | None = None
        self.announced = False
        self._context: SpanContext | None = None
        self._outer: Span | None

    @property
    def context(self) -> SpanContext:
        """Ids and whether the trace is kept, to hand on."""
        if self._context is None:
            self._context = SpanContext(self.trace_id, self.span_id, self.sampled, self.trace_state)
        return self._context

    def outward(self) -> SpanContext:
        """The context that leaves the house: sampled where it is kept, with our own threshold."""
        trace = self.trace
        limit = trace.threshold if trace.kept else None
        state = with_threshold(self.trace_state, limit)
        return SpanContext(self.trace_id, self.span_id, trace.kept, state)

    def flag(self) -> None:
        """Says that a guard objected to what happens in it."""
        self.trace.flags += 1

    def set(self, key: str, value: str | float | bool | list[str]) -> None:
        """Sets an attribute; a span that is not kept has none."""
        if self.recording:
            self.attributes[key] = value

    def event(self, name: str, **attributes: Any) -> None:
        """Adds an event that happens now; those past MAX_EVENTS are counted only."""
        self._add(name, attributes)

    def error(self, error: BaseException | str) -> None:
        """Ends up with status ERROR; an exception becomes an `exception` event, as in OTel."""
        if self.end_ns:
            return
        self.status = STATUS_ERROR
        kind = type(error).__qualname__ if isinstance(error, BaseException) else "error"
        self.set(semconv.ERROR_TYPE, kind)
        self.status_message = str(error)
        self._add(
            "exception", {semconv.EXCEPTION_TYPE: kind, semconv.EXCEPTION_MESSAGE: str(error)}
        )

    def end(self, end_ns: int | None = None) -> None:
        """Ends it; a second call does nothing."""
        if self.end_ns:
            return
        now = self._recorder.clock() if end_ns is None else end_ns
        # The wall clock may have jumped back; a span never ends before it starts.
        self.end_ns = max(now, self.start_ns)
        self.recording = False
        self._recorder.finish(self)

    def __enter__(self) -> Self:
        self._outer = current_span.get()
        current_span.set(self)
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        # No ContextVar.reset: a generator may be closed in another context than it was begun in.
        current_span.set(self._outer)
        if error is not None:
            self.error(error)
        self.end()

    def row(self) -> Row:
        """The columns of topic `span`."""
        return (
            self.trace_id >> 64,
            self.trace_id & MASK64,
            self.span_id,
            self.parent_id,
            self.start_ns,
            self.end_ns,
            self.kind,
            self.status,
            clean(self.name),
            self.source,
            clean(self.service),
            clean(self.mission),
            clean(self.mission_class),
            clean(self.sentinel),
            clean(self.pool),
            attributes_json(self.attributes),
            events_json(self.events or ()),
            links_json(self.links),
            clean_text(self.status_message),
            self.trace_state,
            self.trace.threshold,
        )

    def _add(self, name: str, attributes: dict[str, Any]) -> None:
        if not self.recording:
            return
        if self.events is None:
            self.events = []
        if len(self.events) < MAX_EVENTS:
            self.events.append((name, self._recorder.clock(), attributes))
            return
        dropped = self.attributes.get(semconv.CITADEL_DROPPED_EVENTS, 0)
        self.attributes[semconv.CITADEL_DROPPED_EVENTS] = dropped + 1


class UnkeptSpan(Span):
    """A span that the policy drops: it only passes on its trace, and is counted when it ends.

    Most spans are such ones where few traces are kept, so it has only what is ever asked for.
    """

    __slots__ = ("match",)

    sampled = False
    recording = False  # type: ignore[assignment]

    def __init__(  # pyright: ignore[reportMissingSuperCall]
        self,
        recorder: Recorder,
        trace_id: int,
        match: Match,
        mission: str,
        mission_class: str,
        sentinel: str,
    ) -> None:
        self._recorder = recorder
        self.trace_id = trace_id
        self.match = match
        self.mission = mission
        self.mission_class = mission_class
        self.sentinel = sentinel
        self.end_ns = 0

    @property
    def span_id(self) -> int:  # type: ignore[override]
        """An id as good as any: nobody will look for it."""
        return self.trace_id & MASK64 or 1

    @property
    def context(self) -> SpanContext:
        """Ids and that the trace is not kept, to hand on."""
        return SpanContext(self.trace_id, self.span_id, sampled=False)

    def outward(self) -> SpanContext:
        """As `context`: nobody else is to keep it either."""
        return self.context

    def child(self, mission: str, mission_class: str, sentinel: str) -> UnkeptSpan:
        """A span below it; what is empty is as here."""
        return UnkeptSpan(
            self._recorder,
            self.trace_id,
            self.match,
            mission or self.mission,
            mission_class or self.mission_class,
            sentinel or self.sentinel,
        )

    def set(self, key: str, value: str | float | bool | list[str]) -> None:
        """Keeps nothing."""

    def error(self, error: BaseException | str) -> None:
        """Counts in previews as a trace with an error; the error itself is not kept."""
        del error
        if not self.end_ns:
            self.flag()

    def flag(self) -> None:
        """Counts in previews as a trace that a guard objected to."""
        self._recorder.sampler.flag(self.trace_id)

    def end(self, end_ns: int | None = None) -> None:
        """Ends it; a second call does nothing. When that was is not kept either."""
        if not self.end_ns:
            self.end_ns = end_ns or _ENDED
            self._recorder.finish_unkept(self)

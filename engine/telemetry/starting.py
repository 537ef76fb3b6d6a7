"""Starts spans for those who start many: what they have in common is looked up once. Loop thread.

Where the policy drops the trace by its random bits alone, which is most of what happens when few
traces are kept, this costs a tuple, a count and a span that is nothing but its trace.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from citadel.trace import SpanContext
from engine.telemetry.measures import MAX_SERIES
from engine.telemetry.policy import RANDOM_MASK
from engine.telemetry.span import Span, UnkeptSpan

if TYPE_CHECKING:
    from engine.telemetry.decided import Match
    from engine.telemetry.recorder import Recorder

Parent = Span | SpanContext | None


class Starter(Protocol):
    """Starts a span."""

    def __call__(
        self,
        what: str,
        parent: Parent,
        mission: str,
        mission_class: str,
        sentinel: str,
        into: str = "",
    ) -> Span:
        """Starts it.

        Args:
            what: the rest of its name.
            parent: None begins a new trace.
            mission: its purpose; "" is the parent's.
            mission_class: the purpose's class; "" is the parent's.
            sentinel: whose work it is; "" is the parent's.
            into: the pool, where the starter itself is of none.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What the spans of one starter have in common."""

    prefix: str
    source: str
    service: str
    pool: str
    kind: int


def starting(recorder: Recorder, common: Common) -> Starter:
    """A starter of spans that are named by a prefix and what it is told."""
    begin = _beginning(recorder, common)
    books = recorder.books

    def start(
        what: str,
        parent: Parent,
        mission: str,
        mission_class: str,
        sentinel: str,
        into: str = "",
    ) -> Span:
        if parent is None:
            return begin(what, mission, mission_class, sentinel, into)
        if isinstance(parent, UnkeptSpan):
            books.started += 1
            return parent.child(mission, mission_class, sentinel)
        return recorder.span(
            common.prefix + what,
            parent=parent,
            kind=common.kind,
            source=common.source,
            service=common.service,
            pool=common.pool or into,
            mission=mission,
            mission_class=mission_class,
            sentinel=sentinel,
        )

    return start


def _beginning(recorder: Recorder, common: Common) -> Callable[[str, str, str, str, str], Span]:
    """Begins new traces."""
    sampler, clock, bits, books = recorder.sampler, recorder.clock, recorder.bits, recorder.books
    prefix, source, service = common.prefix, common.source, common.service
    pool, kind, remember = common.pool, common.kind, sampler.remember
    known: dict[str, Match] = {}
    sampler.caches.append(known)

    def look_up(what: str, *root: str) -> Match:
        mission, mission_class, sentinel, into = root
        about = (mission_class, mission, sentinel, pool or into, source, prefix + what)
        found = sampler.found(about, clock())
        if not any(root) and len(known) < MAX_SERIES:
            known[what] = found
        return found

    def begin(what: str, mission: str, mission_class: str, sentinel: str, into: str) -> Span:
        found = None if mission or mission_class or sentinel or into else known.get(what)
        if found is None:
            found = look_up(what, mission, mission_class, sentinel, into)
        trace_id, now = bits(128) or 1, clock()
        if found.plain and (trace_id & RANDOM_MASK) < found.threshold:
            remember((trace_id, now, found, False))
            trace = None
        else:
            trace = sampler.begun(trace_id, found, now)
        if trace is None:
            books.started += 1
            return UnkeptSpan(recorder, trace_id, found, mission, mission_class, sentinel)
        span = recorder.recorded(trace, prefix + what, 0, now)
        span.kind, span.source, span.service, span.links = kind, source, service, ()
        span.mission, span.mission_class, span.sentinel = mission, mission_class, sentinel
        span.pool, span.entry, span.attributes = pool or into, True, {}
        return span

    return begin

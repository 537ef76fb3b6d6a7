"""A span of user code, as OpenTelemetry has it: kind, attributes, events, links, status, limits.

Attributes are coerced where they are set: bool, int, float, text, and lists of one of these; others
become their text. Light (no gRPC, no numpy): workers import it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from citadel import semconv
from citadel.trace import SpanContext, new_span_id
from citadel.vocabulary import (
    KIND_CLIENT,
    KIND_CONSUMER,
    KIND_INTERNAL,
    KIND_PRODUCER,
    KIND_SERVER,
    STATUS_ERROR,
    STATUS_OK,
    STATUS_UNSET,
)

MAX_SPANS = 4_096
"""Spans that one command may record; more are counted as an attribute of the command's own span."""
MAX_EVENTS = 128
"""Events that one span keeps; of the others there is a count."""
MAX_ATTRIBUTES = 128
"""Attributes that one span keeps; of the others there is a count."""
MAX_LINKS = 128
MAX_TEXT = 8_192
"""Characters of an attribute, and items of a list; longer ones are cut."""
UNFINISHED = semconv.CITADEL_UNFINISHED
"""True on a span that its code never ended: the command's end ended it."""
Kind = Literal["internal", "server", "client", "producer", "consumer"]
KINDS: Mapping[Kind, int] = {
    "internal": KIND_INTERNAL,
    "server": KIND_SERVER,
    "client": KIND_CLIENT,
    "producer": KIND_PRODUCER,
    "consumer": KIND_CONSUMER,
}
_MASK64 = 2**64 - 1
Plain: TypeAlias = "bool | int | float | str"
Attribute: TypeAlias = "Plain | list[bool] | list[int] | list[float] | list[str]"


@dataclass(slots=True, kw_only=True)
class Scope:
    """What the spans of one command have in common, and the spans that ended."""

    source: str
    service: str
    pool: str = ""
    mission: str = ""
    mission_class: str = ""
    sentinel: str = ""
    kept: bool = True
    """Whether the trace is kept for sure; otherwise others need not keep it."""
    rows: list[tuple[Any, ...]] = field(default_factory=list[tuple[Any, ...]])
    open: dict[int, LocalSpan] = field(default_factory=dict[int, "LocalSpan"])
    """Spans that have not ended, by their ids."""
    dropped: int = 0

    def add(self, row: tuple[Any, ...]) -> None:
        """Takes an ended span; those past MAX_SPANS are counted only."""
        if len(self.rows) >= MAX_SPANS:
            self.dropped += 1
        else:
            self.rows.append(row)

    def finish(self) -> None:
        """Ends what is left open, and says so: nobody will end it."""
        for span in [*self.open.values()]:
            span.attributes[UNFINISHED] = True
            span.end()


class LocalSpan:
    """A span of user code. What is done to one that has ended is of no effect, as OTel asks."""

    __slots__ = (
        "_dropped",
        "_ended",
        "_events",
        "_kind",
        "_links",
        "_message",
        "_scope",
        "_source",
        "_start_ns",
        "_status",
        "attributes",
        "context",
        "name",
        "parent",
    )

    def __init__(
        self,
        scope: Scope,
        parent: SpanContext,
        name: str,
        attributes: Mapping[str, Any],
        source: str,
        *,
        kind: Kind = "internal",
        links: Sequence[SpanContext] = (),
    ) -> None:
        self._scope = scope
        self._source = source
        self.parent = parent
        self.context = SpanContext(
            parent.trace_id, new_span_id(), parent.sampled, parent.trace_state
        )
        self.name = name
        self.attributes: dict[str, Any] = {}
        self._dropped = [0, 0]
        self._ended = False
        self._events: list[dict[str, Any]] = []
        self._kind = KINDS[kind]
        self._links = links
        self._status = STATUS_UNSET
        self._message = ""
        self._start_ns = time.time_ns()
        for key, value in attributes.items():
            self.set(key, value)
        scope.open[self.context.span_id] = self

    def set(self, key: str, value: object) -> None:
        """Sets an attribute; None sets nothing, as OTel has no such value."""
        if self._ended or value is None:
            return
        if len(self.attributes) >= MAX_ATTRIBUTES and key not in self.attributes:
            self._dropped[0] += 1
            return
        self.attributes[key] = attribute(value)

    def event(self, name: str, **attributes: Any) -> None:
        """Adds an event that happens now."""
        if self._ended:
            return
        if len(self._events) >= MAX_EVENTS:
            self._dropped[1] += 1
            return
        kept = {key: attribute(value) for key, value in [*attributes.items()][:MAX_ATTRIBUTES]}
        self._events.append({"time_ns": time.time_ns(), "name": name, "attributes": kept})

    def ok(self) -> None:
        """Ends up with status OK: whoever reads need not look for an error."""
        if not self._ended:
            self._status = STATUS_OK

    def error(self, error: BaseException) -> None:
        """Ends up with status ERROR, and an `exception` event."""
        if self._ended:
            return
        self._status = STATUS_ERROR
        kind = type(error).__qualname__
        self.attributes[semconv.ERROR_TYPE] = kind
        self._message = text_of(error)
        self.event(
            "exception", **{semconv.EXCEPTION_TYPE: kind, semconv.EXCEPTION_MESSAGE: self._message}
        )

    def end(self) -> None:
        """Adds the span to what its scope has recorded; a second call does nothing."""
        if self._ended:
            return
        self._ended = True
        scope, trace_id = self._scope, self.context.trace_id
        scope.open.pop(self.context.span_id, None)
        for name, count in zip(("attributes", "events"), self._dropped, strict=True):
            if count:
                self.attributes[f"citadel.dropped_{name}"] = count
        scope.add(
            (
                trace_id >> 64,
                trace_id & _MASK64,
                self.context.span_id,
                self.parent.span_id,
                self._start_ns,
                # The wall clock may have jumped back; a span never ends before it starts.
                max(time.time_ns(), self._start_ns),
                self._kind,
                self._status,
                self.name,
                self._source,
                scope.service,
                scope.mission,
                scope.mission_class,
                scope.sentinel,
                scope.pool,
                json.dumps(self.attributes),
                json.dumps(self._events) if self._events else "[]",
                links_json([(link, {}) for link in self._links]),
                self._message,
                self.context.trace_state,
                0,
            )
        )


def attribute(value: object) -> Attribute:
    """A value as OTel's attributes can have it."""
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else value[:MAX_TEXT] + "…"
    if isinstance(value, list | tuple | set | frozenset):
        items = [attribute(each) for each in [*value][:MAX_TEXT]]
        kinds = {type(each) for each in items}
        if kinds == {int, float}:
            return [float(each) for each in items]  # type: ignore[arg-type]
        if len(kinds) == 1 and kinds <= {bool, int, float, str}:
            return items  # type: ignore[return-value]
        return [each if isinstance(each, str) else json.dumps(each) for each in items]
    plain = getattr(value, "item", None)  # a number of numpy's
    if callable(plain) and getattr(value, "ndim", 1) == 0:
        return attribute(plain())
    if isinstance(value, bytes | bytearray | memoryview):
        return f"({len(value)} bytes)"
    return attribute(text_of(value))


def text_of(value: object) -> str:
    """Its text, cut; a user's object may not even have one."""
    try:
        text = str(value)
    except Exception:  # noqa: BLE001 - whatever it raised
        return "(its text cannot be read)"
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"


def links_json(links: Sequence[tuple[SpanContext, Mapping[str, Any]]]) -> str:
    """Links as the column of topic `span` has them."""
    if not links:
        return "[]"
    return json.dumps(
        [
            {
                "trace_id": context.trace_hex,
                "span_id": f"{context.span_id:016x}",
                "attributes": {key: attribute(value) for key, value in attributes.items()},
            }
            for context, attributes in links[:MAX_LINKS]
        ]
    )

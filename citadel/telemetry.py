"""Spans and events of user code: in a worker they travel back to the engine with the result.

Light (no gRPC, no numpy) and cheap when the trace is not sampled. Outside of a command, `span` and
`event` do nothing: there is no trace to belong to.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import Any

from citadel.trace import SpanContext, new_span_id
from citadel.vocabulary import KIND_INTERNAL, STATUS_ERROR, STATUS_UNSET

MAX_SPANS = 4_096
"""Spans that one command may record; more are counted as an attribute of the command's own span."""
MAX_EVENTS = 128
"""Events that one span keeps."""
_MASK64 = 2**64 - 1


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
    dropped: int = 0


class LocalSpan:
    """A span of user code."""

    __slots__ = (
        "_events",
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
        attributes: dict[str, Any],
        source: str,
    ) -> None:
        self._scope = scope
        self._source = source
        self.parent = parent
        self.context = SpanContext(
            parent.trace_id, new_span_id(), parent.sampled, parent.trace_state
        )
        self.name = name
        self.attributes = attributes
        self._events: list[dict[str, Any]] = []
        self._status = STATUS_UNSET
        self._message = ""
        self._start_ns = time.time_ns()

    def set(self, key: str, value: str | float | bool) -> None:
        """Sets an attribute."""
        self.attributes[key] = value

    def event(self, name: str, **attributes: Any) -> None:
        """Adds an event."""
        if len(self._events) < MAX_EVENTS:
            self._events.append({"time_ns": time.time_ns(), "name": name, "attributes": attributes})

    def error(self, error: BaseException) -> None:
        """Ends up with status ERROR."""
        self._status = STATUS_ERROR
        kind = type(error).__qualname__
        self.attributes["error.type"] = kind
        try:
            text = str(error)
        except Exception:  # noqa: BLE001 - a user's exception may not even have a text
            text = "(its text cannot be read)"
        self._message = text
        self.event("exception", **{"exception.type": kind, "exception.message": text})

    def end(self) -> None:
        """Adds the span to what its scope has recorded."""
        scope, trace_id = self._scope, self.context.trace_id
        if len(scope.rows) >= MAX_SPANS:
            scope.dropped += 1
            return
        scope.rows.append(
            (
                trace_id >> 64,
                trace_id & _MASK64,
                self.context.span_id,
                self.parent.span_id,
                self._start_ns,
                time.time_ns(),
                KIND_INTERNAL,
                self._status,
                self.name,
                self._source,
                scope.service,
                scope.mission,
                scope.mission_class,
                scope.sentinel,
                scope.pool,
                json.dumps(self.attributes, default=str),
                json.dumps(self._events, default=str) if self._events else "[]",
                "[]",
                self._message,
                self.context.trace_state,
                0,
            )
        )


_scope: ContextVar[tuple[Scope, SpanContext, LocalSpan | None] | None] = ContextVar(
    "citadel_scope", default=None
)


@contextmanager
def command(name: str, parent: SpanContext | None, scope: Scope) -> Generator[LocalSpan | None]:
    """The span of a command in a worker; user spans are below it. None when it is not sampled."""
    if parent is None:
        yield None
        return
    if not parent.sampled:
        # What is called from here is told so, and records nothing either.
        token: Token[Any] = _scope.set((scope, parent, None))
        try:
            yield None
        finally:
            _scope.reset(token)
        return
    span_ = LocalSpan(scope, parent, name, {}, scope.source)
    with _entered(scope, span_):
        yield span_


@contextmanager
def span(name: str, **attributes: Any) -> Generator[LocalSpan | None]:
    """A span below the current one; None outside of a sampled command."""
    found = _scope.get()
    if found is None:
        yield None
        return
    scope, parent, _ = found
    if not parent.sampled:
        yield None
        return
    span_ = LocalSpan(scope, parent, name, attributes, "user")
    with _entered(scope, span_):
        yield span_


def event(name: str, **attributes: Any) -> None:
    """An event on the current span."""
    found = _scope.get()
    if found is not None and found[2] is not None:
        found[2].event(name, **attributes)


def current() -> SpanContext | None:
    """The context of the current span."""
    found = _scope.get()
    return found[1] if found else None


def traceparent() -> str:
    """The W3C header of the current span, for calls to other services; "" when there is none."""
    return headers().get("traceparent", "")


def headers() -> dict[str, str]:
    """W3C's `traceparent` and `tracestate` of the current span, for calls to other services.

    Empty outside of a trace. Entries of other vendors are handed on as they came.
    """
    found = _scope.get()
    if found is None:
        return {}
    scope, context, _ = found
    leaving = SpanContext(context.trace_id, context.span_id, context.sampled and scope.kept)
    made = {"traceparent": leaving.traceparent()}
    if context.trace_state:
        made["tracestate"] = context.trace_state
    return made


@contextmanager
def _entered(scope: Scope, span_: LocalSpan) -> Generator[None]:
    token: Token[Any] = _scope.set((scope, span_.context, span_))
    try:
        yield
    except BaseException as error:
        span_.error(error)
        raise
    finally:
        _scope.reset(token)
        span_.end()

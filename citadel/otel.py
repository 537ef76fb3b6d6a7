"""Spans of libraries that OpenTelemetry instruments, in the traces of commands. Extra: `otel`.

In a worker it connects by itself when OpenTelemetry was imported there; a program of your own calls
`install()`. A provider that you set stays yours: our processor is added to it, and your exporters
go on working. Where none is set, ours is, which records nothing but what is below a command's span.

Both libraries share the current span: theirs begins below ours, and ours below theirs.
"""

from __future__ import annotations

import json
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased

from citadel import semconv, telemetry
from citadel.local_span import MAX_EVENTS, MAX_SPANS, Scope, attribute, links_json
from citadel.trace import SpanContext, parse_tracestate

_MASK64 = 2**64 - 1
_connected: list[object] = []
"""The provider that our processor was added to."""


def install() -> None:
    """Connects both libraries in this process.

    May be called again: a provider that was set meanwhile is connected too.
    """
    if not _connected:
        telemetry.connect_bridge(_Bridge())
    provider = otel.get_tracer_provider()
    if isinstance(provider, otel.ProxyTracerProvider):  # nobody has set one
        provider = TracerProvider(sampler=ParentBased(root=ALWAYS_OFF))
        otel.set_tracer_provider(provider)
    if isinstance(provider, TracerProvider) and provider not in _connected:
        provider.add_span_processor(CitadelSpanProcessor())
        _connected.append(provider)


class CitadelSpanProcessor(SpanProcessor):
    """Hands ended spans to the command that they are below; others are none of its business."""

    def __init__(self) -> None:
        self._scopes: dict[int, Scope] = {}

    def on_start(self, span: Any, parent_context: Context | None = None) -> None:
        """Remembers the command that it began in; it may end elsewhere."""
        del parent_context
        scope, here, context = telemetry.current_scope(), telemetry.current(), span.context
        if scope is None or here is None or context is None:
            return
        if context.trace_id == here.trace_id:
            if len(self._scopes) >= MAX_SPANS:  # of spans that nobody ever ended
                del self._scopes[next(iter(self._scopes))]
            self._scopes[context.span_id] = scope

    def on_end(self, span: ReadableSpan) -> None:
        """Takes it."""
        context = span.context
        scope = self._scopes.pop(context.span_id, None) if context else None
        if scope is not None:
            scope.add(_row(span, scope))

    def shutdown(self) -> None:
        """Nothing is held for long."""
        self._scopes.clear()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits."""
        del timeout_millis
        return True


class _Bridge:
    """The current span, in OpenTelemetry's words and in ours."""

    def entered(self, context: SpanContext) -> object:
        state = otel.TraceState.from_header([context.trace_state]) if context.trace_state else None
        ours = otel.SpanContext(
            trace_id=context.trace_id,
            span_id=context.span_id,
            is_remote=True,
            trace_flags=otel.TraceFlags(context.sampled),
            trace_state=state,
        )
        return otel_context.attach(otel.set_span_in_context(otel.NonRecordingSpan(ours)))

    def left(self, token: object) -> None:
        otel_context.detach(token)  # type: ignore[arg-type]

    def inner(self, context: SpanContext) -> SpanContext | None:
        theirs = otel.get_current_span().get_span_context()
        if theirs.trace_id != context.trace_id or theirs.span_id == context.span_id:
            return None
        if theirs.is_remote or not theirs.trace_flags.sampled:
            # One of ours further out, or one that their sampler drops: nothing is below it.
            return None
        state = parse_tracestate(theirs.trace_state.to_header()) if theirs.trace_state else ""
        return SpanContext(theirs.trace_id, theirs.span_id, trace_state=state)


def _row(span: ReadableSpan, scope: Scope) -> tuple[Any, ...]:
    """The columns of topic `span`."""
    context, parent, status = span.context, span.parent, span.status
    assert context is not None
    start = span.start_time or 0
    attributes = {key: attribute(value) for key, value in (span.attributes or {}).items()}
    if span.instrumentation_scope is not None:
        attributes[semconv.OTEL_SCOPE_NAME] = span.instrumentation_scope.name
    events = [
        {
            "time_ns": each.timestamp,
            "name": each.name,
            "attributes": {key: attribute(item) for key, item in (each.attributes or {}).items()},
        }
        for each in span.events[:MAX_EVENTS]
    ]
    links = [
        (SpanContext(link.context.trace_id, link.context.span_id), link.attributes or {})
        for link in span.links
    ]
    return (
        context.trace_id >> 64,
        context.trace_id & _MASK64,
        context.span_id,
        parent.span_id if parent else 0,
        start,
        max(span.end_time or start, start),
        span.kind.value + 1,  # OTLP's numbers begin with 1
        status.status_code.value,
        span.name,
        "user",
        scope.service,
        scope.mission,
        scope.mission_class,
        scope.sentinel,
        scope.pool,
        json.dumps(attributes),
        json.dumps(events),
        links_json(links),
        status.description or "",
        context.trace_state.to_header() if context.trace_state else "",
        0,
    )

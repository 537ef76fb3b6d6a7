"""Spans and events of user code: in a worker they travel back to the engine with the result.

Light (no gRPC, no numpy) and cheap when the trace is not sampled. Outside of a command, `span` and
`event` do nothing, until `export` says where this program's own traces are to be sent. Spans of
libraries that OpenTelemetry instruments are in the same trace: see citadel.otel.
"""

from __future__ import annotations

import contextvars
import functools
import importlib.util
import inspect
import sys
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, Protocol, TypeVar

from citadel.local_span import MAX_EVENTS, MAX_SPANS, Kind, LocalSpan, Scope
from citadel.trace import SpanContext

if TYPE_CHECKING:
    from citadel.otlp.program import Export

__all__ = (
    "MAX_EVENTS",
    "MAX_SPANS",
    "LocalSpan",
    "Scope",
    "carried",
    "command",
    "current",
    "event",
    "export",
    "headers",
    "span",
    "traced",
    "traceparent",
)

P = ParamSpec("P")
R = TypeVar("R")


class Bridge(Protocol):
    """How another tracing library's notion of the current span is kept in step with ours."""

    def entered(self, context: SpanContext) -> object:
        """Our span is the current one; returns what `left` needs."""
        ...

    def left(self, token: object) -> None:
        """It is no more."""
        ...

    def inner(self, context: SpanContext) -> SpanContext | None:
        """That library's current span, when it is below ours."""
        ...


_bridges: list[Bridge] = []
"""None, or the one of OpenTelemetry."""
_looked: list[bool] = []
"""Whether OpenTelemetry was looked for: it need be once."""


class _Here(NamedTuple):
    """Where code runs: in which command, in which span, and what was there before."""

    scope: Scope
    context: SpanContext
    span: LocalSpan | None
    outer: _Here | None


outside: Callable[[], tuple[Scope, SpanContext]] | None = None
"""Where spans belong that no command is around; None: nowhere. Set by `export`."""

_here: ContextVar[_Here | None] = ContextVar("citadel_here", default=None)


def connect_bridge(bridge: Bridge) -> None:
    """From now on both libraries know each other's spans."""
    _bridges[:] = [bridge]


@contextmanager
def command(name: str, parent: SpanContext | None, scope: Scope) -> Generator[LocalSpan | None]:
    """The span of a command in a worker; user spans are below it. None when it is not sampled."""
    if parent is None:
        yield None
        return
    if not parent.sampled:
        # What is called from here is told so, and records nothing either.
        outer = _here.get()
        _here.set(_Here(scope, parent, None, outer))
        try:
            yield None
        finally:
            _here.set(outer)
        return
    if not _looked and "opentelemetry.trace" in sys.modules:
        _connect_opentelemetry()
    span_ = LocalSpan(scope, parent, name, {}, scope.source)
    with _entered(scope, span_):
        try:
            yield span_
        finally:
            scope.open.pop(span_.context.span_id, None)
            scope.finish()


@contextmanager
def span(
    name: str, /, *, kind: Kind = "internal", links: Sequence[SpanContext] = (), **attributes: Any
) -> Generator[LocalSpan | None]:
    """A span below the current one; None outside of a sampled command.

    Args:
        name: what is done; of few different values.
        kind: OTel's: internal, server, client, producer, consumer.
        links: spans of other traces that it has to do with.
        attributes: of OTel's types; others become their text.
    """
    found = _here.get()
    if found is None and outside is not None:
        found = _Here(*outside(), None, None)
    if found is None or not found.context.sampled:
        yield None
        return
    scope, parent = found.scope, found.context
    for bridge in _bridges:
        parent = bridge.inner(parent) or parent
    span_ = LocalSpan(scope, parent, name, attributes, "user", kind=kind, links=links)
    with _entered(scope, span_):
        yield span_


def traced(name: str = "", **attributes: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator: each call of the function, sync or async, is a span; by default its name."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        shown = name or function.__qualname__

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            with span(shown, **attributes):
                return function(*args, **kwargs)

        @functools.wraps(function)
        async def call_async(*args: P.args, **kwargs: P.kwargs) -> Any:
            with span(shown, **attributes):
                return await function(*args, **kwargs)  # type: ignore[misc]

        return call_async if inspect.iscoroutinefunction(function) else call  # type: ignore[return-value]

    return decorate


def carried(function: Callable[P, R]) -> Callable[P, R]:
    """The function, to be called in another thread: its spans are below the span of here."""
    context = contextvars.copy_context()

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        # A copy, since a context can be entered by one thread at a time.
        return context.copy().run(function, *args, **kwargs)

    return call


def event(name: str, **attributes: Any) -> None:
    """An event on the current span."""
    found = _here.get()
    if found is not None and found.span is not None:
        found.span.event(name, **attributes)


def current() -> SpanContext | None:
    """The context of the current span."""
    found = _here.get()
    if found is None:
        return None
    context = found.context
    for bridge in _bridges:
        context = bridge.inner(context) or context
    return context


def current_scope() -> Scope | None:
    """What the command that runs here has recorded; None outside of a sampled one."""
    found = _here.get()
    return found.scope if found is not None and found.context.sampled else None


def traceparent() -> str:
    """The W3C header of the current span, for calls to other services; "" when there is none."""
    return headers().get("traceparent", "")


def headers() -> dict[str, str]:
    """W3C's `traceparent` and `tracestate` of the current span, for calls to other services.

    Empty outside of a trace. Entries of other vendors are handed on as they came.
    """
    found, context = _here.get(), current()
    if found is None or context is None:
        return {}
    leaving = SpanContext(context.trace_id, context.span_id, context.sampled and found.scope.kept)
    made = {"traceparent": leaving.traceparent()}
    if context.trace_state:
        made["tracestate"] = context.trace_state
    return made


def export(
    preset: str = "otlp",
    *,
    api_key: str = "",
    endpoint: str = "",
    protocol: str = "",
    headers: Mapping[str, str] | None = None,
    compression: str = "",
    signals: Iterable[str] = (),
    timeout: float = 0.0,
    queue_limit: int = 0,
    service: str = "",
    attributes: Mapping[str, Any] | None = None,
    **options: str,
) -> Export:
    """From now on this program's spans outside of an engine's commands are sent by OTLP.

    Args:
        preset: otlp, honeycomb, datadog, grafana, phoenix, mlflow (see citadel/otlp/presets.py).
        api_key: for the preset's header; "env:NAME" is the header's value, read when it is sent.
        endpoint: a URL; "": the preset's, or this machine.
        protocol: http/protobuf or grpc; "": the preset's usual one.
        headers: sent along; "env:NAME" as above.
        compression: gzip (the default) or none.
        signals: a program has traces.
        timeout: seconds of one request; 0: 10.
        queue_limit: spans that may wait; 0: 65,536.
        service: "": OTEL_SERVICE_NAME, or the program's name.
        attributes: more of the resource.
        options: of the preset: dataset, host; site; zone, instance; project; experiment.

    Raises:
        CitadelError: that makes no sense, or what the protocol needs is not installed.
    """
    from citadel.otlp import program  # noqa: PLC0415 - workers and clients do not pay for it

    return program.export(
        preset,
        service=service,
        attributes=attributes,
        signals=signals,
        api_key=api_key,
        endpoint=endpoint,
        protocol=protocol,
        headers=headers,
        compression=compression,
        timeout=timeout,
        queue_limit=queue_limit,
        options=options,
    )


@contextmanager
def _entered(scope: Scope, span_: LocalSpan) -> Generator[None]:
    here = _Here(scope, span_.context, span_, _here.get())
    _here.set(here)
    theirs = [(bridge, bridge.entered(span_.context)) for bridge in _bridges]
    try:
        yield
    except GeneratorExit:  # a generator that nobody reads on, or let go of: no error
        raise
    except BaseException as error:
        span_.error(error)
        raise
    finally:
        if _is_within(here):
            # Otherwise it was let go of, and collected when something else was running.
            for bridge, entered in theirs:
                bridge.left(entered)
            _here.set(here.outer)
        span_.end()


def _is_within(here: _Here) -> bool:
    """Whether code runs there, or in a span that was begun there and never ended."""
    current = _here.get()
    while current is not None and current is not here:
        current = current.outer
    return current is not None


def _connect_opentelemetry() -> None:
    """Once it is imported here; where its SDK is not installed, nothing records its spans."""
    _looked.append(True)
    if importlib.util.find_spec("opentelemetry.sdk") is not None:
        from citadel import otel  # noqa: PLC0415 - most workers never need it

        otel.install()

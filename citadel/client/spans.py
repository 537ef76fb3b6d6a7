"""The client's own spans: one a call, sent to the engine in batches, so that traces are whole."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Self

from citadel import semconv, telemetry
from citadel.errors import CitadelError
from citadel.trace import SpanContext, new_span_id, new_trace_id
from citadel.vocabulary import KIND_CLIENT, STATUS_ERROR, STATUS_UNSET
from citadel.wire.codec import Method
from citadel.wire.columns import pack
from citadel.wire.messages import IngestSpansRequest

if TYPE_CHECKING:
    from citadel.client.connection import Connection

BUFFER_LIMIT = 4_096
"""Spans that may wait; the oldest are dropped."""
FLUSH_SECONDS = 0.25
_MASK64 = 2**64 - 1


class CallSpan:
    """The span of one call, while it runs; a context manager."""

    __slots__ = ("_kept", "_method", "_parent", "_request", "_spans", "_start_ns", "context")

    def __init__(
        self, spans: ClientSpans, method: Method, request: Any, parent: SpanContext | None
    ) -> None:
        self._spans = spans
        self._method = method
        self._request = request
        self._parent = parent
        self._kept = parent is None or parent.sampled
        self._start_ns = time.time_ns()
        self.context = SpanContext(
            parent.trace_id if parent else new_trace_id(),
            new_span_id(),
            sampled=self._kept,
            trace_state=parent.trace_state if parent else "",
        )

    def headers(self) -> list[tuple[str, str]]:
        """Metadata that lets the call continue the trace."""
        made = [("traceparent", self.context.traceparent())]
        if self.context.trace_state:
            made.append(("tracestate", self.context.trace_state))
        return made

    def answered(self, reply: Any) -> None:
        """A trace that begins here, and of which the engine keeps nothing, is not sent to it."""
        if self._parent is None:
            self._kept = getattr(reply, "sampled", True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._kept:
            self._spans.ended(self, time.time_ns(), kind.__name__ if kind else "")

    def row(self, end_ns: int, error: str) -> tuple[Any, ...]:
        """The columns of topic `span`."""
        context, parent, method, request = self.context, self._parent, self._method, self._request
        attributes = {
            semconv.RPC_SYSTEM: "grpc",
            semconv.RPC_METHOD: method.name,
            semconv.RPC_SERVICE: method.service,
        }
        if error:
            attributes[semconv.ERROR_TYPE] = error
        return (
            context.trace_id >> 64,
            context.trace_id & _MASK64,
            context.span_id,
            parent.span_id if parent else 0,
            self._start_ns,
            end_ns,
            KIND_CLIENT,
            STATUS_ERROR if error else STATUS_UNSET,
            f"{method.service}/{method.name}",
            "client",
            "client",
            getattr(request, "mission", ""),
            getattr(request, "mission_class", ""),
            "",
            getattr(request, "pool", ""),
            json.dumps(attributes),
            "[]",
            "[]",
            error,
            context.trace_state,
            0,
        )


class ClientSpans:
    """Records a span a call and ships them in the background, one request at a time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: deque[tuple[Any, ...]] = deque(maxlen=BUFFER_LIMIT)
        self._timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self.dropped = 0
        """Spans that were lost because the buffer was full."""
        self.last: SpanContext | None = None

    def span(self, method: Method, request: Any) -> CallSpan:
        """The span of one call: below the caller's own span, where there is one."""
        parent = telemetry.current()
        span = CallSpan(self, method, request, parent)
        self.last = span.context
        return span

    @contextlib.contextmanager
    def trace(
        self, name: str, mission: str, mission_class: str, parent: SpanContext | None = None
    ) -> Generator[telemetry.LocalSpan | None]:
        """A span of the caller's own, a root without a parent; calls inside belong to its trace."""
        scope = telemetry.Scope(
            source="client", service="client", mission=mission, mission_class=mission_class
        )
        try:
            with telemetry.command(name, parent or SpanContext(new_trace_id(), 0), scope) as span:
                yield span
        finally:
            for row in scope.rows:
                self._add(row)
            if self._loop and not self._loop.is_closed():
                # The sync face records in the caller's thread.
                self._loop.call_soon_threadsafe(self._schedule)

    async def close(self) -> None:
        """Sends what is left; an engine that is gone loses it."""
        self._closed = True
        if self._timer:
            self._timer.cancel()
        if self._sending:
            await self._sending
        await self._send()

    def ended(self, span: CallSpan, end_ns: int, error: str) -> None:
        """Takes the span of a call that has ended; `error` is the class of what it raised."""
        self._add(span.row(end_ns, error))
        self.attach()
        self._schedule()

    def attach(self) -> None:
        """This is the loop that sends: what other threads record is sent by it too."""
        self._loop = asyncio.get_running_loop()

    def _add(self, row: tuple[Any, ...]) -> None:
        self.dropped += len(self._rows) == BUFFER_LIMIT
        self._rows.append(row)

    def _schedule(self) -> None:
        if self._timer is None and not self._closed:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(FLUSH_SECONDS, self._start_sending)

    def _start_sending(self) -> None:
        self._timer = None
        if self._sending and not self._sending.done():
            self._schedule()
            return
        # Owned here, ended by close(); a TaskGroup cannot outlive one call.
        loop = asyncio.get_running_loop()
        self._sending = loop.create_task(self._send(), name="client spans")

    async def _send(self) -> None:
        rows = [self._rows.popleft() for _ in range(len(self._rows))]
        if not rows:
            return
        request = IngestSpansRequest(spans=pack("span", rows))
        with contextlib.suppress(CitadelError):
            await self._connection.call("Traces.Ingest", request, timeout=5.0, traced=False)

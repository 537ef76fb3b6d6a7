"""The client's own spans: one a call, sent to the engine in batches, so that traces are whole."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from citadel import telemetry
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

    @contextlib.contextmanager
    def span(self, method: Method, request: Any) -> Generator[SpanContext]:
        """The span of one call: below the caller's own span, where there is one."""
        parent = telemetry.current()
        trace_id = parent.trace_id if parent else new_trace_id()
        context = self.last = SpanContext(trace_id, new_span_id())
        start, status = time.time_ns(), STATUS_UNSET
        attributes = {
            "rpc.system": "grpc",
            "rpc.method": method.name,
            "rpc.service": method.service,
        }
        try:
            yield context
        except BaseException as error:
            status = STATUS_ERROR
            attributes["error.type"] = type(error).__name__
            raise
        finally:
            self._add(
                (
                    context.trace_id >> 64,
                    context.trace_id & _MASK64,
                    context.span_id,
                    parent.span_id if parent else 0,
                    start,
                    time.time_ns(),
                    KIND_CLIENT,
                    status,
                    f"{method.service}/{method.name}",
                    "client",
                    "client",
                    getattr(request, "mission", ""),
                    getattr(request, "mission_class", ""),
                    "",
                    getattr(request, "pool", ""),
                    json.dumps(attributes),
                    "[]",
                )
            )
            self._loop = asyncio.get_running_loop()
            self._schedule()

    @contextlib.contextmanager
    def trace(
        self, name: str, mission: str, mission_class: str
    ) -> Generator[telemetry.LocalSpan | None]:
        """A root span of the caller's own; calls inside of it belong to its trace."""
        scope = telemetry.Scope(
            source="client", service="client", mission=mission, mission_class=mission_class
        )
        try:
            with telemetry.command(name, SpanContext(new_trace_id(), 0), scope) as span:
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

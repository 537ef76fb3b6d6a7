"""The client's own spans: one a call, sent to the engine in batches, so that traces are whole."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

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
        self.last: SpanContext | None = None

    @contextlib.contextmanager
    def span(self, method: Method, request: Any) -> Generator[SpanContext]:
        """The span of one call."""
        context = self.last = SpanContext(new_trace_id(), new_span_id())
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
            self._rows.append(
                (
                    context.trace_id >> 64,
                    context.trace_id & _MASK64,
                    context.span_id,
                    0,
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
            if self._timer is None:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(FLUSH_SECONDS, self._start_sending)

    async def close(self) -> None:
        """Sends what is left; an engine that is gone loses it."""
        if self._timer:
            self._timer.cancel()
        if self._sending:
            await self._sending
        await self._send()

    def _start_sending(self) -> None:
        self._timer = None
        if self._sending is None or self._sending.done():
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

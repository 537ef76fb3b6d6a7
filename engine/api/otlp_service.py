"""Receives OTLP on the engine's gRPC port: traces and logs of other programs. Loop thread.

The same tokens as for our own services, with the role of `Traces.Ingest`. What takes long runs in a
thread, and what is recorded is recorded in slices, so that the loop goes on. At most CONVERTING
requests are converted at a time and WAITING wait; more are told to come again, which OTLP's senders
do. Metrics are not taken: their sums would be ours to store, and nothing here shows them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from citadel.errors import CitadelError, InvalidRequest, MessageTooLarge, Unavailable
from citadel.grpc_status import to_rpc
from engine.api.auth import Authenticator, authorise
from engine.api.incidents import translated
from engine.telemetry.hub import LiveHub
from engine.telemetry.otlp_rows import Found, logs_of, spans_of
from engine.telemetry.policy import Root
from engine.telemetry.recorder import Recorder

ROLE_LIKE = "Traces.Ingest"
MAX_SPANS = 65_536
"""Spans of one request."""
MAX_LOGS = 4_096
"""Log records of one request that become events."""
INLINE_BYTES = 16_384
"""A request this small is converted at once: a thread would take longer."""
SLICE = 512
"""Rows that are recorded before the loop may do something else."""
CONVERTING, WAITING = 2, 64

Context = grpc.aio.ServicerContext[bytes, bytes]
Serve = Callable[[bytes], Awaitable[bytes]]
T = TypeVar("T")


class OtlpReceiver:
    """TraceService and LogsService; MetricsService says that it is not there."""

    def __init__(self, authenticator: Authenticator, recorder: Recorder, hub: LiveHub) -> None:
        self._authenticator = authenticator
        self._recorder = recorder
        self._hub = hub
        self._converting = asyncio.Semaphore(CONVERTING)
        self._here = 0

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """One a service."""
        services = {
            "trace": self._unary("Otlp.Traces", self._traces),
            "logs": self._unary("Otlp.Logs", self._logs),
            "metrics": _no_metrics,
        }
        return tuple(
            grpc.method_handlers_generic_handler(
                f"opentelemetry.proto.collector.{name}.v1.{name.capitalize()}Service",
                {"Export": grpc.unary_unary_rpc_method_handler(handle)},
            )
            for name, handle in services.items()
        )

    def _unary(self, method: str, serve: Serve) -> Callable[[bytes, Context], Awaitable[bytes]]:
        async def handle(data: bytes, context: Context) -> bytes:
            began = time.perf_counter()
            code = "OK"
            try:
                self._admit(context)
                return await serve(data)
            except asyncio.CancelledError:
                code = "CANCELLED"
                raise
            except Exception as raised:  # noqa: BLE001 - the seam where all errors are translated
                error = translated(self._recorder, method, raised)
                code = error.code
            finally:
                self._recorder.count("citadel.rpc.requests", method=method, code=code)
                self._recorder.observe("citadel.rpc.duration", time.perf_counter() - began, method)
            return await _abort(context, error)

        return handle

    def _admit(self, context: Context) -> None:
        metadata = cast("dict[str, str]", dict(context.invocation_metadata() or ()))
        identity = self._authenticator.identify(metadata.get("authorization", ""))
        authorise(identity, ROLE_LIKE)

    async def _traces(self, data: bytes) -> bytes:
        found = await self._converted(spans_of, data, self._hub.instance_id)
        total = len(found.rows) + found.invalid + found.own
        if total > MAX_SPANS:
            raise MessageTooLarge(
                f"{total} spans are more than {MAX_SPANS} in one request",
                subject="spans",
                remedy="Send smaller batches",
            )
        full = await self._record(found)
        rejected = found.invalid + found.own + full
        if not rejected:
            return b""
        why = [
            f"{number} {text}"
            for number, text in (
                (found.invalid, "make no sense: ids, or times"),
                (found.own, "are this engine's own"),
                (full, "had no place: the queue is full"),
            )
            if number
        ]
        partial = ExportTracePartialSuccess(rejected_spans=rejected, error_message="; ".join(why))
        return ExportTraceServiceResponse(partial_success=partial).SerializeToString()

    async def _record(self, found: Found) -> int:
        """Records rows, a slice at a time; returns how many had no place."""
        recorder, rows = self._recorder, found.rows
        lost = recorder.books.lost
        before = lost["queue_full"]
        for start in range(0, len(rows), SLICE):
            if start:
                recorder.drain()  # or a large request alone would fill the queue
                await asyncio.sleep(0)
            for trace_id, about, row in rows[start : start + SLICE]:
                recorder.ingest_row(trace_id, about, row)
        for _ in range(found.invalid):
            recorder.ingest_row(0, Root(), ())
        return lost["queue_full"] - before

    async def _logs(self, data: bytes) -> bytes:
        now = self._recorder.clock()
        rows, more = await self._converted(logs_of, data, now, MAX_LOGS, self._hub.instance_id)
        for start in range(0, len(rows), SLICE):
            if start:
                await asyncio.sleep(0)
            self._hub.publish_many("event", rows[start : start + SLICE])
        if not more:
            return b""
        partial = ExportLogsPartialSuccess(
            rejected_log_records=more,
            error_message=f"more than {MAX_LOGS} in one request, or this engine's own",
        )
        return ExportLogsServiceResponse(partial_success=partial).SerializeToString()

    async def _converted(self, convert: Callable[..., T], data: bytes, *rest: Any) -> T:
        """What a request holds.

        Raises:
            InvalidRequest: it is no such request.
            Unavailable: so many are here that this one is to come again.
        """
        try:
            if len(data) <= INLINE_BYTES:
                return convert(data, *rest)
            if self._here >= CONVERTING + WAITING:
                raise Unavailable(
                    f"{self._here} requests are being taken in already", remedy="Send it again"
                )
            self._here += 1
            try:
                async with self._converting:
                    return await asyncio.to_thread(convert, data, *rest)
            finally:
                self._here -= 1
        except DecodeError as error:
            raise InvalidRequest(f"{len(data)} bytes are no OTLP request: {error}") from error


async def _no_metrics(data: bytes, context: Context) -> bytes:
    del data
    text = "This engine takes traces and logs by OTLP, no metrics; its own are at /metrics"
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, text)
    return b""


async def _abort(context: Context, error: CitadelError) -> bytes:
    status = to_rpc(error)
    metadata = tuple(status.trailing_metadata or ())
    await context.abort(status.code, status.details, metadata)
    return b""

"""OTLP into a real engine: from OpenTelemetry's own SDK, and as raw requests."""

import gzip
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import citadel
from citadel.client.client import Client
from citadel.errors import NotFound
from citadel.testing import EngineUnderTest
from citadel.wire.columns import rows

Until = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]
TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
METRICS = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"


async def send(
    engine: EngineUnderTest, method: str, data: bytes, *, token: str | None = None, **options: Any
) -> bytes:
    given = engine.token if token is None else token
    metadata = (("authorization", f"Bearer {given}"),)
    async with grpc.aio.insecure_channel(engine.address) as channel:
        return await channel.unary_unary(method)(data, metadata=metadata, **options)


def batch(count: int, first: int = 1) -> ExportTraceServiceRequest:
    made = ExportTraceServiceRequest()
    resource = made.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "shop"
    spans = resource.scope_spans.add().spans
    for number in range(first, first + count):
        span = spans.add(
            trace_id=hashlib.md5(b"%d" % first).digest(),
            span_id=number.to_bytes(8, "big"),
            parent_span_id=b"" if number == first else first.to_bytes(8, "big"),
            name=f"step {number}",
            start_time_unix_nano=10**18 + number,
            end_time_unix_nano=10**18 + number + 5,
        )
        span.attributes.add(key="gen_ai.request.model").value.string_value = "m"
    return made


async def trace(client: Client, until: Until, trace_id: str, spans: int) -> list[dict[str, Any]]:
    async def look() -> Any:
        try:
            found = rows(await client.traces.get(trace_id))
        except NotFound:
            return None
        return found if len(found) >= spans else None

    return await until(look)


async def test_spans_of_the_sdk_are_found_with_all_that_they_say(
    engine: EngineUnderTest, client: Client, until: Until
) -> None:
    exporter = OTLPSpanExporter(
        endpoint=engine.address,
        insecure=True,
        headers=(("authorization", f"Bearer {engine.token}"),),
        compression=grpc.Compression.Gzip,
    )
    provider = TracerProvider(resource=Resource({"service.name": "shop"}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("till")
    known = {"gen_ai.request.model": "m"}
    with (
        tracer.start_as_current_span("sell", attributes=known) as parent,
        tracer.start_as_current_span("pay") as child,
    ):
        child.add_event("declined", {"reason": "funds"})
        child.record_exception(ValueError("no money"))
    provider.shutdown()
    trace_id = f"{parent.get_span_context().trace_id:032x}"
    found = {row["name"]: row for row in await trace(client, until, trace_id, 2)}
    assert set(found) == {"sell", "pay"}
    assert found["pay"]["parent_id"] == found["sell"]["span_id"]
    assert {row["service"] for row in found.values()} == {"shop"}
    assert {row["source"] for row in found.values()} == {"user"}
    assert '"gen_ai.request.model":"m"' in found["sell"]["attributes"]
    assert '"declined"' in found["pay"]["events"]
    assert '"otel.scope.name":"till"' in found["sell"]["attributes"]


async def test_many_spans_in_one_request_are_all_there_and_bad_ones_are_told(
    engine: EngineUnderTest, client: Client, until: Until
) -> None:
    made = batch(3_000, 1_000_000)
    spans = made.resource_spans[0].scope_spans[0].spans
    spans[5].trace_id = b"short"
    spans[6].end_time_unix_nano = 1
    answer = await send(engine, TRACES, made.SerializeToString())
    partial = ExportTraceServiceResponse.FromString(answer).partial_success
    assert partial.rejected_spans == 2
    assert "2 make no sense" in partial.error_message
    trace_id = hashlib.md5(b"1000000").hexdigest()
    assert len(await trace(client, until, trace_id, 2_998)) == 2_998
    ledger = await client.traces.ledger()
    assert ledger.residual == 0
    assert ledger.dropped["invalid"] >= 2


async def test_who_has_no_token_and_what_is_no_request_is_refused(
    engine: EngineUnderTest,
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await send(engine, TRACES, b"", token="wrong")
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await send(engine, TRACES, b"\xff\xff nonsense")
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT  # or it would come again
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await send(engine, TRACES, batch(70_000).SerializeToString())
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    metrics = ExportMetricsServiceRequest().SerializeToString()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await send(engine, METRICS, metrics)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "no metrics" in str(refused.value.details())


async def test_an_empty_request_and_a_compressed_one_are_taken(
    engine: EngineUnderTest, client: Client, until: Until
) -> None:
    assert await send(engine, TRACES, b"") == b""
    data = batch(20, 77).SerializeToString()
    assert len(gzip.compress(data)) < len(data)
    await send(engine, TRACES, data, compression=grpc.Compression.Gzip)
    assert await trace(client, until, hashlib.md5(b"77").hexdigest(), 20)


@pytest.mark.emits("otlp.log")
async def test_log_records_become_events(engine: EngineUnderTest, client: Client) -> None:
    made = ExportLogsServiceRequest()
    record = made.resource_logs.add().scope_logs.add().log_records.add(severity_number=13)
    record.body.string_value = "the shelf is empty"
    seen: list[dict[str, Any]] = []
    async with citadel.connect(engine.address, token=engine.token) as other:
        answer = await send(engine, LOGS, made.SerializeToString())
        assert not ExportLogsServiceResponse.FromString(answer).partial_success.rejected_log_records
        from citadel.wire.columns import unpack
        from citadel.wire.messages import SnapshotRequest

        reply = await other.connection.call("Engine.Snapshot", SnapshotRequest(topics=("event",)))
        seen = [row for table in reply.batches for row in rows(unpack(table))]
    [mine] = [row for row in seen if row["message"] == "the shelf is empty"]
    assert (mine["name"], mine["severity"]) == ("otlp.log", "warning")

"""OTLP out, against OpenTelemetry's own exporter; OTLP in, against Arize Phoenix.

Out: the same spans, as each side has them when they have ended, to the same receiver in a process
of its own, which decodes them with the official classes and counts them. In: the same requests by
gRPC, until the last span can be found by its trace's id; an engine as its users start it, and
Phoenix with its defaults.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.harness import Ratio, interleaved

if TYPE_CHECKING:
    from tests.otlp_receiver import Receiver
    from tests.phoenix import Phoenix

SPANS_OUT = 8_192
BATCH = 512
"""Spans of a request: the SDK's default."""
SPANS_IN = 2_048
PATIENCE = 300.0


def attributes(source: random.Random) -> dict[str, Any]:
    """Eight, mixed: texts, numbers, truth, a list; most differ from span to span."""
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": f"model-{source.randrange(5)}",
        "gen_ai.usage.input_tokens": source.randrange(5_000),
        "gen_ai.usage.output_tokens": source.randrange(20_000),
        "gen_ai.request.temperature": source.random(),
        "citadel.simulated": source.random() < 0.5,
        "enduser.id": f"user-{source.randrange(10**6)}",
        "gen_ai.response.finish_reasons": ["stop", f"reason-{source.randrange(9)}"],
    }


def run(rounds: int = 5) -> list[Ratio]:
    """Out, then in."""
    return [*_out(rounds), *_in(rounds)]


def _out(rounds: int) -> list[Ratio]:
    from tests.otlp_receiver import receiver  # noqa: PLC0415 - the same that tests use

    with receiver() as there:
        there.keep(rows=False)
        return [
            interleaved(
                _ours(there),
                _peer(there),
                name="OTLP export, 8 mixed attributes, a span",
                peer_name="OpenTelemetry SDK, OTLP over HTTP",
                unit="s/span",
                rounds=rounds,
                bar="≤ 0.33 (3× spans/s), stretch 0.125 (8×)",
            )
        ]


def _timed(there: Receiver, send: Callable[[], None]) -> float:
    before = there.counts()["traces"]
    began = time.perf_counter()
    send()
    seconds = time.perf_counter() - began
    arrived = there.counts()["traces"] - before
    assert arrived == SPANS_OUT, f"{arrived} of {SPANS_OUT} spans were decoded there"
    return seconds / SPANS_OUT


def _ours(there: Receiver) -> Callable[[], float]:
    from citadel.otlp.config import configured  # noqa: PLC0415 - beside what it measures
    from citadel.otlp.outcome import Outcome  # noqa: PLC0415
    from citadel.otlp.resource import Resource  # noqa: PLC0415
    from citadel.otlp.sender import transport_of  # noqa: PLC0415
    from citadel.otlp.spans import SpanEncoder  # noqa: PLC0415

    source = random.Random(7)
    rows = [_row(source, number) for number in range(SPANS_OUT)]
    transport = transport_of(configured(endpoint=there.http, compression="none"))
    encoder = SpanEncoder(Resource(service="benchmark"))

    def send() -> None:
        for start in range(0, SPANS_OUT, BATCH):
            data = encoder.encode(rows[start : start + BATCH]).data
            outcome: Outcome = transport.send("traces", data)
            assert outcome.verdict == "accepted", outcome

    return lambda: _timed(there, send)


def _peer(there: Receiver) -> Callable[[], float]:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - the peer
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import SpanExportResult  # noqa: PLC0415

    ended: list[ReadableSpan] = []

    class Keep(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            ended.append(span)

    provider = TracerProvider(resource=Resource({"service.name": "benchmark"}))
    provider.add_span_processor(Keep())
    tracer = provider.get_tracer("citadel.engine")
    source = random.Random(7)
    for _ in range(SPANS_OUT):
        with tracer.start_as_current_span("chat", attributes=attributes(source)):
            pass
    exporter = OTLPSpanExporter(endpoint=f"{there.http}/v1/traces")

    def send() -> None:
        for start in range(0, SPANS_OUT, BATCH):
            assert exporter.export(ended[start : start + BATCH]) is SpanExportResult.SUCCESS

    return lambda: _timed(there, send)


def _row(source: random.Random, number: int, trace: int = 0) -> tuple[Any, ...]:
    ids = (trace or source.getrandbits(63) + 1, source.getrandbits(63) + 1)
    began = 1_700_000_000_000_000_000 + number * 1_000
    text = json.dumps(attributes(source), separators=(",", ":"))
    head = (*ids, source.getrandbits(63) + 1, 0, began, began + 5_000_000, 1, 0, "chat", "engine")
    return (*head, *[""] * 5, text, "[]", "[]", "", "", 0)


def _in(rounds: int) -> list[Ratio]:
    from citadel.testing import start_engine  # noqa: PLC0415 - beside what it measures
    from tests.phoenix import phoenix, ready  # noqa: PLC0415

    if why := ready():
        print(f"skipped: OTLP in, against Arize Phoenix: {why}", file=sys.stderr)
        return []
    pools = {"python": "engine.sentinels.survey.adapter:SurveyAdapter"}
    with phoenix() as there, start_engine(pools=pools, workers=1) as engine:
        return [
            interleaved(
                lambda: asyncio.run(_into_engine(engine.address, engine.token)),
                lambda: _into_phoenix(there),
                name="OTLP in to queryable, a span",
                peer_name="Arize Phoenix",
                unit="s/span",
                rounds=rounds,
                bar="≤ 0.05 (20×), stretch 0.01 (100×)",
            )
        ]


_seed = iter(range(1, 10_000))


def _requests() -> tuple[list[bytes], str]:
    """Requests of new spans, all of one trace, and its id."""
    from citadel.otlp.resource import Resource  # noqa: PLC0415 - beside what it measures
    from citadel.otlp.spans import SpanEncoder  # noqa: PLC0415

    source = random.Random(next(_seed))
    trace = source.getrandbits(63) + 1, source.getrandbits(63) + 1
    rows = [(*trace, *_row(source, number)[2:]) for number in range(SPANS_IN)]
    encoder = SpanEncoder(Resource(service="benchmark"))
    data = [encoder.encode(rows[at : at + BATCH]).data for at in range(0, SPANS_IN, BATCH)]
    return data, f"{trace[0] << 64 | trace[1]:032x}"


def _export(address: str, requests: Sequence[bytes], token: str = "") -> None:
    import grpc  # noqa: PLC0415 - beside what it measures

    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    method = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(method)
        for data in requests:
            call(data, metadata=metadata, timeout=PATIENCE)


async def _into_engine(address: str, token: str) -> float:
    import citadel  # noqa: PLC0415 - beside what it measures
    from citadel.errors import NotFound  # noqa: PLC0415

    requests, trace_id = _requests()
    async with citadel.connect(address, token=token) as client:
        began = time.perf_counter()
        await asyncio.to_thread(_export, address, requests, token)
        while True:
            try:
                found = await client.traces.get(trace_id)
            except NotFound:
                continue
            if len(found["span_id"]) == SPANS_IN:
                return (time.perf_counter() - began) / SPANS_IN
            assert time.perf_counter() - began < PATIENCE, "spans are missing"


def _into_phoenix(there: Phoenix) -> float:
    requests, trace_id = _requests()
    began = time.perf_counter()
    _export(there.grpc.removeprefix("http://"), requests)
    while True:
        found = _count(there, trace_id)
        if found == SPANS_IN:
            return (time.perf_counter() - began) / SPANS_IN
        assert time.perf_counter() - began < PATIENCE, f"{found} of {SPANS_IN} spans came"
        time.sleep(0.05)


def _count(there: Phoenix, trace_id: str) -> int:
    """How many spans of a trace are there, a page at a time."""
    total, query = 0, {"trace_id": trace_id, "limit": "1000"}
    while True:
        page = there.get("/v1/projects/default/spans", **query)
        total += len(page["data"])
        if not page["next_cursor"]:
            return total
        query["cursor"] = page["next_cursor"]

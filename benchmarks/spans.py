"""Recording a span with eight attributes, to its queue, against the OpenTelemetry SDK.

The peer is the SDK as its documentation sets it up: always on or at 10 %, and a
BatchSpanProcessor whose exporter throws the spans away at once. Each side's queue takes all spans
of a round; emptying it is outside the clock on our side, and a thread's work on the SDK's.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.harness import Ratio, interleaved

SPANS = 10_000
HANDED_OVER = 1_000
"""Spans between two hand-overs to the log; an engine has one each 16 ms."""
ATTRIBUTES: tuple[tuple[str, str | int | float | bool], ...] = (
    ("gen_ai.operation.name", "chat"),
    ("gen_ai.provider.name", "simulated"),
    ("gen_ai.request.model", "simulated-small"),
    ("gen_ai.usage.input_tokens", 812),
    ("gen_ai.usage.output_tokens", 164),
    ("gen_ai.request.temperature", 0.2),
    ("citadel.simulated", True),
    ("citadel.queued_ms", 3.25),
)


def run(rounds: int = 5) -> list[Ratio]:
    """All kept, then one in ten with each decision logged."""
    return [
        interleaved(
            lambda: _ours(1.0),
            _peer(1.0),
            name="record a kept span, 8 attributes",
            peer_name="OpenTelemetry SDK, always on",
            unit="s/span",
            rounds=rounds,
            bar="≤ 0.25, stretch 0.12",
        ),
        interleaved(
            lambda: _ours(0.1),
            _peer(0.1),
            name="record a span, 10 % of traces kept",
            peer_name="OpenTelemetry SDK, 10 % ratio",
            unit="s/span",
            rounds=rounds,
            bar="≤ 0.35, stretch 0.2",
        ),
    ]


def _ours(rate: float) -> float:
    """With the log of decisions on, which a thread writes, as an engine has it."""
    from citadel.wire.messages import SamplingRule  # noqa: PLC0415 - beside what it measures
    from engine.telemetry.decisions import DecisionLog  # noqa: PLC0415
    from engine.telemetry.recorder import Recorder  # noqa: PLC0415
    from engine.telemetry.sampling import Sampler  # noqa: PLC0415

    recorder = Recorder(Sampler([SamplingRule(id="all", rate=rate)]))
    with tempfile.TemporaryDirectory() as folder:
        log = DecisionLog(Path(folder))
        recorder.sampler.logging = True
        begin = time.perf_counter()
        for number in range(SPANS):
            with recorder.span("chat simulated-small") as span:
                for key, value in ATTRIBUTES:
                    span.set(key, value)
            if number % HANDED_OVER == 0:
                for chunk in recorder.sampler.take_new():
                    log.write(chunk)
        seconds = time.perf_counter() - begin
        log.close()
    ledger = recorder.ledger()
    assert ledger.started == SPANS
    assert ledger.in_flight + ledger.dropped["rule"] == SPANS
    return seconds / SPANS


def _peer(rate: float) -> Callable[[], float]:
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.trace.export import (  # noqa: PLC0415
        BatchSpanProcessor,
        SpanExporter,
        SpanExportResult,
    )
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON, TraceIdRatioBased  # noqa: PLC0415

    class Discard(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            del spans
            return SpanExportResult.SUCCESS

    def once() -> float:
        provider = TracerProvider(sampler=ALWAYS_ON if rate >= 1 else TraceIdRatioBased(rate))
        provider.add_span_processor(BatchSpanProcessor(Discard(), max_queue_size=2 * SPANS))
        tracer = provider.get_tracer("benchmark")
        begin = time.perf_counter()
        for _ in range(SPANS):
            with tracer.start_as_current_span("chat simulated-small") as span:
                for key, value in ATTRIBUTES:
                    span.set_attribute(key, value)
        seconds = time.perf_counter() - begin
        provider.shutdown()
        return seconds / SPANS

    return once

"""Tools that use OpenTelemetry: one adapter without a provider of its own, and one with."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import citadel
from citadel.adapter import Adapter, tool

TRACER = trace.get_tracer("a library")


class Instrumented(Adapter):
    """Nobody set a provider."""

    @tool
    def nest(self) -> str:
        """Our span, a library's below it, and ours below that."""
        with citadel.telemetry.span("outer"), TRACER.start_as_current_span("library") as span:
            span.set_attribute("sizes", [1, 2])
            span.add_event("halfway", {"at": 1})
            with citadel.telemetry.span("inner"):
                return citadel.telemetry.traceparent()

    @tool
    async def nest_async(self) -> str:
        """The same in a coroutine."""
        return self.nest()

    @tool
    def stream(self) -> Iterator[int]:
        """Spans around items of a stream."""
        for number in range(3):
            with TRACER.start_as_current_span(f"item {number}"):
                yield number

    @tool
    def fail(self) -> None:
        """A library's span that fails."""
        with TRACER.start_as_current_span("library"):
            raise LookupError("nothing there")

    @tool
    def in_thread(self) -> None:
        """A span in a thread of the tool's own."""
        with ThreadPoolExecutor(1) as threads:
            threads.submit(citadel.telemetry.carried(self.nest)).result()

    @tool
    def unended(self) -> None:
        """Spans that nobody ends."""
        self.kept = citadel.telemetry.span("never ended", size=b"x" * 9)
        self.kept.__enter__()

    @tool
    def provider(self) -> str:
        """Whose provider is set."""
        return type(trace.get_tracer_provider()).__module__


class Provided(Instrumented):
    """The user set a provider, with an exporter."""

    def setup(self) -> None:
        """As a user's module would."""
        self.exporter = InMemorySpanExporter()
        self.own = TracerProvider()
        self.own.add_span_processor(SimpleSpanProcessor(self.exporter))
        trace.set_tracer_provider(self.own)

    @tool
    def exported(self) -> list[str]:
        """What the user's own exporter got so far."""
        return [span.name for span in self.exporter.get_finished_spans()]

    @tool
    def is_own(self) -> bool:
        """Whether the user's provider is still the one."""
        return trace.get_tracer_provider() is self.own

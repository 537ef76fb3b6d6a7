"""Service Traces: the span store, its ledger, and spans that clients recorded. Loop thread only."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from citadel.errors import InvalidRequest, NotFound, NotReady
from citadel.query import parse
from citadel.trace import parse_trace_id
from citadel.wire.columns import pack, unpack
from citadel.wire.messages import (
    Estimated,
    EstimateTracesReply,
    EstimateTracesRequest,
    ExportedSpans,
    ExportSpansRequest,
    GetTraceRequest,
    IngestSpansReply,
    IngestSpansRequest,
    LedgerReply,
    LedgerRequest,
    SearchTracesReply,
    SearchTracesRequest,
    SpanHistogramReply,
    SpanHistogramRequest,
    Trace,
)
from engine.api.dispatch import Call
from engine.telemetry.estimate import Interval
from engine.telemetry.recorder import Recorder
from engine.telemetry.span_reports import Stretch, estimated, histogram, page
from engine.telemetry.store import SpanStore

MAX_LIMIT = 1_000
MAX_INGEST_ROWS = 65_536
CLIENT_SOURCES = frozenset({"client", "user"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TracesServicer:
    """Traces' RPCs."""

    spans: SpanStore
    recorder: Recorder

    async def search(self, request: SearchTracesRequest, call: Call) -> SearchTracesReply:
        """The newest traces that match a filter."""
        del call
        if request.limit > MAX_LIMIT:
            raise InvalidRequest(
                f"a limit of {request.limit} traces is more than {MAX_LIMIT}", subject="limit"
            )
        found = await self.spans.search(
            parse(request.filter) if request.filter.strip() else None,
            limit=request.limit or 100,
            since_ns=request.since_unix_nanos,
            until_ns=request.until_unix_nanos,
        )
        return SearchTracesReply(traces=pack("trace_summary", found))

    async def get(self, request: GetTraceRequest, call: Call) -> Trace:
        """The spans of a trace, those included that were recorded a moment ago."""
        del call
        trace_id = parse_trace_id(request.trace_id)
        if trace_id is None:
            raise InvalidRequest(
                f"{request.trace_id!r} is no trace id",
                subject=request.trace_id,
                remedy="Give 32 hex digits",
            )
        await self._written()
        rows, truncated = await self.spans.get(trace_id)
        if not rows:
            raise NotFound(
                f"there is no trace {request.trace_id}",
                subject=request.trace_id,
                remedy=f"Ask why: citadel why {request.trace_id}",
            )
        return Trace(spans=pack("span", rows), truncated=truncated)

    async def histogram(self, request: SpanHistogramRequest, call: Call) -> SpanHistogramReply:
        """How long spans took."""
        del call
        await self._written()
        files = self.spans.files
        found = await files.read(
            lambda opened: histogram(
                self.spans.paths,
                opened,
                Stretch(since_ns=request.since_unix_nanos, until_ns=request.until_unix_nanos),
                mission=request.mission,
                name=request.name,
                step_minutes=request.step_minutes,
            )
        )
        return SpanHistogramReply(histogram=pack("span_histogram", found))

    async def estimate(self, request: EstimateTracesRequest, call: Call) -> EstimateTracesReply:
        """What there was before sampling."""
        del call
        expression = parse(request.filter)
        stretch = Stretch(since_ns=request.since_unix_nanos, until_ns=request.until_unix_nanos)
        await self._written()
        found = await self.spans.files.read(
            lambda opened: estimated(self.spans.paths, opened, expression, stretch)
        )
        told, (p50, p90, p99) = found.estimates, found.estimates.quantiles
        return EstimateTracesReply(
            traces=_wire(told.traces),
            spans=_wire(told.spans),
            errors=_wire(told.errors),
            p50=_wire(p50),
            p90=_wire(p90),
            p99=_wire(p99),
            kept_traces=found.kept_traces,
            kept_spans=found.kept_spans,
        )

    async def export(
        self, request: ExportSpansRequest, call: Call
    ) -> AsyncGenerator[ExportedSpans]:
        """All spans of days that are over, oldest day first; of an empty day, one empty batch."""
        del call
        await self._written()
        for path in reversed(_closed(self.spans, request.day)):
            at, first = 0, True
            while True:
                rows, at = await self.spans.files.read(
                    lambda opened, path=path, at=at: page(path, opened, at)
                )
                if rows or first:
                    yield ExportedSpans(day=path.stem, spans=pack("span", rows))
                if not rows:
                    break
                first = False

    async def _written(self) -> None:
        """Waits until what was recorded a moment ago is on disk."""
        self.recorder.drain()
        await self.spans.flush()

    async def ledger(self, request: LedgerRequest, call: Call) -> LedgerReply:
        """What became of all spans."""
        del request, call
        return self.recorder.ledger()

    async def ingest(self, request: IngestSpansRequest, call: Call) -> IngestSpansReply:
        """Takes spans that a client recorded: only as a client's, whatever they say."""
        del call
        batch = request.spans
        if batch is None or batch.topic != "span":
            raise InvalidRequest("there are no spans in the request", subject="spans")
        if batch.rows > MAX_INGEST_ROWS:
            raise InvalidRequest(
                f"{batch.rows} spans are more than {MAX_INGEST_ROWS} in one request",
                subject="spans",
            )
        table = unpack(batch)
        sources = set(table["source"].tolist())
        if not sources <= CLIENT_SOURCES:
            raise InvalidRequest(
                f"a client's spans cannot have the source {min(sources - CLIENT_SOURCES)!r}",
                subject="source",
                remedy=f"Sources of clients are {', '.join(sorted(CLIENT_SOURCES))}",
            )
        if np.any(table["end_ns"] < table["start_ns"]):
            raise InvalidRequest("a span ends before it starts", subject="end_ns")
        return IngestSpansReply(accepted=self.recorder.ingest(table))


def _wire(interval: Interval) -> Estimated:
    return Estimated(value=interval.value, low=interval.low, high=interval.high)


def _closed(spans: SpanStore, day: str) -> Sequence[Path]:
    """The files of days that are over, newest first; of one day, where it is named."""
    closed = [path for path in spans.paths if path.stem < spans.today]
    if not day:
        return closed
    found = [path for path in closed if path.stem == day]
    if found:
        return found
    if any(path.stem == day for path in spans.paths):
        raise NotReady(
            f"the day {day} is not over", subject=day, remedy="Days end at midnight, UTC"
        )
    have = ", ".join(path.stem for path in closed) or "none"
    raise NotFound(
        f"there are no spans of the day {day!r}", subject=day, remedy=f"Days that are over: {have}"
    )

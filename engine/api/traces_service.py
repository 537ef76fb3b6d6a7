"""Service Traces: the span store, its ledger, and spans that clients recorded. Loop thread only."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from citadel.errors import InvalidRequest, NotFound
from citadel.query import parse
from citadel.wire.columns import pack, unpack
from citadel.wire.messages import (
    GetTraceRequest,
    IngestSpansReply,
    IngestSpansRequest,
    LedgerReply,
    LedgerRequest,
    SearchTracesReply,
    SearchTracesRequest,
    Trace,
)
from engine.api.dispatch import Call
from engine.telemetry.recorder import Recorder
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
        if not re.fullmatch(r"[0-9a-fA-F]{32}", request.trace_id):
            raise InvalidRequest(
                f"{request.trace_id!r} is no trace id",
                subject=request.trace_id,
                remedy="Give 32 hex digits",
            )
        self.recorder.drain()
        await self.spans.flush()
        rows, truncated = await self.spans.get(int(request.trace_id, 16))
        if not rows:
            raise NotFound(
                f"there is no trace {request.trace_id}",
                subject=request.trace_id,
                remedy=f"Ask why: citadel why {request.trace_id}",
            )
        return Trace(spans=pack("span", rows), truncated=truncated)

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

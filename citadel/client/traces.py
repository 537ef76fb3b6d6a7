"""The client's methods on the span store."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from typing import Any

from citadel.client.group import Group
from citadel.wire import messages as m
from citadel.wire.columns import Table, pack, unpack


class TracesGroup(Group):
    """The span store."""

    async def search(
        self, filter_: str = "", *, limit: int = 100, since_ns: int = 0, until_ns: int = 0
    ) -> Table:
        """Traces with a span that matches, newest first: topic `trace_summary`."""
        request = m.SearchTracesRequest(
            filter=filter_, limit=limit, since_unix_nanos=since_ns, until_unix_nanos=until_ns
        )
        reply = await self._call("Traces.Search", request, traced=False)
        return unpack(reply.traces)

    async def get(self, trace_id: str) -> Table:
        """The spans of a trace: topic `span`."""
        reply = await self._call("Traces.Get", m.GetTraceRequest(trace_id=trace_id), traced=False)
        return unpack(reply.spans)

    async def ledger(self) -> m.LedgerReply:
        """What became of all spans."""
        return await self._call("Traces.Ledger", m.LedgerRequest(), traced=False)

    async def ingest(self, rows: Iterable[tuple[Any, ...]]) -> int:
        """Gives spans to the engine; how many it kept."""
        request = m.IngestSpansRequest(spans=pack("span", list(rows)))
        return (await self._call("Traces.Ingest", request, traced=False)).accepted

    async def histogram(
        self,
        mission: str = "",
        name: str = "",
        *,
        since_ns: int = 0,
        until_ns: int = 0,
        step_minutes: int = 0,
    ) -> Table:
        """How long spans took, by globs of mission and name: topic `span_histogram`.

        With `step_minutes` there are rows for each so many minutes, else for the whole range. Rows
        may be added up; `citadel.histogram` takes percentiles of them.
        """
        request = m.SpanHistogramRequest(
            mission=mission,
            name=name,
            since_unix_nanos=since_ns,
            until_unix_nanos=until_ns,
            step_minutes=step_minutes,
        )
        return unpack((await self._call("Traces.Histogram", request, traced=False)).histogram)

    async def estimate(
        self, filter_: str = "", *, since_ns: int = 0, until_ns: int = 0
    ) -> m.EstimateTracesReply:
        """Traces, spans, errors and quantiles before sampling, each with a 95 % interval."""
        request = m.EstimateTracesRequest(
            filter=filter_, since_unix_nanos=since_ns, until_unix_nanos=until_ns
        )
        return await self._call("Traces.Estimate", request, traced=False)

    async def export(self, day: str = "") -> AsyncGenerator[tuple[str, Table]]:
        """All spans of a day that is over, or of each such day: the day and a part, topic `span`.

        The oldest day comes first; a day may have many parts.
        """
        request = m.ExportSpansRequest(day=day)
        async for part in self._connection.stream("Traces.Export", request):
            yield part.day, unpack(part.spans)

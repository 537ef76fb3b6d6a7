"""Settings of telemetry: the section `[telemetry]`."""

from __future__ import annotations

from pydantic import Field

from engine.section import Section
from engine.telemetry.exporter_section import ExporterSection


class TelemetrySection(Section):
    """Spans, events and counters."""

    sample_rate: float = Field(
        default=1.0, ge=0, le=1, description="At the first start: the share of traces that is kept."
    )
    explained_traces: int = Field(
        default=4_000_000,
        ge=65_536,
        le=1_000_000_000,
        description="Traces, kept or not, that `citadel why` explains; 32 bytes each, on disk.",
    )
    exporters: tuple[ExporterSection, ...] = Field(
        default=(), description="Where it is sent; at each start these are as written here."
    )

"""Settings of telemetry: the section `[telemetry]`."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import Field

from engine.section import Section
from engine.telemetry.exporter_section import ExporterSection


class Retention(NamedTuple):
    """How much of the spans is kept."""

    days: int = 14
    """Today included."""
    bytes: int = 8 * 2**30
    """Of all files."""


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
    retain_days: int = Field(
        default=Retention().days,
        ge=1,
        le=3_650,
        description="Days of spans that are kept, today included.",
    )
    retain_bytes: int = Field(
        default=Retention().bytes,
        ge=64 * 2**20,
        le=2**50,
        description="Bytes of spans that are kept; beyond it the oldest day goes, and of today the"
        " oldest traces.",
    )
    exporters: tuple[ExporterSection, ...] = Field(
        default=(), description="Where it is sent; at each start these are as written here."
    )

    @property
    def retention(self) -> Retention:
        """How much of the spans is kept."""
        return Retention(self.retain_days, self.retain_bytes)

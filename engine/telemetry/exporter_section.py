"""An exporter in the settings file: `[[telemetry.exporters]]`. Pure."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from citadel.errors import InvalidRequest
from citadel.otlp.config import (
    DEFAULT_QUEUE_LIMIT,
    MAX_QUEUE_LIMIT,
    MAX_TIMEOUT_SECONDS,
    configured,
)
from citadel.otlp.presets import PRESETS
from citadel.wire.messages import ExporterConfig
from engine.section import Name, Section


class ExporterSection(Section):
    """Where telemetry is sent by OTLP."""

    name: Name = Field(description="The exporter's name.")
    preset: str = Field(default="", description=f"{', '.join(PRESETS)}, or none.")
    endpoint: str = Field(default="", description="URL; empty: the preset's, or this machine.")
    protocol: str = Field(default="", description="http/protobuf or grpc; empty: the usual one.")
    api_key: str = Field(
        default="",
        repr=False,
        description="For the preset's header. env:NAME: the header's value, read when it is sent.",
    )
    headers: dict[str, str] = Field(
        default_factory=dict[str, str], repr=False, description="Sent along; env:NAME as above."
    )
    options: dict[str, str] = Field(
        default_factory=dict[str, str], description="Of the preset: site, zone, dataset, …"
    )
    compression: Literal["gzip", "none"] = Field(default="gzip", description="Of requests.")
    signals: tuple[Literal["traces", "metrics", "logs"], ...] = Field(
        default=("traces",), description="What is sent."
    )
    timeout_seconds: float = Field(
        default=10.0, gt=0, le=MAX_TIMEOUT_SECONDS, description="Of one request."
    )
    queue_limit: int = Field(
        default=DEFAULT_QUEUE_LIMIT,
        ge=1,
        le=MAX_QUEUE_LIMIT,
        description="Rows that may wait; more are dropped, and counted.",
    )

    @property
    def config(self) -> ExporterConfig:
        """As exporters are configured.

        Raises:
            InvalidRequest: it makes no sense.
        """
        return configured(
            self.preset,
            name=self.name,
            endpoint=self.endpoint,
            protocol=self.protocol,
            api_key=self.api_key,
            headers=self.headers,
            options=self.options,
            compression=self.compression,
            signals=self.signals,
            timeout=self.timeout_seconds,
            queue_limit=self.queue_limit,
        )

    @model_validator(mode="after")
    def _makes_sense(self) -> ExporterSection:
        try:
            _ = self.config
        except InvalidRequest as wrong:
            raise ValueError(f"{wrong.message} ({wrong.remedy})") from wrong
        return self

"""Who sends: the resource and the scopes of what is sent. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import Any

from citadel import semconv
from citadel.otlp import wire
from citadel.otlp.attributes import encoded

SCOPE_PREFIX = "citadel."
"""A scope a source: citadel.engine, citadel.pool, citadel.user."""
_ATTRIBUTE = b"\x0a"
"""Resource.attributes and KeyValueList.values have this tag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """Attributes of the program that sends."""

    service: str = "citadel"
    instance: str = ""
    attributes: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, service: str) -> Resource:
        """The resource of another program, for which this one sends."""
        return Resource(service=service, attributes=self.attributes)

    def field(self) -> bytes:
        """The field `resource`, which all three signals have as their first."""
        known: dict[str, Any] = {semconv.SERVICE_NAME: self.service}
        if self.instance:
            known[semconv.SERVICE_INSTANCE_ID] = self.instance
        known["telemetry.sdk.name"] = "citadel"
        known["telemetry.sdk.language"] = "python"
        known["telemetry.sdk.version"] = own_version()
        return wire.message(1, encoded({**known, **self.attributes}, _ATTRIBUTE))


def scope_field(source: str) -> bytes:
    """The field `scope`, which all three signals have as their first of a scope."""
    scope = wire.text(1, SCOPE_PREFIX + source) + wire.text(2, own_version())
    return wire.message(1, scope)


def own_version() -> str:
    """The version of this package."""
    try:
        return version("citadel-command")
    except PackageNotFoundError:
        return "0+checkout"

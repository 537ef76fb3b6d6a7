"""The client's methods of service Exporters."""

from __future__ import annotations

from citadel.client.group import Group, change
from citadel.wire import messages as m

TEST_SECONDS = 330.0
"""A test takes as long as its exporter's timeout, which is at most 300 s."""


class ExportersGroup(Group):
    """Where the engine sends its telemetry by OTLP. `citadel.otlp.config.configured` makes one."""

    async def list(self) -> m.ListExportersReply:
        """All of them with how they stand, and the revision of the document. Secrets are masked."""
        return await self._call("Exporters.List", m.ListExportersRequest(), traced=False)

    async def apply(
        self, config: m.ExporterConfig, *, revision: int = 0, actor: str = "", reason: str = ""
    ) -> m.ExporterStatus:
        """Adds an exporter, or changes the one of that name."""
        request = m.ApplyExporterRequest(config=config, change=change(revision, actor, reason))
        return await self._call("Exporters.Apply", request)

    async def remove(
        self, name: str, *, revision: int = 0, actor: str = "", reason: str = ""
    ) -> int:
        """Ends an exporter; returns the new revision."""
        request = m.RemoveExporterRequest(name=name, change=change(revision, actor, reason))
        return (await self._call("Exporters.Remove", request)).revision

    async def test(self, config: m.ExporterConfig) -> m.TestExporterReply:
        """Lets the engine send one span; what came back, and what to do about it."""
        request = m.TestExporterRequest(config=config)
        return await self._call("Exporters.Test", request, timeout=TEST_SECONDS, traced=False)

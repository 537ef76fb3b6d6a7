"""Service Exporters: where telemetry is sent by OTLP. Loop thread; what blocks runs in threads.

The exporters are one versioned document. Values of headers are secrets: the operational database
has them, and nothing that is shown does; a masked value that comes back leaves the one there is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, replace
from typing import Any

from citadel.errors import InvalidRequest, NotFound
from citadel.otlp.config import checked, masked, unmasked
from citadel.otlp.probe import probe
from citadel.otlp.resource import Resource
from citadel.otlp.sender import transport_of
from citadel.wire.messages import (
    ApplyExporterRequest,
    Change,
    ExporterConfig,
    ExporterStatus,
    ListExportersReply,
    ListExportersRequest,
    RemoveExporterReply,
    RemoveExporterRequest,
    TestExporterReply,
    TestExporterRequest,
)
from engine.api.dispatch import Call
from engine.api.trail import Trail
from engine.storage.store import AuditEntry, OperationalStore
from engine.storage.versioned import Versioned, VersionedDocument
from engine.telemetry.exporter_section import ExporterSection
from engine.telemetry.exporters import MAX_EXPORTERS, Exporters
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder

TESTS = 4
"""Tests at a time; more wait."""
SET_BY_SETTINGS = "settings"

Configs = tuple[ExporterConfig, ...]


def document_of(
    store: OperationalStore, on_audit: Callable[[AuditEntry], None]
) -> VersionedDocument[Configs]:
    """The document; at first there are no exporters."""
    nothing: Configs = ()
    return VersionedDocument(
        "exporters",
        nothing,
        store,
        encode=lambda configs: [asdict(config) for config in configs],
        decode=_decoded,
        shown=lambda configs: [asdict(masked(config)) for config in configs],
        on_audit=on_audit,
    )


async def exporters_of(
    store: OperationalStore,
    trail: Trail,
    hub: LiveHub,
    recorder: Recorder,
    settings: Sequence[ExporterSection],
    stack: AsyncExitStack,
) -> tuple[Exporters, ExportersServicer]:
    """The exporters of an engine, begun, and their service; closed before what they tell losses."""
    resource = Resource(instance=hub.instance_id)
    exporters = Exporters(recorder, hub.publish, resource, lost=recorder.lost)
    stack.push_async_callback(exporters.close)
    recorder.sinks.append(exporters.write)
    hub.taps.setdefault("event", []).append(exporters.event)
    document = document_of(store, trail.show)
    servicer = ExportersServicer(document, exporters, recorder, resource)
    await servicer.begin([section.config for section in settings])
    return exporters, servicer


class ExportersServicer:
    """Exporters' RPCs; also puts each revision of the document in force."""

    def __init__(
        self,
        document: VersionedDocument[Configs],
        exporters: Exporters,
        recorder: Recorder,
        resource: Resource,
    ) -> None:
        self._document = document
        self._exporters = exporters
        self._recorder = recorder
        self._resource = resource
        self._tests = asyncio.Semaphore(TESTS)

    async def begin(self, settings: Sequence[ExporterConfig]) -> None:
        """Puts in force what is stored, and what the settings file says on top of it.

        An exporter of the file is as the file says after each start; only its pause is kept.
        """
        await self._document.load()
        present = self._document.current.body
        for config in (*present, *settings):
            await asyncio.to_thread(_tried, config)
        self._document.on_change.append(self._put_in_force)
        self._put_in_force(self._document.current)
        by_name = {config.name: config for config in present}
        for config in settings:
            before = by_name.get(config.name)
            by_name[config.name] = replace(config, paused=before.paused if before else False)
        wanted = tuple(by_name.values())
        if wanted != present:
            await self._document.apply(
                _few(wanted), based_on=0, actor=SET_BY_SETTINGS, reason="the settings file"
            )

    async def list(self, request: ListExportersRequest, call: Call) -> ListExportersReply:
        """All exporters, and how they stand."""
        del request, call
        return ListExportersReply(
            revision=self._document.current.revision, exporters=self._exporters.statuses()
        )

    async def apply(self, request: ApplyExporterRequest, call: Call) -> ExporterStatus:
        """Adds an exporter, or changes the one of that name."""
        config = await self._checked(request.config)
        await asyncio.to_thread(_tried, config)

        def changed(configs: Configs) -> Configs:
            if any(each.name == config.name for each in configs):
                return tuple(config if each.name == config.name else each for each in configs)
            return _few((*configs, config))

        await self._change(changed, request.change, call)
        return self._exporters.status(config.name)

    async def remove(self, request: RemoveExporterRequest, call: Call) -> RemoveExporterReply:
        """Ends an exporter; what waits is sent first, for a few seconds."""
        name = request.name

        def changed(configs: Configs) -> Configs:
            left = tuple(each for each in configs if each.name != name)
            if len(left) == len(configs):
                known = ", ".join(each.name for each in configs)
                raise NotFound(
                    f"there is no exporter {name!r}",
                    subject=name,
                    remedy=f"There are {known}" if known else "There are none",
                )
            return left

        return RemoveExporterReply(revision=await self._change(changed, request.change, call))

    async def test(self, request: TestExporterRequest, call: Call) -> TestExporterReply:
        """Sends one span, and reports what came back."""
        del call
        config = await self._checked(request.config)
        async with self._tests:
            return await asyncio.to_thread(probe, config, self._resource)

    async def _checked(self, config: ExporterConfig | None) -> ExporterConfig:
        if config is None:
            raise InvalidRequest("there is no exporter in the request", subject="config")
        present = {each.name: each for each in self._document.current.body}
        return checked(unmasked(config, present.get(config.name)))

    async def _change(
        self, changed: Callable[[Configs], Configs], change: Change | None, call: Call
    ) -> int:
        """Puts in force what a change makes of the present exporters; returns the revision.

        Raises:
            Conflict: another revision is in force than the one the change was based on.
        """
        applied = await self._document.change(
            changed,
            based_on=change.revision if change else 0,
            actor=call.actor(change),
            reason=change.reason if change else "",
        )
        return applied.revision

    def _put_in_force(self, current: Versioned[Configs]) -> None:
        self._exporters.put(current.body, current.revision)
        if current.revision > 1:
            self._recorder.event(
                "exporters.changed",
                subject=f"revision {current.revision}",
                message=f"by {current.actor}: {current.reason}".removesuffix(": "),
                revision=current.revision,
            )


def _few(configs: Configs) -> Configs:
    if len(configs) > MAX_EXPORTERS:
        raise InvalidRequest(f"{len(configs)} exporters are more than {MAX_EXPORTERS}")
    return configs


def _tried(config: ExporterConfig) -> None:
    """Imports what an exporter needs, away from the loop.

    Raises:
        NotReady: it is not installed.
    """
    transport_of(config).close()


def _decoded(body: Any) -> Configs:
    stored: list[dict[str, Any]] = body
    return tuple(
        replace(ExporterConfig(**values), signals=tuple(values["signals"])) for values in stored
    )

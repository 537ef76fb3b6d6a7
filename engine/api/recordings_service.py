"""Service Recordings: start, stop, list, fetch, remove; the triggers of the flight recorder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from citadel.errors import InvalidRequest, NotFound
from citadel.wire.messages import (
    FetchRecordingRequest,
    GetTriggersRequest,
    ListRecordingsReply,
    ListRecordingsRequest,
    RecordingChunk,
    RecordingStatus,
    RemoveRecordingReply,
    RemoveRecordingRequest,
    SetTriggersRequest,
    StartRecordingRequest,
    StopRecordingRequest,
    Trigger,
    Triggers,
)
from engine.api.dispatch import Call
from engine.api.trail import Trail
from engine.storage.store import OperationalStore
from engine.storage.versioned import Versioned, VersionedDocument
from engine.telemetry import triggers as core
from engine.telemetry.recordings import Recordings

CHUNK_BYTES = 1 << 20
MAX_SECONDS = 7 * 86_400.0
MAX_BYTES = 64 * 2**30


class RecordingsServicer:
    """Recordings' RPCs."""

    def __init__(
        self, recordings: Recordings, trail: Trail, document: VersionedDocument[Triggers]
    ) -> None:
        self._recordings = recordings
        self._trail = trail
        self._document = document
        document.on_change.append(lambda current: recordings.set_triggers(current.body))

    async def start(self, request: StartRecordingRequest, call: Call) -> RecordingStatus:
        """Begins one."""
        for name, value, most in (
            ("seconds", request.seconds, MAX_SECONDS),
            ("before_seconds", request.before_seconds, core.MAX_SECONDS),
            ("max_bytes", request.max_bytes, MAX_BYTES),
        ):
            if not 0 <= value <= most:
                raise InvalidRequest(f"{name} is {value:g}, not from 0 to {most:g}", subject=name)
        status = await self._recordings.start(
            request.name,
            seconds=request.seconds,
            max_bytes=request.max_bytes,
            before_seconds=request.before_seconds,
        )
        await self._trail.append(call, "recording.start", status.name, change=request.change)
        return status

    async def stop(self, request: StopRecordingRequest, call: Call) -> RecordingStatus:
        """Ends one."""
        status = await self._recordings.stop(request.name)
        await self._trail.append(call, "recording.stop", status.name, change=request.change)
        return status

    async def list(self, request: ListRecordingsRequest, call: Call) -> ListRecordingsReply:
        """Those that run and those that are kept."""
        del request, call
        return ListRecordingsReply(recordings=tuple(self._recordings.list()))

    async def remove(self, request: RemoveRecordingRequest, call: Call) -> RemoveRecordingReply:
        """Deletes one."""
        await self._recordings.remove(request.name)
        await self._trail.append(call, "recording.remove", request.name, change=request.change)
        return RemoveRecordingReply()

    async def fetch(
        self, request: FetchRecordingRequest, call: Call
    ) -> AsyncGenerator[RecordingChunk]:
        """The file of one that has ended, piece by piece."""
        del call
        status = next((s for s in self._recordings.list() if s.name == request.name), None)
        if status is None:
            raise NotFound(f"there is no recording {request.name}", subject=request.name)
        if status.state == "recording":
            raise InvalidRequest(
                f"recording {request.name} runs", subject=request.name, remedy="Stop it first"
            )
        path = self._recordings.path_of(request.name)
        total, offset = await asyncio.to_thread(lambda: path.stat().st_size), 0
        while offset < total:
            data = await asyncio.to_thread(_piece, path, offset)
            if not data:
                return
            yield RecordingChunk(offset=offset, total=total, data=data)
            offset += len(data)

    async def get_triggers(self, request: GetTriggersRequest, call: Call) -> Triggers:
        """The triggers in force."""
        del request, call
        return _told(self._document.current)

    async def set_triggers(self, request: SetTriggersRequest, call: Call) -> Triggers:
        """Puts others in force."""
        change = request.change
        body = core.validated(
            Triggers(
                triggers=request.triggers,
                before_seconds=request.before_seconds,
                after_seconds=request.after_seconds,
            )
        )
        applied = await self._document.apply(
            body,
            based_on=change.revision if change else 0,
            actor=call.actor(change),
            reason=change.reason if change else "",
        )
        return _told(applied)


def encode(told: Triggers) -> dict[str, Any]:
    """Triggers as JSON values."""
    return asdict(replace(told, revision=0))


def decode(values: dict[str, Any]) -> Triggers:
    """Triggers from JSON values."""
    return Triggers(
        triggers=tuple(Trigger(**each) for each in values["triggers"]),
        before_seconds=values["before_seconds"],
        after_seconds=values["after_seconds"],
    )


async def recordings_of(
    recordings: Recordings, store: OperationalStore, trail: Trail
) -> RecordingsServicer:
    """The service, with the newest revision of its triggers in force."""
    document = VersionedDocument(
        "triggers", core.DEFAULTS, store, encode=encode, decode=decode, on_audit=trail.show
    )
    servicer = RecordingsServicer(recordings, trail, document)
    await document.load()
    return servicer


def _told(versioned: Versioned[Triggers]) -> Triggers:
    return replace(versioned.body, revision=versioned.revision)


def _piece(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(CHUNK_BYTES)

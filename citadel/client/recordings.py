"""Recordings of an engine: start, stop, list, fetch, remove; the flight recorder's triggers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from citadel.client.group import Group, change
from citadel.wire import messages as m

STOP_SECONDS = 60.0
"""A stop waits until the file is whole."""


class RecordingsGroup(Group):
    """What an engine keeps of its own telemetry, in files."""

    async def start(
        self,
        name: str = "",
        *,
        seconds: float = 0.0,
        max_bytes: int = 0,
        before_seconds: float = 0.0,
        actor: str = "",
        reason: str = "",
    ) -> m.RecordingStatus:
        """Begins one: it ends after `seconds`, at `max_bytes` (0: 1 GiB), or when it is stopped.

        `before_seconds` of what was before are taken from the flight recorder.
        """
        request = m.StartRecordingRequest(
            name=name,
            seconds=seconds,
            max_bytes=max_bytes,
            before_seconds=before_seconds,
            change=change(0, actor, reason),
        )
        return await self._call("Recordings.Start", request)

    async def stop(self, name: str, *, actor: str = "", reason: str = "") -> m.RecordingStatus:
        """Ends one; its file is whole then."""
        request = m.StopRecordingRequest(name=name, change=change(0, actor, reason))
        return await self._call("Recordings.Stop", request, timeout=STOP_SECONDS)

    async def list(self) -> tuple[m.RecordingStatus, ...]:
        """Those that run and those that are kept, incidents too."""
        request = m.ListRecordingsRequest()
        return (await self._call("Recordings.List", request, traced=False)).recordings

    async def remove(self, name: str, *, actor: str = "", reason: str = "") -> None:
        """Deletes the file of one that has ended."""
        request = m.RemoveRecordingRequest(name=name, change=change(0, actor, reason))
        await self._call("Recordings.Remove", request)

    async def fetch(self, name: str, path: Path) -> int:
        """Copies a recording to a file here; returns its size in bytes.

        Raises:
            FileExistsError: there is such a file.
        """
        size = 0
        with path.open("xb") as file:
            request = m.FetchRecordingRequest(name=name)
            async for chunk in self._connection.stream("Recordings.Fetch", request):
                file.write(chunk.data)
                size += len(chunk.data)
        return size

    async def triggers(self) -> m.Triggers:
        """When the flight recorder keeps an incident."""
        return await self._call("Recordings.GetTriggers", m.GetTriggersRequest(), traced=False)

    async def set_triggers(
        self,
        triggers: Iterable[m.Trigger],
        *,
        before_seconds: float = 30.0,
        after_seconds: float = 10.0,
        revision: int = 0,
        actor: str = "",
        reason: str = "",
    ) -> m.Triggers:
        """Puts triggers in force."""
        request = m.SetTriggersRequest(
            triggers=tuple(triggers),
            before_seconds=before_seconds,
            after_seconds=after_seconds,
            change=change(revision, actor, reason),
        )
        return await self._call("Recordings.SetTriggers", request)

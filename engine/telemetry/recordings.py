"""Recordings that run, and the flight recorder. Loop thread; files are written in threads.

A recording is one more watcher of the live hub: the hub holds nothing for it, and what it misses
when the disk is slow is an explicit gap. The flight recorder keeps no rows of its own: the hub's
ring has the last 65,536, and a mark every few seconds says from where, with the state of then.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from citadel.errors import Conflict, InvalidRequest, NotFound
from citadel.vocabulary import GONE
from citadel.wire.columns import pack, rows, unpack
from citadel.wire.messages import EngineInfo, RecordingStatus, SnapshotReply, Triggers
from citadel.wire.topics import STREAMED, TOPICS
from engine.telemetry import triggers as core
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder
from engine.telemetry.recording_file import SUFFIX, About, Kind, RecordingFile, RecordingWriter

MARK_SECONDS = 5.0
MARKED_SECONDS = 330.0
"""How far back marks go: the longest stretch before an incident, and some."""
MAX_RUNNING = 8
MAX_BYTES = 2**30
MAX_INCIDENTS = 20
MAX_INCIDENT_BYTES = 512 * 2**20
"""Of all incidents together; the oldest goes first."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_STATE_TOPICS = (*(name for name in STREAMED if TOPICS[name].key), "audit")


@dataclass(slots=True)
class _Running:
    """One recording."""

    status: RecordingStatus
    writer: RecordingWriter
    ends_ns: int
    max_bytes: int
    stop_seq: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Recordings:
    """The recordings of one engine."""

    def __init__(
        self,
        folder: Path,
        hub: LiveHub,
        recorder: Recorder,
        about: Callable[[], EngineInfo],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.folder = folder
        self._hub = hub
        self._recorder = recorder
        self._about = about
        self._clock = clock
        self._told = core.DEFAULTS
        self._watch = core.Watch(core.DEFAULTS.triggers)
        self._marks: deque[tuple[int, SnapshotReply]] = deque()
        self._known: dict[str, RecordingStatus] = {}
        self._running: dict[str, _Running] = {}
        self._group: asyncio.TaskGroup | None = None

    # ── operators ────────────────────────────────────────────────────────────────────────────────
    def set_triggers(self, told: Triggers) -> None:
        """Puts other triggers in force."""
        self._told = told
        self._watch = core.Watch(told.triggers)

    async def start(
        self,
        name: str = "",
        *,
        seconds: float = 0.0,
        max_bytes: int = 0,
        before_seconds: float = 0.0,
        kind: Kind = "recording",
        trigger: str = "",
        cause: str = "",
    ) -> RecordingStatus:
        """Begins one; it ends after `seconds`, at `max_bytes`, or when it is stopped.

        Raises:
            InvalidRequest: the name is none, or too many run.
            Conflict: there is one of that name.
        """
        now = self._clock()
        name = self._free(name or time.strftime("%Y%m%d-%H%M%S", time.localtime(now / 1e9)))
        group = self._group
        if group is None or len(self._running) >= MAX_RUNNING:
            raise InvalidRequest(f"{len(self._running)} recordings run already: stop one first")
        mark = self._mark(now - round(before_seconds * 1e9)) or await self._snapshot(now)
        status = RecordingStatus(
            name=self._free(name),  # the state took a moment
            kind=kind,
            state="recording",
            path=str(self.path_of(name)),
            since_unix_nanos=mark.time_unix_nanos,
            trigger=trigger,
            cause=cause,
        )
        self._known[name] = status
        running = _Running(
            status,
            await self._made(status, mark),
            ends_ns=now + round(seconds * 1e9) if seconds else 0,
            max_bytes=max_bytes or MAX_BYTES,
        )
        self._running[name] = running
        self._show(status)
        group.create_task(self._record(running, mark.seq), name=f"recording {name}")
        return status

    def _free(self, name: str) -> str:
        """The name, when it is one that nobody has.

        Raises:
            InvalidRequest: it is none.
            Conflict: there is a recording of that name.
        """
        if not NAME.fullmatch(name):
            raise InvalidRequest(
                f"{name!r} is no name for a recording",
                subject=name,
                remedy="Letters, digits, dots, hyphens and underscores, at most 100",
            )
        if name in self._known or self.path_of(name).exists():
            raise Conflict(f"there is a recording {name} already", subject=name)
        return name

    async def _made(self, status: RecordingStatus, mark: SnapshotReply) -> RecordingWriter:
        """The file of a recording that begins.

        Raises:
            InvalidRequest: it cannot be written.
        """
        about = About(
            name=status.name,
            kind="incident" if status.kind == "incident" else "recording",
            engine=asdict(self._about()),
            since_ns=mark.time_unix_nanos,
            trigger=status.trigger,
            cause=status.cause,
        )
        path = self.path_of(status.name)
        try:
            return await asyncio.to_thread(RecordingWriter, path, about, mark)
        except (OSError, sqlite3.Error) as error:
            del self._known[status.name]
            raise InvalidRequest(
                f"the recording {path} cannot be written: {error}", subject=status.name
            ) from error

    async def stop(self, name: str) -> RecordingStatus:
        """Ends one; its file is whole when this returns.

        Raises:
            NotFound: none of that name runs.
        """
        running = self._running.get(name)
        if running is None:
            raise NotFound(f"no recording {name} runs", subject=name)
        running.stop_seq = max(self._hub.seq, 1)
        await running.done.wait()
        return self._known[name]

    def list(self) -> list[RecordingStatus]:
        """Those that run and those that are kept, the oldest first."""
        return sorted(self._known.values(), key=lambda each: each.since_unix_nanos)

    async def remove(self, name: str) -> None:
        """Deletes the file of one that has ended.

        Raises:
            NotFound: there is none of that name.
            Conflict: it runs.
        """
        status = self._known.get(name)
        if status is None:
            raise NotFound(f"there is no recording {name}", subject=name)
        if name in self._running:
            raise Conflict(f"recording {name} runs", subject=name, remedy="Stop it first")
        await asyncio.to_thread(_unlink, self.path_of(name))
        del self._known[name]
        self._show(replace(status, state=GONE))

    def path_of(self, name: str) -> Path:
        """Where a recording is kept."""
        return self.folder / f"{name}{SUFFIX}"

    # ── life ─────────────────────────────────────────────────────────────────────────────────────
    async def run(self) -> None:
        """Looks out for triggers until cancelled; ends what runs then."""
        for status in await asyncio.to_thread(_kept, self.folder):
            self._known[status.name] = status
            self._show(status)
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                group.create_task(self._look_out(), name="flight recorder")
                while True:
                    now = self._clock()
                    self._marks.append((now, await self._snapshot(now)))
                    while now - self._marks[0][0] > MARKED_SECONDS * 1e9:
                        self._marks.popleft()
                    await asyncio.sleep(MARK_SECONDS)
        finally:
            self._group = None

    async def _look_out(self) -> None:
        async with aclosing(self._hub.watch(core.TOPICS, 0, "")) as stream:
            async for batch in stream:
                for each in batch.batches:
                    now = self._clock()
                    for fired in self._watch.see(each.topic, rows(unpack(each)), now):
                        await self._incident(fired)

    async def _incident(self, fired: core.Fired) -> None:
        stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(self._clock() / 1e9))
        # One that cannot be kept has no right to stop what it is about.
        with contextlib.suppress(InvalidRequest, Conflict):
            await self.start(
                f"incident-{stamp}-{fired.trigger.id}",
                seconds=max(self._told.after_seconds, 0.1),
                max_bytes=MAX_INCIDENT_BYTES // 4,
                before_seconds=self._told.before_seconds,
                kind="incident",
                trigger=fired.trigger.id,
                cause=fired.cause,
            )

    async def _record(self, running: _Running, seq: int) -> None:
        """Writes what happens until it is over; the file is whole, or says that it is not."""
        writer, failed = running.writer, ""
        try:
            async with aclosing(self._hub.watch((), seq, self._hub.instance_id)) as stream:
                async for batch in stream:
                    await asyncio.to_thread(writer.write, batch)
                    over = running.stop_seq and batch.last_seq >= running.stop_seq
                    late = running.ends_ns and self._clock() >= running.ends_ns
                    if over or late or writer.bytes >= running.max_bytes:
                        break
        except sqlite3.Error as error:
            failed = f"it could not be written on: {error}"
        finally:
            await self._end(running, failed)

    async def _end(self, running: _Running, failed: str) -> None:
        writer, now = running.writer, self._clock()
        if not failed:
            try:
                await asyncio.shield(asyncio.to_thread(writer.close, now))
            except (OSError, sqlite3.Error) as error:
                failed = f"it could not be ended: {error}"
        if failed:
            writer.abandon()
        status = replace(
            running.status,
            state="failed" if failed else "done",
            until_unix_nanos=now,
            rows=writer.rows,
            bytes=writer.bytes,
            dropped=writer.dropped,
            error=failed,
        )
        self._running.pop(status.name, None)
        self._known[status.name] = status
        running.done.set()
        self._show(status)
        if status.kind == "incident":
            self._recorder.event(
                "incident.recorded",
                subject=status.name,
                severity="warning",
                message=status.cause,
                context=None,
                trigger=status.trigger,
            )
            await self._retain()

    async def _retain(self) -> None:
        """The oldest incidents go when there are too many, or too much of them."""
        kept = [
            each for each in self.list() if each.kind == "incident" and each.state != "recording"
        ]
        while kept and (
            len(kept) > MAX_INCIDENTS or sum(each.bytes for each in kept) > MAX_INCIDENT_BYTES
        ):
            await self.remove(kept.pop(0).name)

    async def _snapshot(self, now: int) -> SnapshotReply:
        """The state of now; rows are copied here, and packed in a thread."""
        seq = self._hub.seq
        state = {name: self._hub.present(name) for name in _STATE_TOPICS}
        batches = await asyncio.to_thread(lambda: tuple(pack(*each) for each in state.items()))
        return SnapshotReply(
            instance_id=self._hub.instance_id, seq=seq, time_unix_nanos=now, batches=batches
        )

    def _mark(self, wanted_ns: int) -> SnapshotReply | None:
        """The newest mark that is not after a time; the oldest when all are."""
        if not self._marks or wanted_ns >= self._marks[-1][0] + MARK_SECONDS * 1e9:
            return None
        older = [mark for at, mark in self._marks if at <= wanted_ns]
        return older[-1] if older else self._marks[0][1]

    def _show(self, status: RecordingStatus) -> None:
        self._hub.publish(
            "recording",
            (
                status.name,
                status.kind,
                status.state,
                status.path,
                status.since_unix_nanos,
                status.until_unix_nanos,
                status.rows,
                status.bytes,
                status.dropped,
                status.trigger,
                status.cause,
                status.error,
            ),
        )


def _kept(folder: Path) -> list[RecordingStatus]:
    """What earlier runs left."""
    found: list[RecordingStatus] = []
    for path in sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else ():
        try:
            about = RecordingFile(path).about
        except InvalidRequest as error:
            found.append(
                RecordingStatus(
                    name=path.stem,
                    kind="recording",
                    state="failed",
                    path=str(path),
                    error=error.message,
                )
            )
            continue
        found.append(
            RecordingStatus(
                name=path.stem,
                kind=about.kind,
                state="done" if about.closed else "failed",
                path=str(path),
                since_unix_nanos=about.since_ns,
                until_unix_nanos=about.until_ns,
                bytes=path.stat().st_size,
                trigger=about.trigger,
                cause=about.cause,
                error="" if about.closed else "the engine was killed while it was written",
            )
        )
    return found


def _unlink(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)

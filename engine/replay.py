"""A recording as an engine: what was recorded, through the same read API. Loop thread.

`Snapshot` is the state at the begin of the stretch and `Watch` tells all that came after it, as
fast as it is read, then beats; so whoever connects has the whole stretch. Spans are searched in a
store of their own, in a folder that goes with the process. What would change something is refused.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import AsyncGenerator, Callable, Collection, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from citadel.errors import Forbidden, NotFound
from citadel.wire import codec
from citadel.wire.columns import pack, rows, unpack
from citadel.wire.messages import (
    AuditReply,
    AuditRequest,
    ColumnBatch,
    DefenseConfig,
    EngineInfo,
    GetTraceRequest,
    InfoRequest,
    LayerConfig,
    LedgerReply,
    LedgerRequest,
    ListRecordingsReply,
    ProviderInfo,
    SamplingPolicy,
    SearchTracesReply,
    SearchTracesRequest,
    SnapshotReply,
    SnapshotRequest,
    Trace,
    WatchBatch,
    WatchRequest,
)
from citadel.wire.topics import STREAMED, TOPICS
from engine.api import auth
from engine.api.dispatch import Call, Dispatcher, check_wire_version
from engine.api.engine_service import announce
from engine.api.server import Listener
from engine.api.tls import certificate_of
from engine.api.traces_service import TracesServicer
from engine.command_line import Options
from engine.lifetime import Lifetime
from engine.settings import split_address
from engine.telemetry import policy
from engine.telemetry.hub import HEARTBEAT_SECONDS
from engine.telemetry.recorder import Recorder
from engine.telemetry.recording_file import RecordingFile
from engine.telemetry.store import SpanStore

READ_AHEAD = 32
"""Batches that are read from the file in one go."""
AUDIT_PAGE = 1_000
Row = dict[str, Any]


def described(file: RecordingFile) -> EngineInfo:
    """The engine that was recorded, and that this is a recording of it."""
    told = dict(file.about.engine)
    told["providers"] = tuple(ProviderInfo(**each) for each in told.get("providers", ()))
    known = {name: told[name] for name in EngineInfo.__dataclass_fields__ if name in told}
    return replace(
        EngineInfo(**known),
        wire_version=codec.WIRE_VERSION,
        metrics_address="",
        pid=os.getpid(),
        recording=file.about.name,
        recording_since_unix_nanos=file.about.since_ns,
        recording_until_unix_nanos=file.about.until_ns,
    )


class Refused:
    """A service whose methods all say that this is a recording; what is read overrides them."""

    def __init__(self, service: str, file: RecordingFile) -> None:
        self._service = service
        self._name = file.about.name

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """A method that refuses, of the kind that the wire has."""
        if name.startswith("__"):
            raise AttributeError(name)
        streams = any(
            method.streams
            for full, method in codec.methods().items()
            if full.startswith(f"{self._service}.") and full.lower().endswith(name.replace("_", ""))
        )

        async def refuse(request: object, call: Call) -> Any:
            del request, call
            raise self._forbidden()

        async def refuse_stream(request: object, call: Call) -> AsyncGenerator[Any]:
            del request, call
            raise self._forbidden()
            yield  # pyright: ignore[reportUnreachable] - it makes this a generator

        return refuse_stream if streams else refuse

    def _forbidden(self) -> Forbidden:
        return Forbidden(
            f"this is the recording {self._name}: nothing can be done in it, only looked at",
            subject=self._name,
            remedy="Connect to a running engine",
        )


class ReplayEngine:
    """Engine's RPCs."""

    def __init__(self, file: RecordingFile) -> None:
        self._file = file
        self._about = described(file)
        self._instance = f"recording-{self._about.instance_id}"

    async def info(self, request: InfoRequest, call: Call) -> EngineInfo:
        """What was recorded."""
        check_wire_version(str(request.wire_version or ""))
        return replace(self._about, instance_id=self._instance, role=call.identity.role)

    async def snapshot(self, request: SnapshotRequest, call: Call) -> SnapshotReply:
        """The state at the begin."""
        del call
        begin = await asyncio.to_thread(self._file.snapshot)
        found = {each.topic: each for each in begin.batches}
        wanted = request.topics or STREAMED
        return SnapshotReply(
            instance_id=self._instance,
            seq=begin.last_seq,
            time_unix_nanos=self._about.recording_until_unix_nanos,
            batches=tuple(found.get(name) or pack(name, []) for name in wanted),
        )

    async def watch(self, request: WatchRequest, call: Call) -> AsyncGenerator[WatchBatch]:
        """All that came after it; then only that this still serves."""
        del call
        wanted = frozenset(request.topics or STREAMED)
        last, until = request.since_seq, self._about.recording_until_unix_nanos
        source = self._file.batches()
        while found := await asyncio.to_thread(lambda: list(islice(source, READ_AHEAD))):
            for batch in found:
                if batch.last_seq > request.since_seq or not request.since_seq:
                    last = batch.last_seq
                    yield replace(
                        batch,
                        instance_id=self._instance,
                        time_unix_nanos=until,
                        batches=tuple(each for each in batch.batches if each.topic in wanted),
                    )
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            yield WatchBatch(
                instance_id=self._instance,
                first_seq=last + 1,
                last_seq=last,
                time_unix_nanos=until,
            )

    async def audit(self, request: AuditRequest, call: Call) -> AuditReply:
        """The entries that were recorded; whether the whole chain held is not known of a part."""
        del call
        found = await asyncio.to_thread(lambda: list(rows_of(self._file, "audit")))
        least, most = request.after, request.before or 2**62
        kept = [row for row in found if least < row["seq"] < most]
        names = tuple(TOPICS["audit"].columns)
        page = kept[-min(request.limit or AUDIT_PAGE, AUDIT_PAGE) :]
        packed = pack("audit", [tuple(row[name] for name in names) for row in page])
        return AuditReply(entries=packed, chain_intact=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayTraces(TracesServicer):
    """Traces' RPCs: the reads are the store's own."""

    refused: Refused
    counters: dict[tuple[str, str], float]
    fed: asyncio.Event
    """Whether all spans of the recording are in the store."""

    async def search(self, request: SearchTracesRequest, call: Call) -> SearchTracesReply:
        """The newest traces that match a filter, of all that was recorded."""
        await self.fed.wait()
        return await TracesServicer.search(self, request, call)

    async def get(self, request: GetTraceRequest, call: Call) -> Trace:
        """The spans of a trace."""
        await self.fed.wait()
        return await TracesServicer.get(self, request, call)

    async def ledger(self, request: LedgerRequest, call: Call) -> LedgerReply:
        """As the engine counted at the end."""
        del request, call
        dropped = {
            json.loads(labels)["cause"]: int(value)
            for (name, labels), value in self.counters.items()
            if name == "citadel.spans.dropped"
        }
        started = int(self.counters.get(("citadel.spans.started", "{}"), 0))
        kept = int(self.counters.get(("citadel.spans.kept", "{}"), 0))
        in_flight = started - kept - sum(dropped.values())
        return LedgerReply(started=started, kept=kept, dropped=dropped, in_flight=in_flight)

    async def ingest(self, request: Any, call: Call) -> Any:
        """Nothing is added to a recording."""
        return await self.refused.ingest(request, call)


class ReplaySampling(Refused):
    """Sampling.Get: the policy in force at the end."""

    def __init__(self, file: RecordingFile, row: Row | None) -> None:
        super().__init__("Sampling", file)
        self._row = row

    async def get(self, request: object, call: Call) -> SamplingPolicy:
        """It."""
        del request, call
        row = self._row
        if row is None:
            raise NotFound("no sampling policy was recorded", subject="sampling")
        told = ("rules", "keep", "overrides")
        body = policy.decode({name: json.loads(row[name] or "[]") for name in told})
        return SamplingPolicy(
            revision=row["revision"],
            rules=body.rules,
            keep=body.keep,
            overrides=body.overrides,
            actor=row["actor"],
            reason=row["reason"],
            time_unix_nanos=row["time_ns"],
        )


class ReplayDefense(Refused):
    """Defense.Get: the configuration in force at the end."""

    def __init__(self, file: RecordingFile, row: Row | None) -> None:
        super().__init__("Defense", file)
        self._row = row

    async def get(self, request: object, call: Call) -> DefenseConfig:
        """It."""
        del request, call
        row = self._row
        if row is None:
            raise NotFound("no defence configuration was recorded", subject="defense")
        return DefenseConfig(
            revision=row["revision"],
            strict=bool(row["strict"]),
            layers=tuple(LayerConfig(**each) for each in json.loads(row["layers"])),
            actor=row["actor"],
            reason=row["reason"],
            time_unix_nanos=row["time_ns"],
        )


class ReplayRecordings(Refused):
    """Recordings.List: a recording has none."""

    async def list(self, request: object, call: Call) -> ListRecordingsReply:
        """None."""
        del request, call
        return ListRecordingsReply()


def servicers(file: RecordingFile, spans: SpanStore, fed: asyncio.Event) -> dict[str, object]:
    """All services of the wire, over a recording.

    Raises:
        BadConfig: it is damaged.
    """
    # In one pass: a long recording takes a while to read.
    counters: dict[tuple[str, str], float] = {}
    policies: dict[str, Row] = {}
    for table in tables_of(file, ("counter", "sampling", "defense")):
        for row in rows(unpack(table)):
            if table.topic == "counter":
                counters[row["name"], row["labels"]] = row["value"]
            else:
                policies[table.topic] = row
    return {
        "Engine": ReplayEngine(file),
        "Traces": ReplayTraces(
            spans=spans,
            recorder=Recorder(),
            refused=Refused("Traces", file),
            counters=counters,
            fed=fed,
        ),
        "Sampling": ReplaySampling(file, policies.get("sampling")),
        "Defense": ReplayDefense(file, policies.get("defense")),
        "Recordings": ReplayRecordings("Recordings", file),
        **{name: Refused(name, file) for name in ("Pools", "Sentinels", "Missions", "Exporters")},
    }


async def feed(file: RecordingFile, spans: SpanStore, fed: asyncio.Event) -> None:
    """Gives the recorded spans to the store, without waiting for its writer to fall behind."""
    names = tuple(TOPICS["span"].columns)
    source = tables_of(file, ("span",))
    while found := await asyncio.to_thread(lambda: list(islice(source, READ_AHEAD))):
        for batch in found:
            told = [tuple(row[name] for name in names) for row in rows(unpack(batch))]
            ended = [row for row in told if row[5]]  # a span is told when it begins, too
            while ended and spans.write(ended):
                await spans.flush()
    await spans.flush()
    fed.set()


def tables_of(file: RecordingFile, topics: Collection[str]) -> Iterator[ColumnBatch]:
    """The tables of some topics, in order, those of the state at the begin first."""
    for batch in file.batches(first=0):
        yield from (each for each in batch.batches if each.topic in topics)


def rows_of(file: RecordingFile, topic: str) -> Iterator[Row]:
    """The rows of a topic, in order."""
    for table in tables_of(file, (topic,)):
        yield from rows(unpack(table))


async def serve_recording(path: Path, options: Options, token: str) -> None:
    """Serves a recording until it is time to stop; says one line of JSON when it does.

    Raises:
        BadConfig: it is no recording, damaged, or of a newer Citadel.
    """
    settings = options.settings
    lifetime = Lifetime(embedded=options.embedded, drain_seconds=0.0)
    lifetime.begin()
    fed = asyncio.Event()
    file = await asyncio.to_thread(RecordingFile, path)
    authenticator = auth.Authenticator(auth.tokens_of(settings, token))
    with tempfile.TemporaryDirectory(prefix="citadel-recording-") as folder:
        spans = SpanStore(Path(folder) / "spans")
        try:
            dispatcher = Dispatcher(authenticator, Recorder())
            services = await asyncio.to_thread(servicers, file, spans, fed)
            listener = Listener(dispatcher.handler(name, each) for name, each in services.items())
            certificate = certificate_of(settings, Path(folder))
            address = listener.bind(*split_address(settings.listen), certificate)
            await listener.start()
            announce(address, described(file))
            async with asyncio.TaskGroup() as tasks:
                feeding = tasks.create_task(feed(file, spans, fed), name="spans of the recording")
                await lifetime.stop.wait()
                feeding.cancel()
            await listener.stop(0.0)
        finally:
            await asyncio.to_thread(spans.close)

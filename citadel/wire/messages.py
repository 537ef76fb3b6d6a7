"""The wire's messages as frozen dataclasses. Made by `poe protos` from the protos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """Values of many rows, one column a field: read with numpy.frombuffer."""

    name: str = ""
    # One of: u1, u4, u8, i8, f8 (little-endian numpy codes), str (data: u4 codes into strings).
    kind: str = ""
    data: bytes = b""
    # The dictionary of a str column.
    strings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnBatch:
    """A table in columns. Its topic names its columns (citadel/wire/topics.py)."""

    topic: str = ""
    rows: int = 0
    columns: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Who changes what, based on which revision, and why. Every change carries one."""

    # The revision that the change was based on; a stale one is refused. 0: whatever is current.
    revision: int = 0
    actor: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetDefenseRequest:
    """`citadel.wire.v1.GetDefenseRequest`."""

    # 0: the one in force.
    revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DefenseConfig:
    """`citadel.wire.v1.DefenseConfig`."""

    revision: int = 0
    # Flags block; a layer that fails or times out blocks.
    strict: bool = False
    # In the order that a request passes them.
    layers: tuple[LayerConfig, ...] = ()
    actor: str = ""
    reason: str = ""
    time_unix_nanos: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerConfig:
    """`citadel.wire.v1.LayerConfig`."""

    name: str = ""
    enabled: bool = False
    # Scores at or above flag.
    flag_threshold: float = 0.0
    # Scores at or above block.
    block_threshold: float = 0.0
    timeout_ms: float = 0.0
    title: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyDefenseRequest:
    """`citadel.wire.v1.ApplyDefenseRequest`."""

    strict: bool = False
    layers: tuple[LayerConfig, ...] = ()
    change: Change | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewDefenseRequest:
    """`citadel.wire.v1.PreviewDefenseRequest`."""

    strict: bool = False
    layers: tuple[LayerConfig, ...] = ()
    # At most 60; 0: 5.
    minutes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DefensePreview:
    """`citadel.wire.v1.DefensePreview`."""

    requests: int = 0
    blocked_now: int = 0
    blocked_then: int = 0
    flagged_now: int = 0
    flagged_then: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRequest:
    """`citadel.wire.v1.CheckRequest`."""

    text: str = ""
    # prompt, document or output.
    channel: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReply:
    """`citadel.wire.v1.CheckReply`."""

    # The chain's decision: allow, flag, redact or block.
    decision: str = ""
    verdicts: tuple[Verdict, ...] = ()
    # The text as the model would get it.
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`citadel.wire.v1.Verdict`."""

    layer: str = ""
    decision: str = ""
    score: float = 0.0
    latency_ms: float = 0.0
    reasons: tuple[Reason, ...] = ()
    # Set when the layer failed: timeout or error, and its text.
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """`citadel.wire.v1.Reason`."""

    rule: str = ""
    text: str = ""
    # Code points of the checked text; equal when the reason rests on no range.
    start: int = 0
    end: int = 0
    score: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class InfoRequest:
    """`citadel.wire.v1.InfoRequest`."""

    client_version: str = ""
    # The wire version that the client speaks; another major one is refused.
    wire_version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """`citadel.wire.v1.EngineInfo`."""

    # New at every start: sequence numbers of one instance mean nothing to another.
    instance_id: str = ""
    version: str = ""
    wire_version: int = 0
    started_unix_nanos: int = 0
    hostname: str = ""
    pid: int = 0
    os: str = ""
    python: str = ""
    providers: tuple[ProviderInfo, ...] = ()
    # Where Prometheus scrapes, empty when off.
    metrics_address: str = ""
    # The role of the caller: viewer, operator or admin.
    role: str = ""
    # The name of the recording that is served instead of a living engine, and its stretch.
    recording: str = ""
    recording_since_unix_nanos: int = 0
    recording_until_unix_nanos: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderInfo:
    """`citadel.wire.v1.ProviderInfo`."""

    name: str = ""
    model: str = ""
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRequest:
    """`citadel.wire.v1.SnapshotRequest`."""

    topics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotReply:
    """`citadel.wire.v1.SnapshotReply`."""

    instance_id: str = ""
    seq: int = 0
    time_unix_nanos: int = 0
    batches: tuple[ColumnBatch, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRequest:
    """`citadel.wire.v1.WatchRequest`."""

    topics: tuple[str, ...] = ()
    # The last sequence number that the client has; 0 for the live edge.
    since_seq: int = 0
    # The instance that since_seq belongs to.
    instance_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchBatch:
    """`citadel.wire.v1.WatchBatch`."""

    instance_id: str = ""
    first_seq: int = 0
    last_seq: int = 0
    time_unix_nanos: int = 0
    batches: tuple[ColumnBatch, ...] = ()
    # Set when events before first_seq were lost to this client.
    gap: Gap | None = None
    # True when state rows were reduced to the last one of each key because the client was slow.
    coalesced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """`citadel.wire.v1.Gap`."""

    from_seq: int = 0
    to_seq: int = 0
    # Why: slow_client, restarted, or retention.
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRequest:
    """The newest entries between two, oldest first."""

    after: int = 0
    limit: int = 0
    # Entries older than this one; 0: up to the newest.
    before: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReply:
    """`citadel.wire.v1.AuditReply`."""

    entries: ColumnBatch | None = None
    # False when the hash chain does not hold.
    chain_intact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExporterConfig:
    """`citadel.wire.v1.ExporterConfig`."""

    name: str = ""
    # honeycomb, datadog, grafana, phoenix, mlflow; empty: none.
    preset: str = ""
    # URL; empty: the preset's.
    endpoint: str = ""
    # http/protobuf or grpc.
    protocol: str = ""
    # A value "env:NAME" is read from the engine's environment when it is sent. Others come back
    # masked; a masked value that is sent leaves the one there is.
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    # gzip or none.
    compression: str = ""
    # Of traces, metrics, logs; none: traces.
    signals: tuple[str, ...] = ()
    # Of one request, 0: 10.
    timeout_seconds: float = 0.0
    # Rows that may wait for it, 0: the default. More are dropped, and counted as queue_full.
    queue_limit: int = 0
    paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExporterStatus:
    """`citadel.wire.v1.ExporterStatus`."""

    config: ExporterConfig | None = None
    # idle, sending, retrying, failed, paused.
    state: str = ""
    revision: int = 0
    queued: int = 0
    # Spans, metric points and log records that were acknowledged, by signal.
    sent: Mapping[str, int] = field(default_factory=dict[str, int])
    # By cause: queue_full, rejected, unreachable, invalid, shutdown.
    dropped: Mapping[str, int] = field(default_factory=dict[str, int])
    retries: int = 0
    bytes: int = 0
    error: str = ""
    last_success_unix_nanos: int = 0
    last_failure_unix_nanos: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ListExportersRequest:
    """`citadel.wire.v1.ListExportersRequest`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListExportersReply:
    """`citadel.wire.v1.ListExportersReply`."""

    revision: int = 0
    exporters: tuple[ExporterStatus, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyExporterRequest:
    """`citadel.wire.v1.ApplyExporterRequest`."""

    config: ExporterConfig | None = None
    change: Change | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveExporterRequest:
    """`citadel.wire.v1.RemoveExporterRequest`."""

    name: str = ""
    change: Change | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveExporterReply:
    """`citadel.wire.v1.RemoveExporterReply`."""

    revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TestExporterRequest:
    """`citadel.wire.v1.TestExporterRequest`."""

    config: ExporterConfig | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TestExporterReply:
    """`citadel.wire.v1.TestExporterReply`."""

    ok: bool = False
    # The trace that was sent: 32 hex digits.
    trace_id: str = ""
    # What came back: "200 OK", "UNAUTHENTICATED: no such key".
    status: str = ""
    detail: str = ""
    remedy: str = ""
    seconds: float = 0.0
    # Where it was sent, after the preset was filled in.
    endpoint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissionKindsRequest:
    """`citadel.wire.v1.MissionKindsRequest`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissionKindList:
    """`citadel.wire.v1.MissionKindList`."""

    kinds: tuple[MissionKind, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MissionKind:
    """`citadel.wire.v1.MissionKind`."""

    name: str = ""
    description: str = ""
    # JSON Schema of its parameters.
    parameters_schema: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartMissionRequest:
    """`citadel.wire.v1.StartMissionRequest`."""

    kind: str = ""
    # Empty: the kind and a number.
    name: str = ""
    # critical, standard or training; empty: the kind's own.
    mission_class: str = ""
    parameters_json: str = ""
    change: Change | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MissionStatus:
    """`citadel.wire.v1.MissionStatus`."""

    id: str = ""
    kind: str = ""
    name: str = ""
    mission_class: str = ""
    # running, finished, failed or cancelled.
    state: str = ""
    done: int = 0
    total: int = 0
    failed: int = 0
    # Units a second that a looping mission aims at; 0: as fast as it goes.
    rate: float = 0.0
    started_unix_nanos: int = 0
    ended_unix_nanos: int = 0
    error: str = ""
    trace_id: str = ""
    # What the mission counts, as JSON.
    summary_json: str = ""
    revision: int = 0
    parameters_json: str = ""
    # The completed passes of a mission that runs in a loop.
    passes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ListMissionsRequest:
    """`citadel.wire.v1.ListMissionsRequest`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissionList:
    """`citadel.wire.v1.MissionList`."""

    missions: tuple[MissionStatus, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GetMissionRequest:
    """`citadel.wire.v1.GetMissionRequest`."""

    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissionResultRequest:
    """`citadel.wire.v1.MissionResultRequest`."""

    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissionResult:
    """`citadel.wire.v1.MissionResult`."""

    status: MissionStatus | None = None
    # The table of results.
    table: ColumnBatch | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelMissionRequest:
    """`citadel.wire.v1.CancelMissionRequest`."""

    id: str = ""
    change: Change | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRateRequest:
    """`citadel.wire.v1.SetRateRequest`."""

    id: str = ""
    rate: float = 0.0
    change: Change | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPoolsRequest:
    """`citadel.wire.v1.ListPoolsRequest`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolList:
    """`citadel.wire.v1.PoolList`."""

    pools: tuple[PoolStatus, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStatus:
    """`citadel.wire.v1.PoolStatus`."""

    name: str = ""
    revision: int = 0
    # serving, paused, draining or failed.
    state: str = ""
    adapter: str = ""
    # Wanted number of workers.
    size: int = 0
    queue_limit: int = 0
    queued: int = 0
    running: int = 0
    workers: tuple[WorkerStatus, ...] = ()
    # Why the pool is failed, and what to do.
    error: str = ""
    # local or ray.
    backend: str = ""
    # process, thread or free_threaded.
    profile: str = ""
    # Between these the pool sizes itself by how long commands wait; both 0: it does not.
    min_size: int = 0
    max_size: int = 0
    # reject, wait or shed_oldest.
    queue_policy: str = ""
    queued_urgent: int = 0
    queued_normal: int = 0
    queued_later: int = 0
    # closed, open or half_open.
    breaker: str = ""
    sessions: int = 0
    poisoned: int = 0
    # How long the commands that began in the last seconds had waited: the median.
    queue_wait_seconds: float = 0.0
    # Shared memory for large values: of the pool, in use, and leases that are out.
    slab_bytes: int = 0
    slab_used_bytes: int = 0
    leases: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStatus:
    """`citadel.wire.v1.WorkerStatus`."""

    id: str = ""
    pid: int = 0
    # starting, ready, busy, draining, stopped or lost.
    state: str = ""
    rss_bytes: int = 0
    done: int = 0
    failed: int = 0
    command_id: str = ""
    tool: str = ""
    started_unix_nanos: int = 0
    # Of a Ray cluster; empty: this machine.
    node: str = ""
    # Heartbeats that did not come in a row.
    missed_heartbeats: int = 0
    # Why it is to be replaced although it lives; empty: it is not.
    taint: str = ""
    # Commands that it runs at once.
    running: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectWorkerRequest:
    """`citadel.wire.v1.InspectWorkerRequest`."""

    pool: str = ""
    worker: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerDetail:
    """`citadel.wire.v1.WorkerDetail`."""

    pool: str = ""
    status: WorkerStatus | None = None
    history: tuple[StateChange, ...] = ()
    memory: tuple[MemoryPoint, ...] = ()
    # The last lines that it printed.
    output: tuple[str, ...] = ()
    # How its process ended: the signal or the exit code; empty while it runs.
    ended: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """`citadel.wire.v1.StateChange`."""

    state: str = ""
    # When it was last entered.
    since_unix_nanos: int = 0
    cause: str = ""
    # How long it was in that state in all.
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPoint:
    """`citadel.wire.v1.MemoryPoint`."""

    time_unix_nanos: int = 0
    rss_bytes: int = 0
    # Its share of shared pages counted once; 0 where the system does not tell.
    pss_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolsRequest:
    """`citadel.wire.v1.ToolsRequest`."""

    pool: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolList:
    """`citadel.wire.v1.ToolList`."""

    tools: tuple[Tool, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """`citadel.wire.v1.Tool`."""

    name: str = ""
    description: str = ""
    # JSON Schema of the arguments and of the result.
    input_schema: str = ""
    output_schema: str = ""
    # It may run twice without harm: it is retried and hedged.
    idempotent: bool = False
    # Takes or gives a stream.
    streams_in: bool = False
    streams_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """`citadel.wire.v1.Command`."""

    # 1–64 of [A-Za-z0-9_-]; of those that its pool has, no other may have it. Empty: the engine
    # gives one.
    id: str = ""
    pool: str = ""
    tool: str = ""
    # A msgpack map of keyword arguments.
    arguments: bytes = b""
    # Seconds until the caller gives up, queueing included; 0: the pool's default.
    deadline_seconds: float = 0.0
    mission: str = ""
    mission_class: str = ""
    # Keeps commands with this key on one worker; empty: any worker.
    session: str = ""
    # hint, strict_queue or strict_fail; empty: hint.
    affinity: str = ""
    # urgent, normal or later; empty: by the mission's class.
    priority: str = ""
    # W3C, of the caller's span: for commands of a batch, which have no request of their own.
    # Empty: a trace of its own.
    traceparent: str = ""
    tracestate: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandBatch:
    """`citadel.wire.v1.CommandBatch`."""

    # Each needs an id of its own.
    commands: tuple[Command, ...] = ()
    # Ids of commands of this stream, these included, that are not wanted any more.
    cancels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeBatch:
    """`citadel.wire.v1.OutcomeBatch`."""

    outcomes: tuple[Outcome, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`citadel.wire.v1.Outcome`."""

    id: str = ""
    # One of these two.
    result: CommandResult | None = None
    error: CommandError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandError:
    """`citadel.wire.v1.CommandError`."""

    # The class, as in citadel/errors.py.
    kind: str = ""
    message: str = ""
    subject: str = ""
    remedy: str = ""
    details: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamInput:
    """`citadel.wire.v1.StreamInput`."""

    # In the first input only.
    command: Command | None = None
    # A msgpack value.
    item: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOutput:
    """`citadel.wire.v1.StreamOutput`."""

    # A msgpack value.
    item: bytes = b""
    # In the last output only.
    result: CommandResult | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """`citadel.wire.v1.CommandResult`."""

    id: str = ""
    # The msgpack value that the tool returned.
    value: bytes = b""
    worker: str = ""
    queued_seconds: float = 0.0
    run_seconds: float = 0.0
    trace_id: str = ""
    # Whether the engine keeps the spans of this trace.
    sampled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequest:
    """`citadel.wire.v1.CancelRequest`."""

    command_id: str = ""
    reason: str = ""
    # Where it is: ids are unique in a pool. Empty: in every pool that has a command with this id.
    pool: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelReply:
    """`citadel.wire.v1.CancelReply`."""

    # What the command was when the cancel arrived: queued, running, or unknown; of several, running
    # if one was.
    was: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeRequest:
    """`citadel.wire.v1.ResizeRequest`."""

    pool: str = ""
    size: int = 0
    change: Change | None = None
    # With a max_size the pool sizes itself between the two; without one it keeps its size.
    min_size: int = 0
    max_size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPoolStateRequest:
    """`citadel.wire.v1.SetPoolStateRequest`."""

    pool: str = ""
    # serving, paused or draining.
    state: str = ""
    change: Change | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecycleRequest:
    """`citadel.wire.v1.RecycleRequest`."""

    pool: str = ""
    # One worker; empty: all of them.
    worker: str = ""
    change: Change | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KillWorkerRequest:
    """`citadel.wire.v1.KillWorkerRequest`."""

    pool: str = ""
    worker: str = ""
    change: Change | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSessionsRequest:
    """`citadel.wire.v1.ListSessionsRequest`."""

    # Empty: all pools.
    pool: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionList:
    """`citadel.wire.v1.SessionList`."""

    sessions: tuple[SessionStatus, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStatus:
    """`citadel.wire.v1.SessionStatus`."""

    pool: str = ""
    key: str = ""
    # Where its state is; empty: nowhere yet, or its worker died.
    worker: str = ""
    # open or gone.
    state: str = ""
    commands: int = 0
    # A JSON object; values that JSON cannot say are shown as texts.
    variables_json: str = ""
    revision: int = 0
    created_unix_nanos: int = 0
    expires_unix_nanos: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SetVariablesRequest:
    """`citadel.wire.v1.SetVariablesRequest`."""

    pool: str = ""
    session: str = ""
    # A msgpack map; a nil value removes the variable.
    variables: bytes = b""
    # Refused when the session is at another revision; 0: set anyway.
    revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSessionRequest:
    """`citadel.wire.v1.EndSessionRequest`."""

    pool: str = ""
    session: str = ""
    change: Change | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPoisonRequest:
    """`citadel.wire.v1.ListPoisonRequest`."""

    # Empty: all pools.
    pool: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoisonList:
    """`citadel.wire.v1.PoisonList`."""

    entries: tuple[PoisonEntry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PoisonEntry:
    """`citadel.wire.v1.PoisonEntry`."""

    pool: str = ""
    # Of the tool and its arguments, hexadecimal.
    fingerprint: str = ""
    tool: str = ""
    kills: int = 0
    # As it was sent; cut when it is long.
    arguments: bytes = b""
    error: str = ""
    first_unix_nanos: int = 0
    last_unix_nanos: int = 0
    # Kept for inspection: refused (quarantined), or only counted so far.
    quarantined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasePoisonRequest:
    """`citadel.wire.v1.ReleasePoisonRequest`."""

    pool: str = ""
    fingerprint: str = ""
    change: Change | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRecordingRequest:
    """`citadel.wire.v1.StartRecordingRequest`."""

    # Empty: named after the time.
    name: str = ""
    # Ends by itself; 0: when it is stopped, or at its size.
    seconds: float = 0.0
    # 0: 1 GiB.
    max_bytes: int = 0
    # The seconds that the flight recorder holds of what was before.
    before_seconds: float = 0.0
    change: Change | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStatus:
    """`citadel.wire.v1.RecordingStatus`."""

    name: str = ""
    # recording or incident.
    kind: str = ""
    # recording, done, failed.
    state: str = ""
    # Where the engine keeps it.
    path: str = ""
    since_unix_nanos: int = 0
    until_unix_nanos: int = 0
    rows: int = 0
    bytes: int = 0
    # Rows that it could not take, because its queue was full or the disk was.
    dropped: int = 0
    # Of an incident: the trigger's id, and what it saw.
    trigger: str = ""
    cause: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRecordingRequest:
    """`citadel.wire.v1.StopRecordingRequest`."""

    name: str = ""
    change: Change | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRecordingsRequest:
    """`citadel.wire.v1.ListRecordingsRequest`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRecordingsReply:
    """`citadel.wire.v1.ListRecordingsReply`."""

    recordings: tuple[RecordingStatus, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveRecordingRequest:
    """`citadel.wire.v1.RemoveRecordingRequest`."""

    name: str = ""
    change: Change | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveRecordingReply:
    """`citadel.wire.v1.RemoveRecordingReply`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRecordingRequest:
    """`citadel.wire.v1.FetchRecordingRequest`."""

    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingChunk:
    """`citadel.wire.v1.RecordingChunk`."""

    offset: int = 0
    total: int = 0
    data: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """When the flight recorder keeps what it holds as an incident."""

    id: str = ""
    # p99_over, flag_at_or_above, pool_starved, worker_crash.
    when: str = ""
    # Of p99_over: seconds. Of flag_at_or_above: a score from 0 to 1. Of pool_starved: how many
    # seconds the oldest command waits.
    threshold: float = 0.0
    # A glob over pools or names of durations; empty: all.
    subject: str = ""
    enabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Triggers:
    """`citadel.wire.v1.Triggers`."""

    revision: int = 0
    triggers: tuple[Trigger, ...] = ()
    # What an incident keeps, in seconds.
    before_seconds: float = 0.0
    after_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GetTriggersRequest:
    """`citadel.wire.v1.GetTriggersRequest`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTriggersRequest:
    """`citadel.wire.v1.SetTriggersRequest`."""

    triggers: tuple[Trigger, ...] = ()
    before_seconds: float = 0.0
    after_seconds: float = 0.0
    change: Change | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetSamplingRequest:
    """`citadel.wire.v1.GetSamplingRequest`."""

    # 0: the one in force.
    revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingPolicy:
    """`citadel.wire.v1.SamplingPolicy`."""

    revision: int = 0
    # The first that matches decides.
    rules: tuple[SamplingRule, ...] = ()
    actor: str = ""
    reason: str = ""
    time_unix_nanos: int = 0
    # What is kept whatever the rules say.
    keep: tuple[KeepRule, ...] = ()
    # Before all rules, the newest first, each until it expires.
    overrides: tuple[SamplingOverride, ...] = ()
    # What is odd about it: rules that matched nothing so far, rules that nothing can reach.
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingRule:
    """`citadel.wire.v1.SamplingRule`."""

    id: str = ""
    # Globs over the root span; an empty one matches all.
    mission_class: str = ""
    mission: str = ""
    sentinel: str = ""
    pool: str = ""
    source: str = ""
    name: str = ""
    # Share of traces that is kept, 0 to 1; both exact.
    rate: float = 0.0
    # A ceiling in spans a second instead of a rate; 0: none, the rate holds.
    spans_per_second: float = 0.0
    # A glob over events' names: the rule is then for events, and no trace.
    event: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepRule:
    """Keeps a whole trace although its rule drops it. Its spans are held until its root ends."""

    id: str = ""
    # error, guard (a guard flagged, redacted or blocked), slower_than, slower_than_p99 (of its
    # kind: the root span's name).
    when: str = ""
    # Of slower_than: how long a root may take, in seconds.
    seconds: float = 0.0
    # Globs over the root span; an empty one matches all.
    mission_class: str = ""
    mission: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingOverride:
    """A rule for a while, with an owner who answers for it."""

    id: str = ""
    rule: SamplingRule | None = None
    owner: str = ""
    reason: str = ""
    since_unix_nanos: int = 0
    expires_unix_nanos: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplySamplingRequest:
    """`citadel.wire.v1.ApplySamplingRequest`."""

    rules: tuple[SamplingRule, ...] = ()
    change: Change | None = None
    keep: tuple[KeepRule, ...] = ()
    # False: the keep-rules stay as they are, whatever `keep` says.
    sets_keep: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideSamplingRequest:
    """`citadel.wire.v1.OverrideSamplingRequest`."""

    rule: SamplingRule | None = None
    # How long it lasts, in seconds: up to 30 days.
    seconds: float = 0.0
    # Its owner is the change's actor; a reason is a must.
    change: Change | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevertSamplingRequest:
    """`citadel.wire.v1.RevertSamplingRequest`."""

    override_id: str = ""
    change: Change | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewSamplingRequest:
    """`citadel.wire.v1.PreviewSamplingRequest`."""

    rules: tuple[SamplingRule, ...] = ()
    # At most 60; 0: 5.
    minutes: int = 0
    keep: tuple[KeepRule, ...] = ()
    # False: the keep-rules in force.
    sets_keep: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingPreview:
    """`citadel.wire.v1.SamplingPreview`."""

    # Root decisions of the stretch; the engine remembers the last 65,536.
    traces: int = 0
    kept_now: int = 0
    kept_then: int = 0
    # Traces with an error or a guard's flag that would be lost.
    flagged_lost: int = 0
    # Traces of each rule, by its id; those that none matches under "default".
    matched: Mapping[str, int] = field(default_factory=dict[str, int])
    # Spans and bytes of them; of traces that were not recorded, estimated from those of their kind.
    spans_now: int = 0
    spans_then: int = 0
    bytes_now: int = 0
    bytes_then: int = 0
    # 95 % interval of kept_then: the same number twice where the rules decide by rate alone.
    kept_then_low: int = 0
    kept_then_high: int = 0
    spans_then_low: int = 0
    spans_then_high: int = 0
    # Some traces that the change would decide otherwise, at most 20.
    examples: tuple[PreviewExample, ...] = ()
    # Rules whose globs matched nothing, by id.
    unmatched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewExample:
    """`citadel.wire.v1.PreviewExample`."""

    # 32 hex digits.
    trace_id: str = ""
    name: str = ""
    mission: str = ""
    kept_now: bool = False
    kept_then: bool = False
    # The rule that would decide; "default" when none matches.
    rule_id: str = ""
    time_unix_nanos: int = 0
    # With an error or a guard's flag.
    flagged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyRequest:
    """`citadel.wire.v1.WhyRequest`."""

    # One of the two. 32 hex digits.
    trace_id: str = ""
    command_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyReply:
    """`citadel.wire.v1.WhyReply`."""

    trace_id: str = ""
    # kept, dropped, undecided or unknown.
    fate: str = ""
    # A word of citadel.vocabulary.DROP_CAUSES or KEEP_CAUSES.
    cause: str = ""
    # A sentence for people.
    explanation: str = ""
    # The rule, keep-rule or override that decided; empty when none did.
    rule_id: str = ""
    # The policy's revision then; who set it, when, and why.
    revision: int = 0
    actor: str = ""
    reason: str = ""
    set_unix_nanos: int = 0
    decided_unix_nanos: int = 0
    # The rate that held, and the two 56-bit numbers that were compared: kept when
    # randomness >= threshold.
    rate: float = 0.0
    randomness: int = 0
    threshold: int = 0
    # The root span as rules saw it.
    mission_class: str = ""
    mission: str = ""
    sentinel: str = ""
    pool: str = ""
    source: str = ""
    name: str = ""
    # What else befell its spans: exporters that lost them, spans lost to a full queue.
    also: tuple[str, ...] = ()
    # Stretches of which the engine cannot know, because it was killed: of "crash_window".
    windows: tuple[CrashWindow, ...] = ()
    # How far back every trace is known.
    known_since_unix_nanos: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashWindow:
    """`citadel.wire.v1.CrashWindow`."""

    since_unix_nanos: int = 0
    until_unix_nanos: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSentinelsRequest:
    """`citadel.wire.v1.ListSentinelsRequest`."""

    mission_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentinelList:
    """`citadel.wire.v1.SentinelList`."""

    sentinels: tuple[SentinelStatus, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SentinelStatus:
    """`citadel.wire.v1.SentinelStatus`."""

    id: str = ""
    behaviour: str = ""
    # spawning, idle, working, waiting, degraded, restarting, stopped or quarantined.
    state: str = ""
    mission_id: str = ""
    supervisor: str = ""
    mailbox: int = 0
    handled: int = 0
    restarts: int = 0
    # Why it is in this state.
    cause: str = ""
    since_unix_nanos: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectRequest:
    """`citadel.wire.v1.InspectRequest`."""

    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentinelDetail:
    """`citadel.wire.v1.SentinelDetail`."""

    status: SentinelStatus | None = None
    # The behaviour's state as JSON, secrets redacted.
    state_json: str = ""
    # The last transitions, oldest first, as JSON objects {time_unix_nanos, from, to, cause}.
    history: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SpawnRequest:
    """`citadel.wire.v1.SpawnRequest`."""

    # Unique; empty: the engine gives one.
    id: str = ""
    behaviour: str = ""
    mission_id: str = ""
    # The behaviour's options as JSON.
    options_json: str = ""
    change: Change | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRequest:
    """`citadel.wire.v1.StopRequest`."""

    id: str = ""
    change: Change | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartRequest:
    """`citadel.wire.v1.RestartRequest`."""

    id: str = ""
    change: Change | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A CloudEvents 1.0 envelope."""

    id: str = ""
    source: str = ""
    type: str = ""
    subject: str = ""
    time_unix_nanos: int = 0
    data_json: str = ""
    traceparent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRequest:
    """`citadel.wire.v1.SendRequest`."""

    to: str = ""
    signal: Signal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SendReply:
    """`citadel.wire.v1.SendReply`."""

    signal_id: str = ""
    mailbox: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchTracesRequest:
    """`citadel.wire.v1.SearchTracesRequest`."""

    # The filter language: status=error and dur>5ms and name~"survey*". Empty: all.
    filter: str = ""
    # At most 1000; 0: 100.
    limit: int = 0
    since_unix_nanos: int = 0
    until_unix_nanos: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchTracesReply:
    """`citadel.wire.v1.SearchTracesReply`."""

    # Topic trace_summary.
    traces: ColumnBatch | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetTraceRequest:
    """`citadel.wire.v1.GetTraceRequest`."""

    # 32 hex digits.
    trace_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """`citadel.wire.v1.Trace`."""

    # Topic span.
    spans: ColumnBatch | None = None
    # True when the trace had more spans than the 200,000 that are sent.
    truncated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRequest:
    """`citadel.wire.v1.LedgerRequest`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerReply:
    """started = kept + dropped by cause + in flight."""

    started: int = 0
    kept: int = 0
    in_flight: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict[str, int])
    # started - kept - dropped - in flight: 0, or the engine lost count.
    residual: int = 0
    # Of those in flight: held until their trace's fate is known.
    held: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestSpansRequest:
    """`citadel.wire.v1.IngestSpansRequest`."""

    # Topic span.
    spans: ColumnBatch | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestSpansReply:
    """`citadel.wire.v1.IngestSpansReply`."""

    accepted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanHistogramRequest:
    """`citadel.wire.v1.SpanHistogramRequest`."""

    # Globs; empty: all.
    mission: str = ""
    name: str = ""
    # Of the start of spans, in whole minutes; 0: no bound.
    since_unix_nanos: int = 0
    until_unix_nanos: int = 0
    # Minutes that are added up into one row of each bucket; 0: all of the range.
    step_minutes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanHistogramReply:
    """`citadel.wire.v1.SpanHistogramReply`."""

    # Topic span_histogram.
    histogram: ColumnBatch | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateTracesRequest:
    """`citadel.wire.v1.EstimateTracesRequest`."""

    # The filter language. Empty: all.
    filter: str = ""
    # Of the start of spans; 0: no bound.
    since_unix_nanos: int = 0
    until_unix_nanos: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimated:
    """A figure of all there was, told from what was kept, and where it is in 19 cases of 20."""

    value: float = 0.0
    low: float = 0.0
    high: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateTracesReply:
    """Durations are in seconds, and NaN when there are none."""

    traces: Estimated | None = None
    spans: Estimated | None = None
    errors: Estimated | None = None
    p50: Estimated | None = None
    p90: Estimated | None = None
    p99: Estimated | None = None
    # What was kept, on which it rests.
    kept_traces: int = 0
    kept_spans: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSpansRequest:
    """`citadel.wire.v1.ExportSpansRequest`."""

    # For instance 2026-11-25, in UTC. Empty: each day that is over.
    day: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedSpans:
    """`citadel.wire.v1.ExportedSpans`."""

    day: str = ""
    # Topic span.
    spans: ColumnBatch | None = None

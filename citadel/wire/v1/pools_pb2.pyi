from citadel.wire.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListPoolsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PoolList(_message.Message):
    __slots__ = ("pools",)
    POOLS_FIELD_NUMBER: _ClassVar[int]
    pools: _containers.RepeatedCompositeFieldContainer[PoolStatus]
    def __init__(self, pools: _Optional[_Iterable[_Union[PoolStatus, _Mapping]]] = ...) -> None: ...

class PoolStatus(_message.Message):
    __slots__ = ("name", "revision", "state", "adapter", "size", "queue_limit", "queued", "running", "workers", "error", "backend", "profile", "min_size", "max_size", "queue_policy", "queued_urgent", "queued_normal", "queued_later", "breaker", "sessions", "poisoned", "queue_wait_seconds", "slab_bytes", "slab_used_bytes", "leases")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ADAPTER_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    MIN_SIZE_FIELD_NUMBER: _ClassVar[int]
    MAX_SIZE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_POLICY_FIELD_NUMBER: _ClassVar[int]
    QUEUED_URGENT_FIELD_NUMBER: _ClassVar[int]
    QUEUED_NORMAL_FIELD_NUMBER: _ClassVar[int]
    QUEUED_LATER_FIELD_NUMBER: _ClassVar[int]
    BREAKER_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    POISONED_FIELD_NUMBER: _ClassVar[int]
    QUEUE_WAIT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    SLAB_BYTES_FIELD_NUMBER: _ClassVar[int]
    SLAB_USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    LEASES_FIELD_NUMBER: _ClassVar[int]
    name: str
    revision: int
    state: str
    adapter: str
    size: int
    queue_limit: int
    queued: int
    running: int
    workers: _containers.RepeatedCompositeFieldContainer[WorkerStatus]
    error: str
    backend: str
    profile: str
    min_size: int
    max_size: int
    queue_policy: str
    queued_urgent: int
    queued_normal: int
    queued_later: int
    breaker: str
    sessions: int
    poisoned: int
    queue_wait_seconds: float
    slab_bytes: int
    slab_used_bytes: int
    leases: int
    def __init__(self, name: _Optional[str] = ..., revision: _Optional[int] = ..., state: _Optional[str] = ..., adapter: _Optional[str] = ..., size: _Optional[int] = ..., queue_limit: _Optional[int] = ..., queued: _Optional[int] = ..., running: _Optional[int] = ..., workers: _Optional[_Iterable[_Union[WorkerStatus, _Mapping]]] = ..., error: _Optional[str] = ..., backend: _Optional[str] = ..., profile: _Optional[str] = ..., min_size: _Optional[int] = ..., max_size: _Optional[int] = ..., queue_policy: _Optional[str] = ..., queued_urgent: _Optional[int] = ..., queued_normal: _Optional[int] = ..., queued_later: _Optional[int] = ..., breaker: _Optional[str] = ..., sessions: _Optional[int] = ..., poisoned: _Optional[int] = ..., queue_wait_seconds: _Optional[float] = ..., slab_bytes: _Optional[int] = ..., slab_used_bytes: _Optional[int] = ..., leases: _Optional[int] = ...) -> None: ...

class WorkerStatus(_message.Message):
    __slots__ = ("id", "pid", "state", "rss_bytes", "done", "failed", "command_id", "tool", "started_unix_nanos", "node", "missed_heartbeats", "taint", "running")
    ID_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    RSS_BYTES_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    TOOL_FIELD_NUMBER: _ClassVar[int]
    STARTED_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    MISSED_HEARTBEATS_FIELD_NUMBER: _ClassVar[int]
    TAINT_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    id: str
    pid: int
    state: str
    rss_bytes: int
    done: int
    failed: int
    command_id: str
    tool: str
    started_unix_nanos: int
    node: str
    missed_heartbeats: int
    taint: str
    running: int
    def __init__(self, id: _Optional[str] = ..., pid: _Optional[int] = ..., state: _Optional[str] = ..., rss_bytes: _Optional[int] = ..., done: _Optional[int] = ..., failed: _Optional[int] = ..., command_id: _Optional[str] = ..., tool: _Optional[str] = ..., started_unix_nanos: _Optional[int] = ..., node: _Optional[str] = ..., missed_heartbeats: _Optional[int] = ..., taint: _Optional[str] = ..., running: _Optional[int] = ...) -> None: ...

class InspectWorkerRequest(_message.Message):
    __slots__ = ("pool", "worker")
    POOL_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    pool: str
    worker: str
    def __init__(self, pool: _Optional[str] = ..., worker: _Optional[str] = ...) -> None: ...

class WorkerDetail(_message.Message):
    __slots__ = ("pool", "status", "history", "memory", "output", "ended")
    POOL_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    pool: str
    status: WorkerStatus
    history: _containers.RepeatedCompositeFieldContainer[StateChange]
    memory: _containers.RepeatedCompositeFieldContainer[MemoryPoint]
    output: _containers.RepeatedScalarFieldContainer[str]
    ended: str
    def __init__(self, pool: _Optional[str] = ..., status: _Optional[_Union[WorkerStatus, _Mapping]] = ..., history: _Optional[_Iterable[_Union[StateChange, _Mapping]]] = ..., memory: _Optional[_Iterable[_Union[MemoryPoint, _Mapping]]] = ..., output: _Optional[_Iterable[str]] = ..., ended: _Optional[str] = ...) -> None: ...

class StateChange(_message.Message):
    __slots__ = ("state", "since_unix_nanos", "cause", "seconds")
    STATE_FIELD_NUMBER: _ClassVar[int]
    SINCE_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    state: str
    since_unix_nanos: int
    cause: str
    seconds: float
    def __init__(self, state: _Optional[str] = ..., since_unix_nanos: _Optional[int] = ..., cause: _Optional[str] = ..., seconds: _Optional[float] = ...) -> None: ...

class MemoryPoint(_message.Message):
    __slots__ = ("time_unix_nanos", "rss_bytes", "pss_bytes")
    TIME_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    RSS_BYTES_FIELD_NUMBER: _ClassVar[int]
    PSS_BYTES_FIELD_NUMBER: _ClassVar[int]
    time_unix_nanos: int
    rss_bytes: int
    pss_bytes: int
    def __init__(self, time_unix_nanos: _Optional[int] = ..., rss_bytes: _Optional[int] = ..., pss_bytes: _Optional[int] = ...) -> None: ...

class ToolsRequest(_message.Message):
    __slots__ = ("pool",)
    POOL_FIELD_NUMBER: _ClassVar[int]
    pool: str
    def __init__(self, pool: _Optional[str] = ...) -> None: ...

class ToolList(_message.Message):
    __slots__ = ("tools",)
    TOOLS_FIELD_NUMBER: _ClassVar[int]
    tools: _containers.RepeatedCompositeFieldContainer[Tool]
    def __init__(self, tools: _Optional[_Iterable[_Union[Tool, _Mapping]]] = ...) -> None: ...

class Tool(_message.Message):
    __slots__ = ("name", "description", "input_schema", "output_schema", "idempotent", "streams_in", "streams_out")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    INPUT_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENT_FIELD_NUMBER: _ClassVar[int]
    STREAMS_IN_FIELD_NUMBER: _ClassVar[int]
    STREAMS_OUT_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    input_schema: str
    output_schema: str
    idempotent: bool
    streams_in: bool
    streams_out: bool
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., input_schema: _Optional[str] = ..., output_schema: _Optional[str] = ..., idempotent: _Optional[bool] = ..., streams_in: _Optional[bool] = ..., streams_out: _Optional[bool] = ...) -> None: ...

class Command(_message.Message):
    __slots__ = ("id", "pool", "tool", "arguments", "deadline_seconds", "mission", "mission_class", "session", "affinity", "priority", "traceparent", "tracestate")
    ID_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    TOOL_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MISSION_FIELD_NUMBER: _ClassVar[int]
    MISSION_CLASS_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    AFFINITY_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    TRACESTATE_FIELD_NUMBER: _ClassVar[int]
    id: str
    pool: str
    tool: str
    arguments: bytes
    deadline_seconds: float
    mission: str
    mission_class: str
    session: str
    affinity: str
    priority: str
    traceparent: str
    tracestate: str
    def __init__(self, id: _Optional[str] = ..., pool: _Optional[str] = ..., tool: _Optional[str] = ..., arguments: _Optional[bytes] = ..., deadline_seconds: _Optional[float] = ..., mission: _Optional[str] = ..., mission_class: _Optional[str] = ..., session: _Optional[str] = ..., affinity: _Optional[str] = ..., priority: _Optional[str] = ..., traceparent: _Optional[str] = ..., tracestate: _Optional[str] = ...) -> None: ...

class CommandBatch(_message.Message):
    __slots__ = ("commands", "cancels")
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    CANCELS_FIELD_NUMBER: _ClassVar[int]
    commands: _containers.RepeatedCompositeFieldContainer[Command]
    cancels: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, commands: _Optional[_Iterable[_Union[Command, _Mapping]]] = ..., cancels: _Optional[_Iterable[str]] = ...) -> None: ...

class OutcomeBatch(_message.Message):
    __slots__ = ("outcomes",)
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    outcomes: _containers.RepeatedCompositeFieldContainer[Outcome]
    def __init__(self, outcomes: _Optional[_Iterable[_Union[Outcome, _Mapping]]] = ...) -> None: ...

class Outcome(_message.Message):
    __slots__ = ("id", "result", "error")
    ID_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    id: str
    result: CommandResult
    error: CommandError
    def __init__(self, id: _Optional[str] = ..., result: _Optional[_Union[CommandResult, _Mapping]] = ..., error: _Optional[_Union[CommandError, _Mapping]] = ...) -> None: ...

class CommandError(_message.Message):
    __slots__ = ("kind", "message", "subject", "remedy", "details")
    class DetailsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    KIND_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    kind: str
    message: str
    subject: str
    remedy: str
    details: _containers.ScalarMap[str, str]
    def __init__(self, kind: _Optional[str] = ..., message: _Optional[str] = ..., subject: _Optional[str] = ..., remedy: _Optional[str] = ..., details: _Optional[_Mapping[str, str]] = ...) -> None: ...

class StreamInput(_message.Message):
    __slots__ = ("command", "item")
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    command: Command
    item: bytes
    def __init__(self, command: _Optional[_Union[Command, _Mapping]] = ..., item: _Optional[bytes] = ...) -> None: ...

class StreamOutput(_message.Message):
    __slots__ = ("item", "result")
    ITEM_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    item: bytes
    result: CommandResult
    def __init__(self, item: _Optional[bytes] = ..., result: _Optional[_Union[CommandResult, _Mapping]] = ...) -> None: ...

class CommandResult(_message.Message):
    __slots__ = ("id", "value", "worker", "queued_seconds", "run_seconds", "trace_id", "sampled")
    ID_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    QUEUED_SECONDS_FIELD_NUMBER: _ClassVar[int]
    RUN_SECONDS_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    SAMPLED_FIELD_NUMBER: _ClassVar[int]
    id: str
    value: bytes
    worker: str
    queued_seconds: float
    run_seconds: float
    trace_id: str
    sampled: bool
    def __init__(self, id: _Optional[str] = ..., value: _Optional[bytes] = ..., worker: _Optional[str] = ..., queued_seconds: _Optional[float] = ..., run_seconds: _Optional[float] = ..., trace_id: _Optional[str] = ..., sampled: _Optional[bool] = ...) -> None: ...

class CancelRequest(_message.Message):
    __slots__ = ("command_id", "reason", "pool")
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    reason: str
    pool: str
    def __init__(self, command_id: _Optional[str] = ..., reason: _Optional[str] = ..., pool: _Optional[str] = ...) -> None: ...

class CancelReply(_message.Message):
    __slots__ = ("was",)
    WAS_FIELD_NUMBER: _ClassVar[int]
    was: str
    def __init__(self, was: _Optional[str] = ...) -> None: ...

class ResizeRequest(_message.Message):
    __slots__ = ("pool", "size", "change", "min_size", "max_size")
    POOL_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    MIN_SIZE_FIELD_NUMBER: _ClassVar[int]
    MAX_SIZE_FIELD_NUMBER: _ClassVar[int]
    pool: str
    size: int
    change: _common_pb2.Change
    min_size: int
    max_size: int
    def __init__(self, pool: _Optional[str] = ..., size: _Optional[int] = ..., change: _Optional[_Union[_common_pb2.Change, _Mapping]] = ..., min_size: _Optional[int] = ..., max_size: _Optional[int] = ...) -> None: ...

class SetPoolStateRequest(_message.Message):
    __slots__ = ("pool", "state", "change")
    POOL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    pool: str
    state: str
    change: _common_pb2.Change
    def __init__(self, pool: _Optional[str] = ..., state: _Optional[str] = ..., change: _Optional[_Union[_common_pb2.Change, _Mapping]] = ...) -> None: ...

class RecycleRequest(_message.Message):
    __slots__ = ("pool", "worker", "change")
    POOL_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    pool: str
    worker: str
    change: _common_pb2.Change
    def __init__(self, pool: _Optional[str] = ..., worker: _Optional[str] = ..., change: _Optional[_Union[_common_pb2.Change, _Mapping]] = ...) -> None: ...

class KillWorkerRequest(_message.Message):
    __slots__ = ("pool", "worker", "change")
    POOL_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    pool: str
    worker: str
    change: _common_pb2.Change
    def __init__(self, pool: _Optional[str] = ..., worker: _Optional[str] = ..., change: _Optional[_Union[_common_pb2.Change, _Mapping]] = ...) -> None: ...

class ListSessionsRequest(_message.Message):
    __slots__ = ("pool",)
    POOL_FIELD_NUMBER: _ClassVar[int]
    pool: str
    def __init__(self, pool: _Optional[str] = ...) -> None: ...

class SessionList(_message.Message):
    __slots__ = ("sessions",)
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    sessions: _containers.RepeatedCompositeFieldContainer[SessionStatus]
    def __init__(self, sessions: _Optional[_Iterable[_Union[SessionStatus, _Mapping]]] = ...) -> None: ...

class SessionStatus(_message.Message):
    __slots__ = ("pool", "key", "worker", "state", "commands", "variables_json", "revision", "created_unix_nanos", "expires_unix_nanos")
    POOL_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    VARIABLES_JSON_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CREATED_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    pool: str
    key: str
    worker: str
    state: str
    commands: int
    variables_json: str
    revision: int
    created_unix_nanos: int
    expires_unix_nanos: int
    def __init__(self, pool: _Optional[str] = ..., key: _Optional[str] = ..., worker: _Optional[str] = ..., state: _Optional[str] = ..., commands: _Optional[int] = ..., variables_json: _Optional[str] = ..., revision: _Optional[int] = ..., created_unix_nanos: _Optional[int] = ..., expires_unix_nanos: _Optional[int] = ...) -> None: ...

class SetVariablesRequest(_message.Message):
    __slots__ = ("pool", "session", "variables", "revision")
    POOL_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    VARIABLES_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    pool: str
    session: str
    variables: bytes
    revision: int
    def __init__(self, pool: _Optional[str] = ..., session: _Optional[str] = ..., variables: _Optional[bytes] = ..., revision: _Optional[int] = ...) -> None: ...

class EndSessionRequest(_message.Message):
    __slots__ = ("pool", "session", "change")
    POOL_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    pool: str
    session: str
    change: _common_pb2.Change
    def __init__(self, pool: _Optional[str] = ..., session: _Optional[str] = ..., change: _Optional[_Union[_common_pb2.Change, _Mapping]] = ...) -> None: ...

class ListPoisonRequest(_message.Message):
    __slots__ = ("pool",)
    POOL_FIELD_NUMBER: _ClassVar[int]
    pool: str
    def __init__(self, pool: _Optional[str] = ...) -> None: ...

class PoisonList(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[PoisonEntry]
    def __init__(self, entries: _Optional[_Iterable[_Union[PoisonEntry, _Mapping]]] = ...) -> None: ...

class PoisonEntry(_message.Message):
    __slots__ = ("pool", "fingerprint", "tool", "kills", "arguments", "error", "first_unix_nanos", "last_unix_nanos", "quarantined")
    POOL_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    TOOL_FIELD_NUMBER: _ClassVar[int]
    KILLS_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    FIRST_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    LAST_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    pool: str
    fingerprint: str
    tool: str
    kills: int
    arguments: bytes
    error: str
    first_unix_nanos: int
    last_unix_nanos: int
    quarantined: bool
    def __init__(self, pool: _Optional[str] = ..., fingerprint: _Optional[str] = ..., tool: _Optional[str] = ..., kills: _Optional[int] = ..., arguments: _Optional[bytes] = ..., error: _Optional[str] = ..., first_unix_nanos: _Optional[int] = ..., last_unix_nanos: _Optional[int] = ..., quarantined: _Optional[bool] = ...) -> None: ...

class ReleasePoisonRequest(_message.Message):
    __slots__ = ("pool", "fingerprint", "change")
    POOL_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    pool: str
    fingerprint: str
    change: _common_pb2.Change
    def __init__(self, pool: _Optional[str] = ..., fingerprint: _Optional[str] = ..., change: _Optional[_Union[_common_pb2.Change, _Mapping]] = ...) -> None: ...

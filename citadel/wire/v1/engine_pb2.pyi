from citadel.wire.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InfoRequest(_message.Message):
    __slots__ = ("client_version", "wire_version")
    CLIENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    WIRE_VERSION_FIELD_NUMBER: _ClassVar[int]
    client_version: str
    wire_version: int
    def __init__(self, client_version: _Optional[str] = ..., wire_version: _Optional[int] = ...) -> None: ...

class EngineInfo(_message.Message):
    __slots__ = ("instance_id", "version", "wire_version", "started_unix_nanos", "hostname", "pid", "os", "python", "providers", "metrics_address", "role", "recording", "recording_since_unix_nanos", "recording_until_unix_nanos")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    WIRE_VERSION_FIELD_NUMBER: _ClassVar[int]
    STARTED_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    OS_FIELD_NUMBER: _ClassVar[int]
    PYTHON_FIELD_NUMBER: _ClassVar[int]
    PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    METRICS_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    RECORDING_FIELD_NUMBER: _ClassVar[int]
    RECORDING_SINCE_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    RECORDING_UNTIL_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    version: str
    wire_version: int
    started_unix_nanos: int
    hostname: str
    pid: int
    os: str
    python: str
    providers: _containers.RepeatedCompositeFieldContainer[ProviderInfo]
    metrics_address: str
    role: str
    recording: str
    recording_since_unix_nanos: int
    recording_until_unix_nanos: int
    def __init__(self, instance_id: _Optional[str] = ..., version: _Optional[str] = ..., wire_version: _Optional[int] = ..., started_unix_nanos: _Optional[int] = ..., hostname: _Optional[str] = ..., pid: _Optional[int] = ..., os: _Optional[str] = ..., python: _Optional[str] = ..., providers: _Optional[_Iterable[_Union[ProviderInfo, _Mapping]]] = ..., metrics_address: _Optional[str] = ..., role: _Optional[str] = ..., recording: _Optional[str] = ..., recording_since_unix_nanos: _Optional[int] = ..., recording_until_unix_nanos: _Optional[int] = ...) -> None: ...

class ProviderInfo(_message.Message):
    __slots__ = ("name", "model", "simulated")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SIMULATED_FIELD_NUMBER: _ClassVar[int]
    name: str
    model: str
    simulated: bool
    def __init__(self, name: _Optional[str] = ..., model: _Optional[str] = ..., simulated: _Optional[bool] = ...) -> None: ...

class SnapshotRequest(_message.Message):
    __slots__ = ("topics",)
    TOPICS_FIELD_NUMBER: _ClassVar[int]
    topics: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, topics: _Optional[_Iterable[str]] = ...) -> None: ...

class SnapshotReply(_message.Message):
    __slots__ = ("instance_id", "seq", "time_unix_nanos", "batches")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    TIME_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    seq: int
    time_unix_nanos: int
    batches: _containers.RepeatedCompositeFieldContainer[_common_pb2.ColumnBatch]
    def __init__(self, instance_id: _Optional[str] = ..., seq: _Optional[int] = ..., time_unix_nanos: _Optional[int] = ..., batches: _Optional[_Iterable[_Union[_common_pb2.ColumnBatch, _Mapping]]] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("topics", "since_seq", "instance_id")
    TOPICS_FIELD_NUMBER: _ClassVar[int]
    SINCE_SEQ_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    topics: _containers.RepeatedScalarFieldContainer[str]
    since_seq: int
    instance_id: str
    def __init__(self, topics: _Optional[_Iterable[str]] = ..., since_seq: _Optional[int] = ..., instance_id: _Optional[str] = ...) -> None: ...

class WatchBatch(_message.Message):
    __slots__ = ("instance_id", "first_seq", "last_seq", "time_unix_nanos", "batches", "gap", "coalesced")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQ_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQ_FIELD_NUMBER: _ClassVar[int]
    TIME_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    GAP_FIELD_NUMBER: _ClassVar[int]
    COALESCED_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    first_seq: int
    last_seq: int
    time_unix_nanos: int
    batches: _containers.RepeatedCompositeFieldContainer[_common_pb2.ColumnBatch]
    gap: Gap
    coalesced: bool
    def __init__(self, instance_id: _Optional[str] = ..., first_seq: _Optional[int] = ..., last_seq: _Optional[int] = ..., time_unix_nanos: _Optional[int] = ..., batches: _Optional[_Iterable[_Union[_common_pb2.ColumnBatch, _Mapping]]] = ..., gap: _Optional[_Union[Gap, _Mapping]] = ..., coalesced: _Optional[bool] = ...) -> None: ...

class Gap(_message.Message):
    __slots__ = ("from_seq", "to_seq", "cause")
    FROM_SEQ_FIELD_NUMBER: _ClassVar[int]
    TO_SEQ_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    from_seq: int
    to_seq: int
    cause: str
    def __init__(self, from_seq: _Optional[int] = ..., to_seq: _Optional[int] = ..., cause: _Optional[str] = ...) -> None: ...

class AuditRequest(_message.Message):
    __slots__ = ("after", "limit", "before")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    after: int
    limit: int
    before: int
    def __init__(self, after: _Optional[int] = ..., limit: _Optional[int] = ..., before: _Optional[int] = ...) -> None: ...

class AuditReply(_message.Message):
    __slots__ = ("entries", "chain_intact")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    CHAIN_INTACT_FIELD_NUMBER: _ClassVar[int]
    entries: _common_pb2.ColumnBatch
    chain_intact: bool
    def __init__(self, entries: _Optional[_Union[_common_pb2.ColumnBatch, _Mapping]] = ..., chain_intact: _Optional[bool] = ...) -> None: ...

from citadel.wire.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExporterConfig(_message.Message):
    __slots__ = ("name", "preset", "endpoint", "protocol", "headers", "compression", "signals", "timeout_seconds", "queue_limit", "paused")
    class HeadersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    PRESET_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    COMPRESSION_FIELD_NUMBER: _ClassVar[int]
    SIGNALS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    name: str
    preset: str
    endpoint: str
    protocol: str
    headers: _containers.ScalarMap[str, str]
    compression: str
    signals: _containers.RepeatedScalarFieldContainer[str]
    timeout_seconds: float
    queue_limit: int
    paused: bool
    def __init__(self, name: _Optional[str] = ..., preset: _Optional[str] = ..., endpoint: _Optional[str] = ..., protocol: _Optional[str] = ..., headers: _Optional[_Mapping[str, str]] = ..., compression: _Optional[str] = ..., signals: _Optional[_Iterable[str]] = ..., timeout_seconds: _Optional[float] = ..., queue_limit: _Optional[int] = ..., paused: _Optional[bool] = ...) -> None: ...

class ExporterStatus(_message.Message):
    __slots__ = ("config", "state", "revision", "queued", "sent", "dropped", "retries", "bytes", "error", "last_success_unix_nanos", "last_failure_unix_nanos")
    class SentEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class DroppedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    SENT_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    RETRIES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    LAST_SUCCESS_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    LAST_FAILURE_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    config: ExporterConfig
    state: str
    revision: int
    queued: int
    sent: _containers.ScalarMap[str, int]
    dropped: _containers.ScalarMap[str, int]
    retries: int
    bytes: int
    error: str
    last_success_unix_nanos: int
    last_failure_unix_nanos: int
    def __init__(self, config: _Optional[_Union[ExporterConfig, _Mapping]] = ..., state: _Optional[str] = ..., revision: _Optional[int] = ..., queued: _Optional[int] = ..., sent: _Optional[_Mapping[str, int]] = ..., dropped: _Optional[_Mapping[str, int]] = ..., retries: _Optional[int] = ..., bytes: _Optional[int] = ..., error: _Optional[str] = ..., last_success_unix_nanos: _Optional[int] = ..., last_failure_unix_nanos: _Optional[int] = ...) -> None: ...

class ListExportersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListExportersReply(_message.Message):
    __slots__ = ("revision", "exporters")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    EXPORTERS_FIELD_NUMBER: _ClassVar[int]
    revision: int
    exporters: _containers.RepeatedCompositeFieldContainer[ExporterStatus]
    def __init__(self, revision: _Optional[int] = ..., exporters: _Optional[_Iterable[_Union[ExporterStatus, _Mapping]]] = ...) -> None: ...

class ApplyExporterRequest(_message.Message):
    __slots__ = ("config", "change")
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    config: ExporterConfig
    change: _common_pb2.Change
    def __init__(self, config: _Optional[_Union[ExporterConfig, _Mapping]] = ..., change: _Optional[_Union[_common_pb2.Change, _Mapping]] = ...) -> None: ...

class RemoveExporterRequest(_message.Message):
    __slots__ = ("name", "change")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    name: str
    change: _common_pb2.Change
    def __init__(self, name: _Optional[str] = ..., change: _Optional[_Union[_common_pb2.Change, _Mapping]] = ...) -> None: ...

class RemoveExporterReply(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class TestExporterRequest(_message.Message):
    __slots__ = ("config",)
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    config: ExporterConfig
    def __init__(self, config: _Optional[_Union[ExporterConfig, _Mapping]] = ...) -> None: ...

class TestExporterReply(_message.Message):
    __slots__ = ("ok", "trace_id", "status", "detail", "remedy", "seconds", "endpoint")
    OK_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    ok: bool
    trace_id: str
    status: str
    detail: str
    remedy: str
    seconds: float
    endpoint: str
    def __init__(self, ok: _Optional[bool] = ..., trace_id: _Optional[str] = ..., status: _Optional[str] = ..., detail: _Optional[str] = ..., remedy: _Optional[str] = ..., seconds: _Optional[float] = ..., endpoint: _Optional[str] = ...) -> None: ...

from citadel.wire.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StartRecordingRequest(_message.Message):
    __slots__ = ("name", "seconds", "max_bytes", "before_seconds", "change")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    BEFORE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    name: str
    seconds: float
    max_bytes: int
    before_seconds: float
    change: _common_pb2.Change
    def __init__(self, name: _Optional[str] = ..., seconds: _Optional[float] = ..., max_bytes: _Optional[int] = ..., before_seconds: _Optional[float] = ..., change: _Optional[_Union[_common_pb2.Change, _Mapping]] = ...) -> None: ...

class RecordingStatus(_message.Message):
    __slots__ = ("name", "kind", "state", "path", "since_unix_nanos", "until_unix_nanos", "rows", "bytes", "dropped", "trigger", "cause", "error")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    SINCE_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    UNTIL_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    state: str
    path: str
    since_unix_nanos: int
    until_unix_nanos: int
    rows: int
    bytes: int
    dropped: int
    trigger: str
    cause: str
    error: str
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., state: _Optional[str] = ..., path: _Optional[str] = ..., since_unix_nanos: _Optional[int] = ..., until_unix_nanos: _Optional[int] = ..., rows: _Optional[int] = ..., bytes: _Optional[int] = ..., dropped: _Optional[int] = ..., trigger: _Optional[str] = ..., cause: _Optional[str] = ..., error: _Optional[str] = ...) -> None: ...

class StopRecordingRequest(_message.Message):
    __slots__ = ("name", "change")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    name: str
    change: _common_pb2.Change
    def __init__(self, name: _Optional[str] = ..., change: _Optional[_Union[_common_pb2.Change, _Mapping]] = ...) -> None: ...

class ListRecordingsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListRecordingsReply(_message.Message):
    __slots__ = ("recordings",)
    RECORDINGS_FIELD_NUMBER: _ClassVar[int]
    recordings: _containers.RepeatedCompositeFieldContainer[RecordingStatus]
    def __init__(self, recordings: _Optional[_Iterable[_Union[RecordingStatus, _Mapping]]] = ...) -> None: ...

class RemoveRecordingRequest(_message.Message):
    __slots__ = ("name", "change")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    name: str
    change: _common_pb2.Change
    def __init__(self, name: _Optional[str] = ..., change: _Optional[_Union[_common_pb2.Change, _Mapping]] = ...) -> None: ...

class RemoveRecordingReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class FetchRecordingRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class RecordingChunk(_message.Message):
    __slots__ = ("offset", "total", "data")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    offset: int
    total: int
    data: bytes
    def __init__(self, offset: _Optional[int] = ..., total: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class Trigger(_message.Message):
    __slots__ = ("id", "when", "threshold", "subject", "enabled")
    ID_FIELD_NUMBER: _ClassVar[int]
    WHEN_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    id: str
    when: str
    threshold: float
    subject: str
    enabled: bool
    def __init__(self, id: _Optional[str] = ..., when: _Optional[str] = ..., threshold: _Optional[float] = ..., subject: _Optional[str] = ..., enabled: _Optional[bool] = ...) -> None: ...

class Triggers(_message.Message):
    __slots__ = ("revision", "triggers", "before_seconds", "after_seconds")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TRIGGERS_FIELD_NUMBER: _ClassVar[int]
    BEFORE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    AFTER_SECONDS_FIELD_NUMBER: _ClassVar[int]
    revision: int
    triggers: _containers.RepeatedCompositeFieldContainer[Trigger]
    before_seconds: float
    after_seconds: float
    def __init__(self, revision: _Optional[int] = ..., triggers: _Optional[_Iterable[_Union[Trigger, _Mapping]]] = ..., before_seconds: _Optional[float] = ..., after_seconds: _Optional[float] = ...) -> None: ...

class GetTriggersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SetTriggersRequest(_message.Message):
    __slots__ = ("triggers", "before_seconds", "after_seconds", "change")
    TRIGGERS_FIELD_NUMBER: _ClassVar[int]
    BEFORE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    AFTER_SECONDS_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    triggers: _containers.RepeatedCompositeFieldContainer[Trigger]
    before_seconds: float
    after_seconds: float
    change: _common_pb2.Change
    def __init__(self, triggers: _Optional[_Iterable[_Union[Trigger, _Mapping]]] = ..., before_seconds: _Optional[float] = ..., after_seconds: _Optional[float] = ..., change: _Optional[_Union[_common_pb2.Change, _Mapping]] = ...) -> None: ...

from citadel.wire.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MissionKindsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class MissionKindList(_message.Message):
    __slots__ = ("kinds",)
    KINDS_FIELD_NUMBER: _ClassVar[int]
    kinds: _containers.RepeatedCompositeFieldContainer[MissionKind]
    def __init__(self, kinds: _Optional[_Iterable[_Union[MissionKind, _Mapping]]] = ...) -> None: ...

class MissionKind(_message.Message):
    __slots__ = ("name", "description", "parameters_schema")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    parameters_schema: str
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., parameters_schema: _Optional[str] = ...) -> None: ...

class StartMissionRequest(_message.Message):
    __slots__ = ("kind", "name", "mission_class", "parameters_json", "change")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    MISSION_CLASS_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_JSON_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    kind: str
    name: str
    mission_class: str
    parameters_json: str
    change: _common_pb2.Change
    def __init__(self, kind: _Optional[str] = ..., name: _Optional[str] = ..., mission_class: _Optional[str] = ..., parameters_json: _Optional[str] = ..., change: _Optional[_Union[_common_pb2.Change, _Mapping]] = ...) -> None: ...

class MissionStatus(_message.Message):
    __slots__ = ("id", "kind", "name", "mission_class", "state", "done", "total", "failed", "rate", "started_unix_nanos", "ended_unix_nanos", "error", "trace_id", "summary_json", "revision", "parameters_json", "passes")
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    MISSION_CLASS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    STARTED_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    ENDED_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_JSON_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_JSON_FIELD_NUMBER: _ClassVar[int]
    PASSES_FIELD_NUMBER: _ClassVar[int]
    id: str
    kind: str
    name: str
    mission_class: str
    state: str
    done: int
    total: int
    failed: int
    rate: float
    started_unix_nanos: int
    ended_unix_nanos: int
    error: str
    trace_id: str
    summary_json: str
    revision: int
    parameters_json: str
    passes: int
    def __init__(self, id: _Optional[str] = ..., kind: _Optional[str] = ..., name: _Optional[str] = ..., mission_class: _Optional[str] = ..., state: _Optional[str] = ..., done: _Optional[int] = ..., total: _Optional[int] = ..., failed: _Optional[int] = ..., rate: _Optional[float] = ..., started_unix_nanos: _Optional[int] = ..., ended_unix_nanos: _Optional[int] = ..., error: _Optional[str] = ..., trace_id: _Optional[str] = ..., summary_json: _Optional[str] = ..., revision: _Optional[int] = ..., parameters_json: _Optional[str] = ..., passes: _Optional[int] = ...) -> None: ...

class ListMissionsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class MissionList(_message.Message):
    __slots__ = ("missions",)
    MISSIONS_FIELD_NUMBER: _ClassVar[int]
    missions: _containers.RepeatedCompositeFieldContainer[MissionStatus]
    def __init__(self, missions: _Optional[_Iterable[_Union[MissionStatus, _Mapping]]] = ...) -> None: ...

class GetMissionRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class MissionResultRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class MissionResult(_message.Message):
    __slots__ = ("status", "table")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    status: MissionStatus
    table: _common_pb2.ColumnBatch
    def __init__(self, status: _Optional[_Union[MissionStatus, _Mapping]] = ..., table: _Optional[_Union[_common_pb2.ColumnBatch, _Mapping]] = ...) -> None: ...

class CancelMissionRequest(_message.Message):
    __slots__ = ("id", "change")
    ID_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    id: str
    change: _common_pb2.Change
    def __init__(self, id: _Optional[str] = ..., change: _Optional[_Union[_common_pb2.Change, _Mapping]] = ...) -> None: ...

class SetRateRequest(_message.Message):
    __slots__ = ("id", "rate", "change")
    ID_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    id: str
    rate: float
    change: _common_pb2.Change
    def __init__(self, id: _Optional[str] = ..., rate: _Optional[float] = ..., change: _Optional[_Union[_common_pb2.Change, _Mapping]] = ...) -> None: ...

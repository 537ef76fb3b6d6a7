from citadel.wire.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListSentinelsRequest(_message.Message):
    __slots__ = ("mission_id",)
    MISSION_ID_FIELD_NUMBER: _ClassVar[int]
    mission_id: str
    def __init__(self, mission_id: _Optional[str] = ...) -> None: ...

class SentinelList(_message.Message):
    __slots__ = ("sentinels",)
    SENTINELS_FIELD_NUMBER: _ClassVar[int]
    sentinels: _containers.RepeatedCompositeFieldContainer[SentinelStatus]
    def __init__(self, sentinels: _Optional[_Iterable[_Union[SentinelStatus, _Mapping]]] = ...) -> None: ...

class SentinelStatus(_message.Message):
    __slots__ = ("id", "behaviour", "state", "mission_id", "supervisor", "mailbox", "handled", "restarts", "cause", "since_unix_nanos")
    ID_FIELD_NUMBER: _ClassVar[int]
    BEHAVIOUR_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    MISSION_ID_FIELD_NUMBER: _ClassVar[int]
    SUPERVISOR_FIELD_NUMBER: _ClassVar[int]
    MAILBOX_FIELD_NUMBER: _ClassVar[int]
    HANDLED_FIELD_NUMBER: _ClassVar[int]
    RESTARTS_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    SINCE_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    id: str
    behaviour: str
    state: str
    mission_id: str
    supervisor: str
    mailbox: int
    handled: int
    restarts: int
    cause: str
    since_unix_nanos: int
    def __init__(self, id: _Optional[str] = ..., behaviour: _Optional[str] = ..., state: _Optional[str] = ..., mission_id: _Optional[str] = ..., supervisor: _Optional[str] = ..., mailbox: _Optional[int] = ..., handled: _Optional[int] = ..., restarts: _Optional[int] = ..., cause: _Optional[str] = ..., since_unix_nanos: _Optional[int] = ...) -> None: ...

class InspectRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class SentinelDetail(_message.Message):
    __slots__ = ("status", "state_json", "history")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    STATE_JSON_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    status: SentinelStatus
    state_json: str
    history: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, status: _Optional[_Union[SentinelStatus, _Mapping]] = ..., state_json: _Optional[str] = ..., history: _Optional[_Iterable[str]] = ...) -> None: ...

class SpawnRequest(_message.Message):
    __slots__ = ("id", "behaviour", "mission_id", "options_json", "change")
    ID_FIELD_NUMBER: _ClassVar[int]
    BEHAVIOUR_FIELD_NUMBER: _ClassVar[int]
    MISSION_ID_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_JSON_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    id: str
    behaviour: str
    mission_id: str
    options_json: str
    change: _common_pb2.Change
    def __init__(self, id: _Optional[str] = ..., behaviour: _Optional[str] = ..., mission_id: _Optional[str] = ..., options_json: _Optional[str] = ..., change: _Optional[_Union[_common_pb2.Change, _Mapping]] = ...) -> None: ...

class StopRequest(_message.Message):
    __slots__ = ("id", "change")
    ID_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    id: str
    change: _common_pb2.Change
    def __init__(self, id: _Optional[str] = ..., change: _Optional[_Union[_common_pb2.Change, _Mapping]] = ...) -> None: ...

class RestartRequest(_message.Message):
    __slots__ = ("id", "change")
    ID_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    id: str
    change: _common_pb2.Change
    def __init__(self, id: _Optional[str] = ..., change: _Optional[_Union[_common_pb2.Change, _Mapping]] = ...) -> None: ...

class Signal(_message.Message):
    __slots__ = ("id", "source", "type", "subject", "time_unix_nanos", "data_json", "traceparent")
    ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    TIME_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    DATA_JSON_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    id: str
    source: str
    type: str
    subject: str
    time_unix_nanos: int
    data_json: str
    traceparent: str
    def __init__(self, id: _Optional[str] = ..., source: _Optional[str] = ..., type: _Optional[str] = ..., subject: _Optional[str] = ..., time_unix_nanos: _Optional[int] = ..., data_json: _Optional[str] = ..., traceparent: _Optional[str] = ...) -> None: ...

class SendRequest(_message.Message):
    __slots__ = ("to", "signal")
    TO_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    to: str
    signal: Signal
    def __init__(self, to: _Optional[str] = ..., signal: _Optional[_Union[Signal, _Mapping]] = ...) -> None: ...

class SendReply(_message.Message):
    __slots__ = ("signal_id", "mailbox")
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    MAILBOX_FIELD_NUMBER: _ClassVar[int]
    signal_id: str
    mailbox: int
    def __init__(self, signal_id: _Optional[str] = ..., mailbox: _Optional[int] = ...) -> None: ...

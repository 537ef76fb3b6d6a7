from citadel.wire.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetSamplingRequest(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class SamplingPolicy(_message.Message):
    __slots__ = ("revision", "rules", "actor", "reason", "time_unix_nanos")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TIME_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    revision: int
    rules: _containers.RepeatedCompositeFieldContainer[SamplingRule]
    actor: str
    reason: str
    time_unix_nanos: int
    def __init__(self, revision: _Optional[int] = ..., rules: _Optional[_Iterable[_Union[SamplingRule, _Mapping]]] = ..., actor: _Optional[str] = ..., reason: _Optional[str] = ..., time_unix_nanos: _Optional[int] = ...) -> None: ...

class SamplingRule(_message.Message):
    __slots__ = ("id", "mission_class", "mission", "sentinel", "pool", "source", "name", "rate")
    ID_FIELD_NUMBER: _ClassVar[int]
    MISSION_CLASS_FIELD_NUMBER: _ClassVar[int]
    MISSION_FIELD_NUMBER: _ClassVar[int]
    SENTINEL_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    id: str
    mission_class: str
    mission: str
    sentinel: str
    pool: str
    source: str
    name: str
    rate: float
    def __init__(self, id: _Optional[str] = ..., mission_class: _Optional[str] = ..., mission: _Optional[str] = ..., sentinel: _Optional[str] = ..., pool: _Optional[str] = ..., source: _Optional[str] = ..., name: _Optional[str] = ..., rate: _Optional[float] = ...) -> None: ...

class ApplySamplingRequest(_message.Message):
    __slots__ = ("rules", "change")
    RULES_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    rules: _containers.RepeatedCompositeFieldContainer[SamplingRule]
    change: _common_pb2.Change
    def __init__(self, rules: _Optional[_Iterable[_Union[SamplingRule, _Mapping]]] = ..., change: _Optional[_Union[_common_pb2.Change, _Mapping]] = ...) -> None: ...

class PreviewSamplingRequest(_message.Message):
    __slots__ = ("rules", "minutes")
    RULES_FIELD_NUMBER: _ClassVar[int]
    MINUTES_FIELD_NUMBER: _ClassVar[int]
    rules: _containers.RepeatedCompositeFieldContainer[SamplingRule]
    minutes: int
    def __init__(self, rules: _Optional[_Iterable[_Union[SamplingRule, _Mapping]]] = ..., minutes: _Optional[int] = ...) -> None: ...

class SamplingPreview(_message.Message):
    __slots__ = ("traces", "kept_now", "kept_then", "flagged_lost", "matched")
    class MatchedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    TRACES_FIELD_NUMBER: _ClassVar[int]
    KEPT_NOW_FIELD_NUMBER: _ClassVar[int]
    KEPT_THEN_FIELD_NUMBER: _ClassVar[int]
    FLAGGED_LOST_FIELD_NUMBER: _ClassVar[int]
    MATCHED_FIELD_NUMBER: _ClassVar[int]
    traces: int
    kept_now: int
    kept_then: int
    flagged_lost: int
    matched: _containers.ScalarMap[str, int]
    def __init__(self, traces: _Optional[int] = ..., kept_now: _Optional[int] = ..., kept_then: _Optional[int] = ..., flagged_lost: _Optional[int] = ..., matched: _Optional[_Mapping[str, int]] = ...) -> None: ...

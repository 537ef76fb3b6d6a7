from citadel.wire.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetDefenseRequest(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class DefenseConfig(_message.Message):
    __slots__ = ("revision", "strict", "layers", "actor", "reason", "time_unix_nanos")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    STRICT_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TIME_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    revision: int
    strict: bool
    layers: _containers.RepeatedCompositeFieldContainer[LayerConfig]
    actor: str
    reason: str
    time_unix_nanos: int
    def __init__(self, revision: _Optional[int] = ..., strict: _Optional[bool] = ..., layers: _Optional[_Iterable[_Union[LayerConfig, _Mapping]]] = ..., actor: _Optional[str] = ..., reason: _Optional[str] = ..., time_unix_nanos: _Optional[int] = ...) -> None: ...

class LayerConfig(_message.Message):
    __slots__ = ("name", "enabled", "flag_threshold", "block_threshold", "timeout_ms", "title", "description")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    FLAG_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    BLOCK_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    enabled: bool
    flag_threshold: float
    block_threshold: float
    timeout_ms: float
    title: str
    description: str
    def __init__(self, name: _Optional[str] = ..., enabled: _Optional[bool] = ..., flag_threshold: _Optional[float] = ..., block_threshold: _Optional[float] = ..., timeout_ms: _Optional[float] = ..., title: _Optional[str] = ..., description: _Optional[str] = ...) -> None: ...

class ApplyDefenseRequest(_message.Message):
    __slots__ = ("strict", "layers", "change")
    STRICT_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    strict: bool
    layers: _containers.RepeatedCompositeFieldContainer[LayerConfig]
    change: _common_pb2.Change
    def __init__(self, strict: _Optional[bool] = ..., layers: _Optional[_Iterable[_Union[LayerConfig, _Mapping]]] = ..., change: _Optional[_Union[_common_pb2.Change, _Mapping]] = ...) -> None: ...

class PreviewDefenseRequest(_message.Message):
    __slots__ = ("strict", "layers", "minutes")
    STRICT_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    MINUTES_FIELD_NUMBER: _ClassVar[int]
    strict: bool
    layers: _containers.RepeatedCompositeFieldContainer[LayerConfig]
    minutes: int
    def __init__(self, strict: _Optional[bool] = ..., layers: _Optional[_Iterable[_Union[LayerConfig, _Mapping]]] = ..., minutes: _Optional[int] = ...) -> None: ...

class DefensePreview(_message.Message):
    __slots__ = ("requests", "blocked_now", "blocked_then", "flagged_now", "flagged_then")
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_NOW_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_THEN_FIELD_NUMBER: _ClassVar[int]
    FLAGGED_NOW_FIELD_NUMBER: _ClassVar[int]
    FLAGGED_THEN_FIELD_NUMBER: _ClassVar[int]
    requests: int
    blocked_now: int
    blocked_then: int
    flagged_now: int
    flagged_then: int
    def __init__(self, requests: _Optional[int] = ..., blocked_now: _Optional[int] = ..., blocked_then: _Optional[int] = ..., flagged_now: _Optional[int] = ..., flagged_then: _Optional[int] = ...) -> None: ...

class CheckRequest(_message.Message):
    __slots__ = ("text", "channel")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    text: str
    channel: str
    def __init__(self, text: _Optional[str] = ..., channel: _Optional[str] = ...) -> None: ...

class CheckReply(_message.Message):
    __slots__ = ("decision", "verdicts", "text")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    decision: str
    verdicts: _containers.RepeatedCompositeFieldContainer[Verdict]
    text: str
    def __init__(self, decision: _Optional[str] = ..., verdicts: _Optional[_Iterable[_Union[Verdict, _Mapping]]] = ..., text: _Optional[str] = ...) -> None: ...

class Verdict(_message.Message):
    __slots__ = ("layer", "decision", "score", "latency_ms", "reasons", "failure")
    LAYER_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    layer: str
    decision: str
    score: float
    latency_ms: float
    reasons: _containers.RepeatedCompositeFieldContainer[Reason]
    failure: str
    def __init__(self, layer: _Optional[str] = ..., decision: _Optional[str] = ..., score: _Optional[float] = ..., latency_ms: _Optional[float] = ..., reasons: _Optional[_Iterable[_Union[Reason, _Mapping]]] = ..., failure: _Optional[str] = ...) -> None: ...

class Reason(_message.Message):
    __slots__ = ("rule", "text", "start", "end", "score")
    RULE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    rule: str
    text: str
    start: int
    end: int
    score: float
    def __init__(self, rule: _Optional[str] = ..., text: _Optional[str] = ..., start: _Optional[int] = ..., end: _Optional[int] = ..., score: _Optional[float] = ...) -> None: ...

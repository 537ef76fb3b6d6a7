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
    __slots__ = ("revision", "rules", "actor", "reason", "time_unix_nanos", "keep", "overrides", "warnings")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TIME_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    KEEP_FIELD_NUMBER: _ClassVar[int]
    OVERRIDES_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    revision: int
    rules: _containers.RepeatedCompositeFieldContainer[SamplingRule]
    actor: str
    reason: str
    time_unix_nanos: int
    keep: _containers.RepeatedCompositeFieldContainer[KeepRule]
    overrides: _containers.RepeatedCompositeFieldContainer[SamplingOverride]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, revision: _Optional[int] = ..., rules: _Optional[_Iterable[_Union[SamplingRule, _Mapping]]] = ..., actor: _Optional[str] = ..., reason: _Optional[str] = ..., time_unix_nanos: _Optional[int] = ..., keep: _Optional[_Iterable[_Union[KeepRule, _Mapping]]] = ..., overrides: _Optional[_Iterable[_Union[SamplingOverride, _Mapping]]] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class SamplingRule(_message.Message):
    __slots__ = ("id", "mission_class", "mission", "sentinel", "pool", "source", "name", "rate", "spans_per_second", "event")
    ID_FIELD_NUMBER: _ClassVar[int]
    MISSION_CLASS_FIELD_NUMBER: _ClassVar[int]
    MISSION_FIELD_NUMBER: _ClassVar[int]
    SENTINEL_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    SPANS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    id: str
    mission_class: str
    mission: str
    sentinel: str
    pool: str
    source: str
    name: str
    rate: float
    spans_per_second: float
    event: str
    def __init__(self, id: _Optional[str] = ..., mission_class: _Optional[str] = ..., mission: _Optional[str] = ..., sentinel: _Optional[str] = ..., pool: _Optional[str] = ..., source: _Optional[str] = ..., name: _Optional[str] = ..., rate: _Optional[float] = ..., spans_per_second: _Optional[float] = ..., event: _Optional[str] = ...) -> None: ...

class KeepRule(_message.Message):
    __slots__ = ("id", "when", "seconds", "mission_class", "mission", "name")
    ID_FIELD_NUMBER: _ClassVar[int]
    WHEN_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    MISSION_CLASS_FIELD_NUMBER: _ClassVar[int]
    MISSION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    id: str
    when: str
    seconds: float
    mission_class: str
    mission: str
    name: str
    def __init__(self, id: _Optional[str] = ..., when: _Optional[str] = ..., seconds: _Optional[float] = ..., mission_class: _Optional[str] = ..., mission: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class SamplingOverride(_message.Message):
    __slots__ = ("id", "rule", "owner", "reason", "since_unix_nanos", "expires_unix_nanos")
    ID_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SINCE_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    id: str
    rule: SamplingRule
    owner: str
    reason: str
    since_unix_nanos: int
    expires_unix_nanos: int
    def __init__(self, id: _Optional[str] = ..., rule: _Optional[_Union[SamplingRule, _Mapping]] = ..., owner: _Optional[str] = ..., reason: _Optional[str] = ..., since_unix_nanos: _Optional[int] = ..., expires_unix_nanos: _Optional[int] = ...) -> None: ...

class ApplySamplingRequest(_message.Message):
    __slots__ = ("rules", "change", "keep", "sets_keep")
    RULES_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    KEEP_FIELD_NUMBER: _ClassVar[int]
    SETS_KEEP_FIELD_NUMBER: _ClassVar[int]
    rules: _containers.RepeatedCompositeFieldContainer[SamplingRule]
    change: _common_pb2.Change
    keep: _containers.RepeatedCompositeFieldContainer[KeepRule]
    sets_keep: bool
    def __init__(self, rules: _Optional[_Iterable[_Union[SamplingRule, _Mapping]]] = ..., change: _Optional[_Union[_common_pb2.Change, _Mapping]] = ..., keep: _Optional[_Iterable[_Union[KeepRule, _Mapping]]] = ..., sets_keep: _Optional[bool] = ...) -> None: ...

class OverrideSamplingRequest(_message.Message):
    __slots__ = ("rule", "seconds", "change")
    RULE_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    rule: SamplingRule
    seconds: float
    change: _common_pb2.Change
    def __init__(self, rule: _Optional[_Union[SamplingRule, _Mapping]] = ..., seconds: _Optional[float] = ..., change: _Optional[_Union[_common_pb2.Change, _Mapping]] = ...) -> None: ...

class RevertSamplingRequest(_message.Message):
    __slots__ = ("override_id", "change")
    OVERRIDE_ID_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    override_id: str
    change: _common_pb2.Change
    def __init__(self, override_id: _Optional[str] = ..., change: _Optional[_Union[_common_pb2.Change, _Mapping]] = ...) -> None: ...

class PreviewSamplingRequest(_message.Message):
    __slots__ = ("rules", "minutes", "keep", "sets_keep")
    RULES_FIELD_NUMBER: _ClassVar[int]
    MINUTES_FIELD_NUMBER: _ClassVar[int]
    KEEP_FIELD_NUMBER: _ClassVar[int]
    SETS_KEEP_FIELD_NUMBER: _ClassVar[int]
    rules: _containers.RepeatedCompositeFieldContainer[SamplingRule]
    minutes: int
    keep: _containers.RepeatedCompositeFieldContainer[KeepRule]
    sets_keep: bool
    def __init__(self, rules: _Optional[_Iterable[_Union[SamplingRule, _Mapping]]] = ..., minutes: _Optional[int] = ..., keep: _Optional[_Iterable[_Union[KeepRule, _Mapping]]] = ..., sets_keep: _Optional[bool] = ...) -> None: ...

class SamplingPreview(_message.Message):
    __slots__ = ("traces", "kept_now", "kept_then", "flagged_lost", "matched", "spans_now", "spans_then", "bytes_now", "bytes_then", "kept_then_low", "kept_then_high", "spans_then_low", "spans_then_high", "examples", "unmatched")
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
    SPANS_NOW_FIELD_NUMBER: _ClassVar[int]
    SPANS_THEN_FIELD_NUMBER: _ClassVar[int]
    BYTES_NOW_FIELD_NUMBER: _ClassVar[int]
    BYTES_THEN_FIELD_NUMBER: _ClassVar[int]
    KEPT_THEN_LOW_FIELD_NUMBER: _ClassVar[int]
    KEPT_THEN_HIGH_FIELD_NUMBER: _ClassVar[int]
    SPANS_THEN_LOW_FIELD_NUMBER: _ClassVar[int]
    SPANS_THEN_HIGH_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    UNMATCHED_FIELD_NUMBER: _ClassVar[int]
    traces: int
    kept_now: int
    kept_then: int
    flagged_lost: int
    matched: _containers.ScalarMap[str, int]
    spans_now: int
    spans_then: int
    bytes_now: int
    bytes_then: int
    kept_then_low: int
    kept_then_high: int
    spans_then_low: int
    spans_then_high: int
    examples: _containers.RepeatedCompositeFieldContainer[PreviewExample]
    unmatched: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, traces: _Optional[int] = ..., kept_now: _Optional[int] = ..., kept_then: _Optional[int] = ..., flagged_lost: _Optional[int] = ..., matched: _Optional[_Mapping[str, int]] = ..., spans_now: _Optional[int] = ..., spans_then: _Optional[int] = ..., bytes_now: _Optional[int] = ..., bytes_then: _Optional[int] = ..., kept_then_low: _Optional[int] = ..., kept_then_high: _Optional[int] = ..., spans_then_low: _Optional[int] = ..., spans_then_high: _Optional[int] = ..., examples: _Optional[_Iterable[_Union[PreviewExample, _Mapping]]] = ..., unmatched: _Optional[_Iterable[str]] = ...) -> None: ...

class PreviewExample(_message.Message):
    __slots__ = ("trace_id", "name", "mission", "kept_now", "kept_then", "rule_id", "time_unix_nanos", "flagged")
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    MISSION_FIELD_NUMBER: _ClassVar[int]
    KEPT_NOW_FIELD_NUMBER: _ClassVar[int]
    KEPT_THEN_FIELD_NUMBER: _ClassVar[int]
    RULE_ID_FIELD_NUMBER: _ClassVar[int]
    TIME_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    FLAGGED_FIELD_NUMBER: _ClassVar[int]
    trace_id: str
    name: str
    mission: str
    kept_now: bool
    kept_then: bool
    rule_id: str
    time_unix_nanos: int
    flagged: bool
    def __init__(self, trace_id: _Optional[str] = ..., name: _Optional[str] = ..., mission: _Optional[str] = ..., kept_now: _Optional[bool] = ..., kept_then: _Optional[bool] = ..., rule_id: _Optional[str] = ..., time_unix_nanos: _Optional[int] = ..., flagged: _Optional[bool] = ...) -> None: ...

class WhyRequest(_message.Message):
    __slots__ = ("trace_id", "command_id")
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    trace_id: str
    command_id: str
    def __init__(self, trace_id: _Optional[str] = ..., command_id: _Optional[str] = ...) -> None: ...

class WhyReply(_message.Message):
    __slots__ = ("trace_id", "fate", "cause", "explanation", "rule_id", "revision", "actor", "reason", "set_unix_nanos", "decided_unix_nanos", "rate", "randomness", "threshold", "mission_class", "mission", "sentinel", "pool", "source", "name", "also", "windows", "known_since_unix_nanos")
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    FATE_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    RULE_ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SET_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    DECIDED_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    RANDOMNESS_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    MISSION_CLASS_FIELD_NUMBER: _ClassVar[int]
    MISSION_FIELD_NUMBER: _ClassVar[int]
    SENTINEL_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ALSO_FIELD_NUMBER: _ClassVar[int]
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    KNOWN_SINCE_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    trace_id: str
    fate: str
    cause: str
    explanation: str
    rule_id: str
    revision: int
    actor: str
    reason: str
    set_unix_nanos: int
    decided_unix_nanos: int
    rate: float
    randomness: int
    threshold: int
    mission_class: str
    mission: str
    sentinel: str
    pool: str
    source: str
    name: str
    also: _containers.RepeatedScalarFieldContainer[str]
    windows: _containers.RepeatedCompositeFieldContainer[CrashWindow]
    known_since_unix_nanos: int
    def __init__(self, trace_id: _Optional[str] = ..., fate: _Optional[str] = ..., cause: _Optional[str] = ..., explanation: _Optional[str] = ..., rule_id: _Optional[str] = ..., revision: _Optional[int] = ..., actor: _Optional[str] = ..., reason: _Optional[str] = ..., set_unix_nanos: _Optional[int] = ..., decided_unix_nanos: _Optional[int] = ..., rate: _Optional[float] = ..., randomness: _Optional[int] = ..., threshold: _Optional[int] = ..., mission_class: _Optional[str] = ..., mission: _Optional[str] = ..., sentinel: _Optional[str] = ..., pool: _Optional[str] = ..., source: _Optional[str] = ..., name: _Optional[str] = ..., also: _Optional[_Iterable[str]] = ..., windows: _Optional[_Iterable[_Union[CrashWindow, _Mapping]]] = ..., known_since_unix_nanos: _Optional[int] = ...) -> None: ...

class CrashWindow(_message.Message):
    __slots__ = ("since_unix_nanos", "until_unix_nanos")
    SINCE_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    UNTIL_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    since_unix_nanos: int
    until_unix_nanos: int
    def __init__(self, since_unix_nanos: _Optional[int] = ..., until_unix_nanos: _Optional[int] = ...) -> None: ...

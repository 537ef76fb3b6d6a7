from citadel.wire.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SearchTracesRequest(_message.Message):
    __slots__ = ("filter", "limit", "since_unix_nanos", "until_unix_nanos")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    SINCE_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    UNTIL_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    filter: str
    limit: int
    since_unix_nanos: int
    until_unix_nanos: int
    def __init__(self, filter: _Optional[str] = ..., limit: _Optional[int] = ..., since_unix_nanos: _Optional[int] = ..., until_unix_nanos: _Optional[int] = ...) -> None: ...

class SearchTracesReply(_message.Message):
    __slots__ = ("traces",)
    TRACES_FIELD_NUMBER: _ClassVar[int]
    traces: _common_pb2.ColumnBatch
    def __init__(self, traces: _Optional[_Union[_common_pb2.ColumnBatch, _Mapping]] = ...) -> None: ...

class GetTraceRequest(_message.Message):
    __slots__ = ("trace_id",)
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    trace_id: str
    def __init__(self, trace_id: _Optional[str] = ...) -> None: ...

class Trace(_message.Message):
    __slots__ = ("spans", "truncated")
    SPANS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    spans: _common_pb2.ColumnBatch
    truncated: bool
    def __init__(self, spans: _Optional[_Union[_common_pb2.ColumnBatch, _Mapping]] = ..., truncated: _Optional[bool] = ...) -> None: ...

class LedgerRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class LedgerReply(_message.Message):
    __slots__ = ("started", "kept", "in_flight", "dropped", "residual", "held")
    class DroppedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    STARTED_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    RESIDUAL_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    started: int
    kept: int
    in_flight: int
    dropped: _containers.ScalarMap[str, int]
    residual: int
    held: int
    def __init__(self, started: _Optional[int] = ..., kept: _Optional[int] = ..., in_flight: _Optional[int] = ..., dropped: _Optional[_Mapping[str, int]] = ..., residual: _Optional[int] = ..., held: _Optional[int] = ...) -> None: ...

class IngestSpansRequest(_message.Message):
    __slots__ = ("spans",)
    SPANS_FIELD_NUMBER: _ClassVar[int]
    spans: _common_pb2.ColumnBatch
    def __init__(self, spans: _Optional[_Union[_common_pb2.ColumnBatch, _Mapping]] = ...) -> None: ...

class IngestSpansReply(_message.Message):
    __slots__ = ("accepted",)
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    accepted: int
    def __init__(self, accepted: _Optional[int] = ...) -> None: ...

class SpanHistogramRequest(_message.Message):
    __slots__ = ("mission", "name", "since_unix_nanos", "until_unix_nanos", "step_minutes")
    MISSION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SINCE_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    UNTIL_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    STEP_MINUTES_FIELD_NUMBER: _ClassVar[int]
    mission: str
    name: str
    since_unix_nanos: int
    until_unix_nanos: int
    step_minutes: int
    def __init__(self, mission: _Optional[str] = ..., name: _Optional[str] = ..., since_unix_nanos: _Optional[int] = ..., until_unix_nanos: _Optional[int] = ..., step_minutes: _Optional[int] = ...) -> None: ...

class SpanHistogramReply(_message.Message):
    __slots__ = ("histogram",)
    HISTOGRAM_FIELD_NUMBER: _ClassVar[int]
    histogram: _common_pb2.ColumnBatch
    def __init__(self, histogram: _Optional[_Union[_common_pb2.ColumnBatch, _Mapping]] = ...) -> None: ...

class EstimateTracesRequest(_message.Message):
    __slots__ = ("filter", "since_unix_nanos", "until_unix_nanos")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    SINCE_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    UNTIL_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    filter: str
    since_unix_nanos: int
    until_unix_nanos: int
    def __init__(self, filter: _Optional[str] = ..., since_unix_nanos: _Optional[int] = ..., until_unix_nanos: _Optional[int] = ...) -> None: ...

class Estimated(_message.Message):
    __slots__ = ("value", "low", "high")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    value: float
    low: float
    high: float
    def __init__(self, value: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ...) -> None: ...

class EstimateTracesReply(_message.Message):
    __slots__ = ("traces", "spans", "errors", "p50", "p90", "p99", "kept_traces", "kept_spans")
    TRACES_FIELD_NUMBER: _ClassVar[int]
    SPANS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    P50_FIELD_NUMBER: _ClassVar[int]
    P90_FIELD_NUMBER: _ClassVar[int]
    P99_FIELD_NUMBER: _ClassVar[int]
    KEPT_TRACES_FIELD_NUMBER: _ClassVar[int]
    KEPT_SPANS_FIELD_NUMBER: _ClassVar[int]
    traces: Estimated
    spans: Estimated
    errors: Estimated
    p50: Estimated
    p90: Estimated
    p99: Estimated
    kept_traces: int
    kept_spans: int
    def __init__(self, traces: _Optional[_Union[Estimated, _Mapping]] = ..., spans: _Optional[_Union[Estimated, _Mapping]] = ..., errors: _Optional[_Union[Estimated, _Mapping]] = ..., p50: _Optional[_Union[Estimated, _Mapping]] = ..., p90: _Optional[_Union[Estimated, _Mapping]] = ..., p99: _Optional[_Union[Estimated, _Mapping]] = ..., kept_traces: _Optional[int] = ..., kept_spans: _Optional[int] = ...) -> None: ...

class ExportSpansRequest(_message.Message):
    __slots__ = ("day",)
    DAY_FIELD_NUMBER: _ClassVar[int]
    day: str
    def __init__(self, day: _Optional[str] = ...) -> None: ...

class ExportedSpans(_message.Message):
    __slots__ = ("day", "spans")
    DAY_FIELD_NUMBER: _ClassVar[int]
    SPANS_FIELD_NUMBER: _ClassVar[int]
    day: str
    spans: _common_pb2.ColumnBatch
    def __init__(self, day: _Optional[str] = ..., spans: _Optional[_Union[_common_pb2.ColumnBatch, _Mapping]] = ...) -> None: ...

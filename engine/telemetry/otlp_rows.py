"""OTLP requests to rows of topics `span` and `event`, as the store and the hub take them. Pure.

Made in bulk, and whole: rows are redacted and within the limits, so that nothing of them is read a
second time. A span that makes no sense is left out and counted. Runs in threads.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from citadel import semconv
from citadel.otlp.attributes import DROPPED_ATTRIBUTES, DROPPED_EVENTS, MAX_DEPTH
from citadel.trace import parse_tracestate
from citadel.vocabulary import KIND_CONSUMER, KIND_INTERNAL, STATUS_ERROR, STATUS_UNSET
from engine.telemetry.encode import (
    FinishedRow,
    Row,
    attributes_json,
    clean,
    clean_text,
    events_json,
    links_of,
)
from engine.telemetry.policy import RootTuple

SOURCE = "user"
SCOPE_NAME = semconv.OTEL_SCOPE_NAME
"""OpenTelemetry's own word for a scope where there is no place for one."""
LOG_EVENT = "otlp.log"
_LATEST = 2**63
_LANE = (semconv.CITADEL_MISSION, semconv.CITADEL_MISSION_CLASS, semconv.CITADEL_SENTINEL)


@dataclass(slots=True, kw_only=True)
class Found:
    """What a request holds: spans with what the sampler asks about each, and how many are bad."""

    rows: list[tuple[int, RootTuple, Row]] = field(default_factory=list[tuple[int, RootTuple, Row]])
    invalid: int = 0
    own: int = 0
    """Spans that this very engine sent: it would send them again, for ever."""


def spans_of(data: bytes, instance: str = "") -> Found:
    """The spans of an ExportTraceServiceRequest.

    Raises:
        google.protobuf.message.DecodeError: it is none.
    """
    found = Found()
    for resource in ExportTraceServiceRequest.FromString(data).resource_spans:
        known = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
        if instance and known.get(semconv.SERVICE_INSTANCE_ID) == instance:
            found.own += sum(len(scope.spans) for scope in resource.scope_spans)
            continue
        service = clean(known.get(semconv.SERVICE_NAME, ""))
        for scope in resource.scope_spans:
            for span in scope.spans:
                made = _span(span, service, scope.scope.name)
                if made is None:
                    found.invalid += 1
                else:
                    found.rows.append(made)
    return found


def _span(span: Any, service: str, scope: str) -> tuple[int, RootTuple, Row] | None:
    trace_id, span_id = span.trace_id, span.span_id
    start, end, parent = span.start_time_unix_nano, span.end_time_unix_nano, span.parent_span_id
    if len(trace_id) != 16 or len(span_id) != 8 or not 0 < start <= end < _LATEST:
        return None
    number, span_number = int.from_bytes(trace_id, "big"), int.from_bytes(span_id, "big")
    if not number or not span_number or len(parent) not in {0, 8}:
        return None
    attributes = attributes_of(span.attributes)
    if scope:
        attributes.setdefault(SCOPE_NAME, scope)
    if lost := span.dropped_attributes_count:
        attributes[DROPPED_ATTRIBUTES] = lost
    if lost := span.dropped_events_count:
        attributes[DROPPED_EVENTS] = lost
    name = clean(span.name)
    mission, mission_class, sentinel = (_name(attributes.get(key)) for key in _LANE)
    kind, status, state = span.kind, span.status, span.trace_state
    row = FinishedRow(
        (
            number >> 64,
            number & (2**64 - 1),
            span_number,
            int.from_bytes(parent, "big"),
            start,
            end,
            kind if KIND_INTERNAL <= kind <= KIND_CONSUMER else KIND_INTERNAL,
            status.code if 0 <= status.code <= STATUS_ERROR else STATUS_UNSET,
            name,
            SOURCE,
            service,
            mission,
            mission_class,
            sentinel,
            "",
            attributes_json(attributes),
            _events(span.events) if span.events else "[]",
            links_of(_link(link) for link in span.links) if span.links else "[]",
            clean_text(status.message) if status.message else "",
            parse_tracestate(state) if state else "",
            0,
        )
    )
    return number, (mission_class, mission, sentinel, "", SOURCE, name), row


def attributes_of(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    """Attributes as values that JSON has."""
    found: dict[str, Any] = {}
    for pair in pairs:
        value = pair.value
        which = value.WhichOneof("value")
        if which in _PLAIN:
            found[pair.key] = getattr(value, which)
        else:
            found[pair.key] = value_of(value)
    return found


_PLAIN = frozenset({"string_value", "int_value", "double_value", "bool_value"})


def value_of(value: AnyValue, depth: int = MAX_DEPTH) -> Any:
    """A value that JSON has; bytes as base64, what is nested too deeply as a text."""
    which = value.WhichOneof("value")
    if which is None:
        return None
    if which == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    if which in _PLAIN:
        return getattr(value, which)
    if not depth:
        return "(nested too deeply)"
    if which == "array_value":
        return [value_of(item, depth - 1) for item in value.array_value.values]
    if which == "kvlist_value":
        pairs = value.kvlist_value.values
        return {pair.key: value_of(pair.value, depth - 1) for pair in pairs}
    return None


def _name(value: Any) -> str:
    return clean(value) if isinstance(value, str) else ""


def _events(events: Iterable[Any]) -> str:
    return events_json([(e.name, e.time_unix_nano, _counted(e)) for e in events])


def _link(link: Any) -> dict[str, Any]:
    return {
        "trace_id": link.trace_id.hex(),
        "span_id": link.span_id.hex(),
        "attributes": _counted(link),
    }


def _counted(item: Any) -> dict[str, Any]:
    """Attributes of an event or a link, with the number of those that were dropped."""
    attributes = attributes_of(item.attributes)
    if item.dropped_attributes_count:
        attributes[DROPPED_ATTRIBUTES] = item.dropped_attributes_count
    return attributes


def logs_of(data: bytes, now_ns: int, most: int, instance: str = "") -> tuple[list[Row], int]:
    """The log records of an ExportLogsServiceRequest as rows of topic `event`, at most so many.

    Returns the rows, and how many more records there were.

    Raises:
        google.protobuf.message.DecodeError: it is none.
    """
    rows: list[Row] = []
    more = 0
    for resource in ExportLogsServiceRequest.FromString(data).resource_logs:
        known = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
        own = bool(instance) and known.get(semconv.SERVICE_INSTANCE_ID) == instance
        service = clean(known.get(semconv.SERVICE_NAME, ""))
        for scope in resource.scope_logs:
            for record in scope.log_records:
                if own or len(rows) >= most:
                    more += 1
                else:
                    rows.append(_log(record, service, now_ns))
    return rows, more


def _log(record: Any, service: str, now_ns: int) -> Row:
    attributes = _counted(record)
    if record.event_name:
        attributes["event.name"] = record.event_name
    body = value_of(record.body)
    time_ns = record.time_unix_nano or record.observed_time_unix_nano or now_ns
    trace_id = int.from_bytes(record.trace_id, "big") if len(record.trace_id) == 16 else 0
    if len(record.span_id) == 8:
        attributes["span_id"] = record.span_id.hex()
    return (
        min(time_ns, _LATEST - 1),
        _severity(record.severity_number),
        LOG_EVENT,
        service,
        clean_text(body if isinstance(body, str) else "" if body is None else str(body)),
        trace_id >> 64,
        trace_id & (2**64 - 1),
        _name(attributes.get(semconv.CITADEL_MISSION)),
        attributes_json(attributes),
    )


def _severity(number: int) -> str:
    """Our word for OpenTelemetry's number; 0 says nothing."""
    if number >= 17:
        return "error"
    if number >= 13:
        return "warning"
    return "debug" if 0 < number < 9 else "info"

"""OTLP to rows: what our own encoder writes comes back as it was, and nonsense is counted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from citadel.otlp.resource import Resource
from citadel.otlp.spans import SpanEncoder
from engine.telemetry.encode import MAX_TEXT, attributes_json, clean_text, events_json
from engine.telemetry.ingest import sound
from engine.telemetry.otlp_rows import logs_of, spans_of
from engine.telemetry.recorder import Recorder

U64 = st.integers(1, 2**64 - 1)
NAMES = st.text(st.characters(codec="utf-8"), max_size=30)
VALUES = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)
ATTRIBUTES = st.dictionaries(NAMES.map("a.{}".format), VALUES, max_size=6)


def dumped(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


ROWS = st.tuples(
    *(U64, U64, U64, st.integers(0, 2**64 - 1), st.integers(1, 2**62), st.integers(0, 2**60)),
    *(st.integers(1, 5), st.integers(0, 2), NAMES, NAMES),
    ATTRIBUTES,
    st.lists(st.tuples(st.integers(0, 2**62), NAMES, ATTRIBUTES), max_size=2),
    NAMES,
    st.sampled_from(["", "vendor=1"]),
)


@settings(max_examples=100, deadline=None, phases=[Phase.generate])
@given(st.lists(ROWS, min_size=1, max_size=4, unique_by=lambda row: row[:3]))
def test_what_we_send_comes_back_as_it_was(told: list[tuple[Any, ...]]) -> None:
    rows = [
        (
            *row[:5],
            row[4] + row[5],
            *row[6:9],
            "user",
            row[9],
            *("", "", "", ""),
            dumped(row[10]),
            dumped([{"time_ns": t, "name": n, "attributes": a} for t, n, a in row[11]]),
            dumped([{"trace_id": "0" * 31 + "1", "span_id": "0" * 15 + "2", "attributes": {}}]),
            row[12],
            row[13],
            0,
        )
        for row in told
    ]
    found = spans_of(SpanEncoder(Resource()).encode(rows).data)
    assert (found.invalid, found.own) == (0, 0)
    back = {(row[0], row[1], row[2]): row for _, _, row in found.rows}
    for row in rows:
        made = back[row[:3]]
        assert sound(made) == tuple(made)  # as whole as any
        assert made[:9] == row[:9]
        assert made[9] == "user"
        assert made[10] in {row[10], "citadel"}
        attributes = json.loads(made[15])
        assert attributes.pop("otel.scope.name") == "citadel.user"
        attributes.pop("citadel.service", None)
        assert attributes == json.loads(attributes_json(json.loads(row[15])))  # redacted
        events = [(e["name"], e["time_ns"], e["attributes"]) for e in json.loads(row[16])]
        assert made[16] == events_json(events)
        assert json.loads(made[17]) == json.loads(row[17])
        assert made[18] == clean_text(row[18])
        assert made[19] == ("ot=th:0," + row[19]).rstrip(",")


def request(**changes: Any) -> ExportTraceServiceRequest:
    made = ExportTraceServiceRequest()
    resource = made.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "shop"
    span = resource.scope_spans.add().spans.add(
        trace_id=b"t" * 16,
        span_id=b"s" * 8,
        name="pay",
        start_time_unix_nano=10,
        end_time_unix_nano=20,
        kind=3,
    )
    for key, value in changes.items():
        setattr(span, key, value)
    return made


@pytest.mark.parametrize(
    "wrong",
    [
        {"trace_id": b""},
        {"trace_id": b"\0" * 16},
        {"trace_id": b"short"},
        {"span_id": b"\0" * 8},
        {"span_id": b"long" * 4},
        {"parent_span_id": b"odd"},
        {"start_time_unix_nano": 0},
        {"end_time_unix_nano": 9},
        {"end_time_unix_nano": 2**63},
    ],
)
def test_spans_that_make_no_sense_are_counted(wrong: dict[str, Any]) -> None:
    found = spans_of(request(**wrong).SerializeToString())
    assert (found.rows, found.invalid) == ([], 1)


def test_limits_and_redaction_hold_and_nothing_is_read_twice() -> None:
    made = request(trace_state="vendor=1,ot=th:8", dropped_attributes_count=3)
    span = made.resource_spans[0].scope_spans[0].spans[0]
    for key, value in {
        "gen_ai.request.model": "m",
        "password": "sesame",
        "long": "x" * 9_000,
        "citadel.mission": "night",
    }.items():
        span.attributes.add(key=key).value.string_value = value
    span.attributes.add(key="raw").value.bytes_value = b"\0\1"
    event = span.events.add(name="said", time_unix_nano=12)
    event.attributes.add(key="note").value.string_value = "token=abcdefghij"
    [(trace_id, about, row)] = spans_of(made.SerializeToString()).rows
    assert trace_id == int.from_bytes(b"t" * 16, "big")
    assert about == ("", "night", "", "", "user", "pay")
    attributes = json.loads(row[15])
    assert attributes["password"] == "[REDACTED]"
    assert len(attributes["long"]) == MAX_TEXT + 1
    assert attributes["raw"] == "AAE="
    assert attributes["gen_ai.request.model"] == "m"
    assert attributes["citadel.dropped_attributes"] == 3
    assert "abcdefghij" not in row[16]
    assert (row[10], row[11], row[6], row[19]) == ("shop", "night", 3, "vendor=1,ot=th:8")

    recorder = Recorder()
    kept: list[Any] = []
    recorder.sinks.append(lambda rows: kept.extend(rows) or 0)
    assert recorder.ingest_row(trace_id, about, row)
    recorder.drain()
    [there] = kept
    assert there[:20] == tuple(row)[:20]
    assert there[20] == 1 << 55  # the sender kept one trace in two: it stands for two
    assert recorder.ledger().residual == 0


def test_spans_of_this_very_engine_are_not_taken_again() -> None:
    data = SpanEncoder(Resource(instance="me")).encode([row_of()]).data
    assert (spans_of(data, "me").own, spans_of(data, "me").rows) == (1, [])
    assert len(spans_of(data, "you").rows) == 1


def row_of() -> tuple[Any, ...]:
    return (1, 2, 3, 0, 5, 6, 1, 0, "n", "engine", *[""] * 5, "{}", "[]", "[]", "", "", 0)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_none(data: bytes) -> None:
    try:
        found = spans_of(data)
    except DecodeError:
        return
    assert all(sound(row) == tuple(row) for _, _, row in found.rows)


def test_log_records_are_events() -> None:
    made = ExportLogsServiceRequest()
    resource = made.resource_logs.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "shop"
    record = resource.scope_logs.add().log_records.add(
        time_unix_nano=7, severity_number=18, trace_id=b"t" * 16, event_name="sold.out"
    )
    record.body.string_value = "no more password=sesame"
    record.attributes.add(key="item").value.int_value = 4
    rows, more = logs_of(made.SerializeToString(), 99, 10)
    assert more == 0
    [row] = rows
    assert row[:4] == (7, "error", "otlp.log", "shop")
    assert "sesame" not in row[4]
    assert json.loads(row[8]) == {"item": 4, "event.name": "sold.out"}
    assert row[5] << 64 | row[6] == int.from_bytes(b"t" * 16, "big")
    assert logs_of(made.SerializeToString(), 99, 0) == ([], 1)

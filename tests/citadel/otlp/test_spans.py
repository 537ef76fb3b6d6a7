"""What is written by hand is what the official classes read, field by field, for any row."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from citadel.otlp.resource import Resource
from citadel.otlp.spans import SpanEncoder
from citadel.trace import with_threshold

U64, I64 = st.integers(0, 2**64 - 1), st.integers(0, 2**63 - 1)
WORDS = st.text(max_size=40)  # surrogates and all
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | WORDS
    | st.text("x", min_size=100, max_size=20_000)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=8,
)
ATTRIBUTES = st.dictionaries(WORDS, VALUES, max_size=12) | st.dictionaries(
    st.sampled_from(["citadel.dropped_attributes", "citadel.dropped_events", "citadel.pool"]),
    st.integers(-1, 2**33),
)
EVENT = st.fixed_dictionaries({"time_ns": I64, "name": WORDS, "attributes": ATTRIBUTES})
LINK = st.fixed_dictionaries(
    {
        "trace_id": st.integers(1, 2**128 - 1).map("{:032x}".format),
        "span_id": st.integers(1, 2**64 - 1).map("{:016x}".format),
        "attributes": ATTRIBUTES,
    }
)


def dumped(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


ROWS = st.tuples(
    *(U64, U64, U64, U64, I64, I64, st.integers(1, 5), st.integers(0, 2)),
    WORDS,
    st.sampled_from(["engine", "user", "worker", "client"]),
    *(WORDS, WORDS, WORDS, WORDS, WORDS),
    ATTRIBUTES.map(dumped),
    st.lists(EVENT, max_size=3).map(dumped),
    st.lists(LINK, max_size=3).map(dumped),
    WORDS,
    st.sampled_from(["", "vendor=1,other=b", "ot=rv:0123456789abcd;th:8,vendor=1"]),
    st.integers(0, 2**56),
)


def utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def value_of(value: AnyValue) -> Any:
    """What an AnyValue says, as JSON would."""
    which = value.WhichOneof("value")
    if which is None:
        return None
    if which == "array_value":
        return [value_of(item) for item in value.array_value.values]
    if which == "kvlist_value":
        return {pair.key: value_of(pair.value) for pair in value.kvlist_value.values}
    return getattr(value, which)


def expected(value: Any) -> Any:
    if isinstance(value, str):
        return utf8(value)
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        return str(value)
    if isinstance(value, list):
        return [expected(item) for item in value]
    if isinstance(value, dict):
        return {utf8(key): expected(inner) for key, inner in value.items()}
    return value


def without_counts(attributes: dict[str, Any], *names: str) -> tuple[dict[str, Any], list[int]]:
    counts: list[int] = []
    left = dict(attributes)
    for name in names:
        count = left.get(name, 0)
        fits = isinstance(count, int) and not isinstance(count, bool) and 0 <= count < 2**32
        counts.append(left.pop(name, 0) if fits else 0)
    return left, counts


def same(pairs: Any, attributes: dict[str, Any]) -> bool:
    found = {pair.key: value_of(pair.value) for pair in pairs}
    wanted = expected(attributes)
    return found == wanted and all(
        type(found[key]) is type(value) for key, value in wanted.items() if not _float(value)
    )


def _float(value: Any) -> bool:
    return isinstance(value, float)


def spans_of(data: bytes) -> list[tuple[str, str, Span]]:
    request = ExportTraceServiceRequest.FromString(data)
    found: list[tuple[str, str, Span]] = []
    for each in request.resource_spans:
        known = {pair.key: pair.value.string_value for pair in each.resource.attributes}
        assert known["telemetry.sdk.name"] == "citadel"
        assert known["telemetry.sdk.language"] == "python"
        assert known["telemetry.sdk.version"]
        for scope in each.scope_spans:
            found += [(known["service.name"], scope.scope.name, span) for span in scope.spans]
    return found


def check(row: tuple[Any, ...], service: str, scope: str, span: Span) -> None:
    assert int.from_bytes(span.trace_id, "big") == row[0] << 64 | row[1]
    assert int.from_bytes(span.span_id, "big") == row[2]
    assert int.from_bytes(span.parent_span_id, "big") == row[3]
    assert len(span.trace_id) == 16
    assert len(span.span_id) == 8
    assert len(span.parent_span_id) == (8 if row[3] else 0)
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == row[4:6]
    assert (span.kind, span.status.code, span.status.message) == (row[6], row[7], utf8(row[18]))
    assert (span.name, scope) == (utf8(row[8]), f"citadel.{row[9]}")
    outside = row[9] == "user" and row[10] and not row[14]
    assert service == (utf8(row[10]) if outside else "citadel")
    assert span.trace_state == with_threshold(row[19], row[20])
    assert span.flags & 1

    names = ("citadel.dropped_attributes", "citadel.dropped_events")
    attributes, counts = without_counts(json.loads(row[15]), *names)
    lanes = ("service", "mission", "mission.class", "sentinel", "pool")
    lane = {f"citadel.{key}": value for key, value in zip(lanes, row[10:15], strict=True) if value}
    assert same(span.attributes, {**lane, **attributes})
    assert [span.dropped_attributes_count, span.dropped_events_count] == counts

    events, links = json.loads(row[16]), json.loads(row[17])
    assert len(span.events) == len(events)
    for event, told in zip(span.events, events, strict=True):
        assert (event.time_unix_nano, event.name) == (told["time_ns"], utf8(told["name"]))
        left, (lost,) = without_counts(told["attributes"], names[0])
        assert same(event.attributes, left)
        assert event.dropped_attributes_count == lost
    for link, told in zip(span.links, links, strict=True):
        assert (link.trace_id.hex(), link.span_id.hex()) == (told["trace_id"], told["span_id"])
        left, (lost,) = without_counts(told["attributes"], names[0])
        assert same(link.attributes, left)
        assert link.dropped_attributes_count == lost


@settings(max_examples=300, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=5))
def test_any_rows_come_out_as_they_went_in(rows: list[tuple[Any, ...]]) -> None:
    encoded = SpanEncoder(Resource(instance="me")).encode(rows)
    assert (encoded.rows, encoded.looked_at) == (len(rows), len(rows))
    found = spans_of(encoded.data)
    assert len(found) == len(rows)
    left = list(found)
    for row in rows:  # grouped by resource and scope, in order within each
        service = row[10] if row[9] == "user" and not row[14] and row[10] else "citadel"
        at = next(
            number
            for number, (named, scope, _) in enumerate(left)
            if (named, scope) == (utf8(service), f"citadel.{row[9]}")
        )
        check(row, *left.pop(at))


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_texts_that_are_no_json_are_told_so_and_never_refused(a: str, e: str, li: str) -> None:
    row = (1, 2, 3, 0, 5, 6, 1, 0, "n", "user", "s", "", "", "", "p", a, e, li, "", "", 0)
    encoded = SpanEncoder(Resource()).encode([row])
    assert encoded.rows == 1
    [(_, _, span)] = spans_of(encoded.data)
    try:
        fits = isinstance(json.loads(a), dict)
    except ValueError:
        fits = False
    assert fits or "citadel.malformed" in {pair.key for pair in span.attributes}


def test_deep_values_are_sent_as_a_text() -> None:
    deep: Any = "bottom"
    for _ in range(200):
        deep = [deep]
    row = (1, 2, 3, 0, 5, 6, 1, 0, "n", "engine", "", "", "", "", "", dumped({"deep": deep}))
    [(_, _, span)] = spans_of(SpanEncoder(Resource()).encode([(*row, "[]", "[]", "", "", 0)]).data)
    value = span.attributes[0].value
    for _ in range(16):
        value = value.array_value.values[0]
    assert value.string_value.startswith("[[[")


def test_numbers_keep_their_kind() -> None:
    told = {"one": 1, "true": True, "float": 1.0, "big": 2**62, "less": -5, "nan": math.inf}
    row = (1, 2, 3, 0, 5, 6, 1, 0, "n", "engine", "", "", "", "", "", dumped(told))
    [(_, _, span)] = spans_of(SpanEncoder(Resource()).encode([(*row, "[]", "[]", "", "", 0)]).data)
    kinds = {pair.key: pair.value.WhichOneof("value") for pair in span.attributes}
    assert kinds == {
        **dict.fromkeys(("one", "big", "less"), "int_value"),
        "true": "bool_value",
        **dict.fromkeys(("float", "nan"), "double_value"),
    }
    assert {pair.key: value_of(pair.value) for pair in span.attributes} == told


def test_what_is_kept_by_a_keep_rule_alone_has_no_threshold() -> None:
    rows = [
        (1, 2, 3, 0, 5, 6, 1, 0, "n", "engine", *[""] * 5, "{}", "[]", "[]", "", state, threshold)
        for state, threshold in (("v=1", 2**56), ("v=1", 2**55), ("", 0))
    ]
    found = [span.trace_state for _, _, span in spans_of(SpanEncoder(Resource()).encode(rows).data)]
    assert found == ["v=1", "ot=th:8,v=1", "ot=th:0"]


def test_a_request_ends_where_its_limit_is() -> None:
    row = (1, 2, 3, 0, 5, 6, 1, 0, "n", "engine", *[""] * 5, "{}", "[]", "[]", "", "", 0)
    encoder = SpanEncoder(Resource())
    one = len(encoder.encode([row]).data)
    part = encoder.encode([row] * 100, limit=one)
    assert 1 <= part.rows < 5
    assert part.looked_at == part.rows


def test_what_is_no_row_is_looked_at_and_left_out() -> None:
    row = (1, 2, 3, 0, 5, 6, 1, 0, "n", "engine", *[""] * 5, "{}", "[]", "[]", "", "", 0)
    encoded = SpanEncoder(Resource()).encode([row, ("no", "row"), (*row[:4], "late", *row[5:])])
    assert (encoded.rows, encoded.looked_at) == (1, 3)

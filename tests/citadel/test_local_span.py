from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel import local_span, telemetry
from citadel.local_span import MAX_ATTRIBUTES, MAX_TEXT, Scope, attribute
from citadel.trace import SpanContext
from citadel.wire.topics import TOPICS

PARENT = SpanContext(0xABC << 64 | 0xDEF, 0x123, trace_state="rojo=1")


@pytest.fixture
def scope() -> Scope:
    return Scope(source="worker", service="p-1", pool="p")


@pytest.fixture
def running(scope: Scope) -> Iterator[Any]:
    with telemetry.command("run f", PARENT, scope) as span:
        yield span


def spans(of: Scope) -> list[dict[str, Any]]:
    return [dict(zip(TOPICS["span"].columns, row, strict=True)) for row in of.rows]


class Unreadable:
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (True, True),
        (3, 3),
        (2.5, 2.5),
        ("x", "x"),
        ((1, 2), [1, 2]),
        ([1, 2.5], [1.0, 2.5]),
        ([True, 1], ["true", "1"]),
        (["a", 1], ["a", "1"]),
        ({"a"}, ["a"]),
        ([], []),
        (b"abc", "(3 bytes)"),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.zeros(3), "[0. 0. 0.]"),
        ({"a": 1}, "{'a': 1}"),
        (Unreadable(), "(its text cannot be read)"),
    ],
)
def test_attributes_are_of_opentelemetrys_types(value: Any, kept: Any) -> None:
    assert attribute(value) == kept
    assert type(attribute(value)) is type(kept)


@given(st.recursive(st.none() | st.integers() | st.floats() | st.text() | st.binary(), st.lists))
def test_anything_can_be_an_attribute(value: Any) -> None:
    json.dumps(attribute(value))


def test_a_megabyte_is_cut_and_none_is_no_value(running: Any, scope: Scope) -> None:
    with telemetry.span("s", text="x" * 2**20, nothing=None) as span:
        assert span is not None
        assert len(span.attributes["text"]) == MAX_TEXT + 1
        assert "nothing" not in span.attributes


def test_limits_are_counted(running: Any, scope: Scope) -> None:
    with telemetry.span("s") as span:
        for number in range(MAX_ATTRIBUTES + 5):
            span.set(f"a{number}", number)  # type: ignore[union-attr]
        for number in range(local_span.MAX_EVENTS + 3):
            telemetry.event("e", number=number)
    (row,) = spans(scope)
    kept = json.loads(row["attributes"])
    assert kept["citadel.dropped_attributes"] == 5
    assert kept["citadel.dropped_events"] == 3
    assert len(json.loads(row["events"])) == local_span.MAX_EVENTS


def test_kind_links_status_and_state(running: Any, scope: Scope) -> None:
    other = SpanContext(5, 6)
    with telemetry.span("s", kind="client", links=[other], a=1) as span:
        span.ok()  # type: ignore[union-attr]
    (row,) = spans(scope)
    assert (row["kind"], row["status"], row["trace_state"]) == (3, 1, "rojo=1")
    assert json.loads(row["links"]) == [
        {"trace_id": f"{5:032x}", "span_id": f"{6:016x}", "attributes": {}}
    ]


def test_what_is_done_after_the_end_is_of_no_effect(running: Any, scope: Scope) -> None:
    with telemetry.span("s") as span:
        pass
    assert span is not None
    span.set("late", 1)
    span.event("late")
    span.error(ValueError("late"))
    span.end()
    (row,) = spans(scope)
    assert (row["attributes"], row["events"], row["status"]) == ("{}", "[]", 0)


def test_a_clock_that_jumps_back(
    running: Any, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([1_000, 400])
    with monkeypatch.context() as patched:
        patched.setattr(local_span.time, "time_ns", lambda: next(times))
        with telemetry.span("s"):
            pass
    (row,) = spans(scope)
    assert (row["start_ns"], row["end_ns"]) == (1_000, 1_000)


async def test_decorated_functions_are_spans(scope: Scope) -> None:
    @telemetry.traced(size=3)
    def plain() -> int:
        return 1

    @telemetry.traced("named")
    async def later() -> int:
        await asyncio.sleep(0)
        telemetry.event("inside")
        return 2

    with telemetry.command("run f", PARENT, scope):
        assert (plain(), await later()) == (1, 2)
    first, second, run = spans(scope)
    assert first["name"].endswith("plain")
    assert json.loads(first["attributes"]) == {"size": 3}
    assert second["name"] == "named"
    assert [event["name"] for event in json.loads(second["events"])] == ["inside"]
    assert first["parent_id"] == second["parent_id"] == run["span_id"]


def test_a_thread_goes_on_below_the_span_that_it_was_given(scope: Scope) -> None:
    def work(number: int) -> None:
        with telemetry.span(f"in thread {number}"):
            pass

    with telemetry.command("run f", PARENT, scope), telemetry.span("outer") as outer:
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(telemetry.carried(work), range(4)))
        with ThreadPoolExecutor(1) as threads:
            threads.submit(work, 9).result()
    names = {row["name"]: row for row in spans(scope)}
    assert set(names) >= {f"in thread {number}" for number in range(4)}
    assert "in thread 9" not in names, "nobody gave it a span"
    assert names["in thread 1"]["parent_id"] == outer.context.span_id  # type: ignore[union-attr]


def test_spans_that_nobody_ends_end_with_their_command(scope: Scope) -> None:
    with telemetry.command("run f", PARENT, scope):
        kept = telemetry.span("left")
        kept.__enter__()
    left, run = spans(scope)
    assert json.loads(left["attributes"]) == {"citadel.unfinished": True}
    assert left["end_ns"] <= run["end_ns"]
    assert not scope.open


def test_below_a_trace_that_is_not_sampled_headers_say_so(scope: Scope) -> None:
    unsampled = SpanContext(PARENT.trace_id, 5, sampled=False)
    with telemetry.command("run f", unsampled, scope) as span:
        assert span is None
        with telemetry.span("s") as inner:
            assert inner is None
        assert telemetry.headers() == {"traceparent": unsampled.traceparent()}
    assert telemetry.headers() == {}
    assert not scope.rows


def test_a_span_that_is_let_go_of_later_does_not_change_where_others_are(scope: Scope) -> None:
    with telemetry.command("first", PARENT, scope):
        left = telemetry.span("left")
        left.__enter__()
    with telemetry.command("second", PARENT, scope) as second:
        left.__exit__(None, None, None)
        assert telemetry.current() == second.context  # type: ignore[union-attr]
    assert telemetry.current() is None

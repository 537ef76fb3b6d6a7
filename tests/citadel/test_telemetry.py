"""Spans of user code: below the command, bounded, and nothing where there is no trace."""

import json
from typing import Any

import pytest

from citadel import telemetry
from citadel.telemetry import MAX_EVENTS, MAX_SPANS, Scope
from citadel.trace import SpanContext
from citadel.vocabulary import STATUS_ERROR, STATUS_UNSET
from citadel.wire.topics import TOPICS

PARENT = SpanContext(0xABC << 64 | 0xDEF, 0x123)


def scope() -> Scope:
    return Scope(source="worker", service="p-1", pool="p", mission="m", mission_class="critical")


def spans(of: Scope) -> list[dict[str, Any]]:
    return [dict(zip(TOPICS["span"].columns, row, strict=True)) for row in of.rows]


def test_user_spans_are_below_the_command_in_the_callers_trace() -> None:
    mine = scope()
    with telemetry.command("run f", PARENT, mine) as command:
        assert command is not None
        with telemetry.span("outer", size=3) as outer:
            assert outer is not None
            outer.set("more", True)
            telemetry.event("halfway", at=1)
            with telemetry.span("inner"):
                assert telemetry.traceparent().startswith(f"00-{PARENT.trace_hex}-")
    inner, out, run = spans(mine)
    assert [span["name"] for span in (inner, out, run)] == ["inner", "outer", "run f"]
    assert [span["source"] for span in (inner, out, run)] == ["user", "user", "worker"]
    assert {(span["trace_hi"], span["trace_lo"]) for span in (inner, out, run)} == {(0xABC, 0xDEF)}
    assert run["parent_id"] == 0x123
    assert out["parent_id"] == run["span_id"]
    assert inner["parent_id"] == out["span_id"]
    assert {span["mission"] for span in (inner, out, run)} == {"m"}
    assert {span["service"] for span in (inner, out, run)} == {"p-1"}
    assert json.loads(out["attributes"]) == {"size": 3, "more": True}
    assert [event["name"] for event in json.loads(out["events"])] == ["halfway"]
    assert run["start_ns"] <= out["start_ns"] <= inner["end_ns"] <= out["end_ns"] <= run["end_ns"]


def test_what_raises_is_recorded_and_raised() -> None:
    mine = scope()
    with (
        pytest.raises(LookupError, match="gone"),
        telemetry.command("run f", PARENT, mine),
        telemetry.span("step"),
    ):
        raise LookupError("gone")
    step, run = spans(mine)
    assert step["status"] == run["status"] == STATUS_ERROR
    assert json.loads(step["attributes"])["error.type"] == "LookupError"
    (event,) = json.loads(step["events"])
    assert event["attributes"] == {"exception.type": "LookupError", "exception.message": "gone"}
    assert telemetry.traceparent() == ""


@pytest.mark.parametrize("parent", [None, SpanContext(1, 2, sampled=False)])
def test_without_a_sampled_trace_nothing_is_recorded(parent: SpanContext | None) -> None:
    mine = scope()
    with telemetry.command("run f", parent, mine) as command:
        assert command is None
        with telemetry.span("step") as step:
            assert step is None
            telemetry.event("unheard")
    assert mine.rows == []


def test_outside_of_a_command_a_span_is_nothing() -> None:
    with telemetry.span("step") as step:
        assert step is None
    telemetry.event("unheard")
    assert telemetry.current() is None


def test_spans_and_events_are_bounded_and_the_loss_is_counted() -> None:
    mine = scope()
    with telemetry.command("run f", PARENT, mine):
        for _ in range(MAX_EVENTS + 5):
            telemetry.event("again")
        for number in range(MAX_SPANS + 7):
            with telemetry.span(f"step {number}"):
                pass
    assert len(mine.rows) == MAX_SPANS
    assert mine.dropped == 8, "seven steps, and the command's own span after them"


def test_attributes_of_any_type_become_json() -> None:
    mine = scope()
    with telemetry.command("run f", PARENT, mine), telemetry.span("step", where=object):
        pass
    step, _ = spans(mine)
    assert "object" in json.loads(step["attributes"])["where"]
    assert step["status"] == STATUS_UNSET

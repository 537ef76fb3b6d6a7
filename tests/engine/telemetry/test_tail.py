from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from citadel.trace import SpanContext
from citadel.wire.columns import pack, rows, unpack
from citadel.wire.messages import KeepRule, SamplingRule
from engine.telemetry import tail
from engine.telemetry.encode import Row
from engine.telemetry.policy import DROP_ALL, Policy, Root
from engine.telemetry.recorder import Recorder
from engine.telemetry.tail import Kinds

NONE = (SamplingRule(id="none", rate=0.0),)


class Taken(list[Row]):
    def write(self, new: Any) -> int:
        self.extend(new)
        return 0

    def named(self) -> list[str]:
        return [row[8] for row in self]


@pytest.fixture
def kept() -> Taken:
    return Taken()


@pytest.fixture
def holding(clock: Any, kept: Taken) -> Callable[..., Recorder]:
    def make(*keep: KeepRule) -> Recorder:
        recorder = Recorder(clock=clock)
        recorder.sampler.put(Policy(rules=NONE, keep=keep))
        recorder.sinks.append(kept.write)
        return recorder

    return make


def settled(recorder: Recorder) -> None:
    recorder.drain()
    ledger = recorder.ledger()
    assert ledger.started == ledger.kept + sum(ledger.dropped.values()) + ledger.in_flight
    assert (ledger.residual, ledger.held) == (0, recorder.tail.held)


def test_an_error_keeps_the_whole_trace(holding: Any, kept: Taken) -> None:
    recorder = holding(KeepRule(id="errors", when="error"))
    with recorder.span("root", root=True), recorder.span("child") as child:
        with recorder.span("grandchild"):
            pass
        settled(recorder)
        assert not kept, "nothing is known yet"
        assert recorder.ledger().held == 1
        child.error("broken")
    settled(recorder)
    assert sorted(kept.named()) == ["child", "grandchild", "root"]
    assert {row[-1] for row in kept} == {DROP_ALL}, "it is evidence, and no part of the sample"
    assert recorder.ledger().in_flight == 0


def test_a_trace_without_one_is_dropped_whole(holding: Any, kept: Taken) -> None:
    recorder = holding(KeepRule(id="errors", when="error"))
    with recorder.span("root", root=True), recorder.span("child"):
        pass
    settled(recorder)
    assert not kept
    assert recorder.ledger().dropped["rule"] == 2
    assert recorder.ledger().in_flight == 0


def test_what_the_rules_keep_is_not_held(clock: Any, kept: Taken) -> None:
    recorder = Recorder(clock=clock)
    rules = (SamplingRule(id="all", rate=1.0),)
    recorder.sampler.put(Policy(rules=rules, keep=(KeepRule(id="errors", when="error"),)))
    recorder.sinks.append(kept.write)
    with recorder.span("root", root=True), recorder.span("child"):
        pass
    recorder.drain()
    assert [row[-1] for row in kept] == [0, 0]


def test_a_guards_objection_and_a_slow_root_keep(holding: Any, kept: Taken, clock: Any) -> None:
    recorder = holding(
        KeepRule(id="guards", when="guard"), KeepRule(id="slow", when="slower_than", seconds=2.0)
    )
    for name, seconds, flagged in (("flagged", 0.1, True), ("slow", 2.1, False), ("ok", 2, False)):
        with recorder.span(name, root=True) as span:
            clock.go(seconds)
            if flagged:
                span.flag()
    settled(recorder)
    assert kept.named() == ["flagged", "slow"]


def test_slower_than_the_p99_of_its_kind(holding: Any, kept: Taken, clock: Any) -> None:
    recorder = holding(KeepRule(id="outliers", when="slower_than_p99"))
    for _ in range(200):
        for name, seconds in (("quick", 0.01), ("slow", 1.0)):
            with recorder.span(name, root=True):
                clock.go(seconds)
    recorder.drain()
    assert not kept
    with recorder.span("quick", root=True):
        clock.go(0.5)
    with recorder.span("slow", root=True):
        clock.go(0.5)
    settled(recorder)
    assert kept.named() == ["quick"]


def test_there_is_no_p99_of_few() -> None:
    kinds = Kinds()
    for number in range(99):
        kinds.add("k", 0.001, number)
    assert kinds.p99("k") == float("inf")
    kinds.add("k", 0.001, 100)
    assert kinds.p99("k") == pytest.approx(0.001, rel=0.05)


def test_a_trace_that_somebody_else_began_waits_a_moment(
    holding: Any, kept: Taken, clock: Any
) -> None:
    recorder = holding(KeepRule(id="errors", when="error"))
    caller = SpanContext(77, 5)
    recorder.span("first call", parent=caller).end()
    clock.go(0.4)
    settled(recorder)
    second = recorder.span("second call", parent=caller)
    clock.go(1)
    settled(recorder)
    assert recorder.ledger().held == 1, "it is open: nothing is decided"
    second.error("broken")
    second.end()
    clock.go(0.6)
    settled(recorder)
    assert kept.named() == ["first call", "second call"]
    late = recorder.span("late call", parent=caller)
    late.end()
    settled(recorder)
    assert kept.named()[-1] == "late call", "what comes later goes the same way"


def test_a_workers_error_keeps_too(holding: Any, kept: Taken) -> None:
    recorder = holding(KeepRule(id="errors", when="error"))
    with recorder.span("command", root=True) as span:
        row = (span.trace_id >> 64, span.trace_id % 2**64, 9, span.span_id, 1, 2, 1, 2, "run")
        row = (*row, "worker", "", "", "", "", "", "{}", "[]", "[]", "", "", 0)
        assert recorder.ingest_row(span.trace_id, Root(), row)
    settled(recorder)
    assert sorted(kept.named()) == ["command", "run"]
    assert {row[-1] for row in kept} == {DROP_ALL}


def test_a_long_trace_is_decided_incomplete(holding: Any, kept: Taken, clock: Any) -> None:
    recorder = holding(KeepRule(id="errors", when="error"))
    root = recorder.span("mission", root=True)
    recorder.span("step", parent=root).end()
    clock.go(61)
    settled(recorder)
    assert recorder.ledger().dropped["decided_incomplete"] == 1
    late = recorder.span("late", parent=root)
    late.error("too late")
    late.end()
    root.end()
    settled(recorder)
    assert not kept
    ledger = recorder.ledger()
    assert (ledger.dropped["decided_incomplete"], ledger.in_flight) == (3, 0)
    fates = [known[2].cause for known in recorder.sampler.remembered()]
    assert fates == ["decided_incomplete"]


def test_a_long_trace_with_an_error_is_kept_from_then_on(
    holding: Any, kept: Taken, clock: Any
) -> None:
    recorder = holding(KeepRule(id="errors", when="error"))
    root = recorder.span("mission", root=True)
    step = recorder.span("step", parent=root)
    step.error("broken")
    step.end()
    clock.go(61)
    settled(recorder)
    recorder.span("later", parent=root).end()
    root.end()
    settled(recorder)
    assert kept.named() == ["step", "later", "mission"]


def test_no_more_is_held_than_there_is_room_for(
    holding: Any, kept: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "MAX_HELD_OF_TRACE", 5)
    recorder = holding(KeepRule(id="errors", when="error"))
    root = recorder.span("root", root=True)
    for _ in range(10):
        recorder.span("child", parent=root).end()
    settled(recorder)
    assert recorder.ledger().held == 0
    root.error("too late")
    root.end()
    settled(recorder)
    assert recorder.ledger().dropped["decided_incomplete"] == 11
    monkeypatch.setattr(tail, "MAX_HELD", 8)
    roots = [recorder.span("r", root=True) for _ in range(10)]
    for each in roots:
        recorder.span("c", parent=each).end()
    settled(recorder)
    assert recorder.ledger().held <= 8
    for each in roots:
        each.end()
    settled(recorder)
    assert recorder.ledger().in_flight == 0
    assert not kept


def test_what_is_held_at_the_end_is_decided(holding: Any, kept: Taken) -> None:
    recorder = holding(KeepRule(id="errors", when="error"))
    caller = SpanContext(78, 5)
    span = recorder.span("call", parent=caller)
    span.error("broken")
    span.end()
    recorder.close()
    assert kept.named() == ["call"]


def test_what_leaves_the_house_says_what_is_known(holding: Any) -> None:
    recorder = holding(KeepRule(id="errors", when="error"))
    held = recorder.span("held", root=True)
    assert held.sampled, "workers record it"
    assert held.context.traceparent().endswith("-03")
    assert held.outward().traceparent().endswith("-02"), "others need not"
    recorder.sampler.put(Policy(rules=(SamplingRule(id="all", rate=1.0),), keep=()))
    ours = recorder.span("kept", parent=SpanContext(9, 9, True, "x=1,ot=rv:ffffffffffffff"))
    assert ours.outward().trace_state == "ot=th:0;rv:ffffffffffffff,x=1"


def test_a_clients_late_span_follows(holding: Any, kept: Taken, clock: Any) -> None:
    recorder = holding(KeepRule(id="errors", when="error"))
    span = recorder.span("api", parent=SpanContext(5 << 64 | 6, 1))
    span.end()
    row = (5, 6, 1, 0, 10, 20, 3, 2, "call", "client", "client", "", "", "", "", "{}")
    table = unpack(pack("span", [(*row, "[]", "[]", "", "", 0)]))
    assert rows(table)[0]["status"] == 2
    assert recorder.ingest(table) == 1
    clock.go(0.6)
    settled(recorder)
    assert sorted(kept.named()) == ["api", "call"]

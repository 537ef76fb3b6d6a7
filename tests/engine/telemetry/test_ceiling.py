from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel.wire.messages import SamplingRule
from engine.telemetry.ceiling import Ceiling
from engine.telemetry.policy import DROP_ALL, Policy, adjusted_count
from engine.telemetry.recorder import Recorder


@given(
    st.floats(0.1, 1e6),
    st.lists(st.tuples(st.floats(0.0, 3.0), st.integers(0, 10**6)), max_size=30),
)
def test_the_rate_is_always_one(limit: float, script: list[tuple[float, int]]) -> None:
    ceiling, now = Ceiling(limit, 0), 0
    for seconds, traces in script:
        ceiling.traces += traces
        now += round(seconds * 1e9)
        ceiling.look(now)
        assert 0.0 <= ceiling.rate <= 1.0
        assert 0 <= ceiling.threshold <= DROP_ALL


@pytest.mark.parametrize("per_trace", [1, 4])
def test_it_holds_and_counts_stay_right(clock: Any, per_trace: int) -> None:
    recorder = Recorder(clock=clock, ids=random.Random(3))
    rule = SamplingRule(id="busy", spans_per_second=50.0)
    recorder.sampler.put(Policy(rules=(rule,), keep=()))
    taken: list[Any] = []

    def sink(rows: Any) -> int:
        taken.extend(rows)
        return 0

    recorder.sinks.append(sink)
    begun = 0
    for step in range(1_000):  # ten seconds, a thousand traces a second
        for _ in range(10):
            begun += 1
            with recorder.span("root", root=True):
                for _ in range(per_trace - 1):
                    recorder.span("child").end()
        clock.go(0.01)
        recorder.drain()
        if step == 199:
            before = len(taken)
    steady = (len(taken) - before) / 8
    assert steady == pytest.approx(50, rel=0.35)
    estimate = sum(adjusted_count(row[-1]) for row in taken if not row[3])
    assert estimate == pytest.approx(begun, rel=0.2)
    ledger = recorder.ledger()
    assert ledger.started == begun * per_trace
    assert ledger.dropped["ceiling"] == ledger.started - len(taken)


def test_quiet_times_are_kept_whole(clock: Any) -> None:
    recorder = Recorder(clock=clock)
    rule = SamplingRule(id="busy", spans_per_second=50.0)
    recorder.sampler.put(Policy(rules=(rule,), keep=()))
    for _ in range(200):
        recorder.span("root", root=True).end()
        clock.go(0.1)
        recorder.drain()
    assert recorder.ledger().dropped["ceiling"] == 0


def test_a_ceiling_goes_on_when_other_rules_change(clock: Any) -> None:
    recorder = Recorder(clock=clock)
    rule = SamplingRule(id="busy", spans_per_second=1.0)
    recorder.sampler.put(Policy(rules=(rule,), keep=()))
    for _ in range(1_000):
        recorder.span("root", root=True).end()
    clock.go(1)
    recorder.drain()
    (ceiling,) = recorder.sampler.ceilings.values()
    assert ceiling.rate == pytest.approx(0.001, rel=0.02)
    other = SamplingRule(id="other", pool="p", rate=0.5)
    recorder.sampler.put(Policy(rules=(other, rule), keep=()))
    assert recorder.sampler.ceilings["rule", "busy"] is ceiling

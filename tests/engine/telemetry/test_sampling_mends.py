"""What a review found, and what must not come back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from citadel.errors import InvalidRequest
from citadel.trace import SpanContext
from citadel.wire.messages import KeepRule, SamplingOverride, SamplingRule
from engine.telemetry.ceiling import Ceiling
from engine.telemetry.decisions import DecisionLog, Logged
from engine.telemetry.policy import Policy, Root, validated, validated_keep
from engine.telemetry.recorder import Recorder
from engine.telemetry.sampling import Sampler
from engine.telemetry.why import Evidence, explain

ALL = SamplingRule(id="all", rate=1.0)
NONE = SamplingRule(id="none", rate=0.0)


@pytest.mark.parametrize("cause", ["default", "rule"])
def test_a_kept_trace_goes_on_however_many_came_after_it(cause: str) -> None:
    rules = [] if cause == "default" else [ALL]
    recorder = Recorder(Sampler(rules, remembered=50))
    caller = SpanContext(7, 5)
    recorder.span("first", parent=caller).end()
    for _ in range(120):
        recorder.span("another", root=True).end()
    recorder.span("later", parent=caller).end()
    recorder.drain()
    ledger = recorder.ledger()
    assert (ledger.kept, ledger.in_flight, sum(ledger.dropped.values())) == (122, 0, 0)


@pytest.mark.parametrize("ceiling", [1e-310, 5e-324, 1e-4])
def test_ceilings_that_cannot_be_kept_are_refused(ceiling: float) -> None:
    with pytest.raises(InvalidRequest, match="ceiling of sampling rule a"):
        validated([SamplingRule(id="a", spans_per_second=ceiling)])


def test_a_ceiling_far_below_what_comes_in_and_a_clock_that_jumps_back() -> None:
    ceiling = Ceiling(1e-3, 10**12)
    ceiling.traces = 10**9
    assert ceiling.look(10**12 + 10**9)
    assert 0 < ceiling.rate < 1e-9
    ceiling.look(0)
    ceiling.traces = 1
    assert ceiling.look(10**9), "it goes on from there"


def test_an_override_has_a_ceiling_of_its_own() -> None:
    sampler = Sampler([])
    rule = SamplingRule(id="busy", spans_per_second=200.0)
    sampler.put(Policy(rules=(rule,), keep=()))
    sampler.found(Root(), 0)
    tight = SamplingRule(id="busy", spans_per_second=5.0)
    override = SamplingOverride(id="busy", rule=tight, expires_unix_nanos=2**62)
    sampler.put(Policy(rules=(rule,), keep=(), overrides=(override,)))
    found = sampler.found(Root(), 0)
    assert found.ceiling is not None
    assert found.ceiling.limit == 5.0


def test_a_slow_trace_of_a_client_is_kept(clock: Any) -> None:
    recorder = Recorder(clock=clock)
    slow = KeepRule(id="slow", when="slower_than", seconds=1.0)
    recorder.sampler.put(Policy(rules=(NONE,), keep=(slow,)))
    for trace, seconds in ((1, 10), (2, 0)):
        head = (0, trace, 9, 0, 1, 1 + seconds * 10**9, 1, 0, "job", "client")
        recorder.ingest_row(trace, Root(), (*head, *[""] * 5, "{}", "[]", "[]", "", "", 0))
    clock.go(1)
    recorder.close()
    assert recorder.ledger().kept == 1


def test_what_is_quiet_is_decided_whatever_the_clock_does(clock: Any) -> None:
    recorder = Recorder(clock=clock)
    errors = KeepRule(id="errors", when="error")
    recorder.sampler.put(Policy(rules=(NONE,), keep=(errors,)))
    recorder.span("call", parent=SpanContext(3, 5)).end()
    clock.go(-3_600)
    recorder.drain()
    assert recorder.ledger().held == 0


def test_kinds_keep_their_numbers_when_one_could_not_be_written(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path)
    recorder = Recorder()
    recorder.log_decisions(log.write)
    spans = [recorder.span(name, root=True) for name in ("a", "b", "c")]
    for span in spans:
        span.end()
        recorder.drain()
    log.close()
    path = tmp_path / "kinds.jsonl"
    lines = path.read_text("utf-8").splitlines()
    assert [json.loads(line)[0] for line in lines] == [1, 2, 3]
    path.write_text(f"{lines[0]}\n{lines[2]}\n", "utf-8")
    again = DecisionLog(tmp_path)
    names = [again.of(span.trace_id)[0].root[5:] for span in spans]
    assert names == [("a",), (), ("c",)]
    again.close()


def test_a_kept_trace_that_died_with_the_engine_says_so() -> None:
    decision = Logged(
        time_ns=100, kept=True, cause="default", rule_id="", threshold=0, revision=1, root=()
    )
    found = explain(Evidence(trace_id=1, decisions=[decision], stored=0, windows=[(90, 200)]))
    assert (found.fate, found.cause) == ("dropped", "crash_window")


@pytest.mark.parametrize(
    ("glob", "sound"),
    [("[[]x", True), ("a[!b]*", True), ("[", False), ("][", False), ("[]", False)],
)
def test_brackets_are_read_as_globs_have_them(glob: str, *, sound: bool) -> None:
    rule = KeepRule(id="k", when="error", name=glob)
    if sound:
        assert validated_keep([rule])
    else:
        with pytest.raises(InvalidRequest, match="cannot be read"):
            validated_keep([rule])


def test_what_was_kept_once_and_dropped_when_decided_again_is_kept() -> None:
    told = {"cause": "rule", "rule_id": "r", "threshold": 2**55, "root": ()}
    decisions = [
        Logged(time_ns=1, kept=True, revision=1, **told),
        Logged(time_ns=2, kept=False, revision=2, **told),
    ]
    found = explain(Evidence(trace_id=1, decisions=decisions, stored=3))
    assert (found.fate, found.revision) == ("kept", 1)
    assert found.also
    assert explain(Evidence(trace_id=1, decisions=decisions, stored=0)).fate == "dropped"

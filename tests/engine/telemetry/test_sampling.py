from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel.errors import InvalidRequest
from citadel.wire.messages import SamplingPreview, SamplingRule
from engine.telemetry.policy import DEFAULT_RULES, Policy, Root, RootTuple, decide, match, threshold
from engine.telemetry.preview import past_of, preview
from engine.telemetry.sampling import Sampler

ids = st.integers(1, 2**128 - 1)
names = st.sampled_from(["", "survey", "audit", "chat"])
roots = st.builds(Root, mission_class=st.sampled_from(["critical", "training", ""]), mission=names)
globs = st.sampled_from(["", "*", "s*", "audit", "critical", "t?aining"])
rates = st.floats(0.0, 1.0)


def rules_only(rules: Iterable[SamplingRule]) -> Policy:
    return Policy(rules=tuple(rules), keep=())


def kept(sampler: Sampler, trace_id: int, root: RootTuple, now: int, **given: Any) -> bool:
    trace = sampler.of(trace_id, root, now, **given)
    return trace is not None and trace.kept


def previewed(sampler: Sampler, rules: Iterable[SamplingRule], since: int) -> SamplingPreview:
    return preview(past_of(sampler, {}, since, 10**9), rules_only(rules))


def numbered(rules: list[SamplingRule]) -> list[SamplingRule]:
    return [
        SamplingRule(id=f"r{i}", mission_class=r.mission_class, mission=r.mission, rate=r.rate)
        for i, r in enumerate(rules)
    ]


policies = st.lists(
    st.builds(SamplingRule, mission_class=globs, mission=globs, rate=rates), max_size=5
).map(numbered)


@given(ids, roots)
def test_zero_and_one_are_exact(trace_id: int, root: Root) -> None:
    assert decide([SamplingRule(id="all", rate=1.0)], trace_id, root)
    assert not decide([SamplingRule(id="none", rate=0.0)], trace_id, root)


@given(ids, roots, rates, rates)
def test_a_higher_rate_keeps_whatever_a_lower_one_does(
    trace_id: int, root: Root, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    kept = decide([SamplingRule(id="low", rate=low)], trace_id, root)
    assert not kept or decide([SamplingRule(id="high", rate=high)], trace_id, root)


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5, 0.9])
def test_the_share_kept_is_the_rate(rate: float) -> None:
    source, count = random.Random(7), 20_000
    rule = [SamplingRule(id="some", rate=rate)]
    kept = sum(decide(rule, source.getrandbits(128), Root()) for _ in range(count))
    assert abs(kept - rate * count) < 5 * (count * rate * (1 - rate)) ** 0.5


def test_thresholds_are_opentelemetrys() -> None:
    assert threshold(1.0) == 0
    assert threshold(0.5) == 0x80000000000000
    assert threshold(0.0) == 2**56


@given(policies, roots)
def test_the_first_rule_that_matches_decides(rules: list[SamplingRule], root: Root) -> None:
    found = match(rules, root)
    if found is None:
        assert decide(rules, 0, root)
    else:
        assert all(match([rule], root) is None for rule in rules[: rules.index(found)])


@given(policies, st.lists(st.tuples(ids, roots), max_size=20))
def test_a_sampler_decides_as_the_pure_function_does(
    rules: list[SamplingRule], traces: list[tuple[int, Root]]
) -> None:
    sampler, first = Sampler(rules), dict[int, Root]()
    for trace_id, root in traces:
        first.setdefault(trace_id, root)
        # A plain tuple will do for a root: the recorder passes one.
        assert kept(sampler, trace_id, tuple(root), 0) == decide(rules, trace_id, first[trace_id])


def test_a_trace_keeps_its_decision_when_the_policy_changes() -> None:
    sampler = Sampler([SamplingRule(id="all", rate=1.0)])
    assert kept(sampler, 1, Root(), 0)
    sampler.put(rules_only([SamplingRule(id="none", rate=0.0)]))
    assert kept(sampler, 1, Root(), 0)
    assert not kept(sampler, 2, Root(), 0)


def test_a_caller_that_does_not_sample_is_heeded_once_and_for_all() -> None:
    sampler = Sampler()
    assert not kept(sampler, 1, Root(), 0, by_caller=False)
    assert not kept(sampler, 1, Root(), 0)


def test_the_traces_in_use_are_remembered() -> None:
    sampler = Sampler([SamplingRule(id="all", rate=1.0)], remembered=100)
    kept(sampler, 1, Root(), 0)
    kept(sampler, 2, Root(), 0)
    sampler.flag(2)
    sampler.put(rules_only([SamplingRule(id="none", rate=0.0)]))
    kept(sampler, 3, Root(), 0)
    for number in range(1_000):
        assert kept(sampler, 1, Root(), 0), "a trace that is recorded is not forgotten"
        assert not kept(sampler, 3, Root(), 0)
        kept(sampler, 10 + number, Root(), 0)
    sampler.put(rules_only([SamplingRule(id="all", rate=1.0)]))
    assert not kept(sampler, 3, Root(), 0), "one that is asked for is remembered, too"
    assert kept(sampler, 10, Root(), 0), "one that is not, is forgotten and decided anew"
    assert 100 <= previewed(sampler, [], 0).traces <= 302
    assert not sampler.flagged


def test_traces_that_nobody_asks_for_are_counted_and_bounded() -> None:
    sampler = Sampler([SamplingRule(id="none", rate=0.0)], remembered=100)
    for number in range(1, 1_001):
        assert not sampler.begun(number, sampler.found(Root(), number), number)
    assert previewed(sampler, [], 0).traces == 200
    assert previewed(sampler, [], 951).traces == 50, "the newest are those that are remembered"
    sampler.put(rules_only([SamplingRule(id="all", rate=1.0)]))
    assert not kept(sampler, 950, Root(), 0), "one that is asked for late is decided as it was"


@given(policies, policies, st.lists(st.tuples(ids, roots, st.booleans()), max_size=30))
def test_a_preview_is_what_would_have_happened(
    now: list[SamplingRule], then: list[SamplingRule], traces: list[tuple[int, Root, bool]]
) -> None:
    sampler = Sampler(now)
    seen: dict[int, tuple[Root, bool]] = {}
    for time, (trace_id, root, flagged) in enumerate(traces):
        kept(sampler, trace_id, root, time)
        if flagged:
            sampler.flag(trace_id)
        before = seen.get(trace_id, (root, False))
        seen[trace_id] = (before[0], before[1] or flagged)
    preview = previewed(sampler, then, 0)
    kept_now = {t for t, (root, _) in seen.items() if decide(now, t, root)}
    kept_then = {t for t, (root, _) in seen.items() if decide(then, t, root)}
    assert preview.traces == len(seen) == sum(preview.matched.values())
    assert (preview.kept_now, preview.kept_then) == (len(kept_now), len(kept_then))
    lost = {t for t, (_, flagged) in seen.items() if flagged} & kept_now - kept_then
    assert preview.flagged_lost == len(lost)


def test_a_preview_looks_back_as_far_as_it_is_told() -> None:
    sampler = Sampler()
    for number in range(10):
        kept(sampler, number + 1, Root(), number)
    assert previewed(sampler, [], 7).traces == 3


def test_the_defaults() -> None:
    assert match(DEFAULT_RULES, Root(mission_class="critical")).rate == 1.0  # type: ignore[union-attr]
    assert match(DEFAULT_RULES, Root(mission_class="training")).rate == 0.1  # type: ignore[union-attr]
    assert match(DEFAULT_RULES, Root(mission_class="standard")) is None


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ([SamplingRule(id="", rate=1.0)], "number 1 has no id"),
        ([SamplingRule(id="a"), SamplingRule(id="a")], "rule a has a repeated id"),
        ([SamplingRule(id="a", rate=1.5)], "the rate of sampling rule a is 1.5"),
        ([SamplingRule(id="a", rate=-0.1)], "is -0.1"),
        ([SamplingRule(id="a", rate=float("nan"))], "is nan"),
        ([SamplingRule(id=str(i)) for i in range(257)], "more than 256"),
    ],
)
def test_bad_rules_are_refused_by_name(rules: list[SamplingRule], told: str) -> None:
    sampler = Sampler()
    with pytest.raises(InvalidRequest, match=told):
        sampler.put(rules_only(rules))
    assert sampler.policy.rules == DEFAULT_RULES

"""Rules as text and back; their order; what a preview says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models import rules
from app.models.rules import MATCHED_BY, BadMatch
from citadel.wire.messages import KeepRule, SamplingPreview, SamplingRule

globs = st.text(st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters='"'))
some_rules = st.builds(
    SamplingRule,
    id=st.just("r"),
    rate=st.floats(0, 1),
    **{
        field: globs.map(str.strip).filter(lambda text: '"' not in text)
        for field in MATCHED_BY.values()
    },
)


@given(some_rules)
def test_a_match_survives_being_written_and_read(rule: SamplingRule) -> None:
    assert rules.with_match(rule, rules.match_text(rule)) == rule


def test_a_match_is_read_field_by_field() -> None:
    rule = rules.with_match(SamplingRule(id="a"), 'class=training  name="survey file"')
    assert (rule.mission_class, rule.name, rule.pool) == ("training", "survey file", "")


@pytest.mark.parametrize("text", ["training", "klass=x", "class=", "class=a and name=b", '="x"'])
def test_a_match_that_makes_no_sense_says_why(text: str) -> None:
    with pytest.raises(BadMatch, match="fields are class"):
        rules.with_match(SamplingRule(id="a"), text)


def test_a_new_rule_has_an_id_of_its_own() -> None:
    made = rules.added(rules.added((SamplingRule(id="rule-1"),)))
    assert [rule.id for rule in made] == ["rule-1", "rule-2", "rule-3"]


def test_rules_move_and_stay_at_the_ends() -> None:
    three = tuple(SamplingRule(id=name) for name in "abc")
    assert [rule.id for rule in rules.moved(three, 2, -1)] == ["a", "c", "b"]
    assert rules.moved(three, 0, -1) == three
    assert rules.moved(three, 2, 1) == three
    assert [rule.id for rule in rules.removed(three, 1)] == ["a", "c"]


def test_a_preview_in_words() -> None:
    preview = SamplingPreview(traces=8310, kept_now=8310, kept_then=412, flagged_lost=2)
    text = rules.preview_text(preview, 5)
    assert "8,310" in text
    assert "412" in text
    assert rules.kept_text(preview, 5) == "These rules keep 8,310 of the last 8,310 traces."
    assert "No traces" in rules.preview_text(SamplingPreview(), 5)


def test_a_difference_names_the_rules() -> None:
    mine = (SamplingRule(id="a", rate=1.0), SamplingRule(id="b", rate=0.5))
    theirs = (SamplingRule(id="a", rate=0.1),)
    assert rules.difference(rules.Policy(rules=mine), rules.Policy(rules=theirs)) == [
        "a: mine all at 100 %, theirs all at 10 %",
        "b: mine all at 50 %, theirs none",
    ]
    turned = rules.difference(rules.Policy(rules=mine), rules.Policy(rules=mine[::-1]))
    assert turned == ["the same rules in another order"]


def test_a_difference_names_the_keep_rules() -> None:
    mine = rules.Policy(keep=(KeepRule(id="slow", when="slower_than", seconds=0.5),))
    theirs = rules.Policy(keep=(KeepRule(id="errors", when="error", name="x*"),))
    assert rules.difference(mine, theirs) == [
        "slow: mine when its root took longer than 500 ms, theirs none",
        "errors: mine none, theirs when it has an error (name=x*)",
    ]


@pytest.mark.parametrize(
    ("rate", "stop"), [(0.0, 0.0), (1.0, 1.0), (1e-9, 0.0001), (0.9999, 0.99), (0.0016, 0.002)]
)
def test_only_nothing_and_all_are_at_the_ends_of_the_slider(rate: float, stop: float) -> None:
    assert rules.RATES[rules.stop_of(rate)] == stop


@given(st.floats(0, 1))
def test_the_stop_of_a_rate_is_the_nearest(rate: float) -> None:
    stop = rules.stop_of(rate)
    assert 0 <= stop < len(rules.RATES)
    assert (stop in (0, len(rules.RATES) - 1)) == (rate in (0, 1))


def test_a_rule_moves_any_number_of_places_and_stays_at_the_ends() -> None:
    given_rules = tuple(SamplingRule(id=name) for name in "abc")
    assert [rule.id for rule in rules.moved(given_rules, 0, 2)] == ["b", "c", "a"]
    assert rules.moved(given_rules, 2, 1) == given_rules


def test_a_preview_tells_its_interval() -> None:
    found = SamplingPreview(traces=100, kept_then=10, kept_then_low=8, kept_then_high=12)
    assert "10 (8 to 12, 95 %)" in rules.preview_text(found, 5)


def test_a_ceiling_for_events_is_refused_before_the_engine_does() -> None:
    assert rules.problem_of(SamplingRule(id="a", event="worker.*", spans_per_second=5))
    assert not rules.problem_of(SamplingRule(id="a", event="worker.*", rate=0.5))
    assert rules.amount(SamplingRule(id="a", spans_per_second=200)) == "at most 200 spans/s"

"""Rules as text and back; their order; what a preview says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models import rules
from app.models.rules import MATCHED_BY, BadMatch
from citadel.wire.messages import SamplingPreview, SamplingRule

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
    assert "2 with an error or flag would be lost" in text
    assert "No traces" in rules.preview_text(SamplingPreview(), 5)


def test_a_difference_names_the_rules() -> None:
    mine = (SamplingRule(id="a", rate=1.0), SamplingRule(id="b", rate=0.5))
    theirs = (SamplingRule(id="a", rate=0.1),)
    assert rules.difference(mine, theirs) == [
        "a: mine all at 100 %, theirs all at 10 %",
        "b: mine all at 50 %, theirs none",
    ]
    assert rules.difference(mine, mine[::-1]) == ["the same rules in another order"]

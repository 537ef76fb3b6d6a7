"""What became of a trace, told for people."""

import pytest

from app.models import whystory
from citadel.wire.messages import CrashWindow, WhyReply

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
DROPPED = WhyReply(
    trace_id=TRACE,
    fate="dropped",
    cause="rule",
    explanation="Rule training keeps 10 % of such traces, and this one not",
    rule_id="training",
    revision=7,
    actor="ada",
    reason="too dear",
    set_unix_nanos=1_800_000_000_000_000_000,
    decided_unix_nanos=1_800_000_001_000_000_000,
    rate=0.1,
    randomness=2**54,
    threshold=round(0.9 * 2**56),
    mission_class="training",
    name="train[1]",
    also=("spans of it were lost: the span store could not write",),
)


def test_a_drop_is_told_with_who_set_the_rule_and_why() -> None:
    told = whystory.story(DROPPED)
    lines = dict(told.lines)
    assert told.title == "It was not kept"
    assert lines["Decided by"] == "training, policy revision 7"
    assert lines["Set by"].startswith("ada, ")
    assert lines["Because"] == "too dear"
    assert "could not write" in lines["Also"]
    assert told.comparison is not None
    assert told.comparison.text == "The trace's number 25 % < the threshold 90 %"
    assert not told.comparison.kept
    assert "too dear" in told.as_text()


def test_numbers_that_did_not_decide_are_not_compared() -> None:
    told = whystory.story(WhyReply(trace_id=TRACE, fate="dropped", cause="parent", revision=3))
    assert told.comparison is None


def test_a_crash_is_told_as_a_stretch_that_nothing_is_known_of() -> None:
    window = CrashWindow(since_unix_nanos=10**18, until_unix_nanos=2 * 10**18)
    told = whystory.story(
        WhyReply(trace_id=TRACE, fate="unknown", cause="crash_window", windows=(window,))
    )
    assert dict(told.lines)["Blind"].count("20") >= 2
    assert told.state == "stopped"


def test_such_traces_are_matched_literally() -> None:
    found = whystory.such_traces(DROPPED)
    assert (found.mission_class, found.name) == ("training", "train[[]1]")


@pytest.mark.parametrize(
    ("text", "trace", "command"),
    [
        (f" {TRACE.upper()} ", TRACE, ""),
        ("0" * 32, "", "0" * 32),
        ("python-00012f", "", "python-00012f"),
        ("strict", "", ""),
        ("resize", "", ""),
        ("", "", ""),
    ],
)
def test_ids_are_told_from_words(text: str, trace: str, command: str) -> None:
    assert whystory.trace_id_in(text) == trace
    assert whystory.command_id_in(text) == command


def test_the_trace_of_a_row() -> None:
    assert whystory.trace_of({"trace_hi": 0x4BF92F3577B34DA6, "trace_lo": 1}).endswith("1")
    assert whystory.trace_of({"trace_hi": 0, "trace_lo": 0}) == ""

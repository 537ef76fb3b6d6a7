from hypothesis import given
from hypothesis import strategies as st

from citadel.wire.messages import Reason
from engine.guards.redaction import redacted

RANGES = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 10)), max_size=6)


@given(RANGES)
def test_nothing_that_was_to_be_replaced_is_left(ranges: list[tuple[int, int]]) -> None:
    text = "".join(chr(0x4E00 + index) for index in range(60))
    redactions = [(start, start + size, "[X]") for start, size in ranges]
    hidden = {index for start, end, _ in redactions for index in range(start, end)}

    result = redacted(text, redactions)

    left = [letter for letter in result.text if letter not in "[X]"]
    assert left == [letter for index, letter in enumerate(text) if index not in hidden]


@given(RANGES, st.integers(0, 60), st.integers(1, 60))
def test_a_range_of_the_new_text_leads_back_to_the_old(
    ranges: list[tuple[int, int]], start: int, size: int
) -> None:
    text = "".join(chr(0x4E00 + index) for index in range(60))
    result = redacted(text, [(at, at + length, "[X]") for at, length in ranges])
    start = min(start, len(result.text) - 1)
    end = min(start + size, len(result.text))

    reason = result.original(Reason(rule="r", start=start, end=end))

    old = text[reason.start : reason.end]
    for letter in result.text[start:end]:
        assert letter in "[X]" or letter in old
    if not set(result.text[start:end]) & set("[X]"):
        assert old == result.text[start:end]


def test_of_overlapping_ranges_the_whole_is_replaced_and_the_first_named() -> None:
    assert redacted("abcdefgh", [(3, 6, "[2]"), (1, 4, "[1]")]).text == "a[1]gh"


def test_a_reason_without_a_range_stays_without_one() -> None:
    result = redacted("abcdef", [(0, 2, "[X]")])

    assert result.original(Reason(rule="r")) == Reason(rule="r")

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel.trace import parse_traceparent, parse_tracestate, sampling_of, with_threshold

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03"
keys = st.from_regex(r"\A[a-np-z][a-z0-9_]{0,10}\Z")
values = st.from_regex(r"\A[!-+\--<>-~]{1,20}\Z")
vendors = st.dictionaries(keys, values, max_size=10).map(
    lambda found: ",".join(f"{key}={value}" for key, value in found.items())
)
thresholds = st.integers(0, 2**56 - 1)


def test_the_example_of_the_standard_is_handed_on_as_it_came() -> None:
    text = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
    context = parse_traceparent(PARENT, text)
    assert context is not None
    assert context.trace_state == text


@pytest.mark.parametrize(
    "text",
    [
        "rojo",
        "rojo=",
        "=x",
        "Rojo=1",
        "rojo=1,rojo=2",
        "rojo=a=b",
        ",".join(f"v{number}=1" for number in range(33)),
        "rojo=" + "x" * 257,
        ",".join(f"v{number}={'x' * 60}" for number in range(10)),
        "rojo=ä",
    ],
)
def test_a_malformed_one_is_dropped_whole(text: str) -> None:
    assert parse_tracestate(text) == ""


def test_spaces_and_empty_members_are_allowed() -> None:
    assert parse_tracestate(" a=1 ,, b@c=2\t, ") == "a=1,b@c=2"


@given(vendors, thresholds)
def test_a_threshold_comes_back_and_others_are_left_alone(others: str, threshold: int) -> None:
    state = with_threshold(others, threshold)
    assert sampling_of(state) == (threshold, None)
    assert [member for member in state.split(",") if not member.startswith("ot=")] == [
        member for member in others.split(",") if member
    ]
    assert parse_tracestate(state) == state


def test_opentelemetrys_own_examples() -> None:
    assert sampling_of("ot=th:c") == (0xC0000000000000, None)
    assert sampling_of("ot=rv:6e6d1a75832a2f;th:0") == (0, 0x6E6D1A75832A2F)
    assert with_threshold("", 0) == "ot=th:0"
    assert with_threshold("", 0xC0000000000000) == "ot=th:c"


def test_randomness_and_what_we_do_not_know_stay_in_the_entry() -> None:
    state = with_threshold("x=1,ot=th:8;rv:6e6d1a75832a2f;p:1", 2**55)
    assert state == "ot=th:8;rv:6e6d1a75832a2f;p:1,x=1"
    assert with_threshold(state, None) == "ot=rv:6e6d1a75832a2f;p:1,x=1"
    assert with_threshold("ot=th:8", 2**56) == ""


@pytest.mark.parametrize("entry", ["ot=th:", "ot=th:xyz", "ot=th:123456789abcdef", "ot=rv:12"])
def test_a_malformed_entry_of_ours_says_nothing(entry: str) -> None:
    assert sampling_of(entry) == (None, None)


def test_the_oldest_members_make_room_for_ours() -> None:
    full = ",".join(f"v{number}=1" for number in range(32))
    state = with_threshold(full, 0)
    assert state.startswith("ot=th:0,v0=1")
    assert len(state.split(",")) == 32

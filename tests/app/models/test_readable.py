"""Kept input is shown as far as it can be read, and never runs anything."""

import json

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.readable import MOST_LETTERS, dump, readable

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=6), VALUES, max_size=6))
def test_arguments_are_shown_as_json(arguments: dict) -> None:
    found = readable(msgpack.packb(arguments))
    assert json.loads(found.text) == arguments
    assert found.note == ""


@given(st.binary(max_size=200))
def test_any_bytes_give_a_text_or_a_note(data: bytes) -> None:
    found = readable(data)
    assert found.text or found.note


def test_what_json_cannot_say_is_named() -> None:
    data = msgpack.packb({"blob": b"\x00\xff" * 100, "array": msgpack.ExtType(7, b"abc"), 3: 1.5})
    found = json.loads(readable(data).text)
    assert found["blob"]["bytes"] == 200
    assert found["blob"]["hex"].endswith("…")
    assert found["array"] == {"extension": 7, "bytes": 3, "hex": "61 62 63"}
    assert found["3"] == 1.5


def test_a_cut_map_shows_its_whole_arguments() -> None:
    data = msgpack.packb({"first": 1, "second": "x" * 1000})
    found = readable(data[:100])
    assert json.loads(found.text) == {"first": 1}
    assert "cut" in found.note


def test_what_is_no_msgpack_is_shown_as_numbers() -> None:
    found = readable(b"\xc1hello")
    assert found.text == dump(b"\xc1hello")
    assert found.text.endswith("·hello")
    assert "not msgpack" in found.note
    assert "no arguments" in readable(b"").note


def test_a_long_text_is_cut_and_says_so() -> None:
    found = readable(msgpack.packb({"text": "x" * (MOST_LETTERS + 10)}))
    assert len(found.text) == MOST_LETTERS
    assert "The first" in found.note


@pytest.mark.parametrize("data", [b"\xdf\xff\xff\xff\xff", b"\xdd\xff\xff\xff\xff", b"\x91" * 5000])
def test_bytes_that_lie_about_their_size_are_not_believed(data: bytes) -> None:
    assert readable(data).text

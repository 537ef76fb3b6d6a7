"""The link's frames: whole, in any pieces, and never more than allowed."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel.errors import MessageTooLarge, WireError
from engine.pool import frames

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(items=st.lists(st.lists(VALUES, min_size=1, max_size=5), max_size=8), data=st.data())
def test_frames_survive_any_cut(items, data):
    stream = b"".join(frames.frame(item) for item in items)
    splitter = frames.Splitter()
    found = []
    while stream:
        size = data.draw(st.integers(1, max(1, len(stream))))
        found += splitter.feed(stream[:size])
        stream = stream[size:]
    assert found == items


def test_a_length_beyond_the_limit_is_refused_at_once():
    with pytest.raises(WireError, match="more than"):
        list(frames.Splitter().feed(struct.pack(">I", frames.MAX_FRAME_BYTES + 1)))


def test_garbage_is_refused():
    with pytest.raises(WireError, match="msgpack"):
        list(frames.Splitter().feed(struct.pack(">I", 2) + b"\xc1\xc1"))


def test_a_frame_too_large_is_not_sent():
    with pytest.raises(MessageTooLarge):
        frames.frame([b"x" * (frames.MAX_FRAME_BYTES + 1)])

"""Credit of streams: bounded, never stuck, in order, whatever the sizes and the readers do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel.errors import WireError
from engine.pool.credit import Giver, Taker


@given(
    sizes=st.lists(st.integers(0, 400), max_size=300),
    window=st.tuples(st.integers(1, 20), st.integers(1, 500)),
    turns=st.randoms(use_true_random=False),
)
def test_items_arrive_in_order_and_no_more_than_a_window_waits(sizes, window, turns):
    items = [number.to_bytes(2, "big") + bytes(size) for number, size in enumerate(sizes)]
    giver, taker = Giver(*window), Taker(*window)
    left, flying, returning, found = list(items), [], [], []
    while len(found) < len(items):
        steps = ["give"] * (bool(left) and giver.open())
        steps += (
            ["arrive"] * bool(flying) + ["take"] * bool(len(taker)) + ["credit"] * bool(returning)
        )
        assert steps, "nobody can do anything: the stream is stuck"
        match turns.choice(steps):
            case "give":
                item = left.pop(0)
                giver.gave(len(item))
                flying.append(item)
            case "arrive":
                item = flying.pop(0)
                taker.put(item, len(item))
            case "take":
                found.append(taker.take())
                if due := taker.due():
                    returning.append(due)
            case _:
                giver.more(*returning.pop(0))
        waiting = items[len(found) : len(items) - len(left)]
        assert len(waiting) <= window[0]
        assert sum(map(len, waiting[:-1])) < window[1]
    assert found == items


@given(window=st.tuples(st.integers(1, 20), st.integers(1, 500)))
def test_without_a_reader_the_giver_stops(window):
    giver, taker = Giver(*window), Taker(*window)
    given_ = 0
    while giver.open():
        giver.gave(1)
        taker.put(b"x", 1)
        given_ += 1
    assert given_ == min(window)
    assert taker.due() is None


def test_who_does_not_wait_for_credit_is_found_out():
    taker = Taker(2, 100)
    taker.put(b"a", 1)
    taker.put(b"b", 1)
    with pytest.raises(WireError, match="without credit"):
        taker.put(b"c", 1)

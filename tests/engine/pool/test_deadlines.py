"""Deadlines are found in order, at most a tick late, and cost no memory when they are taken out."""

from hypothesis import given
from hypothesis import strategies as st

from engine.pool.deadlines import TICK_SECONDS, Deadlines

TIMES = st.floats(0.0, 10.0)


@given(times=st.lists(TIMES, max_size=50), gone=st.sets(st.integers(0, 49)), steps=st.lists(TIMES))
def test_due_is_what_is_due(times, gone, steps):
    deadlines = Deadlines()
    ticks = [deadlines.add(number, time) for number, time in enumerate(times)]
    left = dict(enumerate(times))
    for number in gone & left.keys():
        del left[number]
        deadlines.discard(number, ticks[number])
        deadlines.discard(number, ticks[number])
    for now in [*sorted(steps), 11.0]:
        due = deadlines.due(now)
        assert all(left.pop(number) <= now for number in due)
        assert all(time > now - TICK_SECONDS for time in left.values())
        assert len(deadlines) == len(left)
        nearest = deadlines.next()
        assert (nearest is None) == (not left)
        assert nearest is None or nearest > now
    assert not left


def test_memory_follows_what_waits_not_what_was():
    deadlines = Deadlines()
    deadlines.add(0, 1.0)
    for number in range(1, 100_000):
        deadlines.discard(number, deadlines.add(number, 60.0 + number / 100))
    assert len(deadlines) == 1
    assert len(deadlines._order) < 2_000
    assert deadlines.due(1.0) == [0]

"""The cores that decide on a worker's life: record, heart, term, size."""

import errno
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.pool import limits
from engine.pool.autoscale import COOL_SECONDS, Autoscale, Load
from engine.pool.heart import Heart
from engine.pool.options import HeartbeatOptions, RecycleOptions, ScaleOptions
from engine.pool.record import MAX_POINTS, Record
from engine.pool.recycling import Term

SECOND = 10**9


def test_a_record_tells_each_state_once_however_often_a_worker_flips():
    record = Record(0)
    record.to("ready", 2 * SECOND)
    for n in range(1000):
        record.to("busy", (3 + 2 * n) * SECOND)
        record.to("ready", (4 + 2 * n) * SECOND)
    record.to("draining", 3000 * SECOND, "recycled")
    told = {each.state: each for each in record.history(3005 * SECOND)}
    assert list(told) == ["starting", "busy", "ready", "draining"]
    assert told["starting"].seconds == 2
    assert told["busy"].seconds == 1000
    assert told["busy"].since_unix_nanos == 2001 * SECOND
    assert told["draining"].cause == "recycled"
    assert told["draining"].seconds == 5
    assert sum(each.seconds for each in told.values()) == 3005


@given(st.integers(min_value=1, max_value=5_000))
def test_a_memory_curve_is_bounded_and_spans_the_whole_life(number):
    record = Record(0)
    for n in range(number):
        record.measured(n, n + 1, 0)
    points = record.memory()
    assert len(points) <= MAX_POINTS
    assert points[0].time_unix_nanos == 0
    assert number - points[-1].rss_bytes <= number // MAX_POINTS * 4
    times = [each.time_unix_nanos for each in points]
    assert times == sorted(set(times))


def test_a_heart_that_stops_is_killed_after_so_many_misses():
    heart = Heart(HeartbeatOptions(interval_seconds=2.0, misses=3))
    assert heart.listen(100.0, 0) == 0, "before the first beat nothing is judged"
    assert heart.listen(200.0, 1) == 0
    assert heart.listen(203.0, 1) == 0, "the next one may be on its way"
    assert heart.listen(204.0, 1) == 1
    assert heart.verdict(2) == ""
    assert "3 heartbeats" in heart.verdict(heart.listen(208.0, 1))
    assert heart.listen(209.0, 2) == 0, "one that beats again is well"
    assert Heart(HeartbeatOptions(misses=0)).verdict(10_000) == ""


@given(st.floats(min_value=0, max_value=0.999), st.floats(min_value=0, max_value=1))
def test_a_term_ends_within_its_jitter(draw, jitter):
    options = RecycleOptions(after_commands=1000, after_seconds=100, rss_bytes=10**9, jitter=jitter)
    term = Term(options, draw)
    assert term.over(100, 0, 0)
    assert term.over(0, 1000, 0)
    assert term.over(0, 0, 10**9)
    least = 1 - jitter
    assert not term.over(100 * least - 0.01, int(1000 * least) - 1, int(10**9 * least) - 1)


def test_a_term_without_limits_never_ends():
    assert Term(RecycleOptions(), 0.5).over(10**9, 10**12, 10**15) == ""


def scaling(**options) -> Autoscale:
    return Autoscale(ScaleOptions(**{"min_size": 1, "max_size": 8, **options}))


def load(queued: int = 0, wait: float = 0.0, busy: int = 0) -> Load:
    return Load(queued=queued, wait_seconds=wait, busy=busy)


def test_a_pool_grows_when_commands_wait_and_pauses_between_steps():
    scale = scaling(wait_seconds=0.2)
    assert scale.step(0.0, 2, load(50, 0.1, 2)) == (2, ""), "they do not wait long enough"
    size, cause = scale.step(0.1, 2, load(50, 0.3, 2))
    assert size == 3
    assert "50 commands wait" in cause
    assert scale.step(0.2, 3, load(50, 0.4, 3)) == (3, ""), "the last step must have had time"
    assert scale.step(0.1 + COOL_SECONDS, 3, load(50, 1.0, 3))[0] == 4
    assert scale.step(9.0, 8, load(50, 9.0, 8)) == (8, ""), "it is at its bound"


def test_a_pool_shrinks_one_by_one_after_it_was_idle_for_long():
    scale = scaling(idle_seconds=10)
    assert scale.step(0.0, 4, load(busy=1)) == (4, "")
    assert scale.step(9.9, 4, load(busy=1)) == (4, "")
    assert scale.step(10.0, 4, load(busy=1))[0] == 3
    assert scale.step(10.1, 3, load(busy=1)) == (3, ""), "the time begins anew"
    assert scale.step(15.0, 3, load(busy=3)) == (3, ""), "all are busy: none is too many"
    assert scale.step(20.2, 3, load(busy=1)) == (3, "")
    assert scale.step(30.2, 3, load(busy=1))[0] == 2


def test_a_pool_of_none_gets_a_worker_at_the_first_command_and_may_go_back_to_none():
    scale = scaling(min_size=0, idle_seconds=1)
    assert scale.step(0.0, 0, load()) == (0, "")
    assert scale.step(0.1, 0, load(1, 0.0))[0] == 1
    assert scale.step(0.2, 1, load(busy=0)) == (1, "")
    assert scale.step(1.2, 1, load(busy=0))[0] == 0


@given(
    st.integers(0, 8),
    st.integers(1, 16),
    st.lists(
        st.tuples(st.floats(0, 5), st.integers(0, 100), st.floats(0, 5), st.integers(0, 16)),
        max_size=60,
    ),
)
def test_a_size_stays_in_its_bounds_and_does_not_flutter(low, more, steps):
    scale = scaling(min_size=low, max_size=low + more, wait_seconds=1.0, idle_seconds=3.0)
    now, size = 0.0, low
    shrank = grew = float("-inf")
    for seconds, queued, wait, busy in steps:
        now += seconds
        wanted, cause = scale.step(now, size, load(queued, wait, min(busy, size)))
        assert low <= wanted <= low + more
        assert bool(cause) == (wanted != size)
        if wanted < size:
            assert size - wanted == 1
            assert now - max(grew, shrank) >= 3.0
            shrank = now
        if wanted > size:
            assert queued
            assert size == 0 or (wait >= 1.0 and now - max(grew, shrank) >= COOL_SECONDS)
            grew = now
        size = wanted


@pytest.mark.skipif(sys.platform == "win32", reason="no limits there")
def test_an_error_names_the_limit_that_it_comes_from(monkeypatch):
    monkeypatch.setattr(limits, "_applied", {limits.MEMORY: 5, limits.FILES: 7})
    assert limits.named(MemoryError()) == "the worker's limits.memory_bytes is 5"
    assert limits.named(OSError(errno.EMFILE, "")) == "the worker's limits.open_files is 7"
    assert limits.named(OSError(errno.EAGAIN, "")) == ""
    assert limits.named(ValueError()) == ""

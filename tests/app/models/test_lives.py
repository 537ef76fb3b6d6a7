"""Lives are bounded and whole: peaks survive thinning, crashes survive drawing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.models import lives
from app.models.lives import FLIPS, LIVES, POINTS, RANK, STEPS, Life, Lives, Step, pixels

SECOND = 1_000_000_000
MIB = 1 << 20


def row(time_s: float = 0, state: str = "ready", since_s: float = 0, **fields: object) -> dict:
    return {
        "pool": "p",
        "id": "w",
        "state": state,
        "cause": "",
        "rss_bytes": MIB,
        "pss_bytes": 0,
        "cpu": 0.0,
        "time_ns": int(time_s * SECOND),
        "since_ns": int(since_s * SECOND),
    } | fields


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 2_000), st.integers(0, 2**32 - 1), st.floats(0.1, 5))
def test_a_curve_is_bounded_ordered_and_keeps_its_peak(
    count: int, seed: int, step_s: float
) -> None:
    sizes = np.random.default_rng(seed).integers(1, 1000, count).tolist()
    life = Life()
    for at, size in enumerate(sizes):
        life.take(row(1 + at * step_s, rss_bytes=size * MIB))
    curve = life.curve()
    assert len(curve) <= POINTS + 1
    assert np.all(np.diff(curve.times) > 0)
    assert curve.rss.max() == max(sizes) * MIB
    assert curve.rss[-1] >= sizes[-1] * MIB


def test_a_long_life_is_there_from_its_beginning() -> None:
    life = Life()
    for second in range(1, 20_000):
        life.take(row(second, rss_bytes=second * MIB))
    curve = life.curve()
    assert curve.times[0] == SECOND
    assert curve.times[-1] == 19_999 * SECOND
    assert np.diff(curve.times).max() <= 2 * 20_000 / (POINTS / 2) * SECOND


def test_the_present_value_ends_the_curve_also_when_it_fell() -> None:
    life = Life()
    life.take(row(1, rss_bytes=80 * MIB))
    life.take(row(1.2, rss_bytes=40 * MIB))
    assert life.curve().rss.tolist() == [80 * MIB, 40 * MIB]
    assert life.trail(1) == [40 * MIB]


def test_what_was_not_measured_is_not_drawn() -> None:
    life = Life()
    life.take(row(1, "starting", 1, rss_bytes=0))
    assert len(life.curve()) == 0


def test_ready_and_busy_in_turn_are_one_step_and_all_else_is_kept_with_its_cause() -> None:
    life = Life()
    life.take(row(0, "starting", 0))
    for second in range(1, 2 * FLIPS):
        life.take(row(second, "busy" if second % 2 else "ready", second))
    life.take(row(9_000, "draining", 9_000, cause="recycled"))
    life.take(row(9_001, "lost", 9_001))
    life.take(row(9_001, "lost", 9_001, cause="killed by SIGSEGV"))
    assert [(step.state, step.cause) for step in life.steps] == [
        ("starting", ""),
        ("busy", ""),
        ("draining", "recycled"),
        ("lost", "killed by SIGSEGV"),
    ]
    times, codes = life.changes()
    assert len(times) <= FLIPS + STEPS
    assert RANK[int(codes[0])] == "starting"
    assert np.all(np.diff(times) >= 0)


def test_time_in_each_state_adds_up() -> None:
    life = Life()
    for state, since_s in (("starting", 0), ("ready", 2), ("busy", 5), ("ready", 6)):
        life.take(row(since_s, state, since_s))
    shares = life.shares(10 * SECOND)
    assert shares == {"ready": 7 * SECOND, "starting": 2 * SECOND, "busy": SECOND}
    assert sum(shares.values()) == 10 * SECOND
    assert Life().shares(5) == {}


@given(
    st.lists(
        st.tuples(st.integers(0, 10_000), st.integers(0, len(RANK) - 1)), min_size=1, max_size=60
    ),
    st.integers(1, 50),
)
def test_a_strip_hides_no_worse_state(changes: list[tuple[int, int]], columns: int) -> None:
    changes.sort()
    times, codes = (np.array(part, np.int64) for part in zip(*changes, strict=True))
    start, end = 0, 10_001
    shown = pixels(times, codes, start, end, columns)
    assert len(shown) == columns
    inside = codes[(times >= start) & (times < end)]
    assert shown.max() == inside.max()
    assert (shown == -1).sum() <= np.ceil((times[0] - start) / (end - start) * columns)


def test_a_strip_without_changes_is_empty() -> None:
    nothing = np.zeros(0, np.int64)
    assert pixels(nothing, nothing, 0, 10, 4).tolist() == [-1] * 4


def test_a_worker_that_is_gone_keeps_its_life() -> None:
    all_lives = Lives()
    all_lives.take(row(1, "ready"))
    all_lives.take(row(2, "lost", 2, cause="killed by SIGKILL"))
    all_lives.take(row(2, "gone", 2))
    life = all_lives.get("p", "w")
    assert life is not None
    assert life.ended
    assert life.row["cause"] == "killed by SIGKILL"
    all_lives.take(row(2, "gone", 2, id="never seen"))
    assert len(all_lives) == 1


def test_lives_are_bounded_and_the_ended_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lives, "LIVES", 3)
    all_lives = Lives()
    for name in "abc":
        all_lives.take(row(1, id=name))
    all_lives.take(row(2, "gone", id="b"))
    all_lives.take(row(3, id="d"))
    assert [name for _, name in all_lives] == ["a", "c", "d"]
    all_lives.take(row(4, id="e"))
    assert [name for _, name in all_lives] == ["c", "d", "e"]
    assert LIVES > 1_000, "a thousand workers that live are all kept"


def test_a_pool_that_goes_ends_the_lives_of_its_workers() -> None:
    all_lives = Lives()
    all_lives.take(row(1))
    all_lives.end_all("another")
    life = all_lives.get("p", "w")
    assert life is not None
    assert not life.ended
    all_lives.end_all("p")
    assert life.ended
    assert life.steps[0] == Step("ready", 0, "")

"""What the engine tells of a worker's past is joined to what the window saw, each once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models import workerpast
from app.models.lives import RANK, Life
from app.models.workerpast import Told, joined
from citadel.wire.messages import MemoryPoint, StateChange, WorkerDetail

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("past", "seen", "whole"),
    [
        ([], [], []),
        (["a"], [], ["a"]),
        ([], ["a"], ["a"]),
        (["a", "b"], ["b", "c"], ["a", "b", "c"]),
        (["a", "b", "c"], ["b"], ["a", "b", "c"]),
        (["b", "c"], ["a", "b", "c", "d"], ["a", "b", "c", "d"]),
        (["a"], ["b"], ["a", "b"]),
        (["x", "x"], ["x", "x", "x"], ["x", "x", "x"]),
    ],
)
def test_lines_are_joined_where_they_overlap(
    past: list[str], seen: list[str], whole: list[str]
) -> None:
    assert joined(past, seen) == whole


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_a_log_told_in_two_overlapping_pieces_is_whole(a: int, b: int, c: int) -> None:
    first, last = sorted((a, b))
    lines = [f"line {number}" for number in range(30)]
    past, seen = lines[:last], lines[min(first, c) :]
    assert joined(past, seen) == (lines if seen else past)


def seen_life() -> Life:
    life = Life()
    for second, state in ((10, "ready"), (11, "busy"), (12, "ready")):
        life.take(
            {
                "state": state,
                "since_ns": second * SECOND,
                "time_ns": second * SECOND,
                "cause": "",
                "rss_bytes": second,
                "pss_bytes": second // 2,
                "cpu": 0.5,
            }
        )
    return life


DETAIL = WorkerDetail(
    history=(
        StateChange(state="starting", since_unix_nanos=5 * SECOND, cause="spawned"),
        StateChange(state="ready", since_unix_nanos=7 * SECOND),
        StateChange(state="busy", since_unix_nanos=8 * SECOND),
        StateChange(state="ready", since_unix_nanos=10 * SECOND),
    ),
    memory=tuple(
        MemoryPoint(time_unix_nanos=second * SECOND, rss_bytes=second, pss_bytes=1)
        for second in (6, 8, 10, 11)
    ),
)


def test_the_curve_goes_back_to_what_the_engine_remembers() -> None:
    curve = workerpast.curve(seen_life(), DETAIL)
    assert (curve.times // SECOND).tolist() == [6, 8, 10, 11, 12]
    assert curve.rss.tolist() == [6, 8, 10, 11, 12]
    assert np.isnan(curve.cpu[:2]).all()
    assert curve.cpu[2:].tolist() == [0.5] * 3


def test_each_source_alone_is_enough() -> None:
    assert len(workerpast.curve(None, None)) == 0
    assert (workerpast.curve(None, DETAIL).times // SECOND).tolist() == [6, 8, 10, 11]
    assert len(workerpast.curve(seen_life(), None)) == 3
    assert [step.state for step in workerpast.steps(None, DETAIL)] == ["starting", "ready"]
    assert [step.state for step in workerpast.steps(seen_life(), None)] == ["ready"]


def test_steps_are_told_once_with_the_engines_causes() -> None:
    found = workerpast.steps(seen_life(), DETAIL)
    assert [(step.state, step.since_ns // SECOND, step.cause) for step in found] == [
        ("starting", 5, "spawned"),
        ("ready", 7, ""),
    ]


def test_the_strip_begins_where_the_engines_memory_does() -> None:
    past = workerpast.steps(seen_life(), DETAIL)
    codes = workerpast.strip(seen_life(), past, 4 * SECOND, 13 * SECOND, 9)
    shown = [RANK[code] if code >= 0 else "" for code in codes.tolist()]
    assert shown == ["", "starting", "starting", *["ready"] * 4, "busy", "ready"]


TOLD = WorkerDetail(
    history=(
        StateChange(state="starting", since_unix_nanos=2 * SECOND, seconds=1.5),
        StateChange(state="ready", since_unix_nanos=9 * SECOND, seconds=1.0),
        StateChange(state="busy", since_unix_nanos=10 * SECOND, seconds=7.5),
    )
)


def test_work_began_when_the_start_ended_though_its_last_stay_is_younger() -> None:
    found = workerpast.steps(seen_life(), TOLD)
    assert [(step.state, step.since_ns / SECOND) for step in found] == [
        ("starting", 2),
        ("busy", 3.5),
    ]
    codes = workerpast.strip(seen_life(), found, 2 * SECOND, 10 * SECOND, 8)
    assert [RANK[code] for code in codes.tolist()] == ["starting"] * 2 + ["busy"] * 6


def test_a_worker_that_died_while_it_started_never_worked() -> None:
    detail = WorkerDetail(
        history=(
            StateChange(state="starting", since_unix_nanos=SECOND, seconds=3),
            StateChange(state="lost", since_unix_nanos=4 * SECOND, cause="exit code 1"),
        )
    )
    assert [step.state for step in workerpast.steps(None, detail)] == ["starting", "lost"]


def test_time_in_states_is_the_engines_and_what_was_seen_since() -> None:
    life = seen_life()
    told = Told(TOLD, life.shares(12 * SECOND))
    shares = workerpast.shares(life, told, 15 * SECOND)
    assert {state: ns / SECOND for state, ns in shares.items()} == {
        "busy": 7.5,
        "ready": 4.0,
        "starting": 1.5,
    }
    assert list(shares) == ["busy", "ready", "starting"]
    assert workerpast.shares(life, None, 15 * SECOND) == {"ready": 4 * SECOND, "busy": SECOND}
    assert workerpast.shares(None, None, 1) == {}

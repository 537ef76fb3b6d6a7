from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel.errors import InvalidRequest
from citadel.wire.messages import Trigger, Triggers
from engine.telemetry.histogram import bucket_of
from engine.telemetry.triggers import COOL_DOWN_SECONDS, DEFAULTS, Watch, validated

SECOND = 10**9


def latency(seconds: float, count: int, now: int, subject: str = "p") -> dict[str, Any]:
    name = "citadel.command.duration"
    row = {"time_ns": now, "name": name, "subject": subject}
    return {**row, "bucket": bucket_of(seconds), "count": count}


def test_a_slow_p99_fires_once_and_again_after_a_while() -> None:
    watch = Watch([Trigger(id="slow", when="p99_over", threshold=1.0, subject="p", enabled=True)])
    assert not watch.see("latency", [latency(0.1, 100, 0)], 0)
    assert not watch.see("latency", [latency(5.0, 50, 0, "other")], 0)
    (fired,) = watch.see("latency", [latency(5.0, 5, SECOND)], SECOND)
    assert fired.trigger.id == "slow"
    assert "citadel.command.duration of p" in fired.cause
    assert not watch.see("latency", [latency(5.0, 5, 2 * SECOND)], 2 * SECOND)
    later = 2 * SECOND + round(COOL_DOWN_SECONDS * SECOND)
    assert watch.see("latency", [latency(5.0, 60, later)], later)


def test_what_was_long_ago_does_not_count() -> None:
    watch = Watch([Trigger(id="slow", when="p99_over", threshold=1.0, enabled=True)])
    watch.see("latency", [latency(5.0, 40, 0)], 0)
    assert not watch.see("latency", [latency(0.1, 60, 11 * SECOND)], 11 * SECOND)


@given(st.floats(0, 1), st.floats(0.01, 1), st.sampled_from(["allow", "flag", "redact", "block"]))
def test_flags_fire_at_or_above(score: float, threshold: float, decision: str) -> None:
    watch = Watch([Trigger(id="f", when="flag_at_or_above", threshold=threshold, enabled=True)])
    row = {"layer": "llm_guard", "decision": decision, "score": score}
    fired = watch.see("verdict", [row], 0)
    assert bool(fired) == (decision != "allow" and score >= threshold)


def test_crashes_and_starving_pools_fire_and_what_is_off_does_not() -> None:
    watch = Watch(DEFAULTS.triggers)
    lost = {"name": "worker.lost", "subject": "p-1", "message": "killed by SIGKILL"}
    (fired,) = watch.see("event", [{**lost, "name": "worker.ready"}, lost], 0)
    assert fired.cause == "worker p-1 was lost: killed by SIGKILL"
    (fired,) = watch.see("pool", [{"name": "p", "queued": 3, "queue_wait": 31.0}], 0)
    assert fired.cause == "a command of pool p waits for 31.0 s"
    assert not watch.see("pool", [{"name": "p", "queued": 0, "queue_wait": 0.0}], 0)
    assert not watch.see("latency", [latency(60.0, 100, 0)], 0), "it is off by default"


@pytest.mark.parametrize(
    ("trigger", "told"),
    [
        (Trigger(id="", when="worker_crash"), "no id"),
        (Trigger(id="a", when="sometimes"), "does not know"),
        (Trigger(id="a", when="p99_over"), "threshold 0"),
        (Trigger(id="a", when="p99_over", threshold=float("nan")), "threshold nan"),
    ],
)
def test_triggers_that_make_no_sense_are_refused(trigger: Trigger, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        validated(Triggers(triggers=(trigger,)))


def test_stretches_are_bounded() -> None:
    with pytest.raises(InvalidRequest, match="cannot keep 301 s"):
        validated(Triggers(before_seconds=301))

"""Restart intensity and back-off: the pure core."""

from hypothesis import given
from hypothesis import strategies as st

from engine.sentinels.supervisor import Quarantine, Restart, RestartPolicy, on_failure

POLICY = RestartPolicy(max_restarts=3, within_seconds=10.0, first_backoff=0.1, max_backoff=1.0)


def test_restarts_back_off_and_then_quarantine():
    restarts: tuple[float, ...] = ()
    waits = []
    for number in range(3):
        restarts, decision = on_failure(POLICY, restarts, float(number), 0.0, "boom")
        assert isinstance(decision, Restart)
        waits.append(decision.wait_seconds)
    assert waits == [0.1, 0.2, 0.4]
    _, decision = on_failure(POLICY, restarts, 3.0, 0.0, "boom")
    assert decision == Quarantine("failed 4 times within 10 s, last: boom")


def test_old_restarts_are_forgiven():
    restarts, _ = on_failure(POLICY, (0.0, 1.0, 2.0), 100.0, 0.0, "boom")
    assert restarts == (100.0,)


@given(
    gaps=st.lists(st.floats(0.0, 20.0), max_size=60),
    randoms=st.lists(st.floats(0.0, 1.0), min_size=60, max_size=60),
)
def test_never_more_restarts_in_a_window_than_the_limit(gaps, randoms):
    now, restarts, made = 0.0, (), []
    for gap, random in zip(gaps, randoms, strict=False):
        now += gap
        restarts, decision = on_failure(POLICY, restarts, now, random, "boom")
        if isinstance(decision, Quarantine):
            break
        made.append(now)
        assert 0 < decision.wait_seconds <= POLICY.max_backoff * (1 + POLICY.jitter)
    for at in made:
        inside = [other for other in made if 0 <= at - other < POLICY.within_seconds]
        assert len(inside) <= POLICY.max_restarts

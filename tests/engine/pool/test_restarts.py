"""When workers are started again, and when it makes no sense."""

from hypothesis import given
from hypothesis import strategies as st

from engine.pool.restarts import BACKOFF_SECONDS, CRASHES, PROVED_SECONDS, START_FAILURES, Restarts

EVENTS = st.lists(
    st.sampled_from(["unstarted", "ready", "crashed", "lost under a command", "lived", "answered"])
)


def happen(restarts: Restarts, event: str) -> None:
    match event:
        case "unstarted":
            restarts.did_not_start()
        case "ready":
            restarts.became_ready()
        case "crashed":
            restarts.died(0.1, answered=False, under_command=False)
        case "lost under a command":
            restarts.died(0.1, answered=False, under_command=True)
        case "lived":
            restarts.died(PROVED_SECONDS, answered=False, under_command=False)
        case "answered":
            restarts.died(0.1, answered=True, under_command=False)


@given(EVENTS)
def test_the_wait_is_bounded_and_grows_with_failures_in_a_row(events):
    restarts = Restarts()
    for event in events:
        before, failures = restarts.wait, restarts.failures
        happen(restarts, event)
        assert restarts.wait in BACKOFF_SECONDS
        if restarts.failures > failures:
            assert restarts.wait >= before
        if event in ("lived", "answered"):
            assert (restarts.failures, restarts.hopeless) == (0, False)
        if event == "lost under a command":
            assert restarts.failures == failures


def test_a_few_failed_starts_are_hopeless_until_one_starts():
    restarts = Restarts()
    for _ in range(START_FAILURES):
        assert not restarts.hopeless
        restarts.did_not_start()
    assert restarts.hopeless
    restarts.became_ready()
    assert not restarts.hopeless


def test_being_ready_does_not_end_a_crash_loop():
    restarts = Restarts()
    for _ in range(CRASHES):
        restarts.became_ready()
        happen(restarts, "crashed")
    restarts.became_ready()
    assert restarts.crash_loop
    assert restarts.hopeless
    restarts.proved()
    assert not restarts.hopeless

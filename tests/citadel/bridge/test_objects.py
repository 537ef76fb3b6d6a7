"""Objects by session: bounded, timed, and nobody else's."""

from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from citadel.bridge.manifest import Limits
from citadel.bridge.objects import Objects
from citadel.errors import QuotaExceeded, UnknownReference


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def made(clock: Clock, **limits: float) -> Objects:
    numbers = count(1)
    return Objects(Limits.model_validate(limits), "boot", clock, lambda: str(next(numbers)))


def test_an_object_has_one_reference_in_its_session(clock: Clock) -> None:
    objects = made(clock)
    thing = object()
    assert objects.put("a", thing) == objects.put("a", thing) == "boot-1"
    assert objects.put("b", thing) == "boot-2"
    assert objects.get("a", "boot-1") is thing
    assert len(objects) == 2


def test_another_sessions_reference_is_unknown_as_one_that_never_was(clock: Clock) -> None:
    objects = made(clock)
    reference = objects.put("a", object())
    with pytest.raises(UnknownReference) as other:
        objects.get("b", reference)
    with pytest.raises(UnknownReference) as never:
        objects.get("b", "boot-99")
    assert other.value.message.replace(reference, "?") == never.value.message.replace(
        "boot-99", "?"
    )
    assert not objects.release("b", reference)
    assert len(objects) == 1


def test_why_a_reference_is_gone(clock: Clock) -> None:
    objects = made(clock, ttl_seconds=10)
    expired, released, ended = (objects.put("a", object()) for _ in range(3))
    clock.now = 8
    objects.get("a", released)
    objects.get("a", ended)
    clock.now = 12
    with pytest.raises(UnknownReference, match="unused for 10 s"):
        objects.get("a", expired)
    assert objects.release("a", released)
    with pytest.raises(UnknownReference, match="was released"):
        objects.get("a", released)
    assert objects.end("a") == 1
    with pytest.raises(UnknownReference, match="session ended"):
        objects.get("a", ended)
    with pytest.raises(UnknownReference, match="another worker process"):
        objects.get("a", "elsewhere-1")
    assert len(objects) == 0


def test_a_session_has_a_quota(clock: Clock) -> None:
    objects = made(clock, objects=2)
    first = objects.put("a", object())
    objects.put("a", object())
    with pytest.raises(QuotaExceeded, match="session a holds 2") as caught:
        objects.put("a", object())
    assert "bridge.release" in caught.value.remedy
    objects.put("b", object())
    objects.release("a", first)
    objects.put("a", object())


def test_what_is_used_lives_on(clock: Clock) -> None:
    objects = made(clock, ttl_seconds=10)
    reference = objects.put("a", object())
    for _ in range(5):
        clock.now += 9
        objects.get("a", reference)
    (held,) = objects.of("a")
    assert objects.seconds_left(held) == 10
    clock.now += 10
    assert objects.of("a") == []


@settings(max_examples=60, stateful_step_count=40)
class Accounting(RuleBasedStateMachine):
    """Whatever is done: what is held was put by that session, and not longer ago than allowed."""

    references = Bundle("references")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.objects = made(self.clock, objects=3, ttl_seconds=10)
        self.used: dict[tuple[str, str], tuple[object, float]] = {}

    @rule(target=references, session=st.sampled_from("ab"))
    def put(self, session: str) -> str:
        thing = object()
        alive = [
            key for key, (_, used) in self.used.items() if key[0] == session and self.lives(used)
        ]
        if len(alive) >= 3:
            with pytest.raises(QuotaExceeded):
                self.objects.put(session, thing)
            return "boot-none"
        reference = self.objects.put(session, thing)
        self.used[session, reference] = (thing, self.clock.now)
        return reference

    @rule(session=st.sampled_from("ab"), reference=references)
    def get(self, session: str, reference: str) -> None:
        thing, used = self.used.get((session, reference), (None, -100.0))
        if thing is not None and self.lives(used):
            assert self.objects.get(session, reference) is thing
            self.used[session, reference] = (thing, self.clock.now)
        else:
            with pytest.raises(UnknownReference):
                self.objects.get(session, reference)

    @rule(session=st.sampled_from("ab"), reference=references)
    def release(self, session: str, reference: str) -> None:
        self.objects.sweep()
        _, used = self.used.pop((session, reference), (None, -100.0))
        assert self.objects.release(session, reference) == self.lives(used)

    @rule(session=st.sampled_from("ab"))
    def end(self, session: str) -> None:
        self.objects.end(session)
        self.used = {key: each for key, each in self.used.items() if key[0] != session}

    @rule(seconds=st.floats(0, 12))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def as_many_as_live(self) -> None:
        self.objects.sweep()
        assert len(self.objects) == sum(self.lives(used) for _, used in self.used.values())

    def lives(self, used: float) -> bool:
        return used + 10 > self.clock.now


TestAccounting = Accounting.TestCase

"""Breaker, poison list and attempts: the cores, whatever the order of events."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from citadel.errors import BreakerOpen, NotFound, Quarantined
from engine.pool.attempts import ENOUGH, RECENT, Attempts
from engine.pool.breaker import SLICES, Breaker
from engine.pool.call import Call
from engine.pool.options import ResilienceOptions
from engine.pool.poison import (
    BLOCK_BYTES,
    KEPT_BYTES,
    MAX_ENTRIES,
    WHOLE_BYTES,
    PoisonList,
    _pieces,
    fingerprint,
)

WINDOW, OPEN = 10.0, 5.0


class BreakerMachine(RuleBasedStateMachine):
    """Commands end well or badly; the model keeps every end of the window."""

    def __init__(self) -> None:
        super().__init__()
        self.options = ResilienceOptions(
            breaker_share=0.5, breaker_commands=4, breaker_seconds=WINDOW, breaker_open_seconds=OPEN
        )
        self.core = Breaker("p", self.options)
        self.now = 1000.0
        self.ended = 0
        self.ends: list[tuple[float, bool]] = []
        self.probing = False

    @rule(seconds=st.floats(0.0, 6.0))
    def wait(self, seconds):
        self.now += seconds

    @rule()
    def answered(self):
        if self.core.state == "closed":
            if self.now >= self.core.turn:
                self.core.told(self.now, self.ended)
            self.ended += 1
            self.ends.append((self.now, False))

    @rule()
    def failed(self):
        if self.core.state != "closed":
            return
        self.core.failed(self.now, self.ended, probe=False)
        self.ended += 1
        self.ends.append((self.now, True))
        for width in (WINDOW * (1 - 1 / SLICES), WINDOW):  # the window moves in slices
            lately = [bad for at, bad in self.ends if at > self.now - width]
            if len(lately) < 4 or sum(lately) < 0.5 * len(lately):
                break
        else:
            assert self.core.state == "open"
        if self.core.state == "open":
            assert sum(bad for _, bad in self.ends) >= 2
            self.ends.clear()
            self.opened = self.now

    @rule()
    def enter(self):
        if self.core.state == "closed":
            assert self.core.enter(self.now) is False
        elif self.probing or (self.core.state == "open" and self.now < self.opened + OPEN):
            with pytest.raises(BreakerOpen, match="fails too often"):
                self.core.enter(self.now)
        else:
            assert self.core.enter(self.now) is True
            assert self.core.state == "half_open"
            self.probing = True

    @rule(how=st.sampled_from(["answered", "failed", "cancelled"]))
    def probe_ends(self, how):
        if not self.probing:
            return
        self.probing = False
        if how == "answered":
            self.core.tried()
            assert self.core.state == "closed"
        elif how == "failed":
            self.core.failed(self.now, self.ended, probe=True)
            self.opened = self.now
            assert self.core.state == "open"
        else:
            self.core.abandoned()
            assert self.core.state == "half_open"

    @invariant()
    def one_is_tried_at_a_time(self):
        assert not self.probing or self.core.state == "half_open"


TestBreaker = BreakerMachine.TestCase
TestBreaker.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)


def test_a_breaker_that_is_off_never_opens():
    core = Breaker("p", ResilienceOptions(breaker_share=0.0, breaker_commands=1))
    for number in range(100):
        core.failed(1.0, number, probe=False)
    assert core.state == "closed"


def test_few_failures_open_nothing():
    core = Breaker("p", ResilienceOptions(breaker_commands=20))
    for number in range(19):
        core.failed(1.0, number, probe=False)
    assert core.state == "closed"
    core.failed(1.0, 19, probe=False)
    assert core.state == "open"


def test_old_failures_are_forgotten():
    core = Breaker("p", ResilienceOptions(breaker_commands=4, breaker_seconds=WINDOW))
    for number in range(3):
        core.failed(1.0, number, probe=False)
    core.failed(1.0 + 2 * WINDOW, 3, probe=False)
    assert core.state == "closed"


# ── poison ───────────────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([b"1", b"2"]), st.booleans())))
@settings(deadline=None)
def test_a_command_is_refused_after_so_many_kills_in_a_row(events):
    core = PoisonList("p", 3)
    kills: dict[tuple[str, bytes], int] = {}
    for tool, arguments, killed in events:
        key = (tool, arguments)
        if kills.get(key, 0) >= 3:
            with pytest.raises(Quarantined, match="killed 3 workers"):
                core.check(tool, arguments)
            continue
        assert core.check(tool, arguments) == (fingerprint(*key) if kills.get(key) else "")
        if killed:
            core.killed(tool, arguments, "died", 1)
            kills[key] = kills.get(key, 0) + 1
        else:
            core.answered(fingerprint(*key))
            kills.pop(key, None)
    assert {(e.tool, e.arguments): e.kills for e in core.entries.values()} == kills
    assert sum(core.tools.values()) == len(kills)


def test_the_poison_list_is_bounded_and_forgets_the_counted_first():
    core = PoisonList("p", 2)
    for _ in range(2):
        core.killed("bad", b"", "died", 1)
    for number in range(MAX_ENTRIES + 10):
        core.killed("t", str(number).encode(), "died", 1)
    assert len(core.entries) == MAX_ENTRIES
    with pytest.raises(Quarantined):
        core.check("bad", b"")
    assert core.check("t", b"0") == ""


def test_input_is_kept_for_inspection_up_to_a_bound():
    core = PoisonList("p", 1)
    found, _ = core.killed("t", b"x" * 2 * KEPT_BYTES, "died", 1)
    assert found is not None
    assert (len(found.arguments), found.size) == (KEPT_BYTES, 2 * KEPT_BYTES)
    assert found.entry("p").quarantined


def test_buffers_are_part_of_what_a_command_is_known_by():
    core = PoisonList("p", 1)
    found, _ = core.killed("t", b"x", "died", 1, [memoryview(b"ab"), memoryview(b"c")])
    assert found is not None
    assert (found.arguments, found.size) == (b"x", 4)
    with pytest.raises(Quarantined):
        core.check("t", b"x", [memoryview(b"ab"), memoryview(b"c")])
    words = memoryview(b"ab").cast("h", (1, 1))
    assert fingerprint("t", b"x", [words, b"c"]) == found.fingerprint
    for others in ([], [b"ab"], [b"ab", b"d"], [b"a", b"bc"], [b"abc"]):
        assert core.check("t", b"x", others) == ""


def test_what_is_read_of_very_large_arguments_is_bounded():
    large = bytearray(5 * WHOLE_BYTES + 7)
    prints = {fingerprint("t", b"", [memoryview(large)])}
    for at in (0, -1):
        large[at] = 1
        prints.add(fingerprint("t", b"", [memoryview(large)]))
    prints.add(fingerprint("t", b"", [memoryview(large)[:-1]]))
    assert len(prints) == 4
    read = [len(piece) for piece in _pieces(memoryview(large), 6)]
    assert sum(read) <= WHOLE_BYTES + 2 * BLOCK_BYTES


def test_release_lets_through_and_must_know_the_fingerprint():
    core = PoisonList("p", 1)
    core.killed("t", b"", "died", 1)
    core.release(fingerprint("t", b""))
    assert core.check("t", b"") == ""
    with pytest.raises(NotFound, match="has no poison"):
        core.release("nobody")


def test_without_a_limit_nothing_is_counted():
    core = PoisonList("p", 0)
    assert core.killed("t", b"", "died", 1) == (None, None)
    assert core.tools == {}


# ── attempts ─────────────────────────────────────────────────────────────────────────────────────


def a_call(*, tool: str = "pure", deadline: float = 100.0, attempts: int = 1) -> Call:
    return Call(number=1, name="c", tool=tool, deadline=deadline, attempts=attempts)


def attempts(**options: float) -> Attempts:
    core = Attempts(ResilienceOptions(**options), random.Random(1))
    core.know(["pure"])
    return core


@given(st.integers(1, 12), st.floats(0.0, 10.0), st.integers(0, 10))
@settings(deadline=None)
def test_a_retry_is_bounded_in_number_and_never_past_the_deadline(number, deadline, retries):
    core = attempts(retries=retries, retry_backoff_seconds=0.1)
    found = core.retry_after(a_call(deadline=deadline, attempts=number), 0.0)
    base = 0.1 * 2 ** (number - 1)
    if found is None:
        assert number > retries or 1.5 * base >= deadline
    else:
        assert number <= retries
        assert 0.5 * base <= found <= 1.5 * base
        assert found < deadline


def test_only_idempotent_tools_are_tried_again():
    assert attempts().retry_after(a_call(tool="writes"), 0.0) is None


def test_a_hedge_follows_the_quantile_of_the_tools_own_durations():
    core = attempts(hedge_quantile=0.9)
    assert core.hedging == {"pure"}
    for number in range(1, ENOUGH):
        core.took("pure", number / 100)
        assert core.slow_after("pure") is None
    core.took("pure", ENOUGH / 100)
    assert core.slow_after("pure") == pytest.approx(0.18)
    for _ in range(RECENT):
        core.took("pure", 5.0)
    assert core.slow_after("pure") == 5.0, "what is long ago does not count"


def test_without_a_quantile_nothing_is_hedged():
    assert attempts().hedging == frozenset()

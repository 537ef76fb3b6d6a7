"""The scheduler's core: nothing is lost or done twice, whatever the order of events."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from citadel.errors import Cancelled, DeadlineExceeded, QueueFull, WorkerLost
from engine.pool.scheduler import (
    LATER,
    MAX_RETURNS,
    NORMAL,
    PREFETCH,
    PREFETCH_SECONDS,
    PRIORITIES,
    URGENT,
    Call,
    Fail,
    Recall,
    Scheduler,
    Send,
)

LIMIT = 8
TOOLS = {"short": 1e-5, "long": 0.5}


def a_call(number: int, *, deadline: float = 100.0, tool: str = "long", priority: int = NORMAL):
    name = f"c{number}"
    return Call(number=number, name=name, tool=tool, deadline=deadline, priority=priority)


class Machine(RuleBasedStateMachine):
    """Random events against a model: where each command is, and how each ended."""

    calls = Bundle("calls")
    workers = Bundle("workers")

    def __init__(self) -> None:
        super().__init__()
        self.core = Scheduler("p", LIMIT)
        self.now = 0.0
        self.number = 0
        self.held: dict[str, list[int]] = {}
        self.begun: dict[str, int] = {}
        self.asked: dict[int, Call] = {}
        self.outcome: dict[int, str] = {}
        self.sent: list[int] = []
        self.returned = 0

    def act(self, instructions) -> None:
        for instruction in instructions:
            call = instruction.call
            match instruction:
                case Send():
                    assert call.number not in self.outcome
                    self.held[call.worker].append(call.number)
                    self.sent.append(call.number)
                case Fail():
                    assert call.number not in self.outcome, "a caller is told once"
                    self.outcome[call.number] = type(instruction.error).__name__
                case Recall():
                    assert call.number in self.held[call.worker]

    def runs(self, number: int) -> bool:
        worker = self.asked[number].worker
        return worker in self.begun and self.begun[worker] == number

    @rule(
        target=calls,
        seconds=st.floats(0.1, 5.0),
        tool=st.sampled_from(sorted(TOOLS)),
        priority=st.sampled_from(PRIORITIES),
    )
    def submit(self, seconds, tool, priority):
        self.number += 1
        call = a_call(self.number, deadline=self.now + seconds, tool=tool, priority=priority)
        self.asked[call.number] = call
        full = self.core.queued >= LIMIT
        try:
            self.core.check_room()
        except QueueFull:
            assert full
            self.core.refused()
            self.outcome[call.number] = "QueueFull"
        else:
            assert not full
            self.act(self.core.submit(call))
        return call.number

    @rule(target=workers)
    def add_worker(self):
        self.number += 1
        worker = f"w{self.number}"
        self.held[worker] = []
        self.act(self.core.add_worker(worker))
        return worker

    @rule(worker=workers)
    def retire(self, worker):
        self.core.retire_worker(worker)

    @rule(worker=workers)
    def begin_next(self, worker):
        if (held := self.held.get(worker)) and worker not in self.begun:
            self.begun[worker] = held[0]

    @rule(worker=workers, ok=st.booleans())
    def finish_first(self, worker, ok):
        if held := self.held.get(worker):
            number = held.pop(0)
            self.begun.pop(worker, None)
            if number not in self.outcome:
                self.outcome[number] = "done" if ok else "failed"
            seconds = TOOLS[self.asked[number].tool]
            self.act(self.core.finished(worker, number, seconds, ok=ok))
            assert self.core.finished(worker, number, seconds, ok=ok) == [], "once is enough"

    @rule(worker=workers)
    def give_back(self, worker):
        """What it runs waits for the engine; it takes nothing more until that has ended."""
        if worker in self.begun:
            first, *back = self.held[worker]
            self.held[worker] = [first]
            self.returned += sum(number not in self.outcome for number in back)
            instructions = self.core.returned(worker, back)
            assert worker not in {i.call.worker for i in instructions if isinstance(i, Send)}
            self.act(instructions)

    @rule(worker=consumes(workers))
    def kill(self, worker):
        held, ran = self.held.pop(worker, []), self.begun.pop(worker, 0)
        alive = [number for number in held if number not in self.outcome]
        instructions = self.core.remove_worker(worker, WorkerLost("it died"), ran=(ran,))
        lost = [i.call.number for i in instructions if isinstance(i, Fail)]
        tired = [n for n in alive if self.asked[n].returns > MAX_RETURNS]
        assert set(lost) == {ran, *tired} & set(alive), "what it ran is lost, and nothing else"
        self.returned += len(alive) - len(lost)
        self.act(instructions)

    @rule(number=calls)
    def cancel(self, number):
        known, runs = number not in self.outcome, self.runs(number)
        was, instructions = self.core.give_up(number, Cancelled("no"), runs=runs)
        assert was == (("running" if runs else "queued") if known else "unknown")
        self.act(instructions)

    @rule(seconds=st.floats(0.0, 2.0))
    def wait(self, seconds):
        self.now += seconds
        for call in self.core.expire(self.now):
            assert call.deadline <= self.now
            self.act(self.core.late(call, runs=self.runs(call.number)))
        due = self.core.next_deadline()
        assert due is None or due > self.now

    @invariant()
    def accounting_is_exact(self):
        counts = self.core.counts
        ended = counts.done + counts.failed + counts.cancelled + counts.rejected
        assert counts.submitted == ended + self.core.queued + self.core.running
        assert counts.submitted == len(self.asked)
        assert ended == len(self.outcome)

    @invariant()
    def no_command_waits_while_a_worker_is_free(self):
        free = [s for s in self.core.seats.values() if s.accepting and not s.calls]
        assert not (free and self.core.queued)

    @invariant()
    def nothing_waits_behind_a_long_command(self):
        for seat in self.core.seats.values():
            *ahead, last = [*seat.calls.values(), None]
            del last
            expected = [call.expected for call in ahead[:-1]]
            assert sum(expected) < PREFETCH_SECONDS or any(e >= 1.0 for e in expected)
            assert len(seat.calls) <= PREFETCH + 1

    @invariant()
    def the_queue_is_bounded(self):
        # Commands that come back from a dead worker go past the limit, and no others.
        assert self.core.queued <= LIMIT + self.returned


TestScheduler = Machine.TestCase
TestScheduler.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def order_of(core: Scheduler, numbers: int) -> list[int]:
    found = [i.call.number for i in core.add_worker("w")]
    for _ in range(numbers):
        found += [i.call.number for i in core.finished("w", found[-1], 1.0, ok=True)]
    return found


def test_first_in_first_out():
    core = Scheduler("p", 100)
    for number in range(1, 11):
        core.submit(a_call(number))
    assert order_of(core, 10) == list(range(1, 11))


def test_the_more_urgent_first_and_in_order_within():
    core = Scheduler("p", 100)
    for number, priority in enumerate([LATER, NORMAL, URGENT, NORMAL, URGENT, LATER], 1):
        core.submit(a_call(number, priority=priority))
    assert order_of(core, 6) == [3, 5, 2, 4, 1, 6]


def test_short_commands_are_sent_ahead_and_come_back_first_in_line():
    core = Scheduler("p", 100)
    core.add_worker("w1")
    core.submit(a_call(1, tool="short"))
    core.finished("w1", 1, 1e-5, ok=True)
    sent = [i for number in range(2, 12) for i in core.submit(a_call(number, tool="short"))]
    assert [i.call.number for i in sent] == list(range(2, 12))
    lost = core.remove_worker("w1", WorkerLost("it died"), ran=(2,))
    assert [i.call.number for i in lost if isinstance(i, Fail)] == [2]
    assert [i.call.number for i in core.add_worker("w2")] == list(range(3, 12))


def test_commands_that_are_given_back_are_first_in_line_for_another():
    core = Scheduler("p", 100)
    core.add_worker("w1")
    core.submit(a_call(1, tool="short"))
    core.finished("w1", 1, 1e-5, ok=True)
    for number in range(2, 6):
        core.submit(a_call(number, tool="short"))
    assert core.returned("w1", [3, 4, 5]) == [], "not to the worker that gave them back"
    assert core.submit(a_call(6, tool="short")) == []
    assert [i.call.number for i in core.add_worker("w2")] == [3, 4, 5, 6]
    core.finished("w1", 2, 1e-5, ok=True)
    assert core.submit(a_call(7, tool="short"))[0].call.worker == "w1", "it is open again"


def test_nothing_is_sent_behind_a_command_that_may_be_long():
    core = Scheduler("p", 100)
    core.add_worker("w")
    assert core.submit(a_call(1, tool="never seen"))
    assert core.submit(a_call(2, tool="never seen")) == []
    core.finished("w", 1, 1e-5, ok=True)
    assert core.submit(a_call(3, tool="never seen"))
    assert core.submit(a_call(4, tool="another"))
    assert core.submit(a_call(5, tool="never seen")) == []


def test_nothing_is_sent_to_a_worker_that_may_be_killed():
    core = Scheduler("p", 100)
    core.add_worker("w")
    core.submit(a_call(1, tool="short"))
    core.finished("w", 1, 1e-5, ok=True)
    core.submit(a_call(2, tool="short"))
    core.give_up(2, Cancelled("no"), runs=True)
    assert core.submit(a_call(3, tool="short")) == []
    sent = core.finished("w", 2, 1e-5, ok=True)
    assert [i.call.number for i in sent] == [3]


def test_a_deadline_that_has_passed_is_found_once():
    core = Scheduler("p", 10)
    core.submit(a_call(1, deadline=1.0))
    assert core.expire(0.5) == []
    (call,) = core.expire(1.0)
    (failed,) = core.late(call, runs=False)
    assert isinstance(failed, Fail)
    assert isinstance(failed.error, DeadlineExceeded)
    assert core.expire(2.0) == []
    assert core.calls == {}


def test_a_full_queue_counts_what_it_refuses():
    core = Scheduler("p", 1)
    core.submit(a_call(1))
    with pytest.raises(QueueFull, match="1 commands wait"):
        core.check_room()
    core.refused()
    assert (core.counts.submitted, core.counts.rejected) == (2, 1)


def test_a_command_comes_back_only_so_often():
    core = Scheduler("p", 100)
    core.submit(a_call(1))
    for number in range(MAX_RETURNS):
        core.add_worker(f"w{number}")
        assert core.remove_worker(f"w{number}", WorkerLost("it died"), ran=(0,)) == []
    core.add_worker("last")
    (failed,) = core.remove_worker("last", WorkerLost("it died"), ran=(0,))
    assert isinstance(failed, Fail)
    assert core.counts.failed == 1


def test_all_fail_when_it_is_not_known_what_ran():
    core = Scheduler("p", 100)
    core.add_worker("w")
    core.submit(a_call(1, tool="short"))
    core.finished("w", 1, 1e-5, ok=True)
    core.submit(a_call(2, tool="short"))
    core.submit(a_call(3, tool="short"))
    failed = core.remove_worker("w", WorkerLost("it died"), ran=None)
    assert {i.call.number for i in failed} == {2, 3}
    assert core.queued == core.running == 0

"""The scheduler's core: nothing is lost or done twice, whatever the order of events."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from citadel.errors import Cancelled, QueueFull, WorkerLost
from engine.pool.scheduler import Call, Fail, Phase, Recall, Scheduler, Send

LIMIT = 8


class Machine(RuleBasedStateMachine):
    """Random events against a model: where each command is, and how each ended."""

    calls = Bundle("calls")
    workers = Bundle("workers")

    def __init__(self) -> None:
        super().__init__()
        self.core = Scheduler("p", LIMIT)
        self.now = 0.0
        self.number = 0
        self.held: dict[str, list[str]] = {}
        self.started: set[str] = set()
        self.outcome: dict[str, str] = {}

    def act(self, instructions) -> None:
        for instruction in instructions:
            match instruction:
                case Send(call_id, worker):
                    assert call_id not in self.outcome
                    self.held[worker].append(call_id)
                case Fail(call_id, error):
                    assert call_id not in self.outcome, "a caller is told once"
                    self.outcome[call_id] = type(error).__name__
                case Recall(call_id, worker):
                    assert call_id in self.held[worker]

    @rule(target=calls, seconds=st.floats(0.1, 5.0))
    def submit(self, seconds):
        self.number += 1
        call_id = f"c{self.number}"
        full = self.core.queued >= LIMIT
        try:
            self.act(self.core.submit(Call(id=call_id, deadline=self.now + seconds)))
        except QueueFull:
            assert full
            self.outcome[call_id] = "QueueFull"
        else:
            assert not full
        return call_id

    @rule(target=workers)
    def add_worker(self):
        self.number += 1
        worker = f"w{self.number}"
        self.held[worker] = []
        self.act(self.core.add_worker(worker))
        return worker

    @rule(worker=workers)
    def start_next(self, worker):
        for call_id in self.held.get(worker, [])[:1]:
            self.core.started(call_id)
            self.started.add(call_id)

    @rule(worker=workers, ok=st.booleans())
    def finish_first(self, worker, ok):
        held = self.held.get(worker)
        if held:
            call_id = held.pop(0)
            self.core.started(call_id)
            if call_id not in self.outcome:
                self.outcome[call_id] = "done" if ok else "failed"
            self.act(self.core.finished(worker, call_id, 0.0001, ok=ok))

    @rule(worker=consumes(workers))
    def kill(self, worker):
        held = self.held.pop(worker, [])
        instructions = self.core.remove_worker(worker, WorkerLost("it died"))
        lost = {i.call_id for i in instructions if isinstance(i, Fail)}
        assert lost <= set(held) & self.started, "only what had started is lost"
        self.act(instructions)

    @rule(call=calls)
    def cancel(self, call):
        known = call not in self.outcome
        was, instructions = self.core.give_up(call, Cancelled("no"))
        assert (was != "unknown") == known
        self.act(instructions)

    @rule(seconds=st.floats(0.0, 2.0))
    def wait(self, seconds):
        self.now += seconds
        self.act(self.core.expire(self.now))
        due = self.core.next_deadline()
        assert due is None or due > self.now

    @invariant()
    def accounting_is_exact(self):
        counts = self.core.counts
        ended = counts.done + counts.failed + counts.cancelled
        assert counts.submitted == ended + self.core.queued + self.core.running
        told = len(self.outcome) - counts.rejected
        assert ended == told

    @invariant()
    def no_command_waits_while_a_worker_is_free(self):
        free = [s for s in self.core.seats.values() if s.accepting and not s.calls]
        assert not (free and self.core.queued)

    @invariant()
    def the_queue_is_bounded(self):
        # Commands that come back from a dead worker go past the limit, and no others.
        assert self.core.queued <= LIMIT + sum(
            call.phase is Phase.QUEUED for call in self.core.calls.values()
        )


TestScheduler = Machine.TestCase
TestScheduler.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_first_in_first_out():
    core = Scheduler("p", 100)
    for number in range(10):
        core.submit(Call(id=f"c{number}", deadline=100.0))
    core.mean_seconds = 1.0
    order = [i.call_id for i in core.add_worker("w")]
    for number in range(9):
        core.started(f"c{number}")
        order += [i.call_id for i in core.finished("w", f"c{number}", 1.0, ok=True)]
    assert order == [f"c{number}" for number in range(10)]


def test_what_had_not_started_comes_back_first_in_line():
    core = Scheduler("p", 100)
    core.add_worker("w1")
    for number in range(5):
        core.submit(Call(id=f"c{number}", deadline=100.0))
    core.started("c0")
    lost = core.remove_worker("w1", WorkerLost("it died"))
    assert [i.call_id for i in lost if isinstance(i, Fail)] == ["c0"]
    sent = [i.call_id for i in core.add_worker("w2")]
    assert sent[:3] == ["c1", "c2", "c3"]


def test_a_deadline_that_has_passed_is_failed_once():
    core = Scheduler("p", 10)
    core.submit(Call(id="c", deadline=1.0))
    assert core.expire(0.5) == []
    (failed,) = core.expire(1.0)
    assert isinstance(failed, Fail)
    assert core.expire(2.0) == []
    with pytest.raises(KeyError):
        core.calls["c"]

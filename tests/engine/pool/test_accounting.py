"""The whole scheduler, with all that it knows, against a model: each command ends once, exactly."""

import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
)

from citadel.errors import (
    Cancelled,
    QueueFull,
    QuotaExceeded,
    SessionBusy,
    SessionLost,
    Shed,
    WorkerLost,
)
from engine.pool.call import Again, Call, Fail, Farewell, Recall, Send
from engine.pool.options import QueueOptions, SessionOptions
from engine.pool.scheduler import PRIORITIES, Scheduler

LIMIT = 6
SESSIONS = 3
TTL = 5.0
TOOLS = {"short": 1e-5, "long": 0.5}
MISSIONS = ("", "a", "b")


class Machine(RuleBasedStateMachine):
    """Random events; the model knows where each copy of a command is, and how each ended."""

    calls = Bundle("calls")
    workers = Bundle("workers")

    @initialize(
        policy=st.sampled_from(["reject", "wait", "shed_oldest"]),
        mission_limit=st.sampled_from([0, 0, 1, 2]),
        seed=st.integers(0, 1000),
    )
    def begin(self, policy, mission_limit, seed):
        self.now = 0.0
        self.core = Scheduler(
            "p",
            LIMIT,
            queue=QueueOptions(policy=policy, mission_limit=mission_limit, weights={"a": 3.0}),
            sessions=SessionOptions(limit=SESSIONS, ttl_seconds=TTL),
            clock=lambda: self.now,
            rng=random.Random(seed),
        )
        self.policy, self.mission_limit = policy, mission_limit
        self.number = 0
        self.held: dict[str, list[int]] = {}
        self.capacity: dict[str, int] = {}
        self.begun: dict[str, set[int]] = {}
        self.asked: dict[int, Call] = {}
        self.affinity: dict[int, str] = {}
        self.copies: dict[int, int] = {}
        self.outcome: dict[int, str] = {}
        self.delayed: set[int] = set()
        self.returned = 0
        self.resumed = False

    def act(self, instructions) -> None:
        for instruction in instructions:
            match instruction:
                case Farewell():
                    continue
                case Again(call, _):
                    self.delayed.add(call.number)
                case Send(call):
                    owner = self.copies.get(call.number, call.number)
                    assert owner not in self.outcome
                    assert call.worker in self.core.seats
                    assert not self.core.paused, "a paused pool gives nothing"
                    self.held[call.worker].append(call.number)
                case Fail(call, error):
                    assert call.number not in self.outcome, "a caller is told once"
                    self.outcome[call.number] = type(error).__name__
                case Recall(call):
                    assert call.number in self.held[call.worker]

    def runs(self, number: int) -> bool:
        return any(number in begun for begun in self.begun.values())

    def make(self, tool, seconds, priority, mission, *, called=False) -> Call:
        self.number += 1
        return Call(
            number=self.number,
            name=f"c{self.number}",
            tool=tool,
            deadline=self.now + seconds,
            priority=priority,
            flow=mission,
            called=called,
        )

    @rule(
        target=calls,
        seconds=st.floats(0.1, 5.0),
        tool=st.sampled_from(sorted(TOOLS)),
        priority=st.sampled_from(PRIORITIES),
        mission=st.sampled_from(MISSIONS),
        key=st.sampled_from(["", "", "s1", "s2", "s3", "s4"]),
        affinity=st.sampled_from(["hint", "strict_queue", "strict_fail"]),
        called=st.booleans(),
    )
    def submit(self, seconds, tool, priority, mission, key, affinity, called):
        call = self.make(tool, seconds, priority, mission, called=called)
        self.asked[call.number] = call
        session = None
        try:
            if key:
                session = self.core.check_session(key, affinity)
            self.core.check_room(priority, session)
        except (QueueFull, SessionBusy, SessionLost, QuotaExceeded):
            self.core.refused()
            self.outcome[call.number] = "refused"
            return call.number
        if key:
            call.session = self.core.sessions.enter(key, affinity)
            call.strict = affinity != "hint"
        self.act(self.core.submit(call))
        return call.number

    @rule(target=workers, capacity=st.integers(1, 3), node=st.sampled_from(["", "", "n1", "n2"]))
    def add_worker(self, capacity, node):
        self.number += 1
        worker = f"w{self.number}"
        self.held[worker], self.begun[worker] = [], set()
        self.capacity[worker] = capacity
        self.act(self.core.add_worker(worker, capacity, node))
        return worker

    @rule(worker=workers)
    def retire(self, worker):
        self.act(self.core.retire_worker(worker))

    @rule(worker=workers)
    def begin_next(self, worker):
        if len(self.begun.get(worker, ())) < self.capacity[worker]:
            waits = [n for n in self.held.get(worker, []) if n not in self.begun[worker]]
            self.begun[worker].update(waits[:1])

    @rule(worker=workers, ok=st.booleans(), pick=st.integers(0, 2))
    def finish(self, worker, ok, pick):
        if held := self.held.get(worker):
            number = held.pop(min(pick, self.capacity[worker] - 1, len(held) - 1))
            self.begun[worker].discard(number)
            owner = self.copies.get(number, number)
            if owner not in self.outcome:
                self.outcome[owner] = "done" if ok else "failed"
            seconds = TOOLS[self.asked[owner].tool]
            self.act(self.core.finished(worker, number, seconds, ok=ok))
            assert self.core.finished(worker, number, seconds, ok=ok) == [], "once is enough"

    @rule(worker=consumes(workers), retry=st.booleans(), known=st.booleans())
    def kill(self, worker, retry, known):
        held, ran = self.held.pop(worker, []), self.begun.pop(worker, set())
        again = dict.fromkeys(ran, 0.1) if retry else {}
        self.returned += len(held)
        self.act(
            self.core.remove_worker(
                worker, WorkerLost("it died"), ran=tuple(ran) if known else None, again=again
            )
        )

    @rule(number=calls)
    def resume(self, number):
        if number in self.delayed:
            self.delayed.discard(number)
            self.act(self.core.resume(number))

    @rule(number=calls)
    def hedge(self, number):
        call = self.asked[number]
        if number in self.outcome or not self.runs(number) or call.session or call.copy:
            return
        twin = self.make(call.tool, 0.0, call.priority, call.flow, called=call.called)
        self.copies[twin.number] = number
        before = self.core.counts.hedged
        self.act(self.core.hedge(call, twin))
        assert self.core.counts.hedged - before == (twin.worker != "")
        assert twin.worker != call.worker or not twin.worker

    @rule(number=calls)
    def cancel(self, number):
        known = number not in self.outcome
        was, instructions = self.core.give_up(number, Cancelled("no"), runs=self.runs(number))
        assert (was == "unknown") == (not known)
        self.act(instructions)

    @rule(worker=workers, pick=st.integers(0, 2), waits=st.booleans())
    def wait_for_what_it_called(self, worker, pick, waits):
        if begun := sorted(self.begun.get(worker, ())):
            number = begun[min(pick, len(begun) - 1)]
            if waits:
                self.act(self.core.lend(worker, number))
            else:
                self.core.reclaim(worker, number)
                self.resumed = True

    @rule(paused=st.booleans())
    def pause(self, paused):
        if paused:
            self.core.pause()
        else:
            self.act(self.core.proceed())

    @rule(seconds=st.floats(0.0, 3.0))
    def wait(self, seconds):
        self.now += seconds
        for call in self.core.expire(self.now):
            self.act(self.core.late(call, runs=self.runs(call.number)))
        self.act(self.core.sessions.expire()[1])
        due = self.core.sessions.next_expiry()
        assert due is None or due > self.now

    @rule(key=st.sampled_from(["s1", "s2", "s3"]))
    def end_session(self, key):
        if key in self.core.sessions.sessions:
            self.act(self.core.sessions.end(key)[1])

    # ── what always holds ────────────────────────────────────────────────────────────────────

    @invariant()
    def accounting_is_exact(self):
        core, counts = self.core, self.core.counts
        ended = counts.done + counts.failed + counts.cancelled + counts.rejected + counts.shed
        assert counts.submitted == ended + core.queued + core.running
        assert counts.submitted == len(self.asked)
        assert ended == len(self.outcome)
        said = list(self.outcome.values())
        assert counts.done == said.count("done")
        assert counts.shed == said.count(Shed.__name__)
        assert counts.cancelled == said.count(Cancelled.__name__)
        assert sum(core.room.queued_by_priority()) == core.queued

    @invariant()
    def a_command_is_in_one_place(self):
        held = {number for numbers in self.held.values() for number in numbers}
        for number, call in self.core.calls.items():
            placed = number in held or (call.copy is not None and call.copy.number in held)
            assert placed != (call.place is not None)

    @invariant()
    def nobody_waits_while_a_worker_is_free(self):
        core = self.core
        free = [s for s in core.seats.values() if s.accepting and len(s.calls) < s.capacity]
        if not free or core.paused:
            return
        for call in core.calls.values():
            if call.place is None or call.number in self.delayed:
                continue
            session = call.session
            own = session and (
                session.before or (call.strict and (session.placed or session.worker))
            )
            full = self.mission_limit and core.room.bulkhead.full(call)
            outside = core.room.lobby and core.room.waits >= LIMIT
            assert own or full or outside, "it could run"

    @invariant()
    def a_strict_session_is_on_one_worker_and_one_at_a_time(self):
        for session in self.core.sessions.sessions.values():
            strict = [
                (seat.id, call)
                for seat in self.core.seats.values()
                for call in seat.calls.values()
                if call.session is session and call.strict
            ]
            assert len(strict) <= 1
            live = sum(call.session is session for call in self.core.calls.values())
            assert session.live == live

    @invariant()
    def of_sessions_with_one_key_only_one_is_on_workers(self):
        found: dict[str, object] = {}
        for seat in self.core.seats.values():
            for call in seat.calls.values():
                if call.session is not None:
                    assert found.setdefault(call.session.key, call.session) is call.session
        for session in self.core.sessions._parting.values():
            assert session.live or session.placed or session.before

    @invariant()
    def a_free_worker_serves_its_own_queue(self):
        for seat in self.core.seats.values():
            if seat.own is not None and seat.own.size and not self.core.paused:
                assert not self.core._open.is_free(seat) or self.mission_limit

    @invariant()
    def missions_stay_below_their_limit(self):
        if not self.mission_limit:
            return
        held = [call for seat in self.core.seats.values() for call in seat.calls.values()]
        for mission in ("a", "b"):
            own = [call for call in held if call.flow == mission]
            assert sum(not call.called for call in own) <= self.mission_limit
            lent = self.core.room.bulkhead._lent.get(mission, set())
            assert lent <= {call.number for call in own}
            busy = len(own) - len(lent)
            assert busy <= self.mission_limit or self.resumed, "who goes on takes its place again"

    @invariant()
    def the_queue_is_bounded(self):
        assert self.core.room.waits <= LIMIT + self.returned

    @invariant()
    def sessions_are_bounded(self):
        assert len(self.core.sessions.sessions) <= SESSIONS


TestAccounting = Machine.TestCase
TestAccounting.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)

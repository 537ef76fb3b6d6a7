"""Where commands wait and which worker is given which: the lower half of the scheduler's core.

A free worker is given the next command at once. While its commands are known to be short, a worker
is given a few more, so that it never waits for the engine: no more than it runs in
PREFETCH_SECONDS, and never behind a long one.

A session's commands go to its worker: by `hint` while that is open, else to another; strict ones to
it alone, one at a time, waiting in a queue of that worker; the others pass them by.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from citadel.errors import CitadelError, Shed
from engine.pool.call import PRIORITIES, Call, Instruction, Send
from engine.pool.fairqueue import FairQueue, Line
from engine.pool.options import QueueOptions, SessionOptions
from engine.pool.seats import PREFETCH, Openings, Seat
from engine.pool.sessions import Session, SessionTable
from engine.pool.waiting import WaitingRoom

UNKNOWN_SECONDS = 1.0
"""What a tool is expected to take before it has run once, and one that was told to stop."""
_SMOOTHING = 0.1


class Floor:
    """Queues, seats and sessions of one pool."""

    def __init__(
        self,
        pool: str,
        queue_limit: int,
        *,
        queue: QueueOptions | None = None,
        sessions: SessionOptions | None = None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self.pool = pool
        self.seats: dict[str, Seat] = {}
        self.room = WaitingRoom(pool, queue_limit, queue or QueueOptions())
        self.sessions = SessionTable(pool, sessions or SessionOptions(), clock)
        self._queue = self.room.queue
        self._bulkhead = self.room.bulkhead
        self._seconds: dict[str, float] = {}
        self._open = Openings(rng, queue.prefetch if queue else PREFETCH)

    def give_up(
        self, number: int, error: CitadelError, *, runs: bool = False
    ) -> tuple[str, list[Instruction]]:
        """Ends a command before its time: what it was ("queued", "running" or "unknown")."""
        raise NotImplementedError

    def block(self, worker: str) -> None:
        """What the worker runs waits for the engine: nothing is given to it behind that."""
        seat = self.seats.get(worker)
        if seat is not None and seat.calls:
            seconds = UNKNOWN_SECONDS * seat.capacity
            next(iter(seat.calls.values())).expected += seconds
            seat.ahead += seconds
            self._open.file(seat)

    def lend(self, worker: str, number: int) -> list[Instruction]:
        """A command that the worker runs waits for one that it called."""
        self.block(worker)
        seat = self.seats.get(worker)
        call = seat.calls.get(number) if seat else None
        if call is None or self._bulkhead is None:
            return []
        return self._served(self._bulkhead.lend(call)) + self._assign()

    def reclaim(self, worker: str, number: int) -> None:
        """It waits no more."""
        seat = self.seats.get(worker)
        call = seat.calls.get(number) if seat else None
        if call is not None and self._bulkhead is not None:
            self._bulkhead.reclaim(call)

    def _must_wait(self, session: Session | None) -> bool:
        """Whether no worker would take a command now."""
        bound = session is not None and (session.worker or session.before or session.gone)
        return bool(bound or self._bulkhead or self._queue.size or not self._open.slots)

    def _line_up(self, call: Call) -> list[Instruction]:
        """A command that is new, and perhaps need not wait."""
        found: list[Instruction] = []
        if self.room.waits >= self.room.limit and self._must_wait(call.session):
            victim = self.room.victim(call.priority) if self.room.policy == "shed_oldest" else None
            if victim is not None:
                error = Shed(
                    f"command {victim.name} made room for {call.name} in pool {self.pool}",
                    subject=victim.name,
                )
                found += self.give_up(victim.number, error)[1]
            elif self.room.policy == "wait":
                self.room.wait_outside(call)
                return found
        seat = self.seats.get(call.session.worker) if call.session and call.strict else None
        if seat is None:
            self.room.wait(call, self._queue)
            return found + self._assign()
        self.room.wait(call, self._private(seat, call))
        return found + self._serve(seat)

    def _private(self, seat: Seat, call: Call) -> Line | FairQueue:
        """Where a strict command waits for its worker: apart while others of its session run."""
        assert call.session is not None
        if call.session.placed or call.session.leaving:
            return call.session.parked
        if seat.own is None:
            seat.own = self.room.private_queue(seat.id)
        return seat.own

    def _assign(self) -> list[Instruction]:
        """Hands out the queue while a worker is open."""
        found: list[Instruction] = []
        while self._queue.size and self._open.slots:
            call = self._queue.pop()
            if call is None:
                break  # all that wait are of missions that have enough
            if call.session is None:
                self.room.leave(call)
                found.append(self._place(call, self._open.freest()))
            else:
                found += self._put(call, call.session)
        return found

    def _serve(self, seat: Seat) -> list[Instruction]:
        """Gives a worker its own commands, in turn with the pool's, and then everybody theirs."""
        found: list[Instruction] = []
        while seat.own is not None and seat.own.size and self._open.is_free(seat):
            turn = (seat.own, self._queue) if seat.own_turn else (self._queue, seat.own)
            pops = (queue.pop(priority) for priority in PRIORITIES for queue in turn)
            call = next(filter(None, pops), None)
            if call is None:
                break
            if call.session is None:
                self.room.leave(call)
                found.append(self._place(call, seat))
                seat.own_turn = True
            else:
                seat.own_turn = call.session.worker != seat.id
                found += self._put(call, call.session)
        return found + self._assign()

    def _put(self, call: Call, session: Session) -> list[Instruction]:
        """Gives a session's command, which was taken from a queue, where it belongs."""
        if session.before is not None:
            session.parked.push(call)
            return []
        seat = self.seats.get(session.worker)
        if not call.strict and (seat is None or seat.slot < 0):
            seat = self._open.freest()
        if call.strict:
            if seat is None:
                seat = self._open.freest()
                self.sessions.bind(session, seat.id)
            if session.placed or session.leaving or not self._open.is_free(seat):
                self._private(seat, call).push(call)
                return []
        assert seat is not None
        self.room.leave(call)
        farewells = self.sessions.place(session, seat.id)
        return [*farewells, self._place(call, seat)]

    def _turn_out(self, seat: Seat) -> None:
        """A worker's own commands wait for their sessions' next worker."""
        for call in seat.own.empty() if seat.own is not None else ():
            session = call.session
            assert session is not None
            (session.parked if session.leaving else self._queue).push(call)
        seat.own = None

    def _release(self, session: Session) -> list[Instruction]:
        """One of a session's commands has ended: the next strict one that was kept apart may go.

        When it was the last one of an ended session, so may those of a new one with its key.
        """
        for call in self.sessions.over(session):
            self._queue.push(call)
        if session.placed or session.leaving or session.before is not None:
            return []
        call = session.parked.pop()
        if call is None:
            return []
        seat = self.seats.get(session.worker)
        if seat is None:
            self._queue.push(call)
            return []
        self._private(seat, call).push(call)
        return self._serve(seat)

    def _lifted(self, call: Call, worker: str) -> list[Instruction]:
        """A worker has a command no more: who waited for that may go."""
        found: list[Instruction] = []
        if call.session is not None:
            found += self.sessions.lift(call.session, worker)
            found += self._release(call.session)
        if self._bulkhead is not None:
            found += self._served(self._bulkhead.give_back(call))
        return found

    def _served(self, queues: list[FairQueue]) -> list[Instruction]:
        """Some queues may go on: those of single workers do so here."""
        seats = (self.seats.get(queue.worker) for queue in queues)
        return [each for seat in seats if seat is not None for each in self._serve(seat)]

    def _place(self, call: Call, seat: Seat) -> Send:
        call.worker = seat.id
        call.expected = self._seconds.get(call.tool, UNKNOWN_SECONDS)
        seat.calls[call.number] = call
        seat.ahead += call.expected
        self._open.file(seat)
        if self._bulkhead is not None:
            self._bulkhead.take(call)
        return Send(call)

    def _learn(self, tool: str, seconds: float) -> None:
        mean = self._seconds.get(tool)
        self._seconds[tool] = seconds if mean is None else mean + _SMOOTHING * (seconds - mean)

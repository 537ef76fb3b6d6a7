"""Which command runs where: a sans-IO core. Every method is told what happened, returns what to do.

Where commands wait and which worker is given which is in `floor`; here is what becomes of each.
When a worker dies, only the commands that it ran are lost; the others go back to the front.

Accounting always holds, sessions, retries and second copies included: submitted = done + failed +
cancelled + rejected + shed + queued + running.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Mapping

from citadel.errors import Cancelled, CitadelError, DeadlineExceeded, SessionBusy, SessionLost, Shed
from citadel.vocabulary import Affinity
from engine.pool.call import (
    LATER,
    NORMAL,
    PRIORITIES,
    URGENT,
    Again,
    Call,
    Counts,
    Fail,
    Farewell,
    Instruction,
    Recall,
    Send,
)
from engine.pool.deadlines import Deadlines
from engine.pool.fairqueue import Line
from engine.pool.floor import UNKNOWN_SECONDS, Floor
from engine.pool.options import QueueOptions, SessionOptions
from engine.pool.seats import PREFETCH, PREFETCH_SECONDS, Seat
from engine.pool.sessions import Session

__all__ = (
    "LATER",
    "MAX_RETURNS",
    "NORMAL",
    "PREFETCH",
    "PREFETCH_SECONDS",
    "PRIORITIES",
    "URGENT",
    "Again",
    "Call",
    "Counts",
    "Fail",
    "Farewell",
    "Instruction",
    "Recall",
    "Scheduler",
    "Seat",
    "Send",
)

MAX_RETURNS = 3
"""How often a command that had not begun is given to another worker."""


class Scheduler(Floor):
    """The state of one pool's commands and workers."""

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
        super().__init__(pool, queue_limit, queue=queue, sessions=sessions, clock=clock, rng=rng)
        self.counts = Counts()
        self.calls: dict[int, Call] = {}
        self._delayed = Line()
        self._deadlines = Deadlines()

    @property
    def queued(self) -> int:
        """Commands that wait."""
        return self.room.queued

    @property
    def running(self) -> int:
        """Commands that a worker has."""
        return len(self.calls) - self.room.queued

    @property
    def paused(self) -> bool:
        """Whether commands wait although workers are free."""
        return self._open.closed

    # ── commands ─────────────────────────────────────────────────────────────────────────────

    def check_room(self, priority: int = NORMAL, session: Session | None = None) -> None:
        """Refuses a command before anything is made for it; the caller counts it as `refused`.

        Raises:
            QueueFull: as many are waiting as the pool's limit says.
        """
        room = self.room
        if room.waits >= room.limit and self._must_wait(session):
            room.check_room(priority)

    def check_session(self, key: str, affinity: Affinity) -> Session | None:
        """Refuses a command of a session; the session, None when it is new and need not wait.

        Raises:
            QuotaExceeded: there are too many sessions for another.
            SessionLost: `strict_fail`: its worker died.
            SessionBusy: `strict_fail`: its worker is not free.
        """
        session = self.sessions.check(key, affinity)
        if session is not None and affinity == "strict_fail":
            seat = self.seats.get(session.worker)
            if seat is not None and (session.live or not self._open.is_free(seat)):
                raise SessionBusy(f"the worker {seat.id} of session {key} is not free", subject=key)
            if session.live or session.gone or session.before is not None:
                raise SessionBusy(f"commands of session {key} have not ended", subject=key)
        return session

    def refused(self) -> None:
        """A command was not taken: it counts nevertheless."""
        self.counts.submitted += 1
        self.counts.rejected += 1

    def submit(self, call: Call) -> list[Instruction]:
        """Takes a command, for which there was room."""
        self.counts.submitted += 1
        self.calls[call.number] = call
        call.tick = self._deadlines.add(call.number, call.deadline)
        if (
            self._open.slots
            and not self._queue.size
            and call.session is None
            and self._bulkhead is None
        ):
            return [self._place(call, self._open.freest())]
        return self._line_up(call)

    def finished(self, worker: str, number: int, seconds: float, *, ok: bool) -> list[Instruction]:
        """The worker answered; an answer to a command that was given up is only a free place."""
        seat = self.seats.get(worker)
        held = call = seat.calls.pop(number, None) if seat else None
        if seat is None or held is None or call is None:
            return []
        found: list[Instruction] = []
        if call.of is not None or call.copy is not None:
            found, call = self._decided(call)
        if call.number in self.calls:
            self._forget(call)
            self._learn(call.tool, seconds)
            if ok:
                self.counts.done += 1
            else:
                self.counts.failed += 1
        seat.ahead = seat.ahead - held.expected if seat.calls else 0.0
        self._open.file(seat)
        if held.session is not None or self._bulkhead is not None:
            found += self._lifted(held, seat.id)
        if seat.own is not None:
            return found + self._serve(seat)
        return found + self._assign() if self._queue.size else found

    def dropped(self, worker: str, number: int) -> list[Instruction]:
        """The worker did not begin a command that was given up."""
        return self.finished(worker, number, 0.0, ok=False)

    def give_up(
        self, number: int, error: CitadelError, *, runs: bool = False
    ) -> tuple[str, list[Instruction]]:
        """Ends a command before its time: what it was ("queued", "running" or "unknown")."""
        call = self.calls.get(number)
        if call is None:
            return "unknown", []
        found: list[Instruction] = []
        for each in (call, call.copy):
            seat = self.seats.get(each.worker) if each else None
            if each is not None and seat is not None:
                found.append(Recall(each))
                if runs:  # it may take its worker along: nothing more behind it
                    each.expected += UNKNOWN_SECONDS
                    seat.ahead += UNKNOWN_SECONDS
                    self._open.file(seat)
        if isinstance(error, Cancelled):
            self.counts.cancelled += 1
        elif isinstance(error, Shed):
            self.counts.shed += 1
        else:
            self.counts.failed += 1
        self._forget(call)
        found.append(Fail(call, error))
        if call.session is not None:
            found += self._release(call.session)
        return ("running" if runs else "queued"), found + self._assign()

    def expire(self, now: float) -> list[Call]:
        """The commands whose deadline has passed: `late` ends each."""
        return [self.calls[number] for number in self._deadlines.due(now)]

    def late(self, call: Call, *, runs: bool) -> list[Instruction]:
        """Gives up a command whose deadline has passed."""
        where = f"while it ran on worker {call.worker}" if runs else "in the queue"
        error = DeadlineExceeded(
            f"command {call.name} of pool {self.pool} passed its deadline {where}",
            subject=call.name,
        )
        return self.give_up(call.number, error, runs=runs)[1]

    def next_deadline(self) -> float | None:
        """When `expire` is due."""
        return self._deadlines.next()

    def resume(self, number: int) -> list[Instruction]:
        """A command that was to be tried again has waited long enough: it is first in line."""
        call = self.calls.get(number)
        if call is None or call.place is not self._delayed:
            return []
        self._delayed.cancel(call)
        self._queue.push_first(call)
        return self._assign()

    def hedge(self, call: Call, twin: Call) -> list[Instruction]:
        """Runs a second copy of a command on an idle worker, when nobody waits for that."""
        if self._queue.size or not self._open.slots or call.number not in self.calls:
            return []
        if self._bulkhead is not None and self._bulkhead.full(call):
            return []
        seat = self._open.freest()
        if not self._open.is_free(seat) or seat.id == call.worker:
            return []
        call.copy, twin.of = twin, call
        self.counts.hedged += 1
        return [self._place(twin, seat)]

    def fail_all(self, error: CitadelError) -> list[Instruction]:
        """Gives up everything: the pool cannot serve."""
        found: list[Instruction] = []
        for number in list(self.calls):
            found += self.give_up(number, error)[1]
        return found

    # ── workers ──────────────────────────────────────────────────────────────────────────────

    def holds(self, worker: str, number: int) -> Call | None:
        """The command, when the worker has it and has not answered it."""
        seat = self.seats.get(worker)
        return seat.calls.get(number) if seat is not None else None

    def add_worker(self, worker: str, capacity: int = 1, node: str = "") -> list[Instruction]:
        """A worker is ready; it runs so many commands at once, on a node of a cluster or here."""
        seat = self.seats[worker] = Seat(worker, capacity=capacity, node=node)
        self._open.file(seat)
        return self._assign()

    def retire_worker(self, worker: str) -> list[Instruction]:
        """The worker gets no more commands; those that it has go on, its sessions move."""
        seat = self.seats.get(worker)
        if seat is None:
            return []
        seat.accepting = False
        self._open.file(seat)
        self.sessions.retire(worker)
        self._turn_out(seat)
        return self._assign()

    def remove_worker(
        self,
        worker: str,
        error: CitadelError,
        *,
        ran: Collection[int] | None,
        again: Mapping[int, float] | None = None,
    ) -> list[Instruction]:
        """The worker is gone: the commands it ran fail, the others wait again, first in line.

        Those that have come back too often fail too; so do all when it is not known what it ran.
        Of those it ran, the ones in `again` wait until `resume`, so many seconds later.
        """
        seat = self.seats.pop(worker, None)
        found: list[Instruction] = []
        if seat is None:
            return found
        seat.accepting = False
        self._open.file(seat)
        self.sessions.lose(worker, error.message)
        for call in reversed(seat.calls.values()):
            owner, other = self._apart(call)
            began = ran is None or call.number in ran
            if owner.number in self.calls and not other:
                wait = again.get(call.number) if again and began else None
                found += self._bereaved(owner, error, began=began, wait=wait)
            if call.session is not None or self._bulkhead is not None:
                found += self._lifted(call, worker)
        self._turn_out(seat)
        return found + self._assign()

    def returned(self, worker: str, numbers: Collection[int]) -> list[Instruction]:
        """The worker gives back commands that it has not begun: what it runs waits for the engine.

        They are first in line again.
        """
        seat = self.seats.get(worker)
        found: list[Instruction] = []
        for number in reversed([*numbers]):
            call = seat.calls.pop(number, None) if seat else None
            if seat is None or call is None:
                continue
            seat.ahead -= call.expected
            owner, other = self._apart(call)
            if owner.number in self.calls and not other:
                owner.worker, owner.expected = "", 0.0
                self.room.wait(owner, self._queue, first=True)
            if call.session is not None or self._bulkhead is not None:
                found += self._lifted(call, worker)
        self.block(worker)
        return found + self._assign()

    def pause(self) -> None:
        """Commands wait; those that workers have go on."""
        self._open.closed = True
        for seat in self.seats.values():
            self._open.file(seat)

    def proceed(self) -> list[Instruction]:
        """After a pause."""
        self._open.closed = False
        found: list[Instruction] = []
        for seat in self.seats.values():
            self._open.file(seat)
        for seat in self.seats.values():
            found += self._serve(seat)
        return found

    # ── inside ───────────────────────────────────────────────────────────────────────────────

    def _forget(self, call: Call) -> None:
        del self.calls[call.number]
        self._deadlines.discard(call.number, call.tick)
        if call.place is not None:
            self.room.leave(call)
        if call.session is not None:
            self.sessions.leave(call.session)

    def _decided(self, answered: Call) -> tuple[list[Instruction], Call]:
        """One of a command's two copies has answered: the command, and the other is recalled."""
        owner = answered.of or answered
        other = owner.copy if answered is owner else owner
        owner.copy = None
        seat = self.seats.get(other.worker) if other else None
        if owner.number in self.calls and other and seat and other.number in seat.calls:
            return [Recall(other, patient=True)], owner
        return [], owner

    def _apart(self, call: Call) -> tuple[Call, bool]:
        """The worker of one of two copies is gone: the command, and whether the other lives."""
        owner = call.of or call
        other = owner if call.of else call.copy
        alive = other is not None and self.holds(other.worker, other.number) is other
        if call is owner and alive:
            owner.worker = ""
        else:
            owner.copy = None
        return owner, alive

    def _bereaved(
        self, call: Call, error: CitadelError, *, began: bool, wait: float | None
    ) -> list[Instruction]:
        """A command's worker is gone: it waits again, is tried again later, or has failed."""
        if wait is not None:
            call.attempts += 1
            self.counts.retried += 1
            call.worker, call.expected = "", 0.0
            self.room.wait(call, self._delayed)
            return [Again(call, wait)]
        if call.session is not None and call.session.lost and not began:
            error = SessionLost(
                f"session {call.session.key} of pool {self.pool} is lost: {error.message}",
                subject=call.session.key,
            )
            began = True
        call.returns += 1
        if began or call.returns > MAX_RETURNS:
            self._forget(call)
            self.counts.failed += 1
            return [Fail(call, error)]
        call.worker, call.expected = "", 0.0
        self.room.wait(call, self._queue, first=True)
        return []

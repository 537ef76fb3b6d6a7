"""Which command runs where: a sans-IO core. Every method takes the time and returns instructions.

Commands wait in one bounded queue, first in, first out. A ready worker is given the oldest; when
the pool's commands are short, up to PREFETCH more, so that it never waits for the engine. A worker
says when it starts a command. When it dies, only the started one is lost; the others go back to the
front.

Accounting always holds: submitted = done + failed + cancelled + waiting + running.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum, auto

from citadel.errors import Cancelled, CitadelError, DeadlineExceeded, QueueFull

PREFETCH = 2
"""Commands that may wait in a worker beside the running one, when commands are short."""
SHORT_SECONDS = 0.001
"""The running mean below which commands are short."""
_SMOOTHING = 0.1


class Phase(Enum):
    """Where a command is."""

    QUEUED = auto()
    SENT = auto()
    STARTED = auto()


@dataclass(slots=True, kw_only=True)
class Call:
    """A command inside the scheduler."""

    id: str
    deadline: float
    phase: Phase = Phase.QUEUED
    worker: str = ""


@dataclass(slots=True)
class Seat:
    """A worker, as the scheduler sees it."""

    id: str
    accepting: bool = True
    calls: OrderedDict[str, Call] = field(default_factory=OrderedDict[str, Call])


@dataclass(frozen=True, slots=True)
class Send:
    """Give the command to the worker."""

    call_id: str
    worker: str


@dataclass(frozen=True, slots=True)
class Recall:
    """Tell the worker to drop or to stop the command; kill it after the grace if it did not."""

    call_id: str
    worker: str


@dataclass(frozen=True, slots=True)
class Fail:
    """Tell the caller."""

    call_id: str
    error: CitadelError


Instruction = Send | Recall | Fail


@dataclass(slots=True)
class Counts:
    """Commands by how they ended."""

    submitted: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    rejected: int = 0


class Scheduler:
    """The state of one pool's queue and workers."""

    def __init__(self, pool: str, queue_limit: int) -> None:
        self.pool = pool
        self.queue_limit = queue_limit
        self.counts = Counts()
        self.mean_seconds = 0.0
        self.calls: dict[str, Call] = {}
        self.seats: dict[str, Seat] = {}
        self._queue: OrderedDict[str, Call] = OrderedDict()
        self._deadlines: list[tuple[float, str]] = []

    @property
    def queued(self) -> int:
        """Commands that no worker has."""
        return len(self._queue)

    @property
    def running(self) -> int:
        """Commands that a worker has."""
        return len(self.calls) - len(self._queue)

    def submit(self, call: Call) -> list[Instruction]:
        """Takes a command.

        Raises:
            QueueFull: as many are waiting as the pool's limit says.
        """
        if len(self._queue) >= self.queue_limit:
            self.counts.rejected += 1
            raise QueueFull(
                f"the queue of pool {self.pool} is full: {self.queue_limit} commands wait",
                subject=self.pool,
            )
        self.counts.submitted += 1
        self.calls[call.id] = self._queue[call.id] = call
        heapq.heappush(self._deadlines, (call.deadline, call.id))
        return self._assign()

    def add_worker(self, worker: str) -> list[Instruction]:
        """A worker is ready."""
        self.seats[worker] = Seat(worker)
        return self._assign()

    def retire_worker(self, worker: str) -> None:
        """The worker gets no more commands; those that it has go on."""
        if seat := self.seats.get(worker):
            seat.accepting = False

    def remove_worker(self, worker: str, error: CitadelError) -> list[Instruction]:
        """The worker is gone: the started command fails, the others wait again, first in line."""
        seat = self.seats.pop(worker, None)
        found: list[Instruction] = []
        if seat is None:
            return found
        for call in reversed(seat.calls.values()):
            if call.id not in self.calls:
                continue
            if call.phase is Phase.STARTED:
                self._forget(call)
                self.counts.failed += 1
                found.append(Fail(call.id, error))
            else:
                call.phase, call.worker = Phase.QUEUED, ""
                self._queue[call.id] = call
                self._queue.move_to_end(call.id, last=False)
        return found + self._assign()

    def started(self, call_id: str) -> None:
        """The worker runs it now."""
        if call := self.calls.get(call_id):
            call.phase = Phase.STARTED

    def finished(self, worker: str, call_id: str, seconds: float, *, ok: bool) -> list[Instruction]:
        """The worker answered; an answer to a command that was given up is only a free place."""
        seat = self.seats.get(worker)
        if seat is not None:
            seat.calls.pop(call_id, None)
        call = self.calls.get(call_id)
        if call is not None and call.worker == worker:
            self._forget(call)
            self.mean_seconds += _SMOOTHING * (seconds - self.mean_seconds)
            if ok:
                self.counts.done += 1
            else:
                self.counts.failed += 1
        return self._assign()

    def give_up(self, call_id: str, error: CitadelError) -> tuple[str, list[Instruction]]:
        """Ends a command before its time: what it was ("queued", "running" or "unknown")."""
        call = self.calls.get(call_id)
        if call is None:
            return "unknown", []
        was = "running" if call.phase is Phase.STARTED else "queued"
        found: list[Instruction] = []
        if call.worker:
            found.append(Recall(call_id, call.worker))
        if isinstance(error, Cancelled):
            self.counts.cancelled += 1
        else:
            self.counts.failed += 1
        self._forget(call)
        found.append(Fail(call_id, error))
        return was, found + self._assign()

    def expire(self, now: float) -> list[Instruction]:
        """Gives up the commands whose deadline has passed."""
        found: list[Instruction] = []
        while self._deadlines and self._deadlines[0][0] <= now:
            _, call_id = heapq.heappop(self._deadlines)
            call = self.calls.get(call_id)
            if call is not None and call.deadline <= now:
                where = "while it ran" if call.phase is Phase.STARTED else "in the queue"
                error = DeadlineExceeded(
                    f"command {call_id} passed its deadline {where} of pool {self.pool}",
                    subject=call_id,
                )
                found += self.give_up(call_id, error)[1]
        return found

    def next_deadline(self) -> float | None:
        """When `expire` is due."""
        while self._deadlines and self._deadlines[0][1] not in self.calls:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    def fail_all(self, error: CitadelError) -> list[Instruction]:
        """Gives up everything: the pool cannot serve."""
        found: list[Instruction] = []
        for call_id in list(self.calls):
            found += self.give_up(call_id, error)[1]
        return found

    def _forget(self, call: Call) -> None:
        del self.calls[call.id]
        self._queue.pop(call.id, None)

    def _assign(self) -> list[Instruction]:
        """Hands out the queue: a free worker first, then the one with the fewest waiting."""
        found: list[Instruction] = []
        if not self._queue:
            return found
        depth = 1 + (PREFETCH if self.mean_seconds < SHORT_SECONDS else 0)
        while self._queue:
            seat = min(
                (
                    seat
                    for seat in self.seats.values()
                    if seat.accepting and len(seat.calls) < depth
                ),
                key=lambda seat: len(seat.calls),
                default=None,
            )
            if seat is None:
                break
            _, call = self._queue.popitem(last=False)
            call.phase, call.worker = Phase.SENT, seat.id
            seat.calls[call.id] = call
            found.append(Send(call.id, seat.id))
        return found

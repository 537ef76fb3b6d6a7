"""Which command runs where: a sans-IO core. Every method is told what happened, returns what to do.

Commands wait in one bounded queue: the more urgent class first, within a class first in, first out.
A free worker is given the next one at once. While its commands are known to be short, a worker is
given a few more, so that it never waits for the engine: no more than it runs in PREFETCH_SECONDS,
and never behind a long one. When a worker dies, only the commands that it ran are lost; the others
go back to the front.

Accounting always holds: submitted = done + failed + cancelled + rejected + queued + running.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple

from citadel.errors import Cancelled, CitadelError, DeadlineExceeded, QueueFull
from engine.pool.deadlines import Deadlines

PREFETCH = 32
"""Commands that may wait in a worker behind the running one."""
PREFETCH_SECONDS = 0.001
"""How long those commands may be expected to take together; a longer command is not short."""
MAX_RETURNS = 3
"""How often a command that had not begun is given to another worker."""
URGENT, NORMAL, LATER = PRIORITIES = (0, 1, 2)
_UNKNOWN_SECONDS = 1.0
"""What a tool is expected to take before it has run once, and one that was told to stop."""
_SMOOTHING = 0.1


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """A command inside the scheduler."""

    number: int
    """Never used again, whatever id its caller chose."""
    name: str
    tool: str
    deadline: float
    priority: int = NORMAL
    worker: str = ""
    expected: float = 0.0
    tick: int = 0
    returns: int = 0
    """How often it came back from a worker that died."""


@dataclass(slots=True, eq=False)
class Seat:
    """A worker, as the scheduler sees it."""

    id: str
    capacity: int = 1
    """Commands that it runs at once."""
    node: str = ""
    accepting: bool = True
    calls: OrderedDict[int, Call] = field(default_factory=OrderedDict[int, Call])
    ahead: float = 0.0
    """Seconds that its calls are expected to take, one after another."""
    slot: int = -1
    """Under which number of calls it is filed as open, -1 when it is not."""


class Send(NamedTuple):
    """Give the command to the worker."""

    call: Call


class Recall(NamedTuple):
    """Tell the worker to drop or to stop the command; kill it after the grace if it did not."""

    call: Call


class Fail(NamedTuple):
    """Tell the caller."""

    call: Call
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
        self.calls: dict[int, Call] = {}
        self.seats: dict[str, Seat] = {}
        self.queued = 0
        self._queues = tuple(OrderedDict[int, Call]() for _ in PRIORITIES)
        self._deadlines = Deadlines()
        self._seconds: dict[str, float] = {}
        self._open: tuple[dict[str, Seat], ...] = tuple({} for _ in range(PREFETCH + 1))
        self._open_slots = 0

    @property
    def running(self) -> int:
        """Commands that a worker has."""
        return len(self.calls) - self.queued

    # ── commands ─────────────────────────────────────────────────────────────────────────────

    def check_room(self) -> None:
        """Refuses a command before anything is made for it.

        Raises:
            QueueFull: as many are waiting as the pool's limit says.
        """
        if self.queued >= self.queue_limit:
            self.counts.submitted += 1
            self.counts.rejected += 1
            raise QueueFull(
                f"the queue of pool {self.pool} is full: {self.queue_limit} commands wait",
                subject=self.pool,
            )

    def submit(self, call: Call) -> list[Instruction]:
        """Takes a command, for which there was room."""
        self.counts.submitted += 1
        self.calls[call.number] = call
        call.tick = self._deadlines.add(call.number, call.deadline)
        if self._open_slots and not self.queued:
            return [self._place(call, self._freest())]
        self._queues[call.priority][call.number] = call
        self.queued += 1
        return self._assign()

    def finished(self, worker: str, number: int, seconds: float, *, ok: bool) -> list[Instruction]:
        """The worker answered; an answer to a command that was given up is only a free place."""
        seat = self.seats.get(worker)
        call = seat.calls.pop(number, None) if seat else None
        if seat is None or call is None:
            return []
        if number in self.calls:
            self._forget(call)
            self._learn(call.tool, seconds)
            if ok:
                self.counts.done += 1
            else:
                self.counts.failed += 1
        seat.ahead = seat.ahead - call.expected if seat.calls else 0.0
        self._file(seat)
        return self._assign() if self.queued else []

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
        if seat := self.seats.get(call.worker):
            found.append(Recall(call))
            if runs:  # it may take its worker along: nothing more behind it
                call.expected += _UNKNOWN_SECONDS
                seat.ahead += _UNKNOWN_SECONDS
                self._file(seat)
        if isinstance(error, Cancelled):
            self.counts.cancelled += 1
        else:
            self.counts.failed += 1
        self._forget(call)
        found.append(Fail(call, error))
        return ("running" if runs else "queued"), found

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

    def fail_all(self, error: CitadelError) -> list[Instruction]:
        """Gives up everything: the pool cannot serve."""
        found: list[Instruction] = []
        for number in list(self.calls):
            found += self.give_up(number, error)[1]
        return found

    # ── workers ──────────────────────────────────────────────────────────────────────────────

    def holds(self, worker: str, number: int) -> bool:
        """Whether the worker has this command and has not answered it."""
        seat = self.seats.get(worker)
        return seat is not None and number in seat.calls

    def add_worker(self, worker: str, capacity: int = 1, node: str = "") -> list[Instruction]:
        """A worker is ready; it runs so many commands at once, on a node of a cluster or here."""
        seat = self.seats[worker] = Seat(worker, capacity=capacity, node=node)
        self._file(seat)
        return self._assign()

    def retire_worker(self, worker: str) -> None:
        """The worker gets no more commands; those that it has go on."""
        if seat := self.seats.get(worker):
            seat.accepting = False
            self._file(seat)

    def remove_worker(
        self, worker: str, error: CitadelError, *, ran: Collection[int] | None
    ) -> list[Instruction]:
        """The worker is gone: the commands it ran fail, the others wait again, first in line.

        Those that have come back too often fail too; so do all when it is not known what it ran.
        """
        seat = self.seats.pop(worker, None)
        found: list[Instruction] = []
        if seat is None:
            return found
        seat.accepting = False
        self._file(seat)
        for call in reversed(seat.calls.values()):
            if call.number not in self.calls:
                continue
            call.returns += 1
            if ran is None or call.number in ran or call.returns > MAX_RETURNS:
                self._forget(call)
                self.counts.failed += 1
                found.append(Fail(call, error))
            else:
                call.worker, call.expected, queue = "", 0.0, self._queues[call.priority]
                queue[call.number] = call
                queue.move_to_end(call.number, last=False)
                self.queued += 1
        return found + self._assign()

    # ── inside ───────────────────────────────────────────────────────────────────────────────

    def _forget(self, call: Call) -> None:
        del self.calls[call.number]
        self._deadlines.discard(call.number, call.tick)
        if not call.worker and self._queues[call.priority].pop(call.number, None):
            self.queued -= 1

    def _learn(self, tool: str, seconds: float) -> None:
        mean = self._seconds.get(tool)
        self._seconds[tool] = seconds if mean is None else mean + _SMOOTHING * (seconds - mean)

    def _file(self, seat: Seat) -> None:
        """Files a seat as open under the number of its calls, or as closed."""
        held = len(seat.calls)
        short = held <= PREFETCH and seat.ahead < PREFETCH_SECONDS * seat.capacity
        open_ = seat.accepting and (held < seat.capacity or short)
        slot = min(held, PREFETCH) if open_ else -1
        if slot != seat.slot:
            if seat.slot >= 0:
                del self._open[seat.slot][seat.id]
                if not self._open[seat.slot]:
                    self._open_slots ^= 1 << seat.slot
            if slot >= 0:
                self._open[slot][seat.id] = seat
                self._open_slots |= 1 << slot
            seat.slot = slot

    def _assign(self) -> list[Instruction]:
        """Hands out the queue while a worker is open."""
        found: list[Instruction] = []
        for queue in self._queues:
            while queue and self._open_slots:
                _, call = queue.popitem(last=False)
                self.queued -= 1
                found.append(self._place(call, self._freest()))
        return found

    def _place(self, call: Call, seat: Seat) -> Send:
        call.worker = seat.id
        call.expected = self._seconds.get(call.tool, _UNKNOWN_SECONDS)
        seat.calls[call.number] = call
        seat.ahead += call.expected
        self._file(seat)
        return Send(call)

    def _freest(self) -> Seat:
        """The open worker with the fewest commands, of these the one that has been so longest."""
        lowest = (self._open_slots & -self._open_slots).bit_length() - 1
        return next(iter(self._open[lowest].values()))

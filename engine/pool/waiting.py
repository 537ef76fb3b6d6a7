"""The commands that wait in one pool, wherever they do, and what happens to more: a sans-IO core.

The limit holds for all of them together. Past it the policy says: `reject` the new one, `wait` (it
waits for room, in a lobby of at most MAX_WAITERS, until its deadline), or `shed_oldest` (the oldest
of the least urgent goes, never a more urgent one than the new one). Those that come back from a
lost worker are let in past the limit.
"""

from __future__ import annotations

from collections import OrderedDict

from citadel.errors import QueueFull
from engine.pool.call import PRIORITIES, Call
from engine.pool.fairqueue import Bulkhead, FairQueue, Line
from engine.pool.options import QueueOptions

MAX_WAITERS = 65_536
"""Commands that may wait for room in a full queue whose policy is `wait`."""


class WaitingRoom:
    """Who waits: for any worker in `queue`, elsewhere for one worker, for a retry, for room."""

    def __init__(self, pool: str, limit: int, options: QueueOptions) -> None:
        self.limit = limit
        self.policy = options.policy
        self.waits = 0
        """Commands that wait, without those in the lobby."""
        self.bulkhead = Bulkhead(options.mission_limit) if options.mission_limit else None
        self.queue = FairQueue(options.weights, self.bulkhead)
        self.lobby = 0
        self._weights = options.weights
        self._pool = pool
        self._by_age = tuple(OrderedDict[int, Call]() for _ in PRIORITIES)
        self._lobby = tuple(Line() for _ in PRIORITIES)

    @property
    def queued(self) -> int:
        """All that wait."""
        return self.waits + self.lobby

    def queued_by_priority(self) -> tuple[int, ...]:
        """All that wait, the urgent first."""
        return tuple(
            len(waits) + len(lobby) for waits, lobby in zip(self._by_age, self._lobby, strict=True)
        )

    def oldest(self) -> Call | None:
        """Who came first of all that wait."""
        firsts = (next(iter(waits.values())) for waits in self._by_age if waits)
        return min(firsts, key=lambda call: call.number, default=None)

    def private_queue(self, worker: str) -> FairQueue:
        """A queue for one worker's own commands."""
        return FairQueue(self._weights, self.bulkhead, worker)

    def check_room(self, priority: int) -> None:
        """Refuses a command that would have to wait.

        Raises:
            QueueFull: as many wait as the limit says, and the policy has no place for another.
        """
        if self.waits < self.limit:
            return
        if self.policy == "wait" and self.lobby < MAX_WAITERS:
            return
        if self.policy == "shed_oldest" and self.victim(priority) is not None:
            return
        raise QueueFull(
            f"the queue of pool {self._pool} is full: {self.queued} commands wait",
            subject=self._pool,
        )

    def victim(self, priority: int) -> Call | None:
        """Who makes room for a command of this priority: the oldest of the least urgent."""
        for waits in reversed(self._by_age[priority:]):
            if waits:
                return next(iter(waits.values()))
        return None

    def wait(self, call: Call, place: FairQueue | Line, *, first: bool = False) -> None:
        """It waits there from now on."""
        if first and isinstance(place, FairQueue):
            place.push_first(call)
        else:
            place.push(call)
        self._by_age[call.priority][call.number] = call
        self.waits += 1

    def wait_outside(self, call: Call) -> None:
        """It waits for room."""
        self._lobby[call.priority].push(call)
        self.lobby += 1

    def leave(self, call: Call) -> None:
        """It waits no more: whoever waits for room has some.

        Its place has let it go already, or does so now.
        """
        if call.place is not None:
            call.place.cancel(call)
        if self._by_age[call.priority].pop(call.number, None) is None:
            self.lobby -= 1
            return
        self.waits -= 1
        while self.lobby and self.waits < self.limit:
            waiter = next(filter(None, (line.pop() for line in self._lobby if line)))
            self.lobby -= 1
            self.wait(waiter, self.queue)

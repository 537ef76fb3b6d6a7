"""Workers as the scheduler sees them, and which one is the least loaded: a sans-IO core.

On one machine the engine knows exactly what each worker has, so the least loaded is found in O(1),
which no guess can better. On several nodes what is known of a node is old by the time it is used,
and then everybody who takes the best takes the same one: of two nodes chosen at random the better
is taken instead (power of two choices).
"""

from __future__ import annotations

import random
from collections import OrderedDict
from dataclasses import dataclass, field

from engine.pool.call import Call
from engine.pool.fairqueue import FairQueue

PREFETCH = 32
"""Commands that may wait in a worker behind the running ones."""
PREFETCH_SECONDS = 0.001
"""How long those commands may be expected to take together; a longer command is not short."""


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
    own: FairQueue | None = None
    """Commands that only this worker may run."""
    own_turn: bool = True
    """Whether its own commands go before the pool's, next time that both wait."""


class Openings:
    """The open seats, by the number of their calls."""

    def __init__(self, rng: random.Random | None = None, prefetch: int = PREFETCH) -> None:
        self.prefetch = prefetch
        """Short commands that may wait in a worker, up to PREFETCH; 0: none ever does."""
        self.slots = 0
        """Bit n: there is an open seat with n calls. 0: there is none."""
        self.closed = False
        """Whether the pool is paused: then no seat is open."""
        self._rng = rng or random.Random()  # noqa: S311 - a choice of nodes is no secret
        self._all = _Table()
        self._nodes: dict[str, _Table] = {}

    def file(self, seat: Seat) -> None:
        """Files a seat as open under the number of its calls, or as closed."""
        held = len(seat.calls)
        room = held < seat.capacity + self.prefetch
        short = room and seat.ahead < PREFETCH_SECONDS * seat.capacity
        open_ = seat.accepting and not self.closed and (held < seat.capacity or short)
        slot = min(held, PREFETCH) if open_ else -1
        if slot != seat.slot:
            self.slots = self._all.move(seat, slot)
            if seat.node:
                table = self._nodes.setdefault(seat.node, _Table())
                if not table.move(seat, slot):
                    del self._nodes[seat.node]
            seat.slot = slot

    def freest(self) -> Seat:
        """The open seat with the fewest calls, of these the one that has been so longest."""
        if len(self._nodes) > 1:
            one, other = self._rng.sample(sorted(self._nodes), 2)
            tables = self._nodes[one], self._nodes[other]
            return min(tables, key=lambda table: table.slots & -table.slots).freest()
        return self._all.freest()

    def is_free(self, seat: Seat) -> bool:
        """Whether it would begin a command at once."""
        return seat.accepting and not self.closed and len(seat.calls) < seat.capacity


class _Table:
    """Seats by the number of their calls."""

    __slots__ = ("_seats", "slots")

    def __init__(self) -> None:
        self._seats: tuple[dict[str, Seat], ...] = tuple({} for _ in range(PREFETCH + 1))
        self.slots = 0

    def move(self, seat: Seat, slot: int) -> int:
        """From its slot to another; the slots that have seats."""
        if seat.slot >= 0:
            del self._seats[seat.slot][seat.id]
            if not self._seats[seat.slot]:
                self.slots ^= 1 << seat.slot
        if slot >= 0:
            self._seats[slot][seat.id] = seat
            self.slots |= 1 << slot
        return self.slots

    def freest(self) -> Seat:
        lowest = (self.slots & -self.slots).bit_length() - 1
        return next(iter(self._seats[lowest].values()))

"""Who is next in line: a sans-IO core.

The more urgent priority goes first. Within one, missions share by weight (start-time fair
queueing: each mission's next command has a start tag in virtual time, the lowest goes, and the
mission's tag moves on by 1/weight). Within a mission the earliest deadline goes first, on ties
first in first out.
So of two missions with waiting commands, neither is ever ahead by more than one command of each.

A command is taken out in O(1): it stays as a dead entry until it is met, or until more than
SPARE_ENTRIES and half of all entries are dead. What comes back from a lost worker goes first.
"""

from __future__ import annotations

import heapq
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from itertools import count

from engine.pool.call import PRIORITIES, Call

SPARE_ENTRIES = 256
"""Dead entries that a priority may hold beside as many as are alive."""
IDLE_FLOWS = 1_024
"""Missions without waiting commands whose tags are remembered; more are forgotten together."""


class Line:
    """First in, first out; any command is taken out in O(1)."""

    __slots__ = ("calls",)

    def __init__(self) -> None:
        self.calls: OrderedDict[int, Call] = OrderedDict()

    def __len__(self) -> int:
        return len(self.calls)

    def push(self, call: Call) -> None:
        """Waits as the last."""
        call.place = self
        self.calls[call.number] = call

    def pop(self) -> Call | None:
        """The first; None: nobody waits."""
        if not self.calls:
            return None
        _, call = self.calls.popitem(last=False)
        call.place = None
        return call

    def cancel(self, call: Call) -> None:
        """Waits no more."""
        del self.calls[call.number]
        call.place = None


class Bulkhead:
    """How many commands of each mission workers have; the queues that wait for one to end.

    A command that waits for others which it called lends its place to called ones of its mission:
    if those were held up by who waits for them, all would wait until their deadlines. So a called
    one is held up only by commands that do something, and those end.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held: dict[str, int] = {}
        self._lent: dict[str, set[int]] = {}
        """Of those held, the numbers of the ones that wait for what they called."""
        self._waiting: dict[str, dict[FairQueue, None]] = {}

    def full(self, call: Call) -> bool:
        """Whether its mission has all that it may have; commands of none are not counted."""
        held = self._held.get(call.flow, 0)
        return held - (len(self._lent.get(call.flow, ())) if call.called else 0) >= self.limit

    def take(self, call: Call) -> None:
        """A worker was given it."""
        if call.flow:
            self._held[call.flow] = self._held.get(call.flow, 0) + 1

    def give_back(self, call: Call) -> list[FairQueue]:
        """It has ended: the queues in which its mission has waited for that."""
        if not call.flow:
            return []
        self.reclaim(call)
        left = self._held[call.flow] - 1
        if left:
            self._held[call.flow] = left
        else:
            del self._held[call.flow]
        return self._freed(call.flow)

    def lend(self, call: Call) -> list[FairQueue]:
        """It waits for what it called: the queues in which its mission has waited for a place."""
        if not call.flow:
            return []
        self._lent.setdefault(call.flow, set()).add(call.number)
        return self._freed(call.flow)

    def reclaim(self, call: Call) -> None:
        """It goes on, even if somebody has its place by now."""
        lent = self._lent.get(call.flow)
        if lent is not None:
            lent.discard(call.number)
            if not lent:
                del self._lent[call.flow]

    def _freed(self, mission: str) -> list[FairQueue]:
        found = list(self._waiting.pop(mission, ()))
        for queue in found:
            queue.unblock(mission)
        return found

    def block(self, mission: str, queue: FairQueue) -> None:
        """The queue hears when the mission has room again."""
        self._waiting.setdefault(mission, {})[queue] = None


class FairQueue:
    """Commands that wait for any worker, or for one."""

    def __init__(
        self,
        weights: Mapping[str, float] | None = None,
        bulkhead: Bulkhead | None = None,
        worker: str = "",
    ) -> None:
        self.size = 0
        self.worker = worker
        """The only one that may run them; empty: any."""
        self._bulkhead = bulkhead
        self._lanes = tuple(_Lane(weights or {}, self) for _ in PRIORITIES)

    def __len__(self) -> int:
        return self.size

    def push(self, call: Call) -> None:
        """Waits by its priority, its mission and its deadline."""
        self.size += 1
        call.place = self
        self._lanes[call.priority].push(call)

    def push_first(self, call: Call) -> None:
        """Waits before all others of its priority: it had been given to a worker before."""
        self.size += 1
        call.place = self
        front = self._lanes[call.priority].front
        front[call.number] = call
        front.move_to_end(call.number, last=False)

    def cancel(self, call: Call) -> None:
        """Waits no more. O(1)."""
        self.size -= 1
        call.place = None
        self._lanes[call.priority].cancel(call)

    def pop(self, priority: int | None = None) -> Call | None:
        """The next command (of one priority); None: there is none that may go now."""
        if not self.size:
            return None
        for lane in self._lanes if priority is None else (self._lanes[priority],):
            call = lane.pop()
            if call is not None:
                self.size -= 1
                call.place = None
                return call
        return None

    def full(self, call: Call) -> bool:
        """Whether it must wait for one of its mission's commands to end; the queue hears then."""
        if self._bulkhead is None or not self._bulkhead.full(call):
            return False
        self._bulkhead.block(call.flow, self)
        return True

    def unblock(self, mission: str) -> None:
        """The mission may have a command more."""
        for lane in self._lanes:
            lane.unblock(mission)

    def empty(self) -> list[Call]:
        """Takes out all, those too whose missions have enough."""
        found: list[Call] = []
        for lane in self._lanes:
            found += lane.empty()
        for call in found:
            call.place = None
        self.size = 0
        return found


_Entry = tuple[float, int, Call]
"""When it is due, its number, and itself."""


class _Flow:
    """The waiting commands of one mission, and its place in virtual time."""

    __slots__ = ("active", "blocked", "called", "cost", "finish", "heap", "live")

    def __init__(self, weight: float) -> None:
        self.cost = 1.0 / weight
        self.heap: list[_Entry] = []
        self.called: list[_Entry] = []
        """Those that were called by running ones: they may go when the others may not."""
        self.live = 0
        self.finish = 0.0
        self.active = self.blocked = False

    def pop(self, full: Callable[[Call], bool]) -> Call | None:
        """The next command that may go; dead entries before it are forgotten."""
        found: list[_Entry] | None = None
        for heap in (self.heap, self.called):
            while heap and heap[0][2].place is None:
                heapq.heappop(heap)
            if heap and not full(heap[0][2]) and (not found or heap[0] < found[0]):
                found = heap
        return heapq.heappop(found)[2] if found else None


class _Lane:
    """One priority."""

    __slots__ = (
        "_active",
        "_flows",
        "_queue",
        "_turns",
        "_virtual",
        "_weights",
        "dead",
        "front",
        "live",
    )

    def __init__(self, weights: Mapping[str, float], queue: FairQueue) -> None:
        self.front: OrderedDict[int, Call] = OrderedDict()
        self.live = self.dead = 0
        self._weights = weights
        self._queue = queue
        self._flows: dict[str, _Flow] = {}
        self._active: list[tuple[float, int, _Flow]] = []
        self._turns = count()
        self._virtual = 0.0

    def push(self, call: Call, deadline: float | None = None) -> None:
        """Waits by a deadline: its own, if none is given."""
        flow = self._flows.get(call.flow)
        if flow is None:
            if len(self._flows) >= 2 * len(self._active) + IDLE_FLOWS:
                self._forget_idle()
            flow = self._flows[call.flow] = _Flow(self._weights.get(call.flow, 1.0))
        due = call.deadline if deadline is None else deadline
        heapq.heappush(flow.called if call.called else flow.heap, (due, call.number, call))
        flow.live += 1
        self.live += 1
        if not flow.active and (call.called or not flow.blocked):
            self._activate(flow)

    def pop(self) -> Call | None:
        while self.front:
            call = self.front.popitem(last=False)[1]
            if not self._queue.full(call):
                return call
            self.push(call, -math.inf)  # the first of its mission, when that has room
        while self._active:
            start, _, flow = self._active[0]
            call = flow.pop(self._queue.full)
            if call is None:
                heapq.heappop(self._active)
                flow.active, flow.blocked = False, flow.live > 0
                continue
            flow.live -= 1
            self.live -= 1
            self._virtual = start
            flow.finish = start + flow.cost
            if flow.live:
                heapq.heapreplace(self._active, (flow.finish, next(self._turns), flow))
            else:
                heapq.heappop(self._active)
                flow.active = False
                if not self.live:
                    self._reset()
            return call
        return None

    def cancel(self, call: Call) -> None:
        if self.front.pop(call.number, None) is not None:
            return
        self._flows[call.flow].live -= 1
        self.live -= 1
        self.dead += 1
        if not self.live:
            self._reset()
        elif self.dead > self.live + SPARE_ENTRIES:
            self._compact()

    def unblock(self, mission: str) -> None:
        flow = self._flows.get(mission)
        if flow is not None and flow.blocked:
            flow.blocked = False
            if flow.live:
                self._activate(flow)

    def empty(self) -> list[Call]:
        waits = [each for flow in self._flows.values() for each in (*flow.heap, *flow.called)]
        found = [call for _, _, call in sorted(waits) if call.place is not None]
        found[:0] = self.front.values()
        self.front.clear()
        self.live = 0
        self._reset()
        return found

    def _activate(self, flow: _Flow) -> None:
        flow.active, flow.blocked = True, False
        start = max(self._virtual, flow.finish)
        heapq.heappush(self._active, (start, next(self._turns), flow))

    def _reset(self) -> None:
        """Nobody waits: whoever comes now, all begin alike."""
        self._flows.clear()
        self._active.clear()
        self._virtual, self.dead = 0.0, 0

    def _compact(self) -> None:
        for heap in (each for flow in self._flows.values() for each in (flow.heap, flow.called)):
            heap[:] = [entry for entry in heap if entry[2].place is not None]
            heapq.heapify(heap)
        self.dead = 0

    def _forget_idle(self) -> None:
        """Forgets missions that wait for nothing: first those that owe nothing, then all."""
        for owing in (False, True):
            self._flows = {
                mission: flow
                for mission, flow in self._flows.items()
                if flow.active or flow.live or (not owing and flow.finish > self._virtual)
            }
            if len(self._flows) < IDLE_FLOWS:
                return

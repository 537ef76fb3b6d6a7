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
from collections import OrderedDict
from collections.abc import Mapping
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
    """How many commands of each mission workers have; the queues that wait for one to end."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held: dict[str, int] = {}
        self._waiting: dict[str, dict[FairQueue, None]] = {}

    def full(self, mission: str) -> bool:
        """Whether a mission has all that it may have; commands of none are not counted."""
        return bool(mission) and self._held.get(mission, 0) >= self.limit

    def take(self, mission: str) -> None:
        """A worker was given one."""
        if mission:
            self._held[mission] = self._held.get(mission, 0) + 1

    def give_back(self, mission: str) -> list[FairQueue]:
        """One has ended: the queues in which the mission has waited for that."""
        if not mission:
            return []
        left = self._held[mission] - 1
        if left:
            self._held[mission] = left
        else:
            del self._held[mission]
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

    def full(self, mission: str) -> bool:
        """Whether the mission must wait for one of its own commands to end; it is told then."""
        if self._bulkhead is None or not self._bulkhead.full(mission):
            return False
        self._bulkhead.block(mission, self)
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


class _Flow:
    """The waiting commands of one mission, and its place in virtual time."""

    __slots__ = ("active", "blocked", "cost", "finish", "heap", "live", "mission")

    def __init__(self, mission: str, weight: float) -> None:
        self.mission = mission
        self.cost = 1.0 / weight
        self.heap: list[tuple[float, int, Call]] = []
        self.live = 0
        self.finish = 0.0
        self.active = self.blocked = False

    def head(self) -> Call | None:
        """The next command; dead entries before it are forgotten."""
        while self.heap and self.heap[0][2].place is None:
            heapq.heappop(self.heap)
        return self.heap[0][2] if self.heap else None


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

    def push(self, call: Call) -> None:
        flow = self._flows.get(call.flow)
        if flow is None:
            if len(self._flows) >= 2 * len(self._active) + IDLE_FLOWS:
                self._forget_idle()
            flow = self._flows[call.flow] = _Flow(call.flow, self._weights.get(call.flow, 1.0))
        heapq.heappush(flow.heap, (call.deadline, call.number, call))
        flow.live += 1
        self.live += 1
        if not flow.active and not flow.blocked:
            self._activate(flow)

    def pop(self) -> Call | None:
        if self.front:
            return self.front.popitem(last=False)[1]
        while self._active:
            start, _, flow = self._active[0]
            call = flow.head()
            if call is None or self._queue.full(flow.mission):
                heapq.heappop(self._active)
                flow.active, flow.blocked = False, call is not None
                continue
            heapq.heappop(flow.heap)
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
        waits = [entry for flow in self._flows.values() for entry in flow.heap]
        found = [call for _, _, call in sorted(waits) if call.place is not None]
        found[:0] = self.front.values()
        self.front.clear()
        self.live = 0
        self._reset()
        return found

    def _activate(self, flow: _Flow) -> None:
        flow.active = True
        start = max(self._virtual, flow.finish)
        heapq.heappush(self._active, (start, next(self._turns), flow))

    def _reset(self) -> None:
        """Nobody waits: whoever comes now, all begin alike."""
        self._flows.clear()
        self._active.clear()
        self._virtual, self.dead = 0.0, 0

    def _compact(self) -> None:
        for flow in self._flows.values():
            flow.heap = [entry for entry in flow.heap if entry[2].place is not None]
            heapq.heapify(flow.heap)
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

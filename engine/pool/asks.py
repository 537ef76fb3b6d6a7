"""What running commands ask of the engine: other tools, and signals to Sentinels.

Loop thread only. An asked command goes on in the caller's trace, mission and class, has at most its
deadline, and ends with it. Depth and number are bounded. A command that no worker could ever begin,
because all that could wait for one another, is refused at once: it would hang until its deadline.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from citadel import values
from citadel.errors import (
    Cancelled,
    CitadelError,
    DeadlineExceeded,
    InvalidRequest,
    NotFound,
    NotReady,
    QuotaExceeded,
    WireError,
)
from citadel.trace import SpanContext
from citadel.values import Parcel
from citadel.wire.messages import CommandResult
from engine.pool import frames
from engine.pool.commands import Command
from engine.pool.hosting import told
from engine.pool.settings import MAX_DEADLINE_SECONDS, PoolCommand
from engine.pool.worker import Worker

if TYPE_CHECKING:
    from engine.pool.pool import Pool
    from engine.pool.results import PoolResult

MAX_DEPTH = 8
"""Commands that may be asked for, one by another."""
MAX_ASKS = 64
"""Commands that one command may wait for at once."""

Key = tuple[str, int]
"""A command: its pool, and its number there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who sends a signal."""

    pool: str
    worker: str
    command: PoolCommand


Signal = Callable[[str, str, Any, Caller], int]
"""Puts a signal of (type, data) into a Sentinel's mailbox; how many wait there."""


@dataclass(slots=True, eq=False)
class _Asked:
    """A command that a tool waits for."""

    pool: str
    number: int
    id: str
    tool: str


@dataclass(slots=True, eq=False)
class _Asking:
    """A running command, and what it waits for."""

    worker: Worker
    call: Command
    asked: dict[int, _Asked] = field(default_factory=dict[int, _Asked])


class Asks:
    """Those of all pools of an engine."""

    def __init__(self, pools: Mapping[str, Pool]) -> None:
        self.signal: Signal | None = None
        """Set by who has Sentinels."""
        self._pools = pools
        self._asking: dict[Key, _Asking] = {}
        for pool in pools.values():
            pool.hears[frames.ASK] = partial(self._heard, pool)
            pool.crew_moved = self._look

    # ── what workers say ─────────────────────────────────────────────────────────────────────

    def _heard(self, pool: Pool, worker: Worker, item: list[Any]) -> None:
        """Takes [ASK, number, ask, trace, kind, ...]."""
        _, number, ask, trace, kind, *what = item
        held = pool.commands.scheduler.holds(worker.id, number)
        call = cast("Command | None", held and (held.of or held))  # a second copy asks too
        try:
            if call is None or call.number not in pool.commands.scheduler.calls:
                if kind == "tool" and isinstance(what[2], list):
                    pool.memory.discard(worker, what[2])
                raise Cancelled("the command that asks was given up")
            if kind == "tool":
                self._ask((pool.name, number), worker, call, ask, trace, what)
            elif kind == "signal":
                _reply(worker, number, ask, values.pack(self._send(pool, worker, call, what)))
            else:
                raise InvalidRequest(f"nobody answers what a tool asks of kind {kind!r}")
        except CitadelError as error:
            _refuse(worker, number, ask, error)

    def _send(self, pool: Pool, worker: Worker, call: Command, what: list[Any]) -> int:
        if self.signal is None:
            raise NotReady("this engine has no Sentinels", subject=str(what[0]))
        sentinel, type_, data = what
        _texts(sentinel, type_)
        caller = Caller(pool=pool.name, worker=worker.id, command=call.command)
        return self.signal(sentinel, type_, values.unpack(data), caller)

    def _ask(
        self, key: Key, worker: Worker, call: Command, ask: int, trace: bytes, what: list[Any]
    ) -> None:
        name, tool, arguments = what
        _texts(name, tool)
        if not isinstance(arguments, bytes):
            memory = self._pools[key[0]].memory
            try:
                arguments = memory.taken(worker, arguments, call, parts=True, runs=True)
            except WireError as error:
                worker.kill(f"it sent garbage: {error}")
                return
        target = self._pools.get(name)
        if target is None:
            raise NotFound(
                f"there is no pool {name!r}",
                subject=name,
                remedy=f"Pools are {', '.join(self._pools)}",
            )
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = _Asking(worker, call)
            call.future.add_done_callback(partial(self._ended, key))
        elif asking.worker is not worker:  # it is tried again: nobody waits for the answers
            self._drop(asking)
            asking.worker = worker
        if len(asking.asked) >= MAX_ASKS:
            raise QuotaExceeded(f"{call.tool} waits for {MAX_ASKS} commands already")
        command = self._command(key[0], call, name, tool, arguments, trace)
        future = target.begin(command)
        asked = _Asked(name, target.commands.by_id[command.id], command.id, tool)
        asking.asked[ask] = asked
        future.add_done_callback(partial(self._answered, key, ask, asked))
        lender = self._pools[key[0]].commands
        lender.act(lender.scheduler.lend(worker.id, key[1]))
        if not self._ends((name, asked.number), self._moving()):
            raise self._never(key, ask)

    def _command(
        self,
        pool: str,
        call: Command,
        target: str,
        tool: str,
        arguments: bytes | Parcel,
        trace: bytes,
    ) -> PoolCommand:
        """The command that a tool asks for: it inherits what the tool's own has."""
        parcel = arguments if isinstance(arguments, Parcel) else Parcel((arguments,))
        above = call.command
        if len(above.callers) >= MAX_DEPTH:
            deep = len(above.callers)
            raise InvalidRequest(
                f"{call.tool} calls {tool}, and is itself called {deep} commands deep",
                subject=tool,
                remedy=f"No more than {MAX_DEPTH} commands may call one another",
            )
        seconds = min(call.deadline - asyncio.get_running_loop().time(), MAX_DEADLINE_SECONDS)
        if seconds <= 0.0:
            raise DeadlineExceeded(f"the deadline of {call.tool} has passed", subject=call.name)
        parent = call.span
        if trace:
            ids = int.from_bytes(trace[:16], "big"), int.from_bytes(trace[16:], "big")
            state = call.span.trace_state if call.span.sampled else ""
            parent = SpanContext(*ids, trace_state=state)
        callers = (*above.callers, pool)
        return PoolCommand(
            id=uuid.uuid4().hex,
            pool=target,
            tool=tool,
            arguments=b"".join(parcel.head),
            buffers=parcel.buffers,
            parts=True,
            deadline_seconds=seconds,
            mission=call.span.mission,
            mission_class=call.span.mission_class,
            priority=above.priority,
            # In a caller's pool the session is where that caller runs, and that waits.
            session="" if target in callers else above.session,
            sentinel=call.span.sentinel,
            parent=parent,
            callers=callers,
            finishes=any(self._pools[each].state == "draining" for each in callers),
        )

    # ── ends ─────────────────────────────────────────────────────────────────────────────────

    def _answered(
        self, key: Key, ask: int, asked: _Asked, future: asyncio.Future[CommandResult]
    ) -> None:
        """A command that was asked for has ended."""
        error = future.exception()
        asking = self._asking.get(key)
        if asking is None or asking.asked.get(ask) is not asked:
            return  # the caller has ended, or was told already
        del asking.asked[ask]
        self._goes_on(key, asking)
        worker = asking.worker
        if error is None:
            try:
                result = cast("PoolResult", future.result())  # it was asked for with parts
                lent = self._pools[key[0]].memory.lend(worker, result.parcel, asking.call)
                _reply(worker, key[1], ask, lent)
            except CitadelError as refused:
                _refuse(worker, key[1], ask, refused)
        else:
            _refuse(worker, key[1], ask, error)

    def _ended(self, key: Key, future: asyncio.Future[CommandResult]) -> None:
        """A command that asked has ended: so does what it asked for."""
        del future
        asking = self._asking.pop(key)
        self._drop(asking)
        self._goes_on(key, asking)

    def _drop(self, asking: _Asking) -> None:
        """Nobody waits any more for what was asked for."""
        for asked in asking.asked.values():
            self._pools[asked.pool].cancel(asked.id, "the command that asked for it has ended")
        asking.asked.clear()

    def _goes_on(self, key: Key, asking: _Asking) -> None:
        """A command that asked has its place again, when it waits for nothing any more."""
        if not asking.asked:
            self._pools[key[0]].commands.scheduler.reclaim(asking.worker.id, key[1])

    # ── deadlock ─────────────────────────────────────────────────────────────────────────────

    def _never(self, key: Key, ask: int) -> NotReady:
        """Gives up a command that would never begin; what is to be said of that."""
        asking = self._asking[key]
        asked = asking.asked.pop(ask)
        self._pools[asked.pool].cancel(asked.id, "it would never begin")
        self._goes_on(key, asking)
        return NotReady(
            f"all workers of pool {asked.pool} wait for one another: {asked.tool} would never"
            " begin",
            subject=asked.pool,
            remedy=f"Give pool {asked.pool} more workers, or call another pool",
        )

    def _look(self) -> None:
        """A pool has other workers, or fewer: what can never begin any more is refused."""
        while (stuck := self._stuck()) is not None:
            key, ask, worker = stuck
            _refuse(worker, key[1], ask, self._never(key, ask))

    def _stuck(self) -> tuple[Key, int, Worker] | None:
        """A command that would never begin: who asked for it, and on which worker."""
        moving = self._moving() if self._asking else set[str]()
        for key, asking in self._asking.items():
            for ask, asked in asking.asked.items():
                number = (asked.pool, asked.number)
                below = self._asking.get(number)
                if not (below and below.asked) and not self._ends(number, moving):
                    return key, ask, asking.worker
        return None

    def _moving(self) -> set[str]:
        """The pools of which a worker is, or will be, free for another command."""
        waiting = Counter(
            (pool, asking.worker.id) for (pool, _), asking in self._asking.items() if asking.asked
        )
        moving = {
            name
            for name, pool in self._pools.items()
            if pool.may_grow()
            or any(
                waiting[name, seat.id] < seat.capacity
                for seat in pool.commands.scheduler.seats.values()
                if seat.accepting
            )
        }
        while more := {
            pool
            for (pool, number), asking in self._asking.items()
            if pool not in moving and asking.asked and self._ends((pool, number), moving)
        }:
            moving |= more
        return moving

    def _ends(self, key: Key, moving: set[str], depth: int = 0) -> bool:
        """Whether a command will end by itself, as far as workers are concerned."""
        asking = self._asking.get(key)
        if asking is None or not asking.asked:
            pool, number = key
            return pool in moving or number not in self._pools[pool].commands.scheduler.calls
        return depth <= MAX_DEPTH and all(
            self._ends((asked.pool, asked.number), moving, depth + 1)
            for asked in asking.asked.values()
        )


def _texts(*names: object) -> None:
    """What a tool gives as names may be anything."""
    for name in names:
        if not isinstance(name, str):
            raise InvalidRequest(
                f"{name!r} is no name"[:200], remedy="Name pools, tools and Sentinels by texts"
            )


def _reply(worker: Worker, number: int, ask: int, value: bytes | list[Any]) -> None:
    worker.send([frames.REPLY, number, ask, value])


def _refuse(worker: Worker, number: int, ask: int, error: BaseException) -> None:
    kind, message, remedy, details = told(error, "the engine")
    worker.send([frames.REPLY, number, ask, None, kind, message, remedy, details])

"""What a pool's workers answer in shared memory: each worker writes a slab, the engine reads it.

Loop thread only; what the garbage collector says comes over to it. What a worker says about its
blocks is checked; who asks kills one that lies. The half of `memory` that looks at results.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from citadel.errors import WireError
from citadel.values import Parcel
from citadel.wire.messages import CommandResult
from engine.pool import frames, slabs
from engine.pool.leaks import Leaks
from engine.pool.leases import Block
from engine.pool.settings import PoolSettings
from engine.pool.worker import Worker
from engine.telemetry.recorder import Recorder

if TYPE_CHECKING:
    from engine.pool.delivery import Command

ENGINE = ""
"""The holder that is a command of this engine, or a caller in its process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolResult(CommandResult):
    """The result of a command whose caller is in this process, not copied; `value` is empty."""

    parcel: Parcel
    """Arrays that `unpack_parts` makes of it hold their block until nothing refers to them."""


@dataclass(slots=True, eq=False)
class WorkerSlab:
    """A worker's slab, as the engine sees it."""

    slab: slabs.Slab
    descriptor: int
    held: set[Block] = field(default_factory=set[Block])
    done: list[list[int]] = field(default_factory=list[list[int]])
    """Places that the worker will be told it can use again."""
    done_bytes: int = 0


class Results:
    """The slabs that the workers of one pool write."""

    def __init__(self, settings: PoolSettings, recorder: Recorder) -> None:
        local = slabs.AVAILABLE and settings.backend == "local"
        self.size = settings.memory.slab_bytes if local else 0
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._results: dict[str, WorkerSlab] = {}
        self._leaks = Leaks(settings.name, settings.memory.leak_seconds, recorder)
        self._meanwhile: dict[int, list[Block]] = {}
        """Blocks that somebody has because of a command that runs, by its number."""

    def taken(
        self, worker: Worker, value: Any, call: Command, *, parts: bool, runs: bool = False
    ) -> bytes | Parcel:
        """A value that is in a worker's slab: as bytes, or as a parcel of views.

        It is a result; or what the command gives while it `runs`.

        Raises:
            WireError: the worker has no such blocks.
        """
        results = self._results.get(worker.id)
        head, places = _value(value)
        if results is None:
            raise WireError("it speaks of a slab that it has not")
        spots = [as_place(place) for place in places]
        for offset, length in spots:
            if offset + length > results.slab.size:
                raise WireError(f"it speaks of {length} bytes at {offset} of its slab")
        if parts:
            parcel, blocks = self._viewed(worker, results, head, spots)
            if runs:
                self.watch_later(call, blocks)
            for block in () if runs else blocks:
                self._leaks.watch(block, call.name, call.tool)
            return parcel
        size = sum(length for _, length in spots)
        if size > self._settings.max_result_bytes:
            raise WireError(f"its result has {size} bytes, more than it may return")
        pieces = [results.slab.memory(*spot) for spot in spots]
        first = head if head is not None else pieces.pop(0)
        joined = Parcel((first,), tuple(pieces)).joined()
        self._done(worker, results, [list(spot) for spot in spots])
        return joined

    def discard(self, worker: Worker, value: Any) -> None:
        """A result that nobody waits for any more."""
        if (results := self._results.get(worker.id)) is not None:
            self._done(worker, results, [list(as_place(place)) for place in _value(value)[1]])

    def watch_later(self, call: Command, blocks: list[Block]) -> None:
        """Who has them long after the command has ended leaks them."""
        known = self._meanwhile.get(call.number)
        if known is None:
            known = self._meanwhile[call.number] = []
            call.future.add_done_callback(partial(self._watch, call.number, call.name, call.tool))
        known[:] = [*(block for block in known if block.holders), *blocks]

    def _watch(self, number: int, command: str, tool: str, _: object) -> None:
        for block in self._meanwhile.pop(number):
            if block.holders:
                self._leaks.watch(block, command, tool)

    def tell(self, worker: Worker) -> None:
        """Tells a worker which of its blocks it can use again; before it is given a command."""
        results = self._results.get(worker.id)
        if results is not None and results.done:
            worker.send([frames.RELEASE, results.done])
            results.done, results.done_bytes = [], 0

    # ── inside ───────────────────────────────────────────────────────────────────────────────

    def _viewed(
        self,
        worker: Worker,
        results: WorkerSlab,
        head: bytes | None,
        spots: list[tuple[int, int]],
    ) -> tuple[Parcel, list[Block]]:
        views: list[memoryview] = []
        blocks: list[Block] = []
        for number, (offset, length) in enumerate(spots):
            if head is None and not number:
                # A head is read more than once: the worker must not change it meanwhile.
                head = results.slab.read(offset, length)
                self._done(worker, results, [[offset, length]])
                continue
            block = Block(offset, length, {ENGINE: 1})
            results.held.add(block)
            gone = self._over_here(self._returned, worker, results, block)
            views.append(results.slab.view(offset, length, gone))
            blocks.append(block)
        return Parcel((head or b"",), tuple(views)), blocks

    def _returned(self, worker: Worker, results: WorkerSlab, block: Block) -> None:
        results.held.discard(block)
        block.holders.clear()
        self._freed(block)
        self._done(worker, results, [[block.offset, block.length]])

    def _done(self, worker: Worker, results: WorkerSlab, places: list[list[int]]) -> None:
        """Blocks of a worker's slab that it can use again: it is told when it is woken anyway."""
        results.done += places
        results.done_bytes += sum(length for _, length in places)
        if results.done_bytes > self.size // 4:
            self.tell(worker)

    def _freed(self, block: Block) -> None:
        """Forgets what was to be watched, when nobody has the block any more."""
        if not block.holders:
            self._leaks.forget(block)

    def _over_here(self, call: Callable[..., None], *arguments: Any) -> Callable[[], None]:
        """What the garbage collector calls, in any thread, to have something called here."""
        return partial(_soon, self._loop, self._thread, call, *arguments)


def _soon(
    loop: asyncio.AbstractEventLoop, thread: int, call: Callable[..., None], *arguments: Any
) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody counts any more
        if threading.get_ident() == thread:
            loop.call_soon(call, *arguments)  # it is awake: no byte through its own pipe
        else:
            loop.call_soon_threadsafe(call, *arguments)


def _value(value: Any) -> tuple[bytes | None, list[Any]]:
    """[head or None, places], as a worker says it."""
    if isinstance(value, list) and len(value) == 2:
        head, places = value
        fits = head is None or isinstance(head, bytes)
        if fits and isinstance(places, list) and places:
            return head, places
    raise WireError("its result is neither bytes nor places in its slab")


def as_place(place: Any) -> tuple[int, int]:
    """[offset, length], as a worker says it.

    Raises:
        WireError: it is no such thing.
    """
    if isinstance(place, list) and len(place) == 2:
        offset, length = place
        if type(offset) is int and type(length) is int and offset >= 0 and length >= 0:
            return offset, length
    raise WireError(f"{place!r} is no place in a slab"[:200])

"""A pool's shared memory: where the engine puts large arguments, and finds large results.

Loop thread only; what the garbage collector says comes over to it. The pool has one slab that the
engine writes and all its workers read, and one a worker that the worker writes and the engine
reads. Blocks have holders, so one is used again only when neither a command, nor a worker, nor a
caller of this process has it. What a worker says about blocks is checked; one that lies is killed.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any

from citadel.errors import MessageTooLarge, QuotaExceeded, WireError
from citadel.values import Parcel
from citadel.wire.messages import CommandResult
from engine.pool import frames, slabs
from engine.pool.leaks import Leaks
from engine.pool.leases import Block, Leases
from engine.pool.settings import PoolSettings
from engine.pool.worker import Worker
from engine.telemetry.recorder import Recorder

COPY_BYTES = 4 * 2**20
"""What is copied before the loop has its turn again, about a millisecond."""
FRAME_ROOM = 64 * 1024
"""What a frame needs beside its arguments."""
_ENGINE = ""
"""The holder that is a command of this engine, or a caller in its process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolResult(CommandResult):
    """The result of a command whose caller is in this process, not copied; `value` is empty."""

    parcel: Parcel
    """Arrays that `unpack_parts` makes of it hold their block until nothing refers to them."""

    @classmethod
    def of(cls, result: CommandResult, parcel: Parcel) -> PoolResult:
        """A result whose value is a parcel."""
        told = {each.name: getattr(result, each.name) for each in fields(result)}
        return cls(**told, parcel=parcel)


@dataclass(slots=True, eq=False)
class Placed:
    """A command's arguments in the pool's slab, or on the link after all."""

    head: bytes | None
    """None: it is the first of the places."""
    places: list[list[int]]
    blocks: list[Block]


@dataclass(slots=True, eq=False)
class _Results:
    """A worker's slab, as the engine sees it."""

    slab: slabs.Slab
    descriptor: int
    held: set[Block] = field(default_factory=set[Block])
    done: list[list[int]] = field(default_factory=list[list[int]])
    """Places that the worker will be told it can use again."""
    done_bytes: int = 0


class Lease:
    """Memory in a pool's slab, to be written in place and then passed without a copy.

    It is the pool's again when neither the lease nor an array in it is referred to.
    """

    __slots__ = ("memory",)

    def __init__(self, memory: memoryview) -> None:
        self.memory = memory

    def array(self, dtype: Any, shape: Sequence[int] | int) -> Any:
        """A numpy array over the memory's begin.

        Raises:
            ValueError: it has less bytes than that.
        """
        import numpy as np  # noqa: PLC0415 - only for callers that use it

        wanted = (shape,) if isinstance(shape, int) else tuple(shape)
        return np.ndarray(wanted, dtype, self.memory)


class Memory:
    """The shared memory of one pool and its workers."""

    def __init__(self, settings: PoolSettings, recorder: Recorder) -> None:
        local = slabs.AVAILABLE and settings.backend == "local"
        self.size = settings.memory.slab_bytes if local else 0
        self.threshold = settings.memory.threshold_bytes
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._slab: slabs.Slab | None = None
        self._descriptor = -1
        self._leases = Leases(0)
        self._results: dict[str, _Results] = {}
        self._leaks = Leaks(settings.name, settings.memory.leak_seconds, recorder)

    # ── workers ──────────────────────────────────────────────────────────────────────────────

    def hand_down(self, worker: str) -> Mapping[str, int]:
        """The descriptors of the pool's slab and of a new one for the worker's results.

        Raises:
            OSError: the system has no more of them, or no room.
        """
        if not self.size:
            return {}
        self._open()
        self.gone(worker)
        descriptor = slabs.create(self.size)
        self._results[worker] = _Results(slabs.reader(descriptor), descriptor)
        return {slabs.ARGUMENTS: self._descriptor, slabs.RESULTS: descriptor}

    def settled(self, worker: str) -> None:
        """The worker has what it was handed: the engine needs no descriptor any more."""
        if (results := self._results.get(worker)) and results.descriptor >= 0:
            os.close(results.descriptor)
            results.descriptor = -1

    def gone(self, worker: str) -> None:
        """A worker's process has ended: what it had is free."""
        for block in self._leases.forget(worker):
            self._freed(block)
        self.settled(worker)
        self._results.pop(worker, None)

    def close(self) -> None:
        """Closes descriptors; memory that callers still have stays until they let go of it."""
        for worker in list(self._results):
            self.gone(worker)
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._leaks.close()

    # ── arguments ────────────────────────────────────────────────────────────────────────────

    def lease(self, nbytes: int) -> Lease:
        """Memory of the pool's slab, to write in place.

        Raises:
            QuotaExceeded: the slab has no room for it.
            OSError: the system has none.
        """
        if self.size:
            self._open()
        block = self._leases.new(nbytes, _ENGINE)
        if block is None:
            raise QuotaExceeded(
                f"the slab of pool {self._settings.name} has no room for {nbytes} bytes:"
                f" {self._leases.arena.used} of {self.size} are used",
                subject=self._settings.name,
                remedy="Let go of what is not needed, or raise the pool's memory.slab_bytes",
            )
        assert self._slab is not None
        gone = self._over_here(self._drop, block)
        return Lease(self._slab.view(block.offset, nbytes, gone, writable=True))

    async def bring(self, buffers: Sequence[memoryview]) -> tuple[memoryview, ...]:
        """Copies very large buffers into the slab while the loop has its turns."""
        found: list[memoryview] = []
        for buffer in buffers:
            there = buffer.nbytes <= COPY_BYTES or self._inside(buffer) is not None
            if there or buffer.nbytes > self._leases.arena.largest:
                found.append(buffer)
                continue
            memory = self.lease(buffer.nbytes).memory
            for at in range(0, buffer.nbytes, COPY_BYTES):
                memory[at : at + COPY_BYTES] = buffer[at : at + COPY_BYTES]
                await asyncio.sleep(0)
            found.append(memory)
        return tuple(found)

    def place(self, arguments: bytes, buffers: Sequence[memoryview]) -> Placed:
        """Puts a command's arguments where its worker reads them; into a frame when there is room.

        Raises:
            MessageTooLarge: neither has room for them.
        """
        large = len(arguments) >= self.threshold
        pieces = [memoryview(arguments), *buffers] if large else list(buffers)
        placed = Placed(None if large else arguments, [], [])
        for piece in pieces:
            found = self._inside(piece)
            if found is not None:
                self._leases.hold(found[0], _ENGINE)
            elif (found := self._copied(piece)) is None:
                self._release(placed)
                return self._on_the_link(arguments, buffers)
            placed.blocks.append(found[0])
            placed.places.append([found[1], piece.nbytes])
        return placed

    def sent(self, placed: Placed, worker: str) -> list[list[int]]:
        """Where a worker finds the arguments: it has each block until it says otherwise."""
        for block in placed.blocks:
            self._leases.hold(block, worker)
        return placed.places

    def ended(self, placed: Placed, command: str, tool: str) -> None:
        """A command has ended: its blocks are free as soon as its worker lets go of them."""
        for block in placed.blocks:
            self._drop(block)
            if block.holders:
                self._leaks.watch(block, command, tool)

    def released(self, worker: Worker, item: list[Any]) -> None:
        """Takes [RELEASED, places]: a worker is done with blocks of the pool's slab."""
        try:
            for place in item[1]:
                offset, length = _place(place)
                block = self._leases.around(offset, length)
                if block is None or not self._leases.drop(block, worker.id):
                    raise WireError(f"it released {length} bytes at {offset}, which it has not")
                self._freed(block)
        except WireError as error:
            worker.kill(f"it sent garbage: {error}")

    # ── results ──────────────────────────────────────────────────────────────────────────────

    def taken(
        self, worker: Worker, value: Any, command: str, tool: str, *, parts: bool
    ) -> bytes | Parcel:
        """A result that is in a worker's slab: as bytes, or as a parcel of views.

        Raises:
            WireError: the worker has no such blocks.
        """
        results = self._results.get(worker.id)
        head, places = _value(value)
        if results is None:
            raise WireError("it speaks of a slab that it has not")
        spots = [_place(place) for place in places]
        for offset, length in spots:
            if offset + length > results.slab.size:
                raise WireError(f"it speaks of {length} bytes at {offset} of its slab")
        if parts:
            return self._viewed(worker, results, head, spots, (command, tool))
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
            self._done(worker, results, [list(_place(place)) for place in _value(value)[1]])

    def tell(self, worker: Worker) -> None:
        """Tells a worker which of its blocks it can use again; before it is given a command."""
        results = self._results.get(worker.id)
        if results is not None and results.done:
            worker.send([frames.RELEASE, results.done])
            results.done, results.done_bytes = [], 0

    # ── what is there ────────────────────────────────────────────────────────────────────────

    @property
    def slab_bytes(self) -> int:
        """Bytes of all slabs; those that were never touched take no memory."""
        return self._leases.arena.size + sum(each.slab.size for each in self._results.values())

    @property
    def used_bytes(self) -> int:
        """Bytes of blocks that somebody has."""
        held = sum(block.length for each in self._results.values() for block in each.held)
        return self._leases.arena.used + held

    @property
    def leases(self) -> int:
        """Blocks that somebody has."""
        return len(self._leases) + sum(len(each.held) for each in self._results.values())

    # ── inside ───────────────────────────────────────────────────────────────────────────────

    def _open(self) -> None:
        if self._slab is None:
            slabs.keep_freed_memory()
            self._descriptor = slabs.create(self.size)
            self._slab = slabs.writer(self._descriptor)
            self._leases = Leases(self.size)

    def _inside(self, piece: memoryview) -> tuple[Block, int] | None:
        """The block of a lease in which a buffer already is, and where."""
        if self._slab is None or not len(self._leases):
            return None
        offset = self._slab.find(piece)
        block = None if offset is None else self._leases.around(offset, piece.nbytes)
        return None if block is None or offset is None else (block, offset)

    def _copied(self, piece: memoryview) -> tuple[Block, int] | None:
        """A new block with a copy of a buffer."""
        block = self._leases.new(piece.nbytes, _ENGINE) if self._slab else None
        if block is None or self._slab is None:
            return None
        self._slab.write(block.offset, piece)
        return block, block.offset

    def _on_the_link(self, arguments: bytes, buffers: Sequence[memoryview]) -> Placed:
        parcel = Parcel((arguments,), tuple(buffers))
        if parcel.nbytes > frames.MAX_FRAME_BYTES - FRAME_ROOM:
            raise MessageTooLarge(
                f"{parcel.nbytes} bytes of arguments: the slab of pool {self._settings.name} has"
                f" no room for them, and a worker's link takes {frames.MAX_FRAME_BYTES}",
                subject=self._settings.name,
                remedy="Raise the pool's memory.slab_bytes, or send less at once",
            )
        return Placed(parcel.joined(), [], [])

    def _release(self, placed: Placed) -> None:
        for block in placed.blocks:
            self._drop(block)

    def _drop(self, block: Block) -> None:
        self._leases.drop(block, _ENGINE)
        self._freed(block)

    def _freed(self, block: Block) -> None:
        """Forgets what was to be watched, when nobody has the block any more."""
        if not block.holders:
            self._leaks.forget(block)

    def _viewed(
        self,
        worker: Worker,
        results: _Results,
        head: bytes | None,
        spots: list[tuple[int, int]],
        command: tuple[str, str],
    ) -> Parcel:
        views: list[memoryview] = []
        for number, (offset, length) in enumerate(spots):
            if head is None and not number:
                # A head is read more than once: the worker must not change it meanwhile.
                head = results.slab.read(offset, length)
                self._done(worker, results, [[offset, length]])
                continue
            block = Block(offset, length, {_ENGINE: 1})
            results.held.add(block)
            gone = self._over_here(self._returned, worker, results, block)
            views.append(results.slab.view(offset, length, gone))
            self._leaks.watch(block, *command)
        return Parcel((head or b"",), tuple(views))

    def _returned(self, worker: Worker, results: _Results, block: Block) -> None:
        results.held.discard(block)
        block.holders.clear()
        self._freed(block)
        self._done(worker, results, [[block.offset, block.length]])

    def _done(self, worker: Worker, results: _Results, places: list[list[int]]) -> None:
        """Blocks of a worker's slab that it can use again: it is told when it is woken anyway."""
        results.done += places
        results.done_bytes += sum(length for _, length in places)
        if results.done_bytes > self.size // 4:
            self.tell(worker)

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


def _place(place: Any) -> tuple[int, int]:
    if isinstance(place, list) and len(place) == 2:
        offset, length = place
        if type(offset) is int and type(length) is int and offset >= 0 and length >= 0:
            return offset, length
    raise WireError(f"{place!r} is no place in a slab"[:200])

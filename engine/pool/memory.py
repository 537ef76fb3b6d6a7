"""A pool's shared memory: where the engine puts large values for its workers.

Loop thread only; what the garbage collector says comes over to it. The pool has one slab that the
engine writes and all its workers read, and one a worker that the worker writes and the engine
reads (`results`). Blocks have holders, so one is used again only when neither a command, nor a
worker, nor a caller of this process has it. What a worker says about blocks is checked; one that
lies is killed.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from citadel.errors import MessageTooLarge, QuotaExceeded, WireError
from citadel.values import Buffer, Parcel
from engine.pool import frames, slabs
from engine.pool.leases import Block, Leases
from engine.pool.results import ENGINE, Results, WorkerSlab, as_place
from engine.pool.settings import PoolSettings
from engine.pool.worker import Worker
from engine.telemetry.recorder import Recorder

if TYPE_CHECKING:
    from engine.pool.delivery import Command

COPY_BYTES = 4 * 2**20
"""What is copied before the loop has its turn again, about a millisecond."""
FRAME_ROOM = 64 * 1024
"""What a frame needs beside its arguments."""


@dataclass(slots=True, eq=False)
class Placed:
    """A command's arguments in the pool's slab, or on the link after all."""

    head: bytes | None
    """None: it is the first of the places."""
    places: list[list[int]]
    blocks: list[Block]


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


class Memory(Results):
    """The shared memory of one pool and its workers."""

    def __init__(self, settings: PoolSettings, recorder: Recorder) -> None:
        super().__init__(settings, recorder)
        self.threshold = settings.memory.threshold_bytes
        self._slab: slabs.Slab | None = None
        self._descriptor = -1
        self._leases = Leases(0)

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
        try:
            self._results[worker] = WorkerSlab(slabs.reader(descriptor), descriptor)
        except BaseException:
            os.close(descriptor)
            raise
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
            self._descriptor, self._slab = -1, None
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
        block = self._leases.new(nbytes, ENGINE)
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

    async def bring_value(self, value: bytes | Parcel) -> Parcel:
        """An item as a parcel; what is very large of it is in the slab."""
        parcel = Parcel.of(value) if isinstance(value, bytes) else value
        head = parcel.head[0] if len(parcel.head) == 1 else b"".join(parcel.head)
        if parcel.nbytes <= COPY_BYTES:
            return Parcel((head,), parcel.buffers)
        first, *rest = await self.bring((memoryview(head), *parcel.buffers))
        return Parcel((first,), tuple(rest))

    def lend(self, worker: Worker, value: bytes | Parcel, call: Command) -> bytes | list[Any]:
        """What a running command is given besides, as its frame says it: an item, or a reply.

        Large ones are [head or None, places] in the slab: the worker has them until it says
        otherwise, and what it has long after its command is a leak.

        Raises:
            MessageTooLarge: neither the slab nor the link has room for it.
        """
        parcel = value if isinstance(value, Parcel) else Parcel((value,))
        if parcel.nbytes < self.threshold:
            return parcel.joined()
        head = parcel.head[0] if len(parcel.head) == 1 else b"".join(parcel.head)
        placed = self.place(head, parcel.buffers)
        places = self.sent(placed, worker.id)
        for block in placed.blocks:
            self._drop(block)
        if not places:
            assert placed.head is not None
            return placed.head
        self.watch_later(call, placed.blocks)
        return [placed.head, places]

    def place(self, arguments: Buffer, buffers: Sequence[memoryview]) -> Placed:
        """Puts a command's arguments where its worker reads them; into a frame when there is room.

        Raises:
            MessageTooLarge: neither has room for them.
        """
        large = len(arguments) >= self.threshold
        pieces = [memoryview(arguments), *buffers] if large else list(buffers)
        placed = Placed(None if large else bytes(arguments), [], [])
        for piece in pieces:
            found = self._inside(piece)
            if found is not None:
                self._leases.hold(found[0], ENGINE)
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

    def given(self, placed: Placed) -> Sequence[bytes | memoryview]:
        """The arguments and their buffers as a worker has them, whatever the caller did since."""
        if not placed.places or self._slab is None:
            parcel = Parcel.of(placed.head or b"")
            return memoryview(parcel.head[0]), *parcel.buffers
        pieces = [self._slab.memory(*place) for place in placed.places]
        return pieces if placed.head is None else [placed.head, *pieces]

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
                offset, length = as_place(place)
                block = self._leases.around(offset, length)
                if block is None or not self._leases.drop(block, worker.id):
                    raise WireError(f"it released {length} bytes at {offset}, which it has not")
                self._freed(block)
        except WireError as error:
            worker.kill(f"it sent garbage: {error}")

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
            descriptor = slabs.create(self.size)
            try:
                self._slab = slabs.writer(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            self._descriptor = descriptor
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
        block = self._leases.new(piece.nbytes, ENGINE) if self._slab else None
        if block is None or self._slab is None:
            return None
        self._slab.write(block.offset, piece)
        return block, block.offset

    def _on_the_link(self, arguments: Buffer, buffers: Sequence[memoryview]) -> Placed:
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
        self._leases.drop(block, ENGINE)
        self._freed(block)

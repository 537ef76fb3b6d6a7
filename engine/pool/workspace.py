"""A worker's side of shared memory: large arguments are read in place, large results written.

An array in the arguments is a read-only view of the pool's slab. When nothing in this process
refers to it any more, the engine is told that the block is free, with what is sent next. Results
are written into the worker's own slab, which only this process writes. Worker's process, any
thread.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from citadel.errors import WireError
from citadel.values import Buffer, Parcel
from engine.pool import frames, slabs
from engine.pool.hosting import Charge
from engine.pool.leases import Block, Leases

_HERE, _ENGINE = "here", "engine"


class Workspace:
    """The two slabs of one worker, as it sees them; without them when it was handed none."""

    def __init__(self, charge: Charge) -> None:
        self.threshold = charge.threshold_bytes
        self._arguments = self._results = None
        if slabs.ARGUMENTS in charge.descriptors:
            self._arguments = slabs.reader(charge.descriptors[slabs.ARGUMENTS])
            self._results = slabs.writer(charge.descriptors[slabs.RESULTS])
        self._leases = Leases(self._results.size if self._results else 0)
        self._lock = threading.Lock()
        # The garbage collector runs anywhere, also under the lock: it only appends.
        self.done: deque[list[int]] = deque()
        """Blocks of the pool's slab that nobody here has any more; the engine is to be told."""
        self._dropped: deque[Block] = deque()
        self._in_place = False

    # ── arguments ────────────────────────────────────────────────────────────────────────────

    def views(self, places: Iterable[list[int]]) -> list[memoryview]:
        """The buffers of a CALL's arguments; the engine hears when nobody has one any more.

        Raises:
            WireError: this worker was handed no slab.
        """
        slab = self._arguments
        if slab is None:
            raise WireError("they are in a slab that this worker has not")
        return [
            slab.view(offset, length, partial(self.done.append, [offset, length]))
            for offset, length in places
        ]

    def skip(self, calls: Iterable[list[Any]]) -> None:
        """CALLs that are not begun: their arguments are not read."""
        for call in calls:
            if call[5] is not None:
                self.done.extend(call[5].get(frames.BUFFERS, ()))

    def skip_value(self, value: Any) -> None:
        """An item or a reply that nobody reads: when it is in the pool's slab, it is done with."""
        if isinstance(value, list):
            self.done.extend(value[1])

    def skip_late(self, item: list[Any]) -> None:
        """A frame for a command that runs no more."""
        if item[0] == frames.ITEM:
            self.skip_value(item[2])
        elif item[0] == frames.REPLY:
            self.skip_value(item[3])

    def released(self) -> list[Any]:
        """The RELEASED frame of what is done."""
        places: list[list[int]] = []
        while self.done:
            places.append(self.done.popleft())
        return [frames.RELEASED, places]

    # ── results ──────────────────────────────────────────────────────────────────────────────

    def place(self, parcel: Parcel) -> list[Any] | None:
        """[head or None, places] of a parcel that is now in the slab; None when it has no room."""
        large = parcel.head_bytes >= self.threshold
        pieces: list[Sequence[Buffer]] = [(each,) for each in parcel.buffers]
        places: list[list[int]] = []
        for piece in [parcel.head, *pieces] if large else pieces:
            spot = self._written(piece)
            if spot is None:
                self.release(places)
                return None
            places.append(spot)
        return [None if large else b"".join(parcel.head), places]

    def release(self, places: Iterable[list[int]]) -> None:
        """The engine is done with results."""
        with self._lock:
            for offset, length in places:
                if (block := self._leases.around(offset, length)) is not None:
                    self._leases.drop(block, _ENGINE)

    def empty(self, nbytes: int) -> memoryview | None:
        """Memory for a result that is made in place; None when the slab has no room."""
        block = self._new(nbytes, _HERE)
        if block is None or self._results is None:
            return None
        self._in_place = True
        gone = partial(self._dropped.append, block)
        return self._results.view(block.offset, nbytes, gone, writable=True)

    def _written(self, pieces: Sequence[Buffer]) -> list[int] | None:
        if self._results is None:
            return None
        length = sum(map(len, pieces))
        if self._in_place and (offset := self._results.find(memoryview(pieces[0]))) is not None:
            with self._lock:
                if (block := self._leases.around(offset, length)) is not None:
                    self._leases.hold(block, _ENGINE)
                    return [offset, length]
        block = self._new(length, _ENGINE)
        if block is None:
            return None
        at = block.offset
        for piece in pieces:
            self._results.write(at, piece)
            at += len(piece)
        return [block.offset, length]

    def _new(self, nbytes: int, holder: str) -> Block | None:
        with self._lock:
            while self._dropped:
                self._leases.drop(self._dropped.popleft(), _HERE)
            return self._leases.new(nbytes, holder)

"""Who has which block of a slab: an arena with holders. Sans-IO, one thread.

A block is free when nobody holds it. A holder is a name, and may hold a block several times: each
time that it was given. What is not held cannot be dropped, so a holder that lies is found out.
Light: imported by the worker's process.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass, field

from engine.pool.arena import Arena


@dataclass(slots=True, eq=False)
class Block:
    """A live block."""

    offset: int
    length: int
    """What was asked for; alignment may have added to it."""
    holders: dict[str, int] = field(default_factory=dict[str, int])


class Leases:
    """The blocks of one slab."""

    def __init__(self, size: int) -> None:
        self.arena = Arena(size)
        self._blocks: dict[int, Block] = {}
        self._starts: list[int] = []

    def __len__(self) -> int:
        return len(self._blocks)

    def new(self, nbytes: int, holder: str) -> Block | None:
        """A new block that the holder has; None when there is no room."""
        offset = self.arena.allocate(nbytes)
        if offset is None:
            return None
        block = self._blocks[offset] = Block(offset, nbytes, {holder: 1})
        insort(self._starts, offset)
        return block

    def around(self, offset: int, length: int) -> Block | None:
        """The live block in which these bytes are."""
        index = bisect_right(self._starts, offset) - 1
        if index < 0 or length < 0:
            return None
        block = self._blocks[self._starts[index]]
        return block if offset + length <= block.offset + block.length else None

    def hold(self, block: Block, holder: str) -> None:
        """The holder has it once more."""
        block.holders[holder] = block.holders.get(holder, 0) + 1

    def drop(self, block: Block, holder: str) -> bool:
        """The holder has it once less; False when it did not have it."""
        held = block.holders.get(holder, 0)
        if not held:
            return False
        if held > 1:
            block.holders[holder] = held - 1
            return True
        del block.holders[holder]
        if not block.holders:
            self._end(block)
        return True

    def forget(self, holder: str) -> list[Block]:
        """A holder is no more: the blocks that it had."""
        had = [block for block in self._blocks.values() if holder in block.holders]
        for block in had:
            del block.holders[holder]
            if not block.holders:
                self._end(block)
        return had

    def _end(self, block: Block) -> None:
        del self._blocks[block.offset]
        del self._starts[bisect_right(self._starts, block.offset) - 1]
        self.arena.free(block.offset)

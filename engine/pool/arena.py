"""Where blocks lie in a piece of memory: an allocator without memory. Sans-IO, one thread.

Best fit over a sorted list of free blocks, the lowest of equals, so that pages that were used are
used again. Neighbours that are free are one block, always. Blocks begin at a multiple of 64, large
ones at a page's. A request costs O(log n) comparisons in the number of free blocks. Light:
imported by the worker's process.
"""

from __future__ import annotations

from bisect import bisect_left, insort

ALIGNMENT = 64
PAGE = 4096
PAGED_FROM = 64 * 1024
"""Blocks of this many bytes and more begin at a page."""


class Arena:
    """An allocator over [0, size)."""

    __slots__ = ("_by_end", "_by_start", "_free", "_live", "size", "used")

    def __init__(self, size: int) -> None:
        self.size = size - size % ALIGNMENT
        self.used = 0
        """Bytes of live blocks, with what alignment added at their ends."""
        self._live: dict[int, int] = {}
        self._free: list[tuple[int, int]] = []
        self._by_start: dict[int, int] = {}
        self._by_end: dict[int, int] = {}
        if self.size:
            self._add(0, self.size)

    @property
    def blocks(self) -> int:
        """How many blocks are live."""
        return len(self._live)

    @property
    def largest(self) -> int:
        """Bytes of the largest free block."""
        return self._free[-1][0] if self._free else 0

    def length(self, offset: int) -> int:
        """Bytes of the live block that begins there; 0 when none does."""
        return self._live.get(offset, 0)

    def allocate(self, nbytes: int) -> int | None:
        """Where a new block begins; None when no free block is surely large enough.

        That is so for any that has, for a large request, a page more than was asked for.
        """
        length = max(nbytes + -nbytes % ALIGNMENT, ALIGNMENT)
        step = PAGE if length >= PAGED_FROM else ALIGNMENT
        # The best candidate; then the best of those that fit wherever they begin.
        for wanted in (length, length + step - ALIGNMENT):
            index = bisect_left(self._free, (wanted, 0))
            if index == len(self._free):
                return None
            size, start = self._free[index]
            gap = -start % step
            if gap + length <= size:
                return self._carve(start, size, gap, length)
        return None

    def free(self, offset: int) -> int:
        """Frees the block that begins there; returns its bytes.

        Raises:
            KeyError: no live block begins there.
        """
        length = self._live.pop(offset)
        self.used -= length
        start, end = offset, offset + length
        if (before := self._by_end.get(start)) is not None:
            self._take(before, start - before)
            start = before
        if (after := self._by_start.get(end)) is not None:
            self._take(end, after)
            end += after
        self._add(start, end - start)
        return length

    def _carve(self, start: int, size: int, gap: int, length: int) -> int:
        self._take(start, size)
        if gap:
            self._add(start, gap)
        if rest := size - gap - length:
            self._add(start + gap + length, rest)
        self._live[start + gap] = length
        self.used += length
        return start + gap

    def _add(self, start: int, size: int) -> None:
        insort(self._free, (size, start))
        self._by_start[start] = size
        self._by_end[start + size] = start

    def _take(self, start: int, size: int) -> None:
        del self._free[bisect_left(self._free, (size, start))]
        del self._by_start[start]
        del self._by_end[start + size]

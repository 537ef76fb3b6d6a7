"""Credit of a stream, the same on both sides and in both directions: a sans-IO core.

Who takes items says how many, and how many bytes, it has room for; who gives them gives no more.
Room that is free again is told in lots, so that a fast reader costs few frames. A reader that stops
therefore stops its producer after one window, and what waits between the two never grows beyond it:
WINDOW_ITEMS items, and WINDOW_BYTES plus the last item. Light: imported by the worker's process.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from citadel.errors import WireError

WINDOW_ITEMS = 64
WINDOW_BYTES = 1 << 20


def size_of(value: Any) -> int:
    """Bytes of an item as its frame says it, the same on both sides: bytes, or [head, places]."""
    if type(value) is bytes:
        return len(value)
    head, places = value
    return len(head or b"") + sum(length for _, length in places)


class Giver:
    """Who gives items: how many more it may give."""

    __slots__ = ("items", "nbytes")

    def __init__(self, items: int = 0, nbytes: int = 0) -> None:
        self.items = items
        self.nbytes = nbytes

    def open(self) -> bool:
        """Whether there is room for one more, however large it is."""
        return self.items > 0 and self.nbytes > 0

    def gave(self, size: int) -> None:
        """An item of so many bytes was given."""
        self.items -= 1
        self.nbytes -= size

    def more(self, items: int, nbytes: int) -> None:
        """The taker has more room."""
        self.items += items
        self.nbytes += nbytes


class Taker:
    """Who takes items: what came and was not taken, and what to tell the giver."""

    __slots__ = ("_free_bytes", "_free_items", "_items", "_nbytes", "_open_items", "_waiting")

    def __init__(self, items: int = WINDOW_ITEMS, nbytes: int = WINDOW_BYTES) -> None:
        self._items = items
        self._nbytes = nbytes
        self._open_items = items
        self._free_items = self._free_bytes = 0
        self._waiting: deque[tuple[Any, int]] = deque()

    def __len__(self) -> int:
        """Items that wait."""
        return len(self._waiting)

    def put(self, item: Any, size: int) -> None:
        """An item of so many bytes came.

        Raises:
            WireError: the giver did not wait for credit.
        """
        if self._open_items <= 0:
            raise WireError(f"more than {self._items} items of a stream came without credit")
        self._open_items -= 1
        self._waiting.append((item, size))

    def take(self) -> Any:
        """The oldest item that waits."""
        item, size = self._waiting.popleft()
        self._free_items += 1
        self._free_bytes += size
        return item

    def due(self) -> tuple[int, int] | None:
        """The items and bytes of credit to give back now; None: not yet."""
        if 2 * self._free_items < self._items and 2 * self._free_bytes < self._nbytes:
            return None
        told = self._free_items, self._free_bytes
        self._open_items += self._free_items
        self._free_items = self._free_bytes = 0
        return told

"""What a worker prints, as lines: cut when they are long, counted when they are many. Sans-IO."""

from __future__ import annotations

MAX_LINE = 4_096
"""Bytes of a line that are kept."""
LINES_A_SECOND = 200
"""Lines that become events; the rest of a second's lines are counted."""


class Lines:
    """Bytes as they come, to whole lines."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """The lines that the data complete; blank ones are left out."""
        *whole, rest = (self._rest + data).split(b"\n")
        self._rest = rest[: MAX_LINE + 1]
        return [text for line in whole if (text := _text(line))]

    def end(self) -> list[str]:
        """The line that had no end."""
        rest, self._rest = _text(self._rest), b""
        return [rest] if rest else []


class Throttle:
    """Lets LINES_A_SECOND through, and says how many it held back."""

    __slots__ = ("_count", "_held", "_second")

    def __init__(self) -> None:
        self._second = -1
        self._count = 0
        self._held = 0

    def passes(self, now: float) -> bool:
        """Whether a line that comes now is one of those that are let through."""
        if int(now) != self._second:
            self._second, self._count = int(now), 0
        self._count += 1
        return self._count <= LINES_A_SECOND

    def take(self, line: str, now: float) -> list[str]:
        """The lines to show now: this one or none, before it a word on those held back."""
        shown = self.held_back() if int(now) != self._second else []
        if self.passes(now):
            return [*shown, line]
        self._held += 1
        return shown

    def hold(self, number: int) -> None:
        """So many lines were held back elsewhere."""
        self._held += number

    def held_back(self) -> list[str]:
        """A word on the lines that were not shown, once."""
        held, self._held = self._held, 0
        return [f"… {held} more lines in that second are not shown"] if held else []


def _text(line: bytes) -> str:
    cut = line[:MAX_LINE].decode("utf-8", "replace").rstrip()
    return cut + "…" if len(line) > MAX_LINE else cut

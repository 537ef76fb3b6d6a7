"""A unit of work: a root span that lasts until everything that it caused has ended.

Signals, commands and questions that descend from it each hold it; when the last one lets go, its
span ends and its owner hears of it. Loop thread only.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.telemetry.recorder import Span


class Unit:
    """A span, and how many hold it."""

    __slots__ = ("_holders", "_on_end", "failed", "key", "span")

    def __init__(
        self, span: Span, key: str = "", on_end: Callable[[Unit], None] | None = None
    ) -> None:
        self.span = span
        self.key = key
        self.failed = False
        self._holders = 0
        self._on_end = on_end

    def hold(self) -> Unit:
        """One more holder."""
        self._holders += 1
        return self

    def release(self) -> None:
        """One holder less; the last one ends the unit."""
        self._holders -= 1
        if self._holders == 0:
            self.span.end()
            if self._on_end:
                self._on_end(self)

"""The stretch of a trace that is on screen, shared by the waterfall and its minimap."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

SMALLEST_NS = 100.0
"""The shortest stretch that can be shown."""
MARGIN = 0.02
"""Of the trace's length, at both ends when all of it is shown."""


class Viewport(QObject):
    """From, to, in nanoseconds since the trace began."""

    moved = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.length = 1.0
        self.start = 0.0
        self.end = 1.0
        self.fitted = True
        """Whether all of it is shown, so that a trace that grows stays in view."""

    @property
    def width(self) -> float:
        """How long the stretch is."""
        return self.end - self.start

    def fit(self, length: float | None = None) -> None:
        """Shows everything."""
        self.length = length or self.length
        self.show(-MARGIN * self.length, self.length * (1 + MARGIN))
        self.fitted = True

    def show(self, start: float, end: float) -> None:
        """Shows a stretch, kept within the trace."""
        margin = MARGIN * self.length
        width = min(max(end - start, SMALLEST_NS), self.length + 2 * margin)
        start = min(max(start, -margin), self.length + margin - width)
        self.start, self.end = start, start + width
        self.fitted = False
        self.moved.emit()

    def zoom(self, factor: float, at: float) -> None:
        """Shows 1/factor of the stretch, keeping a time where it is."""
        width = min(max(self.width / factor, SMALLEST_NS), self.length * (1 + 2 * MARGIN))
        share = (at - self.start) / self.width
        self.show(at - share * width, at + (1 - share) * width)

    def pan(self, share: float) -> None:
        """Moves by a share of the stretch."""
        self.show(self.start + share * self.width, self.end + share * self.width)

"""The time axis that all charts of the Bridge share: a stretch that ends now, and one crosshair."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from app.views.bridge.marks import Mark

SPANS = (60, 300, 900)
"""Stretches that can be shown, in seconds."""
SECOND = 1_000_000_000


class TimeAxis(QObject):
    """Which stretch is shown, and where the pointer is."""

    moved = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.seconds = SPANS[0]
        self.end_ns = 0
        self.crosshair_ns = 0
        self.marks: tuple[Mark, ...] = ()

    @property
    def start_ns(self) -> int:
        """The left edge."""
        return self.end_ns - self.seconds * SECOND

    def advance(self, now_ns: int) -> None:
        """Ends the stretch at the last whole second, so that columns do not flicker."""
        self.end_ns = now_ns // SECOND * SECOND

    def show_seconds(self, seconds: int) -> None:
        """Shows another stretch."""
        self.seconds = seconds
        self.moved.emit()

    def point_at(self, time_ns: int) -> None:
        """Moves the crosshair; 0 takes it away."""
        if time_ns != self.crosshair_ns:
            self.crosshair_ns = time_ns
            self.moved.emit()

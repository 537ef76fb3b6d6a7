"""The frame clock: one timer that refreshes what is visible, and only what changed.

A view is refreshed when a topic that it shows has moved and its own interval has passed, and at
least once a second while anything is live (ages and time axes move by themselves). Hidden views
are not touched; they catch up when they are shown. Main thread only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QWidget

from app.store import FleetStore
from app.theme import Theme

FRAME_MS = 33
"""30 frames a second."""

TABLE_NS = 200_000_000
"""The interval of views that are read rather than watched."""

IDLE_NS = 1_000_000_000
"""The longest time between two refreshes of a visible view."""


@runtime_checkable
class View(Protocol):
    """What a view offers to the frame clock and the theme switch."""

    def refresh(self, now_ns: int) -> None:
        """Shows the store as of now; `now_ns` is the clock bar's time, by the engine's clock."""
        ...

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours, at once."""
        ...


@dataclass(slots=True)
class _Watched:
    widget: QWidget
    refresh: Callable[[int], None]
    moved: Callable[[], int]
    interval_ns: int
    seen: int = -1
    last_ns: int = -IDLE_NS


class FrameClock(QObject):
    """Calls `refresh(now_ns)` of visible views whose topics moved."""

    def __init__(
        self,
        store: FleetStore,
        now_ns: Callable[[], int],
        monotonic_ns: Callable[[], int],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._store = store
        self._now_ns = now_ns
        self._monotonic_ns = monotonic_ns
        self._watched: list[_Watched] = []
        self._timer = QTimer(self)
        self._timer.setInterval(FRAME_MS)
        self._timer.timeout.connect(self.tick)
        self.frames = 0

    def watch(
        self,
        widget: QWidget,
        refresh: Callable[[int], None],
        topics: Sequence[str] = (),
        interval_ns: int = 0,
        also: Callable[[], int] = lambda: 0,
    ) -> None:
        """Refreshes a widget when one of the topics (all, when empty), or `also`, moved."""
        generation = self._store.generation
        names = tuple(topics) or tuple(generation)

        def moved() -> int:
            return sum(generation[name] for name in names) + also()

        self._watched.append(_Watched(widget, refresh, moved, interval_ns))

    def start(self) -> None:
        """Begins to tick."""
        self._timer.start()

    def stop(self) -> None:
        """Ends; nothing is refreshed any more."""
        self._timer.stop()

    def tick(self) -> None:
        """One frame."""
        monotonic, now = self._monotonic_ns(), self._now_ns()
        for watched in self._watched:
            if not watched.widget.isVisible():
                continue
            since = monotonic - watched.last_ns
            if since < watched.interval_ns:
                continue
            moved = watched.moved()
            if moved != watched.seen or since >= IDLE_NS:
                watched.seen, watched.last_ns = moved, monotonic
                watched.refresh(now)
        self.frames += 1

    def refresh_now(self) -> None:
        """Refreshes all visible views at the next tick, whatever moved."""
        for watched in self._watched:
            watched.seen = -1
            watched.last_ns = -IDLE_NS
        self.tick()

"""The waterfall: lanes of spans, zoomed and panned, at any size of trace.

The widget knows keys, wheel and pointer; what a frame looks like is lanes.py, where things are is
geometry.py. Main thread only.
"""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPointF, Qt, Signal
from PySide6.QtGui import (
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QToolTip
from typing_extensions import override

from app import figures
from app.models.waterfall import ERROR, FLAG
from app.theme import Theme
from app.views.cinema.geometry import LANE_PX, NAME_PX, RULER_PX, Geometry
from app.views.cinema.lanes import LanesPainter, Shown
from app.views.cinema.palette import tone
from app.views.cinema.viewport import Viewport

__all__ = ["LANE_PX", "NAME_PX", "Shown", "WaterfallView"]

WHEEL_FACTOR = 1.2
KEY_FACTOR = 1.5
KEY_PAN = 0.1
SLACK_PX = 3
LEAST_ROOM_NS = 50.0
KEYS = "Arrows move, + and - zoom, 0 shows all, N and P step through spans, E goes to trouble"


class WaterfallView(QAbstractScrollArea):
    """Paints a trace, and says which span was chosen."""

    chosen = Signal(int)
    """The row of the table, or -1."""

    def __init__(self, viewport: Viewport, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._view = viewport
        self._shown: Shown | None = None
        self._selected = -1
        self._drag: QPointF | None = None
        self.empty = "Choose a trace on the left."
        viewport.moved.connect(self.viewport().update)
        self.setFrameShape(QAbstractScrollArea.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.viewport().setMouseTracking(True)
        self.setAccessibleName("Waterfall")
        self.setAccessibleDescription(self.as_text())
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def show_trace(self, shown: Shown | None, *, keep: bool = False) -> None:
        """Shows a trace; `keep` keeps stretch and selection, for the same one with newer spans."""
        selected = self._selected_id() if keep else None
        self._shown = shown
        self._selected = -1 if selected is None else self._index_of(selected)
        if not keep:
            self.verticalScrollBar().setValue(0)
        if shown:
            if self._view.fitted or not keep:
                self._view.fit(float(shown.layout.span_ns))
            else:
                self._view.length = float(shown.layout.span_ns)
        self.setAccessibleDescription(self.as_text())
        self._show_scroll()
        self.viewport().update()

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self._theme = theme
        self.viewport().update()

    def as_text(self) -> str:
        """The trace in words."""
        if self._shown is None:
            return self.empty
        layout = self._shown.layout
        errors = int((layout.code == ERROR).sum())
        flags = int((layout.code == FLAG).sum())
        services = len({lane.service for lane in layout.lanes})
        spans = f"{_number(len(layout), 'span')} in {_number(services, 'service')}"
        parts = [
            f"{spans} over {figures.seconds(layout.span_ns / 1e9)}",
            _number(errors, "error") if errors else "no errors",
            *([_number(flags, "guard flag")] if flags else []),
        ]
        return ", ".join(parts)

    def select(self, index: int, *, reveal: bool = False) -> None:
        """Chooses a span by its place in the layout; `reveal` brings it into view."""
        self._selected = index
        if self._shown and index >= 0:
            if reveal:
                self._reveal(index)
            self.chosen.emit(int(self._shown.layout.rows[index]))
        self.viewport().update()

    @property
    def selected(self) -> int:
        """The chosen span's place in the layout, or -1."""
        return self._selected

    def geometry_now(self) -> Geometry:
        """Where things are in this frame."""
        size = self.viewport().size()
        return Geometry(
            start=self._view.start,
            end=self._view.end,
            width=size.width(),
            height=size.height(),
            scrolled=self.verticalScrollBar().value(),
        )

    def index_at(self, at: QPointF) -> int:
        """The span at a position, or -1."""
        geometry = self.geometry_now()
        if self._shown is None or at.y() < RULER_PX or not geometry.plot.contains(at):
            return -1
        layout, number = self._shown.layout, geometry.lane(at.y())
        if not 0 <= number < len(layout.lanes):
            return -1
        left = geometry.time(float(np.floor(at.x())))
        slack = SLACK_PX * geometry.pixel
        found = layout.at(layout.lanes[number], left, left + geometry.pixel, slack)
        return -1 if found is None else found

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        painter.fillRect(self.viewport().rect(), tone(self._theme, "surface.panel"))
        if self._shown is None or not len(self._shown.layout):
            painter.setPen(tone(self._theme, "text.muted"))
            center = int(Qt.AlignmentFlag.AlignCenter.value)
            painter.drawText(self.viewport().rect(), center, self.empty)
        else:
            frame = LanesPainter(self._theme, painter, self.geometry_now(), self._shown)
            frame.draw(self._selected)
        painter.end()

    # ── input ────────────────────────────────────────────────────────────────────────────────

    @override
    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._show_scroll()

    @override
    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zooms at the pointer; with Shift it pans; with Alt, or over the names, it scrolls."""
        turned = event.angleDelta()
        if event.position().x() < NAME_PX or event.modifiers() & Qt.KeyboardModifier.AltModifier:
            bar = self.verticalScrollBar()
            bar.setValue(bar.value() - round((turned.y() or turned.x()) / 120 * 3 * LANE_PX))
        elif event.modifiers() & Qt.KeyboardModifier.ShiftModifier or turned.x():
            self._view.pan(-(turned.x() or turned.y()) / 1200)
        else:
            at = self.geometry_now().time(event.position().x())
            self._view.zoom(WHEEL_FACTOR ** (turned.y() / 120), at)
        event.accept()

    @override
    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._drag = event.position()
        self.select(self.index_at(event.position()))

    @override
    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._drag = None
        self.viewport().unsetCursor()

    @override
    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._drag is not None:
            self.viewport().setCursor(Qt.CursorShape.ClosedHandCursor)
            moved = event.position() - self._drag
            self._drag = event.position()
            self._view.pan(-moved.x() / self.geometry_now().plot.width())
            bar = self.verticalScrollBar()
            bar.setValue(bar.value() - round(moved.y()))
            return
        index = self.index_at(event.position())
        text = self.tip(index) if index >= 0 else ""
        QToolTip.showText(event.globalPosition().toPoint(), text, self.viewport())

    @override
    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Zooms to the span."""
        index = self.index_at(event.position())
        if index >= 0 and self._shown:
            layout = self._shown.layout
            start, end = float(layout.start[index]), float(layout.end[index])
            room = max((end - start) * KEY_PAN, LEAST_ROOM_NS)
            self._view.show(start - room, end + room)

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        middle = (self._view.start + self._view.end) / 2
        match event.key():
            case Qt.Key.Key_Plus | Qt.Key.Key_Equal:
                self._view.zoom(KEY_FACTOR, middle)
            case Qt.Key.Key_Minus:
                self._view.zoom(1 / KEY_FACTOR, middle)
            case Qt.Key.Key_0 | Qt.Key.Key_Home:
                self._view.fit()
            case Qt.Key.Key_Left:
                self._view.pan(-KEY_PAN)
            case Qt.Key.Key_Right:
                self._view.pan(KEY_PAN)
            case Qt.Key.Key_N:
                self._step(1)
            case Qt.Key.Key_P:
                self._step(-1)
            case Qt.Key.Key_E:
                self._step(1, least=FLAG)
            case _:
                super().keyPressEvent(event)
                return
        event.accept()

    def _step(self, by: int, *, least: int = 0) -> None:
        """Chooses the next or previous span by time, of those as severe as `least`."""
        if self._shown is None:
            return
        layout = self._shown.layout
        order = np.argsort(layout.start, kind="stable")
        order = order[layout.code[order] >= least]
        if not len(order):
            return
        here = layout.start[self._selected] if self._selected >= 0 else None
        if here is None:
            place = 0 if by > 0 else -1
        else:
            known = np.flatnonzero(order == self._selected)
            after = int(np.searchsorted(layout.start[order], here, "right"))
            place = int(known[0]) + by if len(known) else after
        self.select(int(order[place % len(order)]), reveal=True)

    def _reveal(self, index: int) -> None:
        """Scrolls and pans so that a span is in view."""
        assert self._shown is not None
        layout, geometry = self._shown.layout, self.geometry_now()
        top = layout.lane_of(index) * LANE_PX
        bar, page = self.verticalScrollBar(), int(geometry.plot.height()) - LANE_PX
        bar.setValue(min(max(bar.value(), top - page), top))
        start, end = float(layout.start[index]), float(layout.end[index])
        if end < self._view.start or start > self._view.end:
            half = self._view.width / 2
            self._view.show((start + end) / 2 - half, (start + end) / 2 + half)

    def _selected_id(self) -> int | None:
        if self._shown is None or self._selected < 0:
            return None
        return int(self._shown.table["span_id"][self._shown.layout.rows[self._selected]])

    def _index_of(self, span_id: int) -> int:
        if self._shown is None:
            return -1
        ids = self._shown.table["span_id"][self._shown.layout.rows]
        found = np.flatnonzero(ids == np.uint64(span_id))
        return int(found[0]) if len(found) else -1

    def _show_scroll(self) -> None:
        lanes = len(self._shown.layout.lanes) if self._shown else 0
        height = int(self.geometry_now().plot.height())
        bar = self.verticalScrollBar()
        bar.setRange(0, max(0, lanes * LANE_PX - height + 8))
        bar.setPageStep(height)
        bar.setSingleStep(LANE_PX)

    def tip(self, index: int) -> str:
        """What hovering over a span says."""
        assert self._shown is not None
        layout, table = self._shown.layout, self._shown.table
        row = int(layout.rows[index])
        took = figures.seconds((layout.end[index] - layout.start[index]) / 1e9)
        end = took if table["end_ns"][row] else f"{took}, still open"
        state = {ERROR: "\nended in an error", FLAG: "\nflagged by a guard"}
        where = table["service"][row] or table["source"][row]
        return f"{table['name'][row]}\n{where}  ·  {end}{state.get(int(layout.code[index]), '')}"


def _number(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"

"""The waterfall: lanes of spans, zoomed and panned, at any size of trace.

A frame paints one image of codes made in numpy, and boxes with labels only for the spans that are
wide enough to read. Lanes outside of the window are not touched. Main thread only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QFont,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QToolTip
from typing_extensions import override

from app import figures
from app.models.waterfall import ERROR, FLAG, OPEN, Lane, Waterfall
from app.theme import Theme
from app.views.cinema.palette import lookup, span_token, tone
from app.views.cinema.viewport import Viewport
from citadel.wire.columns import Table

LANE_PX = 22
BAR_PX = 16
NAME_PX = 148
RULER_PX = 24
LABEL_FROM_PX = 36
MOST_BOXES = 300
"""Spans that a frame draws as boxes of their own; more are the image's pixels alone."""
MOST_LABELS = 120
WHEEL_FACTOR = 1.2
SLACK_PX = 3


@dataclass(frozen=True, slots=True)
class Shown:
    """A trace on screen."""

    trace_id: str
    table: Table
    layout: Waterfall


class WaterfallView(QAbstractScrollArea):
    """Paints a trace, and says which span was chosen."""

    chosen = Signal(int)

    def __init__(self, viewport: Viewport, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._colors = lookup(theme)
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
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def show_trace(self, shown: Shown | None, *, keep: bool = False) -> None:
        """Shows a trace; `keep` keeps the stretch, for the same trace with newer spans."""
        self._shown = shown
        if not keep:
            self._selected = -1
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
        self._theme, self._colors = theme, lookup(theme)
        self.viewport().update()

    def as_text(self) -> str:
        """The trace in words."""
        if self._shown is None:
            return self.empty
        layout = self._shown.layout
        errors = int((layout.code == ERROR).sum())
        services = len({lane.service for lane in layout.lanes})
        return (
            f"{len(layout):,} spans in {services} services over"
            f" {figures.seconds(layout.span_ns / 1e9)}, {errors} errors"
        )

    def select(self, index: int) -> None:
        """Chooses a span by its place in the layout."""
        self._selected = index
        if self._shown and index >= 0:
            self.chosen.emit(int(self._shown.layout.rows[index]))
        self.viewport().update()

    # ── painting ─────────────────────────────────────────────────────────────────────────────

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        painter.fillRect(self.viewport().rect(), tone(self._theme, "surface.panel"))
        if self._shown is None or not len(self._shown.layout):
            painter.setPen(tone(self._theme, "text.muted"))
            painter.drawText(self.viewport().rect(), Qt.AlignmentFlag.AlignCenter, self.empty)
        else:
            self._draw_ruler(painter)
            self._draw_lanes(painter, self._shown.layout)
        painter.end()

    def _draw_lanes(self, painter: QPainter, layout: Waterfall) -> None:
        plot = self._plot()
        width = int(plot.width())
        scrolled = self.verticalScrollBar().value()
        first = scrolled // LANE_PX
        last = min(len(layout.lanes), first + int(plot.height()) // LANE_PX + 2)
        painter.setClipRect(QRectF(0, RULER_PX, self.viewport().width(), plot.height()))
        boxes = MOST_BOXES
        labels = MOST_LABELS
        service = ""
        for number in range(first, last):
            lane = layout.lanes[number]
            top = RULER_PX + number * LANE_PX - scrolled
            if lane.service != service or number == first:
                service = lane.service
                self._draw_service(painter, lane, top)
            low, high = layout.visible(lane, self._view.start, self._view.end)
            if high - low <= boxes:
                boxes -= high - low
                labels -= self._draw_boxes(painter, layout, low, high, top, labels)
            else:
                self._draw_pixels(painter, layout, lane, top, width)
                labels -= self._draw_wide(painter, layout, low, high, top, labels)
        if self._selected >= 0:
            self._draw_selected(painter, layout, first, last, scrolled)

    def _draw_service(self, painter: QPainter, lane: Lane, top: float) -> None:
        painter.setPen(QPen(tone(self._theme, "line.grid"), 1))
        painter.drawLine(QPointF(0, top + 0.5), QPointF(self.viewport().width(), top + 0.5))
        font = QFont(self.font())
        font.setPixelSize(11)
        painter.setFont(font)
        painter.fillRect(
            QRectF(8, top + 7, 8, 8),
            tone(self._theme, f"source.{lane.source}"),
        )
        painter.setPen(tone(self._theme, "text.secondary"))
        text = painter.fontMetrics().elidedText(
            lane.service, Qt.TextElideMode.ElideMiddle, NAME_PX - 30
        )
        painter.drawText(
            QRectF(22, top, NAME_PX - 26, LANE_PX), Qt.AlignmentFlag.AlignVCenter, text
        )

    def _draw_boxes(
        self, painter: QPainter, layout: Waterfall, low: int, high: int, top: float, labels: int
    ) -> int:
        """Spans one by one, errors last, so that none is covered; returns the labels drawn."""
        drawn = 0
        order = range(low, high)
        for index in sorted(order, key=lambda i: int(layout.code[i])):
            box = self._box(layout, index, top)
            code = int(layout.code[index])
            color = tone(self._theme, span_token(code))
            if code == OPEN:
                color.setAlpha(150)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, box.width() > 4)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(color)
            if box.width() > 4:
                painter.drawRoundedRect(box, 2, 2)
            else:
                painter.drawRect(box)
            if box.width() >= LABEL_FROM_PX and drawn < labels:
                drawn += 1
                self._draw_label(painter, layout, index, box)
        return drawn

    def _draw_pixels(
        self, painter: QPainter, layout: Waterfall, lane: Lane, top: float, width: int
    ) -> None:
        codes = layout.paint(lane, self._view.start, self._view.end, width)
        pixels = self._colors[codes]
        image = QImage(pixels.tobytes(), width, 1, width * 4, QImage.Format.Format_ARGB32)
        painter.drawImage(QRectF(NAME_PX, top + 3, width, BAR_PX), image)

    def _draw_wide(
        self, painter: QPainter, layout: Waterfall, low: int, high: int, top: float, labels: int
    ) -> int:
        """Labels for the spans of a crowded lane that are wide enough."""
        least = LABEL_FROM_PX / self._plot().width() * self._view.width
        wide = np.flatnonzero(layout.end[low:high] - layout.start[low:high] >= least)[:labels]
        for offset in wide.tolist():
            index = low + offset
            self._draw_label(painter, layout, index, self._box(layout, index, top))
        return len(wide)

    def _draw_label(self, painter: QPainter, layout: Waterfall, index: int, box: QRectF) -> None:
        assert self._shown is not None
        row = int(layout.rows[index])
        name = str(self._shown.table["name"][row])
        inner = box.intersected(self._plot()).adjusted(5, 0, -3, 0)
        if inner.width() < LABEL_FROM_PX - 8:
            return
        mark = {ERROR: "✕ ", FLAG: "⛨ ", OPEN: "… "}.get(int(layout.code[index]), "")
        took = figures.seconds((layout.end[index] - layout.start[index]) / 1e9)
        metrics = painter.fontMetrics()
        text = f"{mark}{name}  {took}"
        if metrics.horizontalAdvance(text) > inner.width():
            text = mark + name
        text = metrics.elidedText(text, Qt.TextElideMode.ElideRight, int(inner.width()))
        painter.setPen(tone(self._theme, "text.on_state"))
        painter.drawText(inner, Qt.AlignmentFlag.AlignVCenter, text)

    def _draw_selected(
        self, painter: QPainter, layout: Waterfall, first: int, last: int, scrolled: int
    ) -> None:
        for number in range(first, last):
            lane = layout.lanes[number]
            if lane.first <= self._selected < lane.last:
                top = RULER_PX + number * LANE_PX - scrolled
                box = self._box(layout, self._selected, top).adjusted(-1.5, -1.5, 1.5, 1.5)
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.setPen(QPen(tone(self._theme, "text.primary"), 1.5))
                painter.drawRoundedRect(box, 3, 3)

    def _draw_ruler(self, painter: QPainter) -> None:
        plot = self._plot()
        font = QFont(self.font())
        font.setPixelSize(11)
        painter.setFont(font)
        step = _round_step(self._view.width * 110 / plot.width())
        at = np.ceil(self._view.start / step) * step
        while at <= self._view.end:
            x = self._x(at)
            painter.setPen(QPen(tone(self._theme, "line.grid"), 1))
            painter.drawLine(QPointF(x, RULER_PX - 4), QPointF(x, plot.bottom()))
            painter.setPen(tone(self._theme, "text.muted"))
            text = "0" if abs(at) < step / 2 else figures.seconds(at / 1e9)
            painter.drawText(
                QRectF(x + 4, 2, 100, RULER_PX - 4), Qt.AlignmentFlag.AlignVCenter, text
            )
            at += step

    # ── geometry ─────────────────────────────────────────────────────────────────────────────

    def _plot(self) -> QRectF:
        size = self.viewport().size()
        width = max(size.width() - NAME_PX - 8, 1)
        return QRectF(NAME_PX, RULER_PX, width, max(size.height() - RULER_PX, 1))

    def _x(self, time: float) -> float:
        plot = self._plot()
        return plot.left() + (time - self._view.start) / self._view.width * plot.width()

    def _time(self, x: float) -> float:
        plot = self._plot()
        return self._view.start + (x - plot.left()) / plot.width() * self._view.width

    def _box(self, layout: Waterfall, index: int, top: float) -> QRectF:
        plot = self._plot()
        left = max(self._x(float(layout.start[index])), plot.left() - 8)
        right = min(self._x(float(layout.end[index])), plot.right() + 8)
        return QRectF(left, top + 3, max(right - left, 1.5), BAR_PX)

    def index_at(self, at: QPointF) -> int:
        """The span at a position, or -1."""
        if self._shown is None or at.x() < NAME_PX or at.y() < RULER_PX:
            return -1
        layout = self._shown.layout
        number = int((at.y() - RULER_PX + self.verticalScrollBar().value()) // LANE_PX)
        if not 0 <= number < len(layout.lanes):
            return -1
        pixel = self._view.width / self._plot().width()
        left = self._time(np.floor(at.x()))
        found = layout.at(layout.lanes[number], left, left + pixel, SLACK_PX * pixel)
        return -1 if found is None else found

    def _show_scroll(self) -> None:
        lanes = len(self._shown.layout.lanes) if self._shown else 0
        height = int(self._plot().height())
        bar = self.verticalScrollBar()
        bar.setRange(0, max(0, lanes * LANE_PX - height + 8))
        bar.setPageStep(height)
        bar.setSingleStep(LANE_PX)

    # ── input ────────────────────────────────────────────────────────────────────────────────

    @override
    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._show_scroll()

    @override
    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zooms at the pointer; with Shift it pans, over the names it scrolls."""
        turned = event.angleDelta()
        if event.position().x() < NAME_PX or event.modifiers() & Qt.KeyboardModifier.AltModifier:
            super().wheelEvent(event)
        elif event.modifiers() & Qt.KeyboardModifier.ShiftModifier or turned.x():
            self._view.pan(-(turned.x() or turned.y()) / 1200)
        else:
            self._view.zoom(WHEEL_FACTOR ** (turned.y() / 120), self._time(event.position().x()))
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
            self._view.pan(-moved.x() / self._plot().width())
            bar = self.verticalScrollBar()
            bar.setValue(bar.value() - round(moved.y()))
            return
        index = self.index_at(event.position())
        text = self._tip(index) if index >= 0 else ""
        QToolTip.showText(event.globalPosition().toPoint(), text, self.viewport())

    @override
    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Zooms to the span."""
        index = self.index_at(event.position())
        if index >= 0 and self._shown:
            layout = self._shown.layout
            start, end = float(layout.start[index]), float(layout.end[index])
            room = max((end - start) * 0.1, 50.0)
            self._view.show(start - room, end + room)

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        middle = (self._view.start + self._view.end) / 2
        match event.key():
            case Qt.Key.Key_Plus | Qt.Key.Key_Equal:
                self._view.zoom(1.5, middle)
            case Qt.Key.Key_Minus:
                self._view.zoom(1 / 1.5, middle)
            case Qt.Key.Key_0 | Qt.Key.Key_Home:
                self._view.fit()
            case Qt.Key.Key_Left:
                self._view.pan(-0.1)
            case Qt.Key.Key_Right:
                self._view.pan(0.1)
            case Qt.Key.Key_N | Qt.Key.Key_P:
                self._step(1 if event.key() == Qt.Key.Key_N else -1)
            case _:
                super().keyPressEvent(event)
                return
        event.accept()

    def _step(self, by: int) -> None:
        """Chooses the next or previous span by time."""
        if self._shown is None or not len(self._shown.layout):
            return
        order = np.argsort(self._shown.layout.start, kind="stable")
        place = int(np.flatnonzero(order == self._selected)[0]) if self._selected >= 0 else -by
        self.select(int(order[(place + by) % len(order)]))

    def _tip(self, index: int) -> str:
        assert self._shown is not None
        layout, table = self._shown.layout, self._shown.table
        row = int(layout.rows[index])
        took = figures.seconds((layout.end[index] - layout.start[index]) / 1e9)
        return f"{table['name'][row]}\n{table['service'][row] or table['source'][row]}  ·  {took}"


def _round_step(least: float) -> float:
    """The round step at or above some nanoseconds."""
    power = 10.0 ** np.floor(np.log10(max(least, 1.0)))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= least))

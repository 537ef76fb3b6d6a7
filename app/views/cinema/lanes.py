"""Paints the lanes of a waterfall: boxes with labels where there is room, else pixels.

A crowded lane is one image of codes made in numpy; a frame draws a bounded number of boxes and
labels whatever the trace's size. What went wrong stands taller than the rest, so that it is told by
its form too. Main thread, inside a paint.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QImage, QLinearGradient, QPainter, QPen

from app import figures
from app.models.waterfall import ERROR, FLAG, OPEN, Codes, Lane, Waterfall
from app.theme import Theme
from app.views.cinema.geometry import BAR_PX, LANE_PX, NAME_PX, RULER_PX, Geometry, Ints
from app.views.cinema.palette import lookup, source_code, span_token, tone
from citadel.wire.columns import Table

LABEL_FROM_PX = 36
MOST_BOXES = 300
"""Spans that a frame draws as boxes of their own; more are the image's pixels alone."""
MOST_LABELS = 120
TALLER_PX = 3.0
ROUND_FROM_PX = 6.0
SMALL_PX = 11
FADE_PX = 48.0
"""How much of an open span's right end fades out."""
_MARKS = {ERROR: "✕ ", FLAG: "◆ ", OPEN: "… "}


@dataclass(frozen=True, slots=True)
class Shown:
    """A trace on screen."""

    trace_id: str
    table: Table
    layout: Waterfall


class LanesPainter:
    """Draws one frame."""

    def __init__(self, theme: Theme, painter: QPainter, geometry: Geometry, shown: Shown) -> None:
        self._theme = theme
        self._painter = painter
        self._at = geometry
        self._layout = shown.layout
        self._table = shown.table
        self._colors = lookup(theme)
        self._tones = [tone(theme, span_token(code)) for code in range(1, ERROR + 1)]
        self._plot = geometry.plot
        self._boxes, self._labels = MOST_BOXES, MOST_LABELS
        self._font = QFont(painter.font())
        self._font.setPixelSize(SMALL_PX)
        painter.setFont(self._font)
        self._metrics = painter.fontMetrics()

    def draw(self, selected: int) -> None:
        """Ruler, lanes and what is selected."""
        painter, layout = self._painter, self._layout
        self._draw_ruler()
        lanes = self._at.lanes(len(layout.lanes))
        painter.setClipRect(QRectF(0, RULER_PX, self._at.width, self._plot.height()))
        for number in lanes:
            lane = layout.lanes[number]
            if number == lanes.start or lane.service != layout.lanes[number - 1].service:
                self._draw_service(lane, self._at.top(number))
        painter.setClipRect(self._plot.adjusted(0, 0, 8, 0))
        for number in lanes:
            self._draw_lane(layout.lanes[number], number)
        if selected >= 0 and (number := layout.lane_of(selected)) in lanes:
            box = self._at.box(layout, selected, number).adjusted(-1.5, -1.5, 1.5, 1.5)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(tone(self._theme, "text.primary"), 1.5))
            painter.drawRoundedRect(box, 3, 3)

    def _draw_lane(self, lane: Lane, number: int) -> None:
        low, high = self._layout.visible(lane, self._at.start, self._at.end)
        y = self._at.top(number) + (LANE_PX - BAR_PX) / 2
        if high - low <= self._boxes:
            self._boxes -= high - low
            # What is severe comes last, so that nothing covers it.
            order = low + np.argsort(self._layout.code[low:high], kind="stable")
            self._draw_boxes(order, lane, y)
            return
        scale = self._painter.device().devicePixelRatio()
        width = max(round(self._plot.width() * scale), 1)
        codes = self._layout.paint(lane, self._at.start, self._at.end, width)
        length = self._layout.end[low:high] - self._layout.start[low:high]
        wide = np.flatnonzero(length >= LABEL_FROM_PX * self._at.pixel)
        order = low + wide[: max(self._labels, 0)]
        # What gets a box of its own is left out of the pixels; but not what is severe beside it.
        for index, (left, right) in zip(order, self._columns(order, scale), strict=True):
            part = codes[left:right]
            part[part == self._layout.code[index]] = 0
        bar = QRectF(self._plot.left(), y, self._plot.width(), BAR_PX)
        self._draw_codes(np.where(codes < FLAG, codes, 0).astype(np.uint8), lane, bar)
        self._draw_boxes(order, lane, y)
        if int(codes.max(initial=0)) >= FLAG:
            severe = np.where(codes >= FLAG, codes, 0).astype(np.uint8)
            self._draw_codes(severe, lane, bar.adjusted(0, -TALLER_PX, 0, TALLER_PX))

    def _draw_boxes(self, order: Ints, lane: Lane, y: float) -> None:
        lefts, widths = self._at.across(self._layout, order)
        for index, left, width in zip(order.tolist(), lefts.tolist(), widths.tolist(), strict=True):
            self._draw_box(index, lane, QRectF(left, y, width, BAR_PX))

    def _columns(self, order: Ints, scale: float) -> list[tuple[int, int]]:
        """The device's columns that some boxes cover wholly."""
        lefts, widths = self._at.across(self._layout, order)
        left = np.ceil((lefts - self._plot.left()) * scale).astype(int).clip(0)
        ends = (lefts + widths - self._plot.left()) * scale
        open_ = self._layout.code[order] == OPEN  # nothing comes after it in its lane
        right = np.where(open_, np.ceil(ends), np.floor(ends)).astype(int).clip(0)
        return list(zip(left.tolist(), right.tolist(), strict=True))

    def _draw_service(self, lane: Lane, top: float) -> None:
        painter = self._painter
        painter.setPen(QPen(tone(self._theme, "line.grid"), 1))
        painter.drawLine(QPointF(0, top + 0.5), QPointF(self._at.width, top + 0.5))
        painter.fillRect(QRectF(8, top + 7, 8, 8), tone(self._theme, f"source.{lane.source}"))
        painter.setPen(tone(self._theme, "text.secondary"))
        text = self._metrics.elidedText(lane.service, Qt.TextElideMode.ElideMiddle, NAME_PX - 30)
        box = QRectF(22, top, NAME_PX - 26, LANE_PX)
        painter.drawText(box, int(Qt.AlignmentFlag.AlignVCenter.value), text)

    def _draw_box(self, index: int, lane: Lane, box: QRectF) -> None:
        painter, code = self._painter, int(self._layout.code[index])
        color = self._tones[(code if code != OPEN else source_code(lane.source)) - 1]
        if code in (ERROR, FLAG):
            box.adjust(0, -TALLER_PX, 0, TALLER_PX)
        if box.width() < ROUND_FROM_PX:
            painter.fillRect(box, color)
            return
        painter.setPen(Qt.PenStyle.NoPen)
        in_flight = code == OPEN and box.right() <= self._plot.right() + 1
        painter.setBrush(self._fading(box, color) if in_flight else color)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.drawRoundedRect(box, 2, 2)
        if box.width() >= LABEL_FROM_PX and self._labels > 0:
            self._draw_label(index, box)

    def _fading(self, box: QRectF, color: QColor) -> QLinearGradient:
        """An open span has no right end yet."""
        clear = QColor(color)
        clear.setAlpha(40)
        fade = QLinearGradient(max(box.right() - FADE_PX, box.left()), 0, box.right(), 0)
        fade.setColorAt(0, color)
        fade.setColorAt(1, clear)
        return fade

    def _draw_codes(self, codes: Codes, lane: Lane, box: QRectF) -> None:
        colors = self._colors.copy()
        colors[OPEN] = colors[source_code(lane.source)]
        pixels = colors[codes]
        size = len(codes)
        image = QImage(pixels.tobytes(), size, 1, size * 4, QImage.Format.Format_ARGB32)
        self._painter.drawImage(box, image)

    def _draw_label(self, index: int, box: QRectF) -> None:
        layout = self._layout
        inner = box.intersected(self._plot).adjusted(5, 0, -3, 0)
        if inner.width() < LABEL_FROM_PX - 8:
            return
        self._labels -= 1
        mark = _MARKS.get(int(layout.code[index]), "")
        name = f"{mark}{self._table['name'][int(layout.rows[index])]}"
        took = figures.seconds((layout.end[index] - layout.start[index]) / 1e9)
        text = f"{name}  {took}"
        if self._metrics.horizontalAdvance(text) > inner.width():
            text = self._metrics.elidedText(name, Qt.TextElideMode.ElideRight, int(inner.width()))
        self._painter.setPen(tone(self._theme, "text.on_state"))
        self._painter.drawText(inner, int(Qt.AlignmentFlag.AlignVCenter.value), text)

    def _draw_ruler(self) -> None:
        painter, plot = self._painter, self._plot
        step = round_step(110 * self._at.pixel)
        at = float(np.ceil(self._at.start / step) * step)
        while at <= self._at.end:
            x = self._at.x(at)
            painter.setPen(QPen(tone(self._theme, "line.grid"), 1))
            painter.drawLine(QPointF(x, RULER_PX - 4), QPointF(x, plot.bottom()))
            text = tick(at, step)
            if x + 4 + self._metrics.horizontalAdvance(text) <= self._at.width:
                painter.setPen(tone(self._theme, "text.muted"))
                box = QRectF(x + 4, 2, 110, RULER_PX - 4)
                painter.drawText(box, int(Qt.AlignmentFlag.AlignVCenter.value), text)
            at += step


def round_step(least: float) -> float:
    """The round step at or above some nanoseconds."""
    power = 10.0 ** np.floor(np.log10(max(least, 1.0)))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= least))


def tick(time: float, step: float) -> str:
    """A time on the ruler, with as many digits as its step needs: "1.25 ms"."""
    if abs(time) < step / 2:
        return "0"
    for limit, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns")):
        if abs(time) >= limit or unit == "ns":
            digits = max(0, int(np.ceil(-np.log10(step / limit) - 1e-9)))
            return f"{time / limit:,.{digits}f} {unit}"
    raise AssertionError

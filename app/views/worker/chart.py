"""A worker over time: its states as a strip, its memory, its CPU; one time axis, one crosshair.

Drawing is bounded by the widget's width: a strip has a state a pixel, a curve at most the points of
a life. Main thread only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
)
from PySide6.QtWidgets import QSizePolicy, QWidget
from typing_extensions import override

from app import figures
from app.models import workerpast
from app.models.lives import RANK, Curve, Life, Step
from app.theme import Theme
from app.views.shapes import draw_state, state_color

LEFT_PX, RIGHT_PX = 56, 8
LEGEND_PX, STRIP_PX, CPU_PX, AXIS_PX, GAP_PX = 20, 16, 40, 18, 16
SMALL_PX = 11
LEAST_SECONDS = 10
LEAST_PX = 200
SECOND = 1_000_000_000
HEIGHTS = {
    "ready": 0.35,
    "busy": 1.0,
    "starting": 0.6,
    "draining": 0.6,
    "stopped": 0.2,
    "lost": 1.0,
}
"""States differ in height too, for eyes that do not tell their colours."""


@dataclass(slots=True)
class Seen:
    """What is drawn: a stretch of time and what is known of it."""

    start_ns: int = 0
    end_ns: int = 1
    curve: Curve | None = None
    steps: tuple[Step, ...] = ()
    life: Life | None = None
    shares: Mapping[str, int] = field(default_factory=dict[str, int])
    """Nanoseconds in each state."""

    @property
    def seconds(self) -> float:
        """Its length."""
        return max((self.end_ns - self.start_ns) / SECOND, 1e-9)


class LifeChart(QWidget):
    """Draws one worker's life."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.seen = Seen()
        self._at_ns = 0
        self.drawn = 0
        """Shapes of the last paint; a test holds it to the bound."""
        self.setAccessibleName("Life, memory and CPU of the worker")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setMinimumHeight(LEAST_PX)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def show_life(self, seen: Seen) -> None:
        """Shows a stretch of a life."""
        self.seen = seen
        self.setAccessibleDescription(self.as_text())
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self.theme = theme
        self.update()

    def as_text(self) -> str:
        """What it shows, in words."""
        parts = [f"{state} {share}" for state, share in self._share_texts()]
        curve = self.seen.curve
        if curve is not None and len(curve):
            parts.append(f"resident {figures.bytes_(float(curve.rss[-1]))}")
            parts.append(f"at most {figures.bytes_(float(curve.rss.max()))}")
        return ", ".join(parts)

    def _share_texts(self) -> list[tuple[str, str]]:
        shares = self.seen.shares
        whole = sum(shares.values())
        return [(state, figures.share(passed / whole)) for state, passed in shares.items() if whole]

    @override
    def sizeHint(self) -> QSize:
        return QSize(400, LEAST_PX)

    # ── places ──────────────────────────────────────────────────────────────────────────────────
    def strip_box(self) -> QRectF:
        """Where the states are."""
        return QRectF(LEFT_PX, LEGEND_PX, self.width() - LEFT_PX - RIGHT_PX, STRIP_PX)

    def cpu_box(self) -> QRectF:
        """Where the CPU is."""
        strip = self.strip_box()
        return QRectF(strip.left(), self.height() - AXIS_PX - CPU_PX, strip.width(), CPU_PX)

    def memory_box(self) -> QRectF:
        """Where the memory is."""
        strip, cpu = self.strip_box(), self.cpu_box()
        top = strip.bottom() + GAP_PX
        return QRectF(strip.left(), top, strip.width(), max(cpu.top() - GAP_PX - top, 1.0))

    def x_of(self, time_ns: int) -> float:
        """Where a time is."""
        box, seen = self.strip_box(), self.seen
        return box.left() + (time_ns - seen.start_ns) / SECOND / seen.seconds * box.width()

    def time_at(self, x: float) -> int:
        """The time of a place."""
        box, seen = self.strip_box(), self.seen
        share = min(max((x - box.left()) / max(box.width(), 1.0), 0.0), 1.0)
        return seen.start_ns + round(share * seen.seconds * SECOND)

    # ── painting ────────────────────────────────────────────────────────────────────────────────
    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        self.drawn = 0
        self._draw_strip(painter)
        self._draw_memory(painter)
        self._draw_cpu(painter)
        self._draw_times(painter)
        if self._at_ns:
            self._draw_reading(painter)
        else:
            self._draw_legend(painter)
        if self.hasFocus():
            painter.setPen(QPen(QColor(self.theme.color("line.focus")), 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.end()

    def _draw_strip(self, painter: QPainter) -> None:
        box, seen = self.strip_box(), self.seen
        columns = max(int(box.width()), 1)
        codes = workerpast.strip(seen.life, seen.steps, seen.start_ns, seen.end_ns, columns)
        painter.fillRect(box, QColor(self.theme.color("surface.sunken")))
        x = box.left()
        for code, run in groupby(codes.tolist()):
            width = sum(1 for _ in run)
            if code >= 0:
                state = RANK[code]
                height = box.height() * HEIGHTS[state]
                part = QRectF(x, box.bottom() - height, width, height)
                painter.fillRect(part, QColor(state_color(self.theme, state)))
                self.drawn += 1
            x += width
        left = QRectF(0, box.top(), LEFT_PX - 8, box.height())
        self._write(painter, left, "state", "text.muted", right=True)

    def _draw_legend(self, painter: QPainter) -> None:
        """How much of its life it spent in which state: shape, word and share."""
        x = float(LEFT_PX)
        painter.setFont(self._sized())
        for state, share in self._share_texts():
            color = state_color(self.theme, state)
            draw_state(painter, QRectF(x, 4, 8, 8), state, color)
            text = f"{state} {share}"
            width = painter.fontMetrics().horizontalAdvance(text)
            if x + width + 12 > self.width() - RIGHT_PX:
                break
            self._write(
                painter, QRectF(x + 12, 0, width + 4, LEGEND_PX - 2), text, "text.secondary"
            )
            x += width + 26

    def _draw_memory(self, painter: QPainter) -> None:
        box, curve = self.memory_box(), self.seen.curve
        if curve is None or not len(curve):
            self._grid(painter, box, [(0.0, "0 B"), (1.0, "")])
            self._write(painter, box, "Its memory was not measured yet.", "text.muted", center=True)
            return
        top = nice_bytes(float(curve.rss.max()))
        marks = [(share, figures.bytes_(top * share).replace(".0 ", " ")) for share in (0, 0.5, 1)]
        self._grid(painter, box, marks)
        self._line(painter, box, curve.times, curve.rss / top, "series.1", filled=True)
        lines = [("RSS", "series.1", float(curve.rss[-1]))]
        if curve.pss.max() > 0:
            self._line(painter, box, curve.times, curve.pss / top, "series.2")
            lines.append(("PSS", "series.2", float(curve.pss[-1])))
        self._labels(painter, box, lines)

    def _labels(self, painter: QPainter, box: QRectF, lines: list[tuple[str, str, float]]) -> None:
        """The lines' names and present values, above the box, where no line can cross them."""
        right = box.right()
        for name, token, value in reversed(lines):
            text = f"{name} {figures.bytes_(value)}"
            self._write(
                painter,
                QRectF(box.left(), box.top() - 16, right - box.left(), 15),
                text,
                token,
                right=True,
            )
            right -= painter.fontMetrics().horizontalAdvance(text) + 12

    def _draw_cpu(self, painter: QPainter) -> None:
        box, curve = self.cpu_box(), self.seen.curve
        known = curve.cpu[~np.isnan(curve.cpu)] if curve is not None else np.zeros(0)
        top = max(1.0, float(np.ceil(known.max()))) if len(known) else 1.0
        self._grid(painter, box, [(0.0, "0 %"), (1.0, f"{top * 100:.0f} %")])
        if curve is None or not len(known):
            return
        some = ~np.isnan(curve.cpu)
        self._line(painter, box, curve.times[some], curve.cpu[some] / top, "series.3", filled=True)
        place = QRectF(box.left(), box.top() - 16, box.width(), 15)
        self._write(
            painter, place, f"CPU {figures.share(float(known[-1]))}", "series.3", right=True
        )

    def _line(
        self,
        painter: QPainter,
        box: QRectF,
        times: NDArray[np.int64],
        shares: NDArray[np.float64],
        token: str,
        *,
        filled: bool = False,
    ) -> None:
        seen = self.seen
        # One point before the stretch, so that the line comes in from the left edge.
        first = max(int(np.searchsorted(times, seen.start_ns)) - 1, 0)
        xs = box.left() + (times[first:] - seen.start_ns) / SECOND / seen.seconds * box.width()
        ys = box.bottom() - np.clip(shares[first:], 0, 1) * box.height()
        points = [QPointF(x, y) for x, y in zip(xs.tolist(), ys.tolist(), strict=True)]
        # A value holds until the next one.
        points.append(QPointF(max(box.right(), points[-1].x()), points[-1].y()))
        painter.save()
        painter.setClipRect(box.adjusted(0, -1, 0, 1))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if filled:
            tint = QColor(self.theme.color(token))
            tint.setAlpha(40)
            ends = (QPointF(points[0].x(), box.bottom()), QPointF(points[-1].x(), box.bottom()))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(tint)
            painter.drawPolygon(QPolygonF([ends[0], *points, ends[1]]))
        painter.setPen(QPen(QColor(self.theme.color(token)), 1.5))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(QPolygonF(points))
        painter.restore()
        self.drawn += len(points)

    def _grid(self, painter: QPainter, box: QRectF, marks: list[tuple[float, str]]) -> None:
        for share, text in marks:
            y = box.bottom() - share * box.height()
            painter.setPen(QPen(QColor(self.theme.color("line.grid")), 1))
            painter.drawLine(QPointF(box.left(), y), QPointF(box.right(), y))
            place = QRectF(0, y - 8, LEFT_PX - 8, 16)
            self._write(painter, place, text, "text.muted", right=True)

    def _draw_times(self, painter: QPainter) -> None:
        seen, box = self.seen, self.cpu_box()
        length = figures.seconds(seen.seconds)
        place = QRectF(box.left(), box.bottom() + 2, box.width(), AXIS_PX)
        self._write(painter, place, f"–{length}", "text.muted")
        ended = seen.life is not None and seen.life.ended
        self._write(painter, place, "its end" if ended else "now", "text.muted", right=True)

    def _draw_reading(self, painter: QPainter) -> None:
        """What was at the crosshair."""
        x = self.x_of(self._at_ns)
        painter.setPen(QPen(QColor(self.theme.color("text.muted")), 1, Qt.PenStyle.DashLine))
        painter.drawLine(QPointF(x, LEGEND_PX), QPointF(x, self.height() - AXIS_PX))
        place = QRectF(LEFT_PX, 0, self.width() - LEFT_PX - RIGHT_PX, LEGEND_PX - 2)
        self._write(painter, place, self.reading(), "text.secondary", right=True)

    def reading(self) -> str:
        """The values at the crosshair, in words."""
        seen, at = self.seen, self._at_ns
        parts = [figures.time_of_day(at)[:8]]
        pixel = max(round(seen.seconds * SECOND / max(self.strip_box().width(), 1)), 1)
        code = int(workerpast.strip(seen.life, seen.steps, at, at + pixel, 1)[0])
        if code >= 0:
            parts.append(RANK[code])
        curve = seen.curve
        index = int(np.searchsorted(curve.times, at, side="right")) - 1 if curve is not None else -1
        if curve is not None and index >= 0:
            parts.append(f"RSS {figures.bytes_(float(curve.rss[index]))}")
            if curve.pss[index]:
                parts.append(f"PSS {figures.bytes_(float(curve.pss[index]))}")
            if not np.isnan(curve.cpu[index]):
                parts.append(f"CPU {figures.share(float(curve.cpu[index]))}")
        return " · ".join(parts)

    def _write(
        self,
        painter: QPainter,
        box: QRectF,
        text: str,
        token: str,
        *,
        right: bool = False,
        center: bool = False,
    ) -> None:
        side = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
        side = Qt.AlignmentFlag.AlignHCenter if center else side
        painter.setFont(self._sized())
        painter.setPen(QColor(self.theme.color(token)))
        painter.drawText(box, int((side | Qt.AlignmentFlag.AlignVCenter).value), text)

    def _sized(self) -> QFont:
        font = QFont(self.font())
        font.setPixelSize(SMALL_PX)
        return font

    # ── the crosshair ───────────────────────────────────────────────────────────────────────────
    def point_at(self, time_ns: int) -> None:
        """Moves the crosshair; 0 takes it away."""
        self._at_ns = time_ns
        self.update()

    @override
    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        box = self.strip_box()
        x = event.position().x()
        self.point_at(self.time_at(x) if box.left() <= x <= box.right() else 0)

    @override
    def leaveEvent(self, event: QEvent) -> None:
        self.point_at(0)

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        """The arrows move the crosshair, Escape takes it away."""
        step = {Qt.Key.Key_Right: 1, Qt.Key.Key_Left: -1}.get(Qt.Key(event.key()))
        if step is not None:
            here = self._at_ns or self.seen.end_ns
            by = round(step * self.seen.seconds * SECOND / 100)
            self.point_at(min(max(here + by, self.seen.start_ns), self.seen.end_ns))
            self.setAccessibleDescription(self.reading())
        elif event.key() == Qt.Key.Key_Escape and self._at_ns:
            self.point_at(0)
        else:
            super().keyPressEvent(event)


def nice_bytes(value: float) -> float:
    """The round size at or above a value: such as 60, 80, 100 or 120 MiB."""
    unit = 1024.0
    while value >= unit * 1024:
        unit *= 1024
    return next(
        (
            unit * step * power
            for power in (1, 10, 100)
            for step in (1, 1.2, 1.6, 2, 3, 4, 6, 8)
            if unit * step * power >= value
        ),
        unit * 1024,
    )

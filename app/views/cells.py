"""How the cells of our tables are drawn: states with their shape, shares as a bar, parts, curves.

Only cells on screen are painted, so a table's length costs nothing here. Main thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from PySide6.QtCore import (
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPointF,
    QRect,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import QColor, QPainter, QPalette, QPen, QPolygonF
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem
from typing_extensions import override

from app.models.table import BAR_ROLE, PARTS_ROLE, STATE_ROLE, TONE_ROLE, TRAIL_ROLE, Part, Trail
from app.theme import Theme, mix
from app.views.shapes import state_color, state_pixmap

MARK_PX = 9
PADDING_PX = 8
TRAIL_PX = 64
"""The width of a small curve."""
_BAR_PX = 3

Index = QModelIndex | QPersistentModelIndex


class StateDelegate(QStyledItemDelegate):
    """Draws a cell's state as a shape before the text, and its share as a bar below."""

    def __init__(self, theme: Theme, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.theme = theme

    @override
    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        state, bar = index.data(STATE_ROLE), index.data(BAR_ROLE)
        parts, trail = index.data(PARTS_ROLE), index.data(TRAIL_ROLE)
        given = cast("Any", option)
        rect: QRect = given.rect
        if parts is not None:
            self._select(painter, option)
            self._draw_parts(painter, rect, cast("Sequence[Part]", parts))
        elif state is None:
            super().paint(painter, option, index)
        else:
            self._select(painter, option)
            shifted = cast("Any", QStyleOptionViewItem(option))
            shifted.rect = rect.adjusted(MARK_PX + PADDING_PX, 0, 0, 0)
            super().paint(painter, shifted, index)
            if state:
                self._draw_state(painter, rect, str(state))
        if bar is not None:
            self._draw_bar(painter, rect, [(float(bar), "accent.base")])
        if isinstance(trail, Trail):
            self._draw_trail(painter, rect, trail.values)

    @override
    def initStyleOption(self, option: QStyleOptionViewItem, index: Index) -> None:
        super().initStyleOption(option, index)
        state, tone = index.data(STATE_ROLE), index.data(TONE_ROLE)
        if not state and not tone:
            return
        color = QColor(state_color(self.theme, str(state)) if state else self.theme.color(tone))
        for role in (QPalette.ColorRole.Text, QPalette.ColorRole.HighlightedText):
            cast("Any", option).palette.setColor(role, color)

    @override
    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        size = super().sizeHint(option, index)
        return QSize(size.width() + PADDING_PX, size.height())

    def _select(self, painter: QPainter, option: QStyleOptionViewItem) -> None:
        given = cast("Any", option)
        if given.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(given.rect, QColor(self.theme.color("surface.selected")))

    def _draw_state(self, painter: QPainter, rect: QRect, state: str) -> None:
        color = state_color(self.theme, state)
        device = painter.device()
        mark = state_pixmap(state, color, MARK_PX, device.devicePixelRatioF())
        top = rect.top() + (rect.height() - MARK_PX) // 2
        painter.drawPixmap(rect.left() + PADDING_PX, top, mark)

    def _draw_parts(self, painter: QPainter, rect: QRect, parts: Sequence[Part]) -> None:
        """The parts' texts at the right, each in its colour, and their shares stacked."""
        metrics = painter.fontMetrics()
        right = rect.right() - PADDING_PX
        painter.save()
        painter.setClipRect(rect)
        for part in reversed(parts):
            width = metrics.horizontalAdvance(part.text)
            painter.setPen(QColor(self.theme.color(part.token)))
            box = QRect(right - width, rect.top(), width + 1, rect.height())
            painter.drawText(box, int(Qt.AlignmentFlag.AlignVCenter.value), part.text)
            right -= width
        painter.restore()
        self._draw_bar(painter, rect, [(part.share, part.token) for part in parts])

    def _draw_bar(
        self, painter: QPainter, rect: QRect, shares: Sequence[tuple[float, str]]
    ) -> None:
        track = QRectF(rect.adjusted(PADDING_PX, 0, -PADDING_PX, -2))
        track.setTop(track.bottom() - _BAR_PX)
        surface = self.theme.color("surface.panel")
        painter.fillRect(track, QColor(mix(surface, self.theme.color("line.control"), 0.35)))
        left = track.left()
        for share, token in shares:
            width = track.width() * min(max(share, 0.0), 1.0)
            room = max(track.right() - left, 0.0)
            bar = QRectF(left, track.top(), min(width, room), track.height())
            painter.fillRect(bar, QColor(self.theme.color(token)))
            left += width

    def _draw_trail(self, painter: QPainter, rect: QRect, values: Sequence[float]) -> None:
        """A small curve at the left, from the least value to the highest."""
        if len(values) < 2:
            return
        box = QRectF(rect.left() + PADDING_PX, rect.top() + 7, TRAIL_PX, rect.height() - 14)
        low, high = min(values), max(values)
        reach = max(high - low, high * 0.05, 1.0)
        step = box.width() / (len(values) - 1)
        points = [
            QPointF(box.left() + at * step, box.bottom() - (value - low) / reach * box.height())
            for at, value in enumerate(values)
        ]
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(self.theme.color("series.1")), 1.2))
        painter.drawPolyline(QPolygonF(points))
        painter.restore()

"""How the cells of our tables are drawn: states with their shape, shares as a bar. Main thread."""

from __future__ import annotations

from typing import Any, cast

from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, QRect, QRectF, QSize
from PySide6.QtGui import QColor, QPainter, QPalette
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem
from typing_extensions import override

from app.models.table import BAR_ROLE, STATE_ROLE
from app.theme import Theme, mix
from app.views.shapes import state_color, state_pixmap

MARK_PX = 9
PADDING_PX = 8
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
        given = cast("Any", option)
        rect: QRect = given.rect
        if state is None:
            super().paint(painter, option, index)
        else:
            if given.state & QStyle.StateFlag.State_Selected:
                painter.fillRect(rect, QColor(self.theme.color("surface.selected")))
            shifted = cast("Any", QStyleOptionViewItem(option))
            shifted.rect = rect.adjusted(MARK_PX + PADDING_PX, 0, 0, 0)
            super().paint(painter, shifted, index)
            if state:
                self._draw_state(painter, rect, str(state))
        if bar is not None:
            self._draw_bar(painter, rect, float(bar))

    @override
    def initStyleOption(self, option: QStyleOptionViewItem, index: Index) -> None:
        super().initStyleOption(option, index)
        state = index.data(STATE_ROLE)
        if state:
            color = QColor(state_color(self.theme, str(state)))
            for role in (QPalette.ColorRole.Text, QPalette.ColorRole.HighlightedText):
                cast("Any", option).palette.setColor(role, color)

    @override
    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        size = super().sizeHint(option, index)
        return QSize(size.width() + PADDING_PX, size.height())

    def _draw_state(self, painter: QPainter, rect: QRect, state: str) -> None:
        color = state_color(self.theme, state)
        device = painter.device()
        mark = state_pixmap(state, color, MARK_PX, device.devicePixelRatioF())
        top = rect.top() + (rect.height() - MARK_PX) // 2
        painter.drawPixmap(rect.left() + PADDING_PX, top, mark)

    def _draw_bar(self, painter: QPainter, rect: QRect, share: float) -> None:
        track = QRectF(rect.adjusted(PADDING_PX, 0, -PADDING_PX, -2))
        track.setTop(track.bottom() - _BAR_PX)
        surface = self.theme.color("surface.panel")
        painter.fillRect(track, QColor(mix(surface, self.theme.color("line.control"), 0.35)))
        track.setWidth(track.width() * min(max(share, 0.0), 1.0))
        painter.fillRect(track, QColor(self.theme.color("accent.base")))

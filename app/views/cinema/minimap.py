"""The minimap: the whole trace in a strip, with the stretch that the waterfall shows."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QImage, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget
from typing_extensions import override

from app.models.waterfall import Waterfall
from app.theme import Theme
from app.views.cinema.geometry import NAME_PX
from app.views.cinema.palette import lookup, tone
from app.views.cinema.viewport import Viewport

HEIGHT_PX = 48
MOST_LANES = 24
"""Rows of the strip; lanes beyond share a row, the most severe wins."""


class Minimap(QWidget):
    """Paints the overview once a trace, and the stretch on each move."""

    def __init__(self, viewport: Viewport, theme: Theme) -> None:
        super().__init__()
        self._view = viewport
        self._theme = theme
        self._layout: Waterfall | None = None
        self._image: QImage | None = None
        self.setFixedHeight(HEIGHT_PX)
        self.setAccessibleName("Minimap of the trace")
        self.setToolTip("Click or drag to move the stretch")
        viewport.moved.connect(self.update)

    def show_layout(self, layout: Waterfall | None) -> None:
        """Shows a trace."""
        self._layout, self._image = layout, None
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self._theme, self._image = theme, None
        self.update()

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        box = self._box()
        painter.fillRect(self.rect(), tone(self._theme, "surface.panel"))
        painter.fillRect(box, tone(self._theme, "surface.sunken"))
        if self._layout is not None and len(self._layout):
            if self._image is None or self._image.width() != int(box.width()):
                self._image = self._overview(self._layout, int(box.width()))
            painter.drawImage(box.adjusted(0, 4, 0, -4), self._image)
            self._draw_stretch(painter, box)
        painter.end()

    def _overview(self, layout: Waterfall, width: int) -> QImage:
        codes = layout.overview(MOST_LANES, width)
        pixels = lookup(self._theme)[codes]
        rows = len(codes)
        image = QImage(pixels.tobytes(), width, rows, width * 4, QImage.Format.Format_ARGB32)
        return image.copy()

    def _draw_stretch(self, painter: QPainter, box: QRectF) -> None:
        scale = box.width() / self._view.length
        left = box.left() + max(self._view.start, 0.0) * scale
        right = box.left() + min(self._view.end, self._view.length) * scale
        shade = tone(self._theme, "surface.panel")
        shade.setAlpha(170)
        painter.fillRect(QRectF(box.left(), box.top(), left - box.left(), box.height()), shade)
        painter.fillRect(QRectF(right, box.top(), box.right() - right, box.height()), shade)
        painter.setPen(QPen(tone(self._theme, "accent.base"), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(QRectF(left, box.top() + 0.5, max(right - left, 2.0), box.height() - 1))

    def _box(self) -> QRectF:
        return QRectF(NAME_PX, 4, max(self.width() - NAME_PX - 8, 1), HEIGHT_PX - 8)

    def _move_to(self, x: float) -> None:
        box = self._box()
        at = (x - box.left()) / box.width() * self._view.length
        half = self._view.width / 2
        self._view.show(at - half, at + half)

    @override
    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._move_to(event.position().x())

    @override
    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._move_to(event.position().x())

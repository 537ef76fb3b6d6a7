"""Draws the shape of a state: colour and form say the same thing. Main thread, inside a paint."""

from __future__ import annotations

from functools import cache

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPixmap, QPolygonF

from app.theme import Shape, Theme, shape


def draw_state(painter: QPainter, box: QRectF, state: str, color: str) -> None:
    """A state's shape, filling the box's inner square."""
    side = min(box.width(), box.height())
    square = QRectF(0, 0, side, side)
    square.moveCenter(box.center())
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    _draw(painter, square, shape(state), QColor(color))
    painter.restore()


def _draw(painter: QPainter, square: QRectF, form: Shape, color: QColor) -> None:
    line = max(square.width() / 5, 1.2)
    inner = square.adjusted(line / 2, line / 2, -line / 2, -line / 2)
    pen = QPen(color, line, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    match form:
        case "disc":
            painter.drawEllipse(square)
        case "square":
            painter.drawRoundedRect(square.adjusted(0.5, 0.5, -0.5, -0.5), 1, 1)
        case "triangle" | "down" | "diamond":
            painter.drawPolygon(_polygon(square, form))
        case "ring":
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(pen)
            painter.drawEllipse(inner)
        case "cross":
            painter.setPen(pen)
            painter.drawLine(inner.topLeft(), inner.bottomRight())
            painter.drawLine(inner.topRight(), inner.bottomLeft())
        case "dash":
            painter.setPen(pen)
            middle = square.center().y()
            painter.drawLine(QPointF(inner.left(), middle), QPointF(inner.right(), middle))
        case "pause":
            width = square.width() * 0.32
            painter.drawRect(QRectF(square.left(), square.top(), width, square.height()))
            painter.drawRect(QRectF(square.right() - width, square.top(), width, square.height()))


def _polygon(square: QRectF, form: Shape) -> QPolygonF:
    middle = square.center()
    if form == "triangle":
        corners = [
            QPointF(middle.x(), square.top()),
            square.bottomRight(),
            square.bottomLeft(),
        ]
    elif form == "down":
        corners = [square.topLeft(), square.topRight(), QPointF(middle.x(), square.bottom())]
    else:
        corners = [
            QPointF(middle.x(), square.top()),
            QPointF(square.right(), middle.y()),
            QPointF(middle.x(), square.bottom()),
            QPointF(square.left(), middle.y()),
        ]
    return QPolygonF(corners)


def state_color(theme: Theme, state: str) -> str:
    """The colour of a state, decision or severity."""
    for section in ("state", "decision", "severity"):
        if (color := theme.colors.get(f"{section}.{state}")) is not None:
            return color
    return theme.color("text.muted")


@cache
def state_pixmap(state: str, color: str, size: int, scale: float) -> QPixmap:
    """A state's shape as pixels, for labels and tables; drawn once."""
    picture = QPixmap(round(size * scale), round(size * scale))
    picture.setDevicePixelRatio(scale)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    draw_state(painter, QRectF(0, 0, size, size), state, color)
    painter.end()
    return picture

"""What all charts are: a title, a plot over the shared time axis, a crosshair, a ledger corner.

A chart paints itself; it makes no item a point. Main thread only.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPointF, QRectF, Qt
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFont,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget
from typing_extensions import override

from app.models.ledger import Ledger
from app.theme import GRID_PX, Theme
from app.views.bridge.marks import TOKENS
from app.views.bridge.timeaxis import SECOND, TimeAxis
from app.views.ledgercorner import HEIGHT_PX, LedgerCorner
from app.views.shapes import draw_state

TITLE_PX = 28
AXIS_PX = 20
LEFT_PX = 56
RIGHT_PX = 12
SMALL_PX = 11
WIDE_PX = 420
"""From here on a time axis has room for seven labels."""
TITLE_FONT_PX = 12
MARK_SLACK_PX = 4
STEPS = {Qt.Key.Key_Right: 1, Qt.Key.Key_Down: 1, Qt.Key.Key_Left: -1, Qt.Key.Key_Up: -1}
"""What the arrow keys do where things are chosen."""
MOST_TIPS = 8
_HEADS = {"policy": "draining", "crash": "lost"}
"""The states whose shapes the heads of marks have: a triangle down, a cross."""


class Panel(QWidget):
    """A titled surface with a note in its corner."""

    def __init__(self, title: str, theme: Theme) -> None:
        super().__init__()
        self.title = title
        self.theme = theme
        self.corner = ""
        self.empty = ""
        self.setAccessibleName(title)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMouseTracking(True)
        self.ledger = LedgerCorner(title, theme, mark_only=True)
        self.ledger.setParent(self)
        self.ledger.hide()

    def show_ledger(self, ledger: Ledger) -> None:
        """Shows what the panel was sent, keeps and merges for drawing."""
        self.ledger.show_ledger(ledger)
        self.ledger.show()

    @override
    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.ledger.move(self.width() - self.ledger.width() - 6, (TITLE_PX - HEIGHT_PX) // 2)

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self.theme = theme
        self.ledger.set_theme(theme)
        self.update()

    def body(self) -> QRectF:
        """Where the content goes."""
        return QRectF(self.rect()).adjusted(0, TITLE_PX, 0, -GRID_PX)

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(self.color("line.focus" if self.hasFocus() else "line.grid"), 1))
        painter.setBrush(self.color("surface.panel"))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
        top = QRectF(12, 0, self.width() - 24, TITLE_PX)
        self.write(painter, top, self.title, "text.secondary", TITLE_FONT_PX, bold=True)
        if self.corner:
            if not self.ledger.isHidden():
                top.setRight(self.ledger.x() - 4)
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            room = top.width() - painter.fontMetrics().horizontalAdvance(self.title) - 8
            painter.setFont(self.sized(SMALL_PX))
            corner = painter.fontMetrics().elidedText(
                self.corner, Qt.TextElideMode.ElideRight, max(int(room), 0)
            )
            self.write(painter, top, corner, "text.muted", SMALL_PX, align=right)
        if self.empty:
            center = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            self.write(
                painter,
                self.body().adjusted(24, 0, -24, 0),
                self.empty,
                "text.muted",
                13,
                align=center,
            )
        else:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
            self.draw(painter)
        painter.end()

    def draw(self, painter: QPainter) -> None:
        """Paints the content."""

    def color(self, token: str, alpha: int = 255) -> QColor:
        """A token's colour."""
        made = QColor(self.theme.color(token))
        made.setAlpha(alpha)
        return made

    def write(
        self,
        painter: QPainter,
        box: QRectF,
        text: str,
        token: str,
        size: int,
        *,
        bold: bool = False,
        align: Qt.AlignmentFlag | Qt.TextFlag = (
            Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        ),
    ) -> None:
        """Writes a text into a box."""
        painter.setFont(self.sized(size, bold=bold))
        painter.setPen(self.color(token))
        painter.drawText(box, int(align.value), text)

    def sized(self, size: int, *, bold: bool = False) -> QFont:
        """The widget's font at a size in pixels."""
        font = QFont(self.font())
        font.setPixelSize(size)
        font.setWeight(QFont.Weight.DemiBold if bold else QFont.Weight.Normal)
        return font


class Chart(Panel):
    """A panel whose content is a plot over time."""

    def __init__(self, title: str, theme: Theme, axis: TimeAxis) -> None:
        super().__init__(title, theme)
        self.axis = axis
        axis.moved.connect(self.update)

    def plot(self) -> QRectF:
        """Where values are drawn."""
        box = QRectF(self.rect())
        return box.adjusted(LEFT_PX, TITLE_PX + 4, -RIGHT_PX, -AXIS_PX - 4)

    def x_of(self, time_ns: int) -> float:
        """Where a time is."""
        plot = self.plot()
        share = (time_ns - self.axis.start_ns) / (self.axis.seconds * SECOND)
        return plot.left() + share * plot.width()

    def time_at(self, x: float) -> int:
        """The time of a position."""
        plot = self.plot()
        share = (x - plot.left()) / max(plot.width(), 1.0)
        return self.axis.start_ns + round(share * self.axis.seconds * SECOND)

    @override
    def draw(self, painter: QPainter) -> None:
        plot = self.plot()
        self.draw_plot(painter, plot)
        self._draw_times(painter, plot)
        self._draw_marks(painter, plot)
        if self.axis.crosshair_ns:
            x = self.x_of(self.axis.crosshair_ns)
            if plot.left() <= x <= plot.right():
                painter.setPen(QPen(self.color("text.muted"), 1, Qt.PenStyle.DashLine))
                painter.drawLine(QPointF(x, plot.top()), QPointF(x, plot.bottom()))
                self.draw_reading(painter, plot, self.axis.crosshair_ns)

    def _draw_marks(self, painter: QPainter, plot: QRectF) -> None:
        """Policy changes, crashes and gaps, as lines with a head."""
        for mark in self.axis.marks:
            x = self.x_of(mark.time_ns)
            if not plot.left() <= x <= plot.right():
                continue
            color = self.color(TOKENS[mark.kind])
            if mark.kind == "gap":
                band = QRectF(x - 3, plot.top(), 6, plot.height())
                painter.fillRect(band, QBrush(color, Qt.BrushStyle.BDiagPattern))
                continue
            painter.setPen(QPen(color, 1, Qt.PenStyle.DotLine))
            painter.drawLine(QPointF(x, plot.top()), QPointF(x, plot.bottom()))
            head = QRectF(x - 4, plot.top() - 4, 8, 8)
            draw_state(painter, head, _HEADS[mark.kind], color.name())

    def _mark_at(self, x: float) -> str:
        """What happened around a position."""
        near = [m.text for m in self.axis.marks if abs(self.x_of(m.time_ns) - x) <= MARK_SLACK_PX]
        return "\n".join(near[-MOST_TIPS:])

    def draw_plot(self, painter: QPainter, plot: QRectF) -> None:
        """Paints the values."""

    def draw_reading(self, painter: QPainter, plot: QRectF, time_ns: int) -> None:
        """Writes the values at the crosshair."""

    def reading(self, painter: QPainter, plot: QRectF, parts: Sequence[tuple[str, str]]) -> None:
        """Writes (text, token) pairs on a plate in the upper right of the plot."""
        painter.setFont(self.sized(SMALL_PX))
        metrics = painter.fontMetrics()
        gap = 12
        width = sum(metrics.horizontalAdvance(text) for text, _ in parts) + gap * (len(parts) + 1)
        plate = QRectF(plot.right() - width, plot.top(), width, 18)
        painter.fillRect(plate, self.color("surface.raised", 235))
        x = plate.left() + gap
        for text, token in parts:
            painter.setPen(self.color(token))
            advance = metrics.horizontalAdvance(text)
            box = QRectF(x, plate.top(), advance + 2, plate.height())
            painter.drawText(box, int(Qt.AlignmentFlag.AlignVCenter.value), text)
            x += advance + gap

    def scale_line(self, painter: QPainter, plot: QRectF, y: float, text: str) -> None:
        """A quiet gridline with its value at the left."""
        painter.setPen(QPen(self.color("line.grid"), 1))
        painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y))
        box = QRectF(4, y - 8, LEFT_PX - 12, 16)
        align = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        self.write(painter, box, text, "text.muted", SMALL_PX, align=align)

    def _draw_times(self, painter: QPainter, plot: QRectF) -> None:
        steps = 6 if plot.width() > WIDE_PX else 3
        for step in range(steps + 1):
            back = self.axis.seconds * (steps - step) // steps
            x = plot.left() + plot.width() * step / steps
            box = QRectF(x - 40, plot.bottom() + 4, 80, AXIS_PX)
            edge = Qt.AlignmentFlag.AlignHCenter
            if step == steps:
                box.moveRight(plot.right() + 2)
                edge = Qt.AlignmentFlag.AlignRight
            elif not step:
                box.moveLeft(plot.left())
                edge = Qt.AlignmentFlag.AlignLeft
            flags = edge | Qt.AlignmentFlag.AlignTop
            self.write(painter, box, _back(back), "text.muted", SMALL_PX, align=flags)

    def legend(self, painter: QPainter, parts: Sequence[tuple[str, str]]) -> None:
        """Direct labels in the title's line: (text, token) pairs."""
        x = 12.0 + self._title_width(painter) + 24
        for text, token in parts:
            self.write(painter, QRectF(x, 0, 240, TITLE_PX), text, token, SMALL_PX)
            x += painter.fontMetrics().horizontalAdvance(text) + 16

    def _title_width(self, painter: QPainter) -> int:
        painter.setFont(self.sized(TITLE_FONT_PX, bold=True))
        return painter.fontMetrics().horizontalAdvance(self.title)

    @override
    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        plot = self.plot()
        x = event.position().x()
        inside = plot.left() <= x <= plot.right()
        self.axis.point_at(self.time_at(x) if inside else 0)
        self.setToolTip(self._mark_at(x) if inside else "")

    @override
    def leaveEvent(self, event: QEvent) -> None:
        self.axis.point_at(0)
        QToolTip.hideText()


def _back(seconds: int) -> str:
    """How long before now: "now", "–40 s", "–5 min"."""
    if not seconds:
        return "now"
    minutes, rest = divmod(seconds, 60)
    return f"–{minutes} min" if not rest else f"–{minutes}:{rest:02d}" if minutes else f"–{rest} s"

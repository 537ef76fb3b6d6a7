"""The ledger corner of a panel: what it received, keeps, dropped, merged and missed. Main thread.

One line, or a mark alone where a chart has no room; the rest is in its tip and for screen readers.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget
from typing_extensions import override

from app.models.ledger import Ledger
from app.theme import Theme

FONT_PX = 11
MARK_PX = 14
HEIGHT_PX = 18


class LedgerCorner(QWidget):
    """Three bars, as a ledger has lines; orange when something is not here."""

    def __init__(self, panel: str, theme: Theme, *, mark_only: bool = False) -> None:
        super().__init__()
        self._theme = theme
        self._mark_only = mark_only
        self._ledger: Ledger | None = None
        self.setAccessibleName(f"Ledger of {panel}")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        font = self.font()
        font.setPixelSize(FONT_PX)
        self.setFont(font)
        self.setFixedSize(MARK_PX + 4, HEIGHT_PX)

    @property
    def text(self) -> str:
        """What it says in a line."""
        return self._ledger.short() if self._ledger is not None else ""

    def show_ledger(self, ledger: Ledger) -> None:
        """Shows other figures; the same ones cost nothing."""
        if ledger == self._ledger:
            return
        self._ledger = ledger
        self.setToolTip(ledger.full())
        self.setAccessibleDescription(f"{ledger.short()}. {ledger.full()}")
        if not self._mark_only:
            wide = QFontMetrics(self.font()).horizontalAdvance(self.text)
            self.setFixedSize(QSize(MARK_PX + 6 + wide + 2, HEIGHT_PX))
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self._theme = theme
        self.update()

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        lost = self._ledger is not None and self._ledger.lost > 0
        color = QColor(self._theme.color("severity.warning" if lost else "text.muted"))
        for row, wide in enumerate((10, 7, 4) if lost else (10, 10, 10)):
            painter.fillRect(QRect(2, 4 + row * 4, wide, 2), color)
        if not self._mark_only:
            painter.setPen(color)
            room = self.rect().adjusted(MARK_PX + 4, 0, 0, 0)
            painter.drawText(room, Qt.AlignmentFlag.AlignVCenter.value, self.text)
        if self.hasFocus():
            painter.setPen(QColor(self._theme.color("line.focus")))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.end()

    @override
    def event(self, event: QEvent) -> bool:
        done = super().event(event)
        if event.type() == QEvent.Type.FocusIn:
            QToolTip.showText(self.mapToGlobal(self.rect().bottomLeft()), self.toolTip(), self)
        return done

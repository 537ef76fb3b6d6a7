"""Small parts of every view: labels by role, rules, icon buttons, spacing. Main thread only."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from typing_extensions import override

from app.icons import SIZE, icon
from app.theme import GRID_PX, Theme

Part = QWidget | QLayout | int


def label(text: str = "", role: str = "", *, wrap: bool = False, name: str = "") -> QLabel:
    """A text in one of the style sheet's roles."""
    made = QLabel(text)
    made.setProperty("role", role)
    made.setWordWrap(wrap)
    made.setTextFormat(Qt.TextFormat.PlainText)
    if name:
        made.setAccessibleName(name)
    return made


class Elided(QLabel):
    """One line that gives way: what does not fit is cut with an ellipsis, and is in the tip."""

    def __init__(self, role: str = "", *, name: str = "") -> None:
        super().__init__()
        self.setProperty("role", role)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.setAccessibleName(name)

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        metrics = painter.fontMetrics()
        text = metrics.elidedText(self.text(), Qt.TextElideMode.ElideRight, self.width())
        painter.setPen(self.palette().color(self.foregroundRole()))
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignVCenter, text)
        painter.end()


def set_role(widget: QWidget, role: str) -> None:
    """Gives a widget another role of the style sheet."""
    if widget.property("role") != role:
        widget.setProperty("role", role)
        widget.style().unpolish(widget)
        widget.style().polish(widget)


def rule() -> QFrame:
    """A thin line between two parts."""
    made = QFrame()
    made.setProperty("role", "rule")
    return made


def button(
    text: str, clicked: Callable[[], object], role: str = "", *, tip: str = "", name: str = ""
) -> QPushButton:
    """A push button."""
    made = QPushButton(text)
    made.setProperty("role", role)
    made.setAccessibleName(name or text)
    made.setToolTip(tip)
    made.setAutoDefault(False)
    made.clicked.connect(lambda _checked=False: clicked())
    return made


class IconButton(QToolButton):
    """A quiet button with an icon; its tip is its name."""

    def __init__(
        self, name: str, tip: str, theme: Theme, clicked: Callable[[], object] | None = None
    ) -> None:
        super().__init__()
        self._icon = name
        self.setProperty("role", "quiet")
        self.setToolTip(tip)
        self.setAccessibleName(tip)
        self.setIconSize(QSize(SIZE - 2, SIZE - 2))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.set_theme(theme)
        if clicked is not None:
            self.clicked.connect(lambda _checked=False: clicked())

    def set_theme(self, theme: Theme) -> None:
        """Draws the icon in the theme's colour."""
        self.setIcon(icon(self._icon, theme))

    def set_icon(self, name: str, theme: Theme) -> None:
        """Shows another icon."""
        if name != self._icon:
            self._icon = name
            self.set_theme(theme)


def column_of(*parts: Part, margin: int = 0, spacing: int = GRID_PX) -> QVBoxLayout:
    """Parts from top to bottom; a number is a stretch."""
    made = QVBoxLayout()
    _fill(made, parts, margin, spacing)
    return made


def row_of(*parts: Part, margin: int = 0, spacing: int = GRID_PX) -> QHBoxLayout:
    """Parts from left to right; a number is a stretch."""
    made = QHBoxLayout()
    _fill(made, parts, margin, spacing)
    return made


def _fill(layout: QBoxLayout, parts: tuple[Part, ...], margin: int, spacing: int) -> None:
    layout.setContentsMargins(margin, margin, margin, margin)
    layout.setSpacing(spacing)
    for part in parts:
        if isinstance(part, int):
            layout.addStretch(part)
        elif isinstance(part, QWidget):
            layout.addWidget(part)
        else:
            layout.addLayout(part)


def retheme(root: QWidget, theme: Theme) -> None:
    """Gives the theme to every icon button below a widget."""
    for found in root.findChildren(IconButton):
        found.set_theme(theme)

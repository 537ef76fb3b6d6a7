"""The left rail: one button a perspective. Main thread only."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QButtonGroup, QToolButton, QVBoxLayout, QWidget

from app.actions import PERSPECTIVES
from app.icons import icon
from app.theme import Theme

WIDTH_PX = 64


class Rail(QWidget):
    """Chooses the perspective; only those that are built are shown."""

    chosen = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setProperty("role", "panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedWidth(WIDTH_PX)
        self.setAccessibleName("Perspectives")
        self._buttons: dict[str, QToolButton] = {}
        group = QButtonGroup(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 8)
        layout.setSpacing(0)
        for perspective in PERSPECTIVES:
            made = QToolButton()
            made.setProperty("role", "rail")
            made.setText(perspective.title)
            made.setAccessibleName(perspective.title)
            made.setToolTip(f"{perspective.hint} ({perspective.key})")
            made.setCheckable(True)
            made.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
            made.setIconSize(QSize(22, 22))
            made.setFixedWidth(WIDTH_PX)
            made.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            name = perspective.name
            made.clicked.connect(lambda _checked=False, name=name: self.chosen.emit(name))
            group.addButton(made)
            layout.addWidget(made)
            self._buttons[name] = made
        layout.addStretch(1)
        self.set_theme(theme)

    def show_current(self, name: str) -> None:
        """Marks the perspective that is on screen."""
        self._buttons[name].setChecked(True)

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        for name, made in self._buttons.items():
            made.setIcon(icon(name, theme))

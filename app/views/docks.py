"""A dock of the main window: our title bar, closable, movable, floatable. Main thread only."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDockWidget, QHBoxLayout, QWidget

from app.theme import Theme
from app.views.labels import IconButton, label


class Dock(QDockWidget):
    """A dock with an object name, so that its place can be saved."""

    def __init__(self, name: str, title: str, widget: QWidget, theme: Theme) -> None:
        super().__init__(title)
        self.setObjectName(f"dock-{name}")
        self.setAccessibleName(f"{title} dock")
        self.setWidget(widget)
        self.setAllowedAreas(Qt.DockWidgetArea.AllDockWidgetAreas)
        self._bar = QWidget()
        self._bar.setProperty("role", "panel")
        self._bar.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        layout = QHBoxLayout(self._bar)
        layout.setContentsMargins(12, 4, 4, 4)
        layout.setSpacing(2)
        self._title = label(title, "heading")
        self._float = IconButton("float", f"Float the {title} dock", theme, self._toggle_floating)
        self._close = IconButton("close", f"Close the {title} dock", theme, self.close)
        layout.addWidget(self._title)
        layout.addStretch(1)
        layout.addWidget(self._float)
        layout.addWidget(self._close)
        self.setTitleBarWidget(self._bar)

    def _toggle_floating(self) -> None:
        self.setFloating(not self.isFloating())

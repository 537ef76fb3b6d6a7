"""A dock of the main window: our title bar, closable, movable, floatable. Main thread only.

The title bar holds the dock's own controls as well (`header`), so that they cost no line of their
own; the title is left out where a tab says it already.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDockWidget, QHBoxLayout, QMainWindow, QWidget

from app.theme import Theme
from app.views.labels import IconButton, label


class Dock(QDockWidget):
    """A dock with an object name, so that its place can be saved."""

    def __init__(
        self, name: str, title: str, widget: QWidget, theme: Theme, header: QWidget | None
    ) -> None:
        super().__init__(title)
        self.setObjectName(f"dock-{name}")
        self.setAccessibleName(f"{title} dock")
        widget.setProperty("role", "panel")
        widget.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setWidget(widget)
        self.setAllowedAreas(Qt.DockWidgetArea.AllDockWidgetAreas)
        self._bar = QWidget()
        self._bar.setProperty("role", "panel")
        self._bar.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        layout = QHBoxLayout(self._bar)
        layout.setContentsMargins(12, 6, 4, 6)
        layout.setSpacing(2)
        self._title = label(title, "heading")
        self._float = IconButton("float", f"Float the {title} dock", theme, self._toggle_floating)
        self._close = IconButton("close", f"Close the {title} dock", theme, self.close)
        layout.addWidget(self._title)
        if header is None:
            layout.addStretch(1)
        else:
            layout.addSpacing(4)
            layout.addWidget(header, 1)
        layout.addWidget(self._float)
        layout.addWidget(self._close)
        self.setTitleBarWidget(self._bar)
        self.visibilityChanged.connect(lambda _on: self.show_title())
        self.topLevelChanged.connect(lambda _on: self.show_title())

    def show_title(self) -> None:
        """Shows the title where no tab does."""
        window = self.parentWidget()
        tabbed = isinstance(window, QMainWindow) and any(
            not other.isHidden() for other in window.tabifiedDockWidgets(self)
        )
        self._title.setVisible(self.isFloating() or not tabbed)

    def _toggle_floating(self) -> None:
        self.setFloating(not self.isFloating())

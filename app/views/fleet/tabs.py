"""Tables behind tabs: each tab says how many rows its table has; one bar of actions for all.

Main thread only.
"""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QSizePolicy, QStackedWidget, QTabBar, QWidget

from app.theme import GRID_PX, Theme
from app.views.fleet.panel import FleetPanel
from app.views.labels import column_of, row_of
from app.views.shapes import state_color, state_pixmap

MARK_PX = 8


class TabbedPanels(QWidget):
    """Some tables, one of which is shown."""

    shown = Signal(str)

    def __init__(self, panels: Mapping[str, FleetPanel]) -> None:
        super().__init__()
        self._panels = dict(panels)
        self._names = tuple(panels)
        self.setProperty("role", "panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.tabs = QTabBar()
        self.tabs.setAccessibleName("Tables of Fleet")
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        self.tabs.setIconSize(QSize(MARK_PX, MARK_PX))
        self.tabs.setElideMode(Qt.TextElideMode.ElideNone)
        self._bars = QStackedWidget()
        self._bars.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._pages = QStackedWidget()
        self._marks: dict[str, str] = {}
        for panel in panels.values():
            self.tabs.addTab(panel.title)
            self._bars.addWidget(panel.bar)
            self._pages.addWidget(panel)
        self.tabs.currentChanged.connect(self._on_changed)
        head = row_of(self.tabs, self._bars, spacing=2 * GRID_PX)
        head.setContentsMargins(0, 4, GRID_PX, 4)
        rows = column_of(head, self._pages, spacing=0)
        rows.setStretch(1, 1)
        self.setLayout(rows)
        self.show_counts()

    def current(self) -> str:
        """The name of the table that is shown."""
        return self._names[self.tabs.currentIndex()]

    def show_panel(self, name: str) -> None:
        """Shows a table."""
        if name in self._names:
            self.tabs.setCurrentIndex(self._names.index(name))

    def show_counts(self) -> None:
        """Says how many rows there are behind each tab."""
        for at, panel in enumerate(self._panels.values()):
            count = panel.model.rowCount()
            text = f"{panel.title}  {count:,}" if count else panel.title
            if text != self.tabs.tabText(at):
                self.tabs.setTabText(at, text)

    def mark(self, name: str, state: str, theme: Theme) -> None:
        """Puts a state's shape on a tab, for what must not be overlooked; "" takes it away."""
        key = f"{state} {theme.name}" if state else ""
        if self._marks.get(name, "") == key:
            return
        self._marks[name] = key
        icon = QIcon()
        if state:
            scale = self.devicePixelRatioF()
            icon = QIcon(state_pixmap(state, state_color(theme, state), MARK_PX, scale))
        self.tabs.setTabIcon(self._names.index(name), icon)

    def _on_changed(self, at: int) -> None:
        self._bars.setCurrentIndex(at)
        self._pages.setCurrentIndex(at)
        self.shown.emit(self._names[at])

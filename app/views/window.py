"""The main window: bars, rail, perspectives, docks. Main thread only.

It is painted as a skeleton first; `furnish` puts the perspectives and docks in once their modules
are imported. It refuses to know the link: it is given a store, a clock and a sink.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

from PySide6.QtCore import QEvent, QObject, QSettings, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QCloseEvent, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QApplication,
    QComboBox,
    QMainWindow,
    QMenu,
    QStackedWidget,
    QTabWidget,
    QToolBar,
    QWidget,
)
from typing_extensions import override

from app.actions import ACTIONS, MENUS, PERSPECTIVES
from app.clock import RoomClock
from app.icons import icon
from app.layout import Layout
from app.notices import Notices
from app.store import FleetStore
from app.theme import Theme
from app.views.clockbar import HEIGHT_PX as CLOCK_PX
from app.views.clockbar import ClockBar
from app.views.curtain import Curtain
from app.views.docks import Dock
from app.views.labels import retheme
from app.views.rail import Rail
from app.views.toasts import Toasts
from app.views.topbar import TopBar

SIZE = QSize(1600, 900)
SMALLEST = QSize(960, 600)
RIGHT_PX, BOTTOM_PX = 376, 208
INSPECTOR_PX = 424
"""Where the Inspector has the right side for itself."""

_BELOW = ("events", "audit", "incidents", "exporters")
"""Tabs of the lower edge: what happened, and where it is sent."""

_SHOWN: Mapping[str, tuple[str, ...]] = {
    "bridge": ("sampling", "defence", "inspector", *_BELOW),
    "fleet": ("inspector", *_BELOW),
    "cinema": ("sampling",),
    "defence": ("defence", "inspector", *_BELOW),
}
"""The docks of each perspective's default layout."""


class MainWindow(QMainWindow):
    """The control room's window."""

    closed = Signal()
    painted = Signal()
    """The window has been drawn for the first time."""
    perspective_changed = Signal(str)

    def __init__(
        self,
        store: FleetStore,
        clock: RoomClock,
        notices: Notices,
        theme: Theme,
        settings: QSettings,
    ) -> None:
        super().__init__()
        self._theme = theme
        self._was_painted = False
        self.setWindowTitle("Citadel")
        self.setWindowIcon(icon("citadel", theme, "accent.base"))
        self.setMinimumSize(SMALLEST)
        self.resize(SIZE)
        self.setDockOptions(
            QMainWindow.DockOption.AllowTabbedDocks
            | QMainWindow.DockOption.AllowNestedDocks
            | QMainWindow.DockOption.GroupedDragging
        )
        self.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.North)
        self.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
        self.top = TopBar(store, theme)
        self.rail = Rail(theme)
        self.clock = ClockBar(store, clock, theme)
        self._bar("top bar", Qt.ToolBarArea.TopToolBarArea, self.top)
        self._bar("rail", Qt.ToolBarArea.LeftToolBarArea, self.rail)
        self._bar("clock bar", Qt.ToolBarArea.BottomToolBarArea, self.clock)
        self.pages = QStackedWidget()
        self.pages.setMinimumSize(320, 240)
        self.pages.setContentsMargins(8, 8, 8, 8)
        self.setCentralWidget(self.pages)
        self.curtain = Curtain(self.pages, store.connection, theme)
        self.toasts = Toasts(self, theme, CLOCK_PX + 16)
        notices.listen(self.toasts.show_notice)
        self.views: dict[str, QWidget] = {}
        self.docks: dict[str, Dock] = {}
        self.actions_by_name: dict[str, QAction] = {}
        self.layout_ = Layout(self, settings, self._arrange)
        self.rail.chosen.connect(self.go)
        if not self.layout_.restore_geometry():
            self.resize(SIZE)

    # ── building ────────────────────────────────────────────────────────────────────────────────
    def furnish(
        self, views: Mapping[str, QWidget], docks: Mapping[str, tuple[str, QWidget]]
    ) -> None:
        """Puts perspectives and docks in."""
        for name, view in views.items():
            self.views[name] = view
            self.pages.addWidget(view)
        for name, (title, widget) in docks.items():
            header = getattr(widget, "header", None)
            dock = Dock(name, title, widget, self._theme, header)
            self.docks[name] = dock
            self.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
            dock.visibilityChanged.connect(lambda _on: self._show_dock_actions())
        self.go(self.layout_.last_perspective(tuple(p.name for p in PERSPECTIVES)))
        self.curtain.raise_()
        QApplication.instance().installEventFilter(self)  # type: ignore[union-attr]

    def bind(self, handlers: Mapping[str, Callable[[], object]]) -> None:
        """Makes a QAction of every action of the table, and the menus of them."""
        menu = QMenu(self)
        submenus = {name: menu.addMenu(name) for name in MENUS}
        for action in ACTIONS:
            made = QAction(action.title, self)
            made.setObjectName(action.name)
            made.setCheckable(action.checkable)
            if action.icon:
                made.setIcon(icon(action.icon, self._theme))
            if action.key:
                made.setShortcut(QKeySequence(action.key))
            made.setToolTip(" · ".join(text for text in (action.hint, action.key) if text))
            made.triggered.connect(lambda _checked=False, name=action.name: handlers[name]())
            self.addAction(made)
            submenus[action.menu].addAction(made)
            self.actions_by_name[action.name] = made
        self.top.set_menu(menu)
        self._show_dock_actions()

    def _bar(self, name: str, area: Qt.ToolBarArea, widget: QWidget) -> None:
        bar = QToolBar(name.capitalize())
        bar.setObjectName(name)
        bar.setMovable(False)
        bar.setFloatable(False)
        bar.addWidget(widget)
        bar.toggleViewAction().setVisible(False)
        bar.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        self.addToolBar(area, bar)

    # ── perspectives and docks ──────────────────────────────────────────────────────────────────
    def go(self, name: str) -> None:
        """Shows a perspective in its own layout."""
        if name not in self.views or name == self.layout_.perspective:
            return
        self.layout_.open(name)
        self.pages.setCurrentWidget(self.views[name])
        self.rail.show_current(name)
        self.curtain.raise_()
        QTimer.singleShot(0, self, self._show_titles)
        self.perspective_changed.emit(name)

    def current(self) -> QWidget:
        """The view on screen."""
        return self.views[self.layout_.perspective]

    def show_dock(self, name: str, on: bool) -> None:
        """Shows or hides a dock."""
        self.docks[name].setVisible(on)
        if on:
            self.docks[name].raise_()

    def _arrange(self, perspective: str) -> None:
        """The default layout: what changes things at the right, logs below."""
        right, bottom = (
            Qt.DockWidgetArea.RightDockWidgetArea,
            Qt.DockWidgetArea.BottomDockWidgetArea,
        )
        docks = self.docks
        for dock in docks.values():
            dock.setFloating(False)
            self.removeDockWidget(dock)
        # Split before there are tabs: Qt adds a tab when it is to split a dock that has some.
        self.addDockWidget(right, docks["sampling"])
        self.addDockWidget(bottom, docks["events"])
        self.splitDockWidget(docks["sampling"], docks["inspector"], Qt.Orientation.Vertical)
        self.tabifyDockWidget(docks["sampling"], docks["defence"])
        for before, after in pairwise(_BELOW):
            self.tabifyDockWidget(docks[before], docks[after])
        for name, dock in docks.items():
            dock.setVisible(name in _SHOWN[perspective])
        shown = [docks[name] for name in _SHOWN[perspective]]
        upper = docks["defence" if perspective == "defence" else "sampling"]
        for front in (upper, docks["events"]):
            if front in shown:
                front.raise_()
        self._size(upper, shown)

    def _size(self, upper: Dock, shown: list[Dock]) -> None:
        inspector, events = self.docks["inspector"], self.docks["events"]
        across, down = Qt.Orientation.Horizontal, Qt.Orientation.Vertical
        if upper in shown:
            self.resizeDocks([upper], [RIGHT_PX], across)
            if inspector in shown:
                self.resizeDocks([upper, inspector], [3, 1], down)
        elif inspector in shown:
            self.resizeDocks([inspector], [INSPECTOR_PX], across)
        if events in shown:
            self.resizeDocks([events], [BOTTOM_PX], down)

    def _show_titles(self) -> None:
        for dock in self.docks.values():
            dock.show_title()
        self.toasts.raise_()

    def _show_dock_actions(self) -> None:
        for name, dock in self.docks.items():
            if (action := self.actions_by_name.get(f"dock.{name}")) is not None:
                action.setChecked(not dock.isHidden())

    # ── looks ───────────────────────────────────────────────────────────────────────────────────
    def set_theme(self, theme: Theme) -> None:
        """Takes other colours, everywhere in the window."""
        self._theme = theme
        self.setWindowIcon(icon("citadel", theme, "accent.base"))
        for part in (self.top, self.rail, self.clock, self.curtain, self.toasts):
            part.set_theme(theme)
        for action in ACTIONS:
            if action.icon and (made := self.actions_by_name.get(action.name)) is not None:
                made.setIcon(icon(action.icon, theme))
        for dock in self.docks.values():
            retheme(dock, theme)

    # ── keys and closing ────────────────────────────────────────────────────────────────────────
    @override
    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Space and End stay with the widgets that use them themselves."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            own = {
                Qt.Key.Key_Space: (QAbstractButton, QComboBox, QAbstractItemView),
                Qt.Key.Key_End: (QAbstractItemView, QAbstractSlider, QComboBox),
            }.get(Qt.Key(event.key()))
            plain = event.modifiers() == Qt.KeyboardModifier.NoModifier
            if own is not None and plain and isinstance(watched, own):
                event.accept()
                return True
        return super().eventFilter(watched, event)

    @override
    def event(self, event: QEvent) -> bool:
        done = super().event(event)
        if event.type() == QEvent.Type.UpdateRequest and not self._was_painted:
            self._was_painted = True
            self.painted.emit()
        return done

    @override
    def closeEvent(self, event: QCloseEvent) -> None:
        if self.views:
            self.layout_.save()
        application = QApplication.instance()
        if application is not None:
            application.removeEventFilter(self)
        self.closed.emit()
        super().closeEvent(event)

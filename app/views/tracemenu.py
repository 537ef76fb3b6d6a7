"""The menu of a row of a trace: open it, or ask why it is missing. Main thread only."""

from __future__ import annotations

from PySide6.QtCore import QObject, QPoint, Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QAbstractItemView, QApplication, QMenu

from app.models.table import held
from app.models.whystory import trace_of


class TraceMenu(QObject):
    """Serves a list or table whose rows have a trace; Ctrl+Return opens the chosen row's."""

    trace_asked = Signal(str)
    why_asked = Signal(str)

    def __init__(self, view: QAbstractItemView) -> None:
        super().__init__(view)
        self._view = view
        view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        view.customContextMenuRequested.connect(self.show_at)
        shortcut = QShortcut(QKeySequence("Ctrl+Return"), view)
        shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)
        shortcut.activated.connect(self._open)

    def trace(self) -> str:
        """The trace of the chosen row, or ""."""
        row = held(self._view.currentIndex())
        return trace_of(row) if row is not None else ""

    def show_at(self, point: QPoint) -> QMenu:
        """Opens the menu."""
        trace = self.trace()
        menu = QMenu(self._view)
        menu.aboutToHide.connect(menu.deleteLater)
        for text, signal in (
            ("Open trace\tCtrl+Return", self.trace_asked),
            ("Why is it missing?", self.why_asked),
        ):
            menu.addAction(text, lambda signal=signal: signal.emit(trace)).setEnabled(bool(trace))
        menu.addSeparator()
        copy = menu.addAction("Copy trace id", lambda: QApplication.clipboard().setText(trace))
        copy.setEnabled(bool(trace))
        menu.popup(self._view.viewport().mapToGlobal(point))
        return menu

    def _open(self) -> None:
        if trace := self.trace():
            self.trace_asked.emit(trace)

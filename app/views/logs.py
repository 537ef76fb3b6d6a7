"""A log as a dock, newest first, and the Events dock. Main thread only."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QWidget

from app.models import fleet, ledger
from app.models.table import LogModel
from app.store import FleetStore, RowLog
from app.theme import Theme
from app.views.labels import column_of
from app.views.tables import TablePanel
from app.views.tracemenu import TraceMenu
from citadel.vocabulary import SEVERITIES


class LogDock(QWidget):
    """A table that follows a log."""

    chosen = Signal(object)

    def __init__(
        self, title: str, model: LogModel, log: RowLog, theme: Theme, empty: str, store: FleetStore
    ) -> None:
        super().__init__()
        self.setAccessibleName(title)
        self.model = model
        self._log = log
        self._store = store
        model.setParent(self)
        self.panel = TablePanel(title, model, theme, empty=empty, heading=False)
        self.panel.activated.connect(self.chosen)
        self.header = self.panel.bar
        self.setLayout(column_of(self.panel, spacing=0))

    def refresh(self, now_ns: int) -> None:
        """Takes in what came."""
        self.model.follow(self._log, now_ns)
        self.panel.show_count()
        shown = self.panel.table.filtered.rowCount()
        self.panel.show_ledger(ledger.of_log(self._store, self._log, shown))

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self.panel.set_theme(theme)


class EventsDock(LogDock):
    """What happened in the engine."""

    def __init__(self, store: FleetStore, theme: Theme) -> None:
        super().__init__(
            "Events",
            LogModel(fleet.EVENTS),
            store.events,
            theme,
            "Nothing has happened yet. Starts, crashes, commands that fail, and what workers print "
            "appear here.",
            store,
        )
        self.menu = TraceMenu(self.panel.table)
        self.severity = QComboBox()
        self.severity.setAccessibleName("Least severity of events")
        self.severity.addItems([f"{word} and above" for word in SEVERITIES])
        self.severity.currentIndexChanged.connect(self._on_severity)
        self.panel.actions_row.addWidget(self.severity)

    def _on_severity(self, least: int) -> None:
        wanted = set(SEVERITIES[least:])
        self.panel.table.filtered.set_accepted(lambda row: row["severity"] in wanted)
        self.panel.show_count()

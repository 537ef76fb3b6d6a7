"""The Fleet perspective: pools, and behind tabs all that belongs to them.

The tabs are workers, missions, Sentinels, sessions and poison. What is selected is shown in the
Inspector. Actions are buttons over each table, a menu on its rows, and by name for the window's
menu and the palette. Main thread only.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QSplitter, QWidget

from app.commands import CommandSink
from app.models.ledger import of_state
from app.store import FleetStore, Row
from app.theme import Theme
from app.views.fleet.keeps import poison_panel, sessions_panel
from app.views.fleet.panel import FleetPanel, RowAction
from app.views.fleet.pools import pools_panel, workers_panel
from app.views.fleet.tabs import TabbedPanels
from app.views.fleet.work import missions_panel, sentinels_panel
from app.views.labels import button, column_of, retheme
from app.views.missiondialog import MissionDialog
from app.views.results import ResultsDialog
from app.views.spawndialog import SpawnDialog

SECOND = 1_000_000_000
SHARES = (2, 3)
"""Of pools and of what is behind the tabs."""


class FleetView(QWidget):
    """Everything that runs, and what can be done about it."""

    inspected = Signal(str, object)
    moved = Signal()
    """What can be done may be another now."""

    def __init__(self, store: FleetStore, theme: Theme, sink: CommandSink) -> None:
        super().__init__()
        self._store = store
        self._theme = theme
        self._sink = sink
        self.setProperty("role", "workspace")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName("Fleet")
        self.pools = pools_panel(self, theme, sink)
        self.workers = workers_panel(self, store, theme, sink)
        self.sentinels = sentinels_panel(theme, sink, self.ask_spawn)
        self.missions = missions_panel(self, theme, sink, self.ask_mission, self.show_results)
        self.missions.offer(button("Start a mission…", self.ask_mission, "primary"))
        self.sessions = sessions_panel(self, theme, sink)
        self.poison = poison_panel(self, theme, sink)
        self.tabs = TabbedPanels(
            {
                "worker": self.workers,
                "mission": self.missions,
                "sentinel": self.sentinels,
                "session": self.sessions,
                "poison": self.poison,
            }
        )
        self.panels: dict[str, FleetPanel] = {
            "pool": self.pools,
            "worker": self.workers,
            "sentinel": self.sentinels,
            "mission": self.missions,
            "session": self.sessions,
            "poison": self.poison,
        }
        self._named: dict[str, tuple[FleetPanel, RowAction]] = {}
        for topic, panel in self.panels.items():
            panel.activated.connect(lambda row, topic=topic: self.inspected.emit(topic, row))
            panel.moved.connect(self.moved)
            for action in panel.row_actions:
                if action.name:
                    self._named[action.name] = (panel, action)
        whole = QSplitter(Qt.Orientation.Vertical)
        whole.setHandleWidth(8)
        whole.setChildrenCollapsible(False)
        for at, (part, share) in enumerate(zip((self.pools, self.tabs), SHARES, strict=True)):
            whole.addWidget(_card(part))
            whole.setStretchFactor(at, share)
        whole.setSizes([share * 1000 for share in SHARES])
        self.setLayout(column_of(whole, spacing=0))

    # ── refresh ─────────────────────────────────────────────────────────────────────────────────
    def refresh(self, now_ns: int) -> None:
        """Shows the store as of now."""
        store = self._store
        second = now_ns // SECOND * SECOND
        for topic, panel, rows in (
            ("pool", self.pools, store.pools),
            ("worker", self.workers, store.workers),
            ("sentinel", self.sentinels, store.sentinels),
            ("mission", self.missions, store.missions),
            ("session", self.sessions, store.sessions),
            ("poison", self.poison, store.poison),
        ):
            panel.model.set_rows(rows, second)
            panel.show_count()
            panel.show_ledger(of_state(store, topic, len(rows)))
            panel.show_actions()
        self.tabs.show_counts()
        self._show_marks()

    def _show_marks(self) -> None:
        states = {row["state"] for row in self._store.poison.values()}
        worst = next((state for state in ("quarantined", "counted") if state in states), "")
        self.tabs.mark("poison", worst, self._theme)

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self._theme = theme
        for panel in self.panels.values():
            panel.set_theme(theme)
        retheme(self, theme)
        self._show_marks()

    def focus_filter(self) -> None:
        """Where Ctrl+F leads: the filter of the table that has the focus, or of the tab's."""
        shown = self.panels[self.tabs.current()]
        focused = next((p for p in self.panels.values() if p.table.hasFocus()), shown)
        focused.filter.setFocus()

    def set_filter(self, text: str) -> None:
        """Filters all tables."""
        for panel in self.panels.values():
            panel.filter.setText(text)

    # ── by name ─────────────────────────────────────────────────────────────────────────────────
    def show_row(self, topic: str, key: str) -> bool:
        """Selects a row by the name of its thing, and shows its table; whether it is there."""
        panel = self.panels[topic]
        self.tabs.show_panel(topic)
        panel.filter.clear()
        for row in range(panel.table.filtered.rowCount()):
            if key_of(topic, panel.table.row_at(row)) == key:
                panel.table.select_row(row)
                panel.table.scrollTo(panel.table.filtered.index(row, 0))
                panel.table.setFocus()
                return True
        return False

    def can(self, name: str) -> bool:
        """Whether an action of the table of actions fits what is selected."""
        panel, action = self._named[name]
        return panel.can(action)

    def act(self, name: str) -> None:
        """Does an action of the table of actions to what is selected."""
        panel, action = self._named[name]
        panel.run(action)

    def target(self, name: str) -> Row | None:
        """What an action would be done to."""
        return self._named[name][0].target()

    def action_names(self) -> tuple[str, ...]:
        """The actions that go by a name."""
        return tuple(self._named)

    # ── dialogs ─────────────────────────────────────────────────────────────────────────────────
    def ask_mission(self) -> MissionDialog:
        """Asks for a mission to start."""
        dialog = MissionDialog(self, self._sink)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()
        return dialog

    def ask_spawn(self) -> SpawnDialog:
        """Asks for a Sentinel to spawn."""
        dialog = SpawnDialog(self, self._store, self._sink)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()
        return dialog

    def show_results(self, row: Row) -> ResultsDialog:
        """Shows a mission's results, beside the window."""
        dialog = ResultsDialog(self, row, self._theme, self._sink)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.show()
        return dialog


def key_of(topic: str, row: Row) -> str:
    """What a row's thing is called in its table."""
    column = {"pool": "name", "session": "key", "poison": "fingerprint"}.get(topic, "id")
    return str(row[column])


def _card(panel: QWidget) -> QFrame:
    made = QFrame()
    made.setProperty("role", "card")
    made.setLayout(column_of(panel, margin=1, spacing=0))
    return made

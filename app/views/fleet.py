"""The Fleet perspective: pools, workers, Sentinels and missions as tables, with actions in place.

Main thread only. Actions are buttons over each table and the same in a menu on its rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtWidgets import QFrame, QInputDialog, QMenu, QSplitter, QWidget

from app import commands
from app.commands import CommandSink
from app.models import fleet
from app.models.table import ColumnSpec, TableModel
from app.store import FleetStore, Row
from app.theme import Theme
from app.views.labels import IconButton, button, column_of, retheme
from app.views.missiondialog import MissionDialog
from app.views.results import ResultsDialog
from app.views.spawndialog import SpawnDialog
from app.views.tables import TablePanel

MOST_WORKERS = 1024
MOST_RATE = 100_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RowAction:
    """Something that can be done to the row that is selected; or, without one, at any time."""

    title: str
    icon: str
    run: Callable[[Row], object]
    fits: Callable[[Row], bool] = lambda _row: True
    needs_row: bool = True


class _Panel(TablePanel):
    """A table with its actions."""

    def __init__(
        self,
        title: str,
        columns: tuple[ColumnSpec, ...],
        theme: Theme,
        empty: str,
        actions: tuple[RowAction, ...],
    ) -> None:
        self.model = TableModel(columns)
        super().__init__(
            title, self.model, theme, empty=empty, sort=(0, Qt.SortOrder.AscendingOrder)
        )
        self.model.setParent(self)
        self._row_actions = actions
        self.buttons: dict[str, IconButton] = {}
        for action in actions:
            made = IconButton(action.icon, action.title, theme, lambda a=action: self.run(a))
            self.actions_row.addWidget(made)
            self.buttons[action.title] = made
        self.with_menu(self._open_menu)
        self.activated.connect(lambda _row: self.show_actions())
        self.show_actions()

    def run(self, action: RowAction) -> None:
        """Does an action to the selected row."""
        row = self.table.selected()
        if row is not None and action.fits(row):
            action.run(row)
        elif not action.needs_row:
            action.run({})

    def show_actions(self) -> None:
        """Enables what fits the selected row."""
        row = self.table.selected()
        for action in self._row_actions:
            fits = not action.needs_row or (row is not None and action.fits(row))
            self.buttons[action.title].setEnabled(fits)

    def _open_menu(self, point: QPoint) -> None:
        menu = QMenu(self)
        row = self.table.selected()
        for action in self._row_actions:
            entry = menu.addAction(action.title)
            entry.setEnabled(not action.needs_row or (row is not None and action.fits(row)))
            entry.triggered.connect(lambda _checked=False, a=action: self.run(a))
        menu.addSeparator()
        menu.addAction("Copy").triggered.connect(self.table.copy_selected)
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(self.table.viewport().mapToGlobal(point))


class FleetView(QWidget):
    """Everything that runs, and what can be done about it."""

    inspected = Signal(str, object)

    def __init__(self, store: FleetStore, theme: Theme, sink: CommandSink) -> None:
        super().__init__()
        self._store = store
        self._theme = theme
        self._sink = sink
        self.setProperty("role", "workspace")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName("Fleet")
        self.pools = self._pools()
        self.workers = self._workers()
        self.sentinels = self._sentinels()
        self.missions = self._missions()
        self.missions.offer(button("Start a mission…", self.ask_mission, "primary"))
        self.panels = {
            "pool": self.pools,
            "worker": self.workers,
            "sentinel": self.sentinels,
            "mission": self.missions,
        }
        for topic, panel in self.panels.items():
            panel.activated.connect(lambda row, topic=topic: self.inspected.emit(topic, row))
        upper = _split(Qt.Orientation.Horizontal, _card(self.missions), _card(self.pools))
        lower = _split(Qt.Orientation.Horizontal, _card(self.workers), _card(self.sentinels))
        whole = _split(Qt.Orientation.Vertical, upper, lower)
        whole.setStretchFactor(0, 2)
        whole.setStretchFactor(1, 3)
        self.setLayout(column_of(whole, spacing=0))

    # ── refresh ─────────────────────────────────────────────────────────────────────────────────
    def refresh(self, now_ns: int) -> None:
        """Shows the store as of now."""
        store = self._store
        second = now_ns // 1_000_000_000 * 1_000_000_000
        for panel, rows in (
            (self.pools, store.pools),
            (self.workers, store.workers),
            (self.sentinels, store.sentinels),
            (self.missions, store.missions),
        ):
            panel.model.set_rows(rows, second)
            panel.show_count()
            panel.show_actions()

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self._theme = theme
        for panel in self.panels.values():
            panel.set_theme(theme)
        retheme(self, theme)

    def focus_filter(self) -> None:
        """Where Ctrl+F leads: the filter of the table that has the focus, or the first."""
        focused = next((p for p in self.panels.values() if p.table.hasFocus()), self.workers)
        focused.filter.setFocus()

    def set_filter(self, text: str) -> None:
        """Filters all tables."""
        for panel in self.panels.values():
            panel.filter.setText(text)

    # ── the tables and their actions ────────────────────────────────────────────────────────────
    def _pools(self) -> _Panel:
        send = self._sink.send

        def resized(step: int) -> Callable[[Row], None]:
            def run(row: Row) -> None:
                size = min(max(row["size"] + step, 0), MOST_WORKERS)
                send(commands.resize_pool(row["name"], size, was=row["size"]))

            return run

        return _Panel(
            "Pools",
            fleet.POOLS,
            self._theme,
            "This engine has no pools. Name one in its settings: [[pools]].",
            (
                RowAction(
                    title="One worker less",
                    icon="minus",
                    run=resized(-1),
                    fits=lambda row: row["size"] > 0,
                ),
                RowAction(title="One worker more", icon="plus", run=resized(1)),
                RowAction(
                    title="Resize the pool…",
                    icon="table",
                    run=self._ask_size,
                ),
                RowAction(
                    title="Recycle all workers",
                    icon="recycle",
                    run=lambda row: send(commands.recycle_pool(row["name"])),
                ),
            ),
        )

    def _workers(self) -> _Panel:
        send = self._sink.send
        alive = frozenset({"starting", "ready", "busy"})
        return _Panel(
            "Workers",
            fleet.WORKERS,
            self._theme,
            "No workers run. Resize a pool to start some.",
            (
                RowAction(
                    title="Recycle the worker",
                    icon="recycle",
                    run=lambda row: send(commands.recycle_pool(row["pool"], row["id"])),
                    fits=lambda row: row["state"] in alive,
                ),
                RowAction(
                    title="Kill the worker",
                    icon="kill",
                    run=lambda row: send(commands.kill_worker(row["pool"], row["id"])),
                    fits=lambda row: row["state"] in alive | {"draining"},
                ),
            ),
        )

    def _sentinels(self) -> _Panel:
        send = self._sink.send
        ended = frozenset({"stopped", "quarantined"})
        return _Panel(
            "Sentinels",
            fleet.SENTINELS,
            self._theme,
            "No Sentinels. Start a mission, or spawn one.",
            (
                RowAction(
                    title="Spawn a Sentinel…",
                    icon="spawn",
                    run=lambda _row: self.ask_spawn(),
                    needs_row=False,
                ),
                RowAction(
                    title="Stop the Sentinel",
                    icon="stop",
                    run=lambda row: send(commands.stop_sentinel(row["id"])),
                    fits=lambda row: row["state"] not in ended,
                ),
                RowAction(
                    title="Restart the Sentinel",
                    icon="reset",
                    run=lambda row: send(commands.restart_sentinel(row["id"])),
                ),
            ),
        )

    def _missions(self) -> _Panel:
        send = self._sink.send
        return _Panel(
            "Missions",
            fleet.MISSIONS,
            self._theme,
            "No missions yet. Start one: the survey reads a folder of Python source.",
            (
                RowAction(
                    title="Start a mission…",
                    icon="play",
                    run=lambda _row: self.ask_mission(),
                    needs_row=False,
                ),
                RowAction(title="Show the results", icon="table", run=self.show_results),
                RowAction(
                    title="Set the rate…",
                    icon="bridge",
                    run=self._ask_rate,
                    fits=lambda row: row["state"] == "running",
                ),
                RowAction(
                    title="Cancel the mission",
                    icon="stop",
                    run=lambda row: send(commands.cancel_mission(row["id"], row["name"])),
                    fits=lambda row: row["state"] == "running",
                ),
            ),
        )

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

    def _ask_size(self, row: Row) -> None:
        dialog = self._number(f"Workers of pool {row['name']}")
        dialog.setInputMode(QInputDialog.InputMode.IntInput)
        dialog.setIntRange(0, MOST_WORKERS)
        dialog.setIntValue(row["size"])
        dialog.intValueSelected.connect(
            lambda size: self._sink.send(commands.resize_pool(row["name"], size, was=row["size"]))
        )
        dialog.open()

    def _ask_rate(self, row: Row) -> None:
        dialog = self._number(f"Units a second of {row['name']}; 0 is as fast as it goes")
        dialog.setInputMode(QInputDialog.InputMode.DoubleInput)
        dialog.setDoubleRange(0, MOST_RATE)
        dialog.setDoubleDecimals(1)
        dialog.setDoubleValue(row["rate"])
        dialog.doubleValueSelected.connect(
            lambda rate: self._sink.send(
                commands.set_mission_rate(row["id"], rate, was=row["rate"])
            )
        )
        dialog.open()

    def _number(self, text: str) -> QInputDialog:
        dialog = QInputDialog(self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setWindowTitle("Set")
        dialog.setLabelText(text)
        return dialog


def _card(panel: QWidget) -> QFrame:
    made = QFrame()
    made.setProperty("role", "card")
    made.setLayout(column_of(panel, margin=1, spacing=0))
    return made


def _split(orientation: Qt.Orientation, *parts: QWidget) -> QSplitter:
    made = QSplitter(orientation)
    made.setHandleWidth(8)
    made.setChildrenCollapsible(False)
    for part in parts:
        made.addWidget(part)
    made.setSizes([1000] * len(parts))
    return made

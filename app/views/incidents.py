"""The Incidents dock: recordings, and what the flight recorder kept by itself. Main thread only."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QApplication, QWidget

from app.commands import CommandSink
from app.exportcommands import remove_recording, start_recording, stop_recording
from app.models.exports import RECORDINGS
from app.models.ledger import of_state
from app.models.table import TableModel
from app.store import FleetStore, Row
from app.theme import Theme
from app.views.confirm import confirm
from app.views.labels import button, column_of
from app.views.tables import TablePanel

BEFORE_SECONDS = 30.0
"""What a recording that is started by hand takes from the flight recorder."""
_EMPTY = (
    "Nothing is recorded. The flight recorder keeps an incident when one of its triggers fires;"
    " a recording that you start keeps everything until you stop it."
)


class IncidentsDock(QWidget):
    """A table of recordings; starts, stops and removes them."""

    chosen = Signal(object)
    open_asked = Signal(str)
    """The path of a recording's file, where the engine keeps it."""

    def __init__(self, store: FleetStore, theme: Theme, sink: CommandSink) -> None:
        super().__init__()
        self._store = store
        self._sink = sink
        self.setAccessibleName("Incidents")
        self.model = TableModel(RECORDINGS, self)
        self.panel = TablePanel("Incidents", self.model, theme, empty=_EMPTY, heading=False)
        self.panel.activated.connect(self._on_chosen)
        selection = self.panel.table.selectionModel()
        selection.selectionChanged.connect(lambda *_: self._show_enabled())
        self.panel.offer(button("Start a recording", self.start, "primary"))
        self.header = self.panel.bar
        self.buttons = {
            "start": button(
                "Record", self.start, tip=f"Also takes the last {BEFORE_SECONDS:.0f} s"
            ),
            "stop": button("Stop", self.stop, tip="Ends the recording; its file is whole then"),
            "open": button(
                "Open", self.open, tip="In a window of its own, when the file is on this machine"
            ),
            "path": button("Copy path", self.copy_path, tip="Where the engine keeps the file"),
            "remove": button("Remove…", self.remove),
        }
        for made in self.buttons.values():
            self.panel.actions_row.addWidget(made)
        self.setLayout(column_of(self.panel, spacing=0))
        self._show_enabled()

    def refresh(self, now_ns: int) -> None:
        """Shows the recordings as they are."""
        self.model.set_rows(dict(self._store.recordings), now_ns)
        self.panel.show_count()
        self.panel.show_ledger(of_state(self._store, "recording", len(self._store.recordings)))
        self._show_enabled()

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self.panel.set_theme(theme)

    def start(self) -> None:
        """Starts a recording."""
        self._sink.send(start_recording(before=BEFORE_SECONDS))

    def stop(self) -> None:
        """Stops the chosen recording, or the one that runs."""
        row = self._running()
        if row is not None:
            self._sink.send(stop_recording(row["name"]))

    def remove(self) -> None:
        """Deletes the chosen recording's file, after a question."""
        row = self.panel.table.selected()
        if row is not None:
            consequence = f"Its {row['rows']:,} rows are deleted at the engine, for good."
            confirm(self, remove_recording(row["name"], consequence), self._sink)

    def open(self) -> None:
        """Asks for the chosen recording to be opened."""
        row = self.panel.table.selected()
        if row is not None:
            self.open_asked.emit(row["path"])

    def copy_path(self) -> None:
        """Puts the file's path on the clipboard."""
        row = self.panel.table.selected()
        if row is not None:
            QApplication.clipboard().setText(row["path"])

    def _running(self) -> Row | None:
        running = [row for row in self._store.recordings.values() if row["state"] == "recording"]
        chosen = self.panel.table.selected()
        if chosen is not None and chosen["state"] == "recording":
            return chosen
        return running[-1] if running else None

    def _on_chosen(self, row: Row) -> None:
        self._show_enabled()
        self.chosen.emit(row)

    def _show_enabled(self) -> None:
        live, row = self._store.connection.live, self.panel.table.selected()
        self.buttons["start"].setEnabled(live)
        self.buttons["stop"].setEnabled(live and self._running() is not None)
        self.buttons["path"].setEnabled(row is not None)
        finished = row is not None and row["state"] != "recording"
        here = finished and row is not None and Path(row["path"]).is_file()
        self.buttons["open"].setEnabled(here)
        self.buttons["remove"].setEnabled(live and finished)

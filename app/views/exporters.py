"""The Exporters dock: where telemetry is sent, how each stands, what it lost. Main thread only."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Signal
from PySide6.QtWidgets import QMenu, QWidget

from app.commands import CommandSink, Outcome
from app.exportcommands import list_exporters, pause_exporter, remove_exporter, try_exporter
from app.models.exports import EXPORTERS, drops
from app.models.ledger import of_state
from app.models.table import TableModel
from app.notices import Notice
from app.store import FleetStore, Row
from app.theme import Theme
from app.views.confirm import confirm
from app.views.exporterdialog import ExporterDialog, told
from app.views.labels import button, column_of
from app.views.tables import TablePanel
from citadel.wire.messages import ExporterConfig, ListExportersReply, TestExporterReply

_EMPTY = (
    "Nothing is sent anywhere yet. Add an exporter to send traces, metrics and logs by OTLP to"
    " Honeycomb, Datadog, Grafana, Phoenix, MLflow, or any receiver."
)


class ExportersDock(QWidget):
    """A table of exporters and what can be done to them."""

    chosen = Signal(object)
    told = Signal(object)
    """A `Notice` for the user: what a test brought back."""

    def __init__(self, store: FleetStore, theme: Theme, sink: CommandSink) -> None:
        super().__init__()
        self._store = store
        self._sink = sink
        self._configs: dict[str, ExporterConfig] = {}
        self._revisions: dict[str, int] = {}
        self.setAccessibleName("Exporters")
        self.model = TableModel(EXPORTERS, self)
        self.panel = TablePanel("Exporters", self.model, theme, empty=_EMPTY, heading=False)
        self.panel.activated.connect(self._on_chosen)
        selection = self.panel.table.selectionModel()
        selection.selectionChanged.connect(lambda *_: self._show_enabled())
        self.panel.with_menu(self._show_menu)
        self.panel.table.doubleClicked.connect(lambda _index: self.edit())
        self.panel.offer(button("Add an exporter…", self.add, "primary"))
        self.header = self.panel.bar
        self.buttons = {
            "add": button("Add…", self.add),
            "edit": button("Edit…", self.edit),
            "test": button("Test", self.test, tip="Sends one span, and says what came back"),
            "pause": button("Pause…", self.pause),
            "remove": button("Remove…", self.remove),
        }
        for made in self.buttons.values():
            self.panel.actions_row.addWidget(made)
        self.setLayout(column_of(self.panel, spacing=0))
        self._show_enabled()

    def refresh(self, now_ns: int) -> None:
        """Shows how they stand, and asks for their configuration when it changed."""
        rows = self._store.exporters
        self.model.set_rows(dict(rows), now_ns)
        self.panel.show_count()
        self.panel.show_ledger(of_state(self._store, "exporter", len(self._store.exporters)))
        revisions = {name: row["revision"] for name, row in rows.items()}
        if revisions != self._revisions and self._store.connection.live:
            self._revisions = revisions
            self._sink.send(list_exporters(), self._on_listed)
        self._show_enabled()

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self.panel.set_theme(theme)

    # ── what the user asks ──────────────────────────────────────────────────────────────────────
    def add(self) -> ExporterDialog:
        """Asks for a new exporter."""
        return self._open(None)

    def edit(self) -> ExporterDialog | None:
        """Changes the chosen exporter."""
        config = self._config()
        return self._open(config) if config is not None else None

    def test(self) -> None:
        """Sends one span by the chosen exporter."""
        if (config := self._config()) is not None:
            self.buttons["test"].setEnabled(False)
            self._sink.send(try_exporter(config), self._on_tested)

    def pause(self) -> None:
        """Pauses the chosen exporter, after a question, or lets it go on."""
        config = self._config()
        if config is None:
            return
        command = pause_exporter(config, paused=not config.paused)
        if config.paused:
            self._sink.send(command)
        else:
            confirm(self, command, self._sink)

    def remove(self) -> None:
        """Removes the chosen exporter, after a question."""
        row = self.panel.table.selected()
        if row is None:
            return
        waiting = f"{row['queued']:,} rows wait for it" if row["queued"] else "Nothing waits for it"
        consequence = (
            f"{waiting}; what can be sent within 5 s is, the rest is dropped and counted."
            " Its configuration, with its secrets, is forgotten."
        )
        confirm(self, remove_exporter(row["name"], consequence), self._sink)

    # ── answers ─────────────────────────────────────────────────────────────────────────────────
    def _on_listed(self, outcome: Outcome) -> None:
        if isinstance(outcome.reply, ListExportersReply):
            found = (each.config for each in outcome.reply.exporters if each.config)
            self._configs = {config.name: config for config in found}
        else:
            self._revisions = {}
        self._show_enabled()

    def _on_tested(self, outcome: Outcome) -> None:
        self._show_enabled()
        if isinstance(outcome.reply, TestExporterReply):
            role, text = told(outcome.reply)
            level = "error" if role == "error" else "done"
            self.told.emit(Notice(level=level, text=text))
        elif outcome.error is not None:
            text = f"{outcome.error.message}. {outcome.error.remedy}".strip()
            self.told.emit(Notice(level="error", text=text))

    def _open(self, config: ExporterConfig | None) -> ExporterDialog:
        dialog = ExporterDialog(self, self._sink, config)
        dialog.finished.connect(lambda _code: dialog.deleteLater())
        dialog.open()
        return dialog

    def _config(self) -> ExporterConfig | None:
        row = self.panel.table.selected()
        return self._configs.get(row["name"]) if row is not None else None

    def _on_chosen(self, row: Row) -> None:
        self._show_enabled()
        self.chosen.emit(row | {"dropped": drops(row)})

    def _show_enabled(self) -> None:
        live, config = self._store.connection.live, self._config()
        for name, made in self.buttons.items():
            made.setEnabled(live and (name == "add" or config is not None))
        paused = config is not None and config.paused
        self.buttons["pause"].setText("Resume" if paused else "Pause…")

    def _show_menu(self, point: QPoint) -> None:
        menu = QMenu(self)
        menu.aboutToHide.connect(menu.deleteLater)
        for made in self.buttons.values():
            menu.addAction(made.text(), made.click).setEnabled(made.isEnabled())
        menu.popup(self.panel.table.viewport().mapToGlobal(point))

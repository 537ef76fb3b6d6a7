"""A mission's table of results, in a window of its own. Main thread only."""

from __future__ import annotations

import json

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QFrame, QWidget

from app import figures
from app.commands import CommandSink, Outcome, mission_result
from app.models.fleet import SURVEY
from app.models.table import TableModel
from app.store import Row
from app.theme import Theme
from app.views.labels import button, column_of, label, row_of
from app.views.tables import TablePanel
from citadel.wire.columns import rows, unpack
from citadel.wire.messages import MissionResult

SIZE_PX = (1120, 640)


class ResultsDialog(QDialog):
    """What a mission found, row by row, and its totals."""

    def __init__(self, parent: QWidget, mission: Row, theme: Theme, sink: CommandSink) -> None:
        super().__init__(parent)
        self._mission = mission
        self._sink = sink
        self.setWindowTitle(f"Results of {mission['name'] or mission['id']}")
        self.setWindowFlag(Qt.WindowType.WindowMaximizeButtonHint, on=True)
        self.resize(*SIZE_PX)
        self.model = TableModel(SURVEY, self)
        self.panel = TablePanel(
            "Results",
            self.model,
            theme,
            empty="No results yet.",
            sort=(0, Qt.SortOrder.AscendingOrder),
        )
        self.summary = label("", "secondary", wrap=True, name="Totals")
        self.again = button("Read again", self.read)
        frame = QFrame()
        frame.setProperty("role", "card")
        frame.setLayout(column_of(self.panel, margin=1))
        buttons = row_of(self.summary, self.again, button("Close", self.accept, "primary"))
        buttons.setStretch(0, 1)
        body = column_of(frame, buttons, margin=16, spacing=16)
        body.setStretch(0, 1)
        self.setLayout(body)
        self.read()

    def read(self) -> None:
        """Asks the engine for the table as it is now."""
        self.again.setEnabled(False)
        self._sink.send(mission_result(self._mission["id"]), self._on_read)

    def _on_read(self, outcome: Outcome) -> None:
        self.again.setEnabled(True)
        result = outcome.reply
        if not isinstance(result, MissionResult):
            self.summary.setText(outcome.error.message if outcome.error else "No results.")
            return
        if result.table is not None and result.table.topic == "survey_result":
            found = rows(unpack(result.table))
            self.model.set_rows({row["path"]: row for row in found})
        self.panel.show_count()
        self.summary.setText(totals(result.status.summary_json if result.status else ""))


def totals(summary_json: str) -> str:
    """A mission's summary in a line: "files 2,041 · lines 812,300"."""
    try:
        summary = json.loads(summary_json or "{}")
    except ValueError:
        return ""
    if not isinstance(summary, dict):
        return ""
    return " · ".join(
        f"{key.replace('_', ' ')} {figures.count(value)}"
        for key, value in summary.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    )

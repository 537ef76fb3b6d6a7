"""Asks what Sentinel to spawn. Main thread only."""

from __future__ import annotations

import json

from PySide6.QtWidgets import QComboBox, QDialog, QFormLayout, QLineEdit, QPlainTextEdit, QWidget

from app.commands import CommandSink, spawn_sentinel
from app.store import FleetStore
from app.style import mono_font
from app.views.labels import button, column_of, label, row_of

WIDTH_PX = 480
BUILT_IN = ("planner", "executor", "critic")


class SpawnDialog(QDialog):
    """Starts a Sentinel."""

    def __init__(self, parent: QWidget, store: FleetStore, sink: CommandSink) -> None:
        super().__init__(parent)
        self._sink = sink
        self.setWindowTitle("Spawn a Sentinel")
        self.setMinimumWidth(WIDTH_PX)
        self.behaviour = QComboBox()
        self.behaviour.setEditable(True)
        self.behaviour.setAccessibleName("Behaviour")
        known = {str(row["behaviour"]) for row in store.sentinels.values()}
        self.behaviour.addItems(sorted(known | set(BUILT_IN)))
        self.name = QLineEdit()
        self.name.setAccessibleName("Id of the Sentinel")
        self.name.setPlaceholderText("The engine gives one")
        self.mission = QComboBox()
        self.mission.setAccessibleName("Mission")
        self.mission.addItem("None", "")
        for row in store.missions.values():
            if row["state"] == "running":
                self.mission.addItem(row["name"] or row["id"], row["id"])
        self.options = QPlainTextEdit()
        self.options.setAccessibleName("Options as JSON")
        self.options.setPlaceholderText('{"option": "value"}')
        self.options.setFont(mono_font())
        self.options.setTabChangesFocus(True)
        self.options.setMaximumHeight(96)
        self.options.textChanged.connect(self._check)
        self.error = label("", "error", wrap=True)
        self.spawn = button("Spawn", self._spawn, "primary")
        self.spawn.setDefault(True)
        form = QFormLayout()
        form.setHorizontalSpacing(16)
        form.setVerticalSpacing(8)
        form.addRow("Behaviour", self.behaviour)
        form.addRow("Id", self.name)
        form.addRow("Mission", self.mission)
        form.addRow("Options", self.options)
        buttons = row_of(1, button("Cancel", self.reject), self.spawn)
        self.setLayout(column_of(form, self.error, buttons, margin=24, spacing=12))

    def _check(self) -> None:
        problem = json_problem(self.options.toPlainText())
        self.error.setText(problem)
        self.spawn.setEnabled(not problem)

    def _spawn(self) -> None:
        self._sink.send(
            spawn_sentinel(
                self.behaviour.currentText().strip(),
                sentinel=self.name.text().strip(),
                mission_id=self.mission.currentData(),
                options_json=self.options.toPlainText().strip(),
            )
        )
        self.accept()


def json_problem(text: str) -> str:
    """What is wrong with a JSON object, or ""; nothing at all is right."""
    if not text.strip():
        return ""
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        return f"Line {error.lineno}: {error.msg}"
    return "" if isinstance(found, dict) else "Options are a JSON object: {…}"

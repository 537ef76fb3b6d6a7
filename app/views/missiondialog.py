"""Asks for a mission: a form made from the JSON Schema of its kind. Main thread only."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDoubleSpinBox,
    QFormLayout,
    QLineEdit,
    QScrollArea,
    QSpinBox,
    QWidget,
)

from app.commands import CommandSink, Outcome, mission_kinds, start_mission
from app.models.schema import Field, fields
from app.views.labels import button, column_of, label, row_of
from citadel.vocabulary import MISSION_CLASSES
from citadel.wire.messages import MissionKind, MissionKindList

WIDTH_PX = 520
_MOST = 2_000_000_000

Read = Callable[[], Any]


class MissionDialog(QDialog):
    """Starts a mission."""

    def __init__(self, parent: QWidget, sink: CommandSink) -> None:
        super().__init__(parent)
        self._sink = sink
        self._kinds: dict[str, MissionKind] = {}
        self._fields: list[tuple[Field, Read]] = []
        self.setWindowTitle("Start a mission")
        self.setMinimumWidth(WIDTH_PX)
        self.setMinimumHeight(WIDTH_PX)
        self.kind = QComboBox()
        self.kind.setAccessibleName("Kind of mission")
        self.kind.currentTextChanged.connect(self._on_kind)
        self.about = label("Asking the engine for its kinds of mission…", "muted", wrap=True)
        self.name = QLineEdit()
        self.name.setAccessibleName("Name of the mission")
        self.name.setPlaceholderText("The kind and a number")
        self.mission_class = QComboBox()
        self.mission_class.setAccessibleName("Class of the mission")
        self.mission_class.addItem("The kind's own", "")
        for word in MISSION_CLASSES:
            self.mission_class.addItem(word, word)
        self.form = QFormLayout()
        self.form.setHorizontalSpacing(16)
        self.form.setVerticalSpacing(8)
        self.start = button("Start", self._start, "primary")
        self.start.setDefault(True)
        self.start.setEnabled(False)
        self.error = label("", "error", wrap=True)
        self._lay_out()
        sink.send(mission_kinds(), self._on_kinds)

    def _lay_out(self) -> None:
        top = QFormLayout()
        top.setHorizontalSpacing(16)
        top.setVerticalSpacing(8)
        top.addRow("Kind", self.kind)
        top.addRow("", self.about)
        top.addRow("Name", self.name)
        top.addRow("Class", self.mission_class)
        inner = QWidget()
        inner.setLayout(self.form)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(inner)
        scroll.setAccessibleName("Parameters of the mission")
        buttons = row_of(1, button("Cancel", self.reject), self.start)
        heading = label("Parameters", "heading")
        body = column_of(top, heading, scroll, self.error, buttons, margin=24, spacing=12)
        body.setStretch(2, 1)
        self.setLayout(body)

    def parameters(self) -> dict[str, Any]:
        """What was filled in; what was left alone is left out."""
        values = {field.name: read() for field, read in self._fields}
        return {
            field.name: values[field.name]
            for field, _ in self._fields
            if values[field.name] not in (None, "") and values[field.name] != field.default
        }

    def _on_kinds(self, outcome: Outcome) -> None:
        if not isinstance(outcome.reply, MissionKindList):
            self.about.setText("The engine did not say which kinds of mission it runs.")
            return
        self._kinds = {kind.name: kind for kind in outcome.reply.kinds}
        self.kind.addItems(list(self._kinds))
        self.start.setEnabled(bool(self._kinds))

    def _on_kind(self, name: str) -> None:
        kind = self._kinds.get(name)
        if kind is None:
            return
        self.about.setText(kind.description)
        while self.form.rowCount():
            self.form.removeRow(0)
        self._fields = []
        for field in fields(kind.parameters_schema):
            widget, read = editor(field)
            widget.setAccessibleName(field.title)
            widget.setToolTip(field.description)
            self.form.addRow(field.title + (" *" if field.required else ""), widget)
            self._fields.append((field, read))

    def _start(self) -> None:
        missing = [
            field.title for field, read in self._fields if field.required and read() in (None, "")
        ]
        if missing:
            self.error.setText(f"Needed: {', '.join(missing)}")
            return
        self._sink.send(
            start_mission(
                self.kind.currentText(),
                json.dumps(self.parameters()),
                name=self.name.text().strip(),
                mission_class=self.mission_class.currentData(),
            )
        )
        self.accept()


def editor(field: Field) -> tuple[QWidget, Read]:
    """A widget for a field, and how to read it."""
    match field.kind:
        case "boolean":
            box = QCheckBox()
            box.setChecked(bool(field.default))
            return box, box.isChecked
        case "integer":
            whole = QSpinBox()
            low = int(field.minimum) if field.minimum is not None else -_MOST
            high = int(field.maximum) if field.maximum is not None else _MOST
            whole.setRange(low, high)
            whole.setValue(int(field.default or max(low, 0)))
            whole.setAlignment(Qt.AlignmentFlag.AlignRight)
            return whole, whole.value
        case "number":
            real = QDoubleSpinBox()
            real.setDecimals(2)
            real.setRange(
                field.minimum if field.minimum is not None else -_MOST,
                field.maximum if field.maximum is not None else _MOST,
            )
            real.setValue(float(field.default or 0))
            real.setAlignment(Qt.AlignmentFlag.AlignRight)
            return real, real.value
        case "choice":
            combo = QComboBox()
            combo.addItems(list(field.choices))
            combo.setCurrentText(str(field.default or field.choices[0]))
            return combo, combo.currentText
        case "text":
            line = QLineEdit(str(field.default or ""))
            line.setPlaceholderText(field.description)
            return line, line.text

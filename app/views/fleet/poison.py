"""A command that killed workers: what it was sent, what it did, and its release. Main thread."""

from __future__ import annotations

from typing import cast

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QDialog, QPlainTextEdit, QWidget

from app import figures
from app.commands import CommandSink, Outcome
from app.models.readable import Readable, readable
from app.poolcommands import list_poison, numbered, release_poison
from app.store import Row
from app.style import mono_font
from app.views.labels import button, column_of, label, row_of, set_role
from citadel.wire.messages import PoisonEntry, PoisonList

SIZE_PX = (640, 520)


def entry_of(outcome: Outcome, row: Row) -> PoisonEntry | None:
    """The entry of a row in the reply to `list_poison`."""
    if not isinstance(outcome.reply, PoisonList):
        return None
    return next((e for e in outcome.reply.entries if e.fingerprint == row["fingerprint"]), None)


def input_of(outcome: Outcome, row: Row) -> Readable:
    """What the command was sent, or why that cannot be said."""
    if outcome.error is not None:
        return Readable("", f"Its input could not be read: {outcome.error.message}")
    entry = entry_of(outcome, row)
    if entry is None:
        return Readable("", "The engine does not keep it any more: somebody released it.")
    found = readable(entry.arguments)
    kept, whole = len(entry.arguments), cast("int", row["arguments_bytes"])
    if kept < whole:
        sizes = f"{figures.bytes_(kept)} of {figures.bytes_(whole)} were kept."
        return Readable(found.text, f"{sizes} {found.note}".strip())
    return found


class PoisonDialog(QDialog):
    """Shows the kept input of a command, and releases it."""

    def __init__(self, parent: QWidget, row: Row, sink: CommandSink) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(f"Poison: {row['tool']} in pool {row['pool']}")
        self.resize(*SIZE_PX)
        self._row = row
        self._sink = sink
        self._command = release_poison(row)
        self._closed = False
        self.finished.connect(self._on_finished)
        refused = row["state"] == "quarantined"
        state = "It is refused now." if refused else "It is counted, and not yet refused."
        headline = f"{row['tool']} killed {numbered(row['kills'], 'worker')}. {state}"
        last = figures.moment(row["last_ns"])
        self.error = label(row["error"] or "How they ended is not known.", "secondary", wrap=True)
        self.error.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.note = label("Reading its input…", "muted", wrap=True, name="About the input")
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setFont(mono_font())
        self.text.setAccessibleName("What it was sent")
        self.text.setTabChangesFocus(True)
        self.again = button("Read again", self.read)
        self.again.hide()
        self.copy = button("Copy", self._copy, tip="Copies the input as it is shown")
        self.release = button("Release", self._release, "danger")
        rows = column_of(
            label(headline, "heading", wrap=True),
            self.error,
            label(f"Last on {last} · fingerprint {row['fingerprint']}", "muted", wrap=True),
            self.text,
            row_of(self.note, self.again),
            label(f"Released, {self._command.consequence}", "secondary", wrap=True),
            row_of(self.copy, 1, button("Close", self.reject), self.release),
            margin=24,
            spacing=8,
        )
        rows.setStretch(3, 1)
        self.setLayout(rows)
        self.read()

    def read(self) -> None:
        """Asks the engine for the input."""
        self.note.setText("Reading its input…")
        set_role(self.note, "muted")
        self.again.hide()
        self.copy.setEnabled(False)
        self._sink.send(list_poison(self._row["pool"]), self._on_read)

    def _on_finished(self) -> None:
        self._closed = True

    def _on_read(self, outcome: Outcome) -> None:
        if self._closed:
            return
        found = input_of(outcome, self._row)
        self.text.setPlainText(found.text)
        self.note.setText(found.note)
        self.note.setVisible(bool(found.note))
        set_role(self.note, "muted" if outcome.ok else "error")
        self.again.setVisible(not outcome.ok)
        self.copy.setEnabled(bool(found.text))
        self.release.setEnabled(not outcome.ok or entry_of(outcome, self._row) is not None)

    def _copy(self) -> None:
        QApplication.clipboard().setText(self.text.toPlainText())

    def _release(self) -> None:
        self._sink.send(self._command)
        self.accept()

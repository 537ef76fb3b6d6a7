"""Asks before a command that takes something from somebody. Main thread only."""

from __future__ import annotations

from PySide6.QtWidgets import QMessageBox, QWidget

from app.commands import Command, CommandSink, Then
from app.views.labels import set_role


def confirm(
    parent: QWidget, command: Command, sink: CommandSink, then: Then | None = None
) -> QMessageBox:
    """Says what the command would do, and sends it when the user says so."""
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.NoIcon)
    box.setObjectName("confirm")
    box.setWindowTitle(command.title)
    box.setText(f"{command.title}?")
    box.setInformativeText(command.consequence)
    verb = box.addButton(command.title.split()[0], QMessageBox.ButtonRole.AcceptRole)
    verb.setObjectName("confirm-do")
    set_role(verb, "danger" if command.undo is None else "primary")
    cancel = box.addButton(QMessageBox.StandardButton.Cancel)
    box.setDefaultButton(cancel if command.undo is None else verb)
    box.accepted.connect(lambda: sink.send(command, then))
    box.finished.connect(lambda _code: box.deleteLater())
    box.open()
    return box

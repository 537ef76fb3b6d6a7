"""The lower edge of a dock that changes things: what is pending, apply, discard, conflict.

Main thread only. It shows a `Draft`'s state; the dock does what its buttons ask for.
"""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QLineEdit, QWidget

from app.models.draft import DraftState
from app.views.labels import button, column_of, label, row_of, rule, set_role


class DraftBar(QWidget):
    """Apply and discard; in a conflict, whose version counts."""

    apply_clicked = Signal()
    discard_clicked = Signal()
    keep_clicked = Signal()
    undo_clicked = Signal()

    def __init__(self, what: str, *, asks_why: bool = False) -> None:
        super().__init__()
        self.status = label("", "secondary", wrap=True, name=f"{what}: state of the edit")
        self.apply = button("Apply", self.apply_clicked.emit, "primary", name=f"Apply {what}")
        self.discard = button("Discard", self.discard_clicked.emit, name=f"Discard {what}")
        self.theirs = button("Take theirs", self.discard_clicked.emit)
        self.mine = button("Keep mine", self.keep_clicked.emit)
        self.undo = button("Undo", self.undo_clicked.emit, tip="Undo the last change (Ctrl+Z)")
        self.reason = QLineEdit()
        self.reason.setPlaceholderText("Why? The audit trail keeps it.")
        self.reason.setAccessibleName(f"Reason of the change to the {what}")
        self.reason.hide()
        self._asks_why = asks_why
        buttons = row_of(self.undo, 1, self.theirs, self.mine, self.discard, self.apply)
        body = column_of(self.status, self.reason, buttons)
        body.setContentsMargins(12, 8, 12, 12)
        self.setLayout(column_of(rule(), body, spacing=0))

    def show_state(self, state: DraftState, text: str, *, valid: bool = True, undo: bool) -> None:
        """Shows where the edit stands."""
        conflict = state == "conflict"
        self.status.setText(text)
        set_role(self.status, "warning" if conflict else "secondary")
        self.reason.setVisible(self._asks_why and state == "dirty")
        self.apply.setEnabled(state == "dirty" and valid)
        self.apply.setText("Applying…" if state == "pending" else "Apply")
        self.discard.setEnabled(state == "dirty")
        self.apply.setVisible(not conflict)
        self.discard.setVisible(not conflict)
        self.theirs.setVisible(conflict)
        self.mine.setVisible(conflict)
        self.undo.setEnabled(undo and state == "clean")

    def why(self) -> str:
        """The reason that was given, or ""."""
        return self.reason.text().strip()

    def forget_why(self) -> None:
        """The change was made; the next one has another reason."""
        self.reason.clear()

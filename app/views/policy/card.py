"""What the cards of the Sampling dock share: a line that matches, and what is wrong with it.

Main thread only.
"""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QFrame, QLineEdit
from typing_extensions import override

from app.models.rules import AnyRule, BadMatch, fields_of, match_text, with_match
from app.theme import Theme
from app.views.labels import IconButton, label


class Grip(IconButton):
    """Drags its card; the arrow keys move it too.

    It follows the mouse itself: a drag of Qt's own would run a loop inside the loop.
    """

    dragged = Signal(int)
    """The pointer is at this height of the screen."""
    dropped = Signal()
    stepped = Signal(int)

    def __init__(self, subject: str, theme: Theme) -> None:
        super().__init__("grip", f"Move {subject}: drag, or Alt+Up and Alt+Down", theme)
        self.setCursor(Qt.CursorShape.SizeVerCursor)

    @override
    def mouseMoveEvent(self, arg__1: QMouseEvent) -> None:
        if arg__1.buttons() & Qt.MouseButton.LeftButton:
            self.dragged.emit(round(arg__1.globalPosition().y()))

    @override
    def mouseReleaseEvent(self, arg__1: QMouseEvent) -> None:
        super().mouseReleaseEvent(arg__1)
        self.dropped.emit()

    @override
    def keyPressEvent(self, arg__1: QKeyEvent) -> None:
        step = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}.get(Qt.Key(arg__1.key()))
        if step is None:
            super().keyPressEvent(arg__1)
        else:
            self.stepped.emit(step)


class Card(QFrame):
    """Edits one rule; tells what it became."""

    edited = Signal(object)
    moved = Signal(int)
    dragged = Signal(int)
    removed = Signal()

    def __init__(self, rule: AnyRule, subject: str) -> None:
        super().__init__()
        self.rule: Any = rule
        """A `SamplingRule` or a `KeepRule`, as the kind of card has it."""
        self.problem = ""
        self.setProperty("role", "card")
        self.setAccessibleName(f"{subject[:1].upper()}{subject[1:]}")
        self.match = QLineEdit()
        self.match.setPlaceholderText("all traces")
        self.match.setAccessibleName(f"Match of {subject}")
        self.match.setToolTip(
            f"field=glob, space between: {', '.join(fields_of(rule))}\n"
            "For example: class=training name=survey*"
        )
        self.match.textEdited.connect(self._on_match)
        self.error = label("", "error", wrap=True)
        self.error.hide()

    def show_rule(self, rule: AnyRule) -> None:
        """Shows another state of the rule; what is being typed is left alone."""
        self.rule = rule
        if not self.match.hasFocus():
            self.match.setText(match_text(rule))
            self.show_problem("")

    def show_problem(self, text: str) -> None:
        """Says what is wrong with it; "" is nothing."""
        self.problem = text
        self.error.setText(text)
        self.error.setVisible(bool(text))

    def check(self) -> str:
        """What the engine would refuse about the rule, or ""."""
        return ""

    def _on_match(self, text: str) -> None:
        try:
            changed = with_match(self.rule, text)
        except BadMatch as error:
            self.show_problem(str(error))
            self.edited.emit(self.rule)
            return
        self.rule = changed
        self.show_problem(self.check())
        self.edited.emit(changed)

"""What a worker printed: the past that the engine keeps, then line by line as it comes.

Bounded: the oldest lines go. It follows the end while the end is on screen. Main thread only.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QLineEdit, QPlainTextEdit, QTextEdit, QWidget

from app.models.workerpast import joined
from app.store import FleetStore
from app.style import mono_font
from app.theme import Theme
from app.views.labels import IconButton, column_of, label, row_of

MOST_LINES = 2_000
MOST_FOUND = 500
"""The most places that are marked at once."""
EVENT = "worker.output"


class OutputPane(QWidget):
    """A worker's lines, to be read, selected and searched."""

    def __init__(self, store: FleetStore, theme: Theme) -> None:
        super().__init__()
        self._store = store
        self._theme = theme
        self._worker = ""
        self._seen: list[str] = []
        self._taken = 0
        self._at = -1
        self._found: list[QTextCursor] = []
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.text.setMaximumBlockCount(MOST_LINES)
        self.text.setFont(mono_font(11))
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setTabChangesFocus(True)
        self.text.setAccessibleName("What the worker printed")
        self.text.setPlaceholderText("It has printed nothing.")
        self.query = QLineEdit()
        self.query.setPlaceholderText("Find")
        self.query.setClearButtonEnabled(True)
        self.query.setAccessibleName("Find in what the worker printed")
        self.query.textChanged.connect(lambda _text: self._search())
        self.query.returnPressed.connect(lambda: self.step(1))
        self.count = label("", "muted", name="Found")
        self.before = IconButton("up", "The one before", theme, lambda: self.step(-1))
        self.after = IconButton("down", "The next one", theme, lambda: self.step(1))
        bar = row_of(self.query, self.count, self.before, self.after, spacing=4)
        rows = column_of(bar, self.text, spacing=8)
        rows.setStretch(1, 1)
        self.setLayout(rows)
        self._search()

    def show_worker(self, worker: str) -> None:
        """Begins anew, with what the window has seen of a worker."""
        if worker == self._worker:
            return
        self._worker, self._taken, self._seen = worker, 0, []
        self.text.clear()
        self.follow()

    def take_past(self, lines: Sequence[str]) -> None:
        """The engine tells what it keeps."""
        whole = joined(lines, self._seen)
        if whole != self.text.toPlainText().split("\n"):
            self.text.setPlainText("\n".join(whole[-MOST_LINES:]))
            self._to_end()
            self._search()

    def follow(self) -> None:
        """Takes in what was printed since."""
        log = self._store.events
        if log.total < self._taken:
            self._taken = 0
        fresh = [
            str(row["message"])
            for row in log.since(self._taken)
            if row["name"] == EVENT and row["subject"] == self._worker
        ]
        self._taken = log.total
        if not fresh:
            return
        self._seen = [*self._seen, *fresh][-MOST_LINES:]
        bar = self.text.verticalScrollBar()
        at_end = bar.value() >= bar.maximum() - 1
        self.text.appendPlainText("\n".join(fresh[-MOST_LINES:]))
        if at_end:
            self._to_end()
        if self.query.text():
            self._search()

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self._theme = theme
        self._mark()

    # ── find ────────────────────────────────────────────────────────────────────────────────────
    def step(self, by: int) -> None:
        """Goes to the next place, or the one before."""
        if not self._found:
            return
        self._at = (self._at + by) % len(self._found)
        cursor = QTextCursor(self._found[self._at])
        self.text.setTextCursor(cursor)
        self.text.ensureCursorVisible()
        self._show_count()
        self._mark()

    def _search(self) -> None:
        wanted, document = self.query.text(), self.text.document()
        self._found, self._at = [], -1
        cursor = QTextCursor(document)
        while wanted and len(self._found) < MOST_FOUND:
            cursor = document.find(wanted, cursor)
            if cursor.isNull():
                break
            self._found.append(QTextCursor(cursor))
        for part in (self.before, self.after):
            part.setEnabled(bool(self._found))
        self._show_count()
        self._mark()

    def _show_count(self) -> None:
        total = len(self._found)
        more = "+" if total == MOST_FOUND else ""
        if not self.query.text():
            self.count.setText("")
        elif not total:
            self.count.setText("none")
        elif self._at < 0:
            self.count.setText(f"{total}{more}")
        else:
            self.count.setText(f"{self._at + 1} of {total}{more}")

    def _mark(self) -> None:
        marks: list[QTextEdit.ExtraSelection] = []
        for at, cursor in enumerate(self._found):
            mark = QTextEdit.ExtraSelection()
            look = QTextCharFormat()
            here = at == self._at
            look.setBackground(QColor(self._theme.color("accent.base" if here else "accent.muted")))
            if here:
                look.setForeground(QColor(self._theme.color("text.on_accent")))
            mark.cursor, mark.format = cursor, look  # type: ignore[attr-defined]
            marks.append(mark)
        self.text.setExtraSelections(marks)

    def _to_end(self) -> None:
        bar = self.text.verticalScrollBar()
        bar.setValue(bar.maximum())
        across = self.text.horizontalScrollBar()
        across.setValue(0)

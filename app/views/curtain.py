"""What covers the workspace when there is nothing, or nothing new, to see. Main thread only.

Before the first data it fills the workspace: not connected, connecting (cancellable), failed. Once
there is data it dims it and says how old it is, so that old data never looks like new.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QApplication, QFrame, QProgressBar, QVBoxLayout, QWidget
from typing_extensions import override

from app import figures
from app.store import ConnectionState
from app.theme import Theme
from app.views.labels import button, column_of, label, row_of

CARD_PX = 480
_DIM = 150


class Curtain(QWidget):
    """Covers its parent while the connection is not live."""

    cancel_clicked = Signal()
    retry_clicked = Signal()
    connect_clicked = Signal()

    def __init__(self, parent: QWidget, connection: ConnectionState, theme: Theme) -> None:
        super().__init__(parent)
        self._host = parent
        self._connection = connection
        self._theme = theme
        self.setAccessibleName("Connection state")
        self.title = label("", "title", wrap=True)
        self.text = label("", "secondary", wrap=True)
        self.remedy = label("", "secondary", wrap=True)
        self.age = label("", "heading", name="Age of the data on screen")
        self.progress = QProgressBar()
        self.progress.setRange(0, 0)
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName("Connecting")
        self.retry = button("Try now", self.retry_clicked.emit, "primary")
        self.cancel = button("Cancel", self.cancel_clicked.emit)
        self.elsewhere = button("Connect elsewhere…", self.connect_clicked.emit)
        self.copy = button("Copy details", self._copy)
        self._card = QFrame()
        self._card.setProperty("role", "card")
        self._card.setFixedWidth(CARD_PX)
        buttons = row_of(self.retry, self.cancel, self.elsewhere, 1, self.copy)
        self._card.setLayout(
            column_of(
                self.title, self.text, self.remedy, self.age, self.progress, buttons, margin=24
            )
        )
        layout = QVBoxLayout(self)
        layout.addWidget(self._card, 0, Qt.AlignmentFlag.AlignCenter)
        parent.installEventFilter(self)
        self.refresh()

    def refresh(self) -> None:
        """Shows the connection as it is."""
        connection = self._connection
        self.setVisible(not connection.live)
        if connection.live:
            return
        self.setGeometry(self._host.rect())
        self.raise_()
        had_data = bool(connection.last_message_ns)
        self.age.setVisible(had_data and bool(self.age.text()))
        trying = connection.state in {"connecting", "reconnecting"}
        self.title.setText(self._title())
        self.text.setText(self._text(had_data))
        self.text.setVisible(bool(self.text.text()))
        self.remedy.setText(connection.remedy)
        self.remedy.setVisible(bool(connection.remedy))
        self.progress.setVisible(trying)
        self.cancel.setVisible(trying)
        self.retry.setVisible(connection.state != "connecting")
        self.copy.setVisible(bool(connection.error))
        self.update()

    def show_age(self, local_now_ns: int) -> None:
        """Says how old the data on screen is."""
        if not self._connection.live and self._connection.last_message_ns:
            age = figures.ago(self._connection.last_message_ns, local_now_ns)
            self.age.setText(f"What you see is {'new' if age == 'now' else age + ' old'}.")
            self.age.show()

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self._theme = theme
        self.update()

    def _title(self) -> str:
        where = (
            "embedded engine"
            if self._connection.mode == "embedded"
            else (f"engine at {self._connection.address}")
        )
        return {
            "idle": "No engine connected",
            "connecting": f"Connecting to the {where}…",
            "reconnecting": f"Reconnecting to the {where}",
            "lost": f"The {where} is gone",
            "live": "",
        }[self._connection.state]

    def _text(self, had_data: bool) -> str:
        connection = self._connection
        if connection.state == "connecting" and connection.mode == "embedded":
            return connection.error or "Starting the engine on this machine."
        if connection.state == "idle":
            return connection.error or "Start the embedded engine, or connect to a remote one."
        if connection.state == "reconnecting":
            text = f"Attempt {connection.attempt}." if connection.attempt else ""
            return " ".join(part for part in (connection.error, text) if part)
        return connection.error if had_data or connection.error else ""

    def _copy(self) -> None:
        connection = self._connection
        lines = [f"engine: {connection.address} ({connection.mode})", connection.error]
        lines += [connection.remedy] if connection.remedy else []
        QApplication.clipboard().setText("\n".join(lines))

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        shade = QColor(self._theme.color("surface.window"))
        if self._connection.last_message_ns:
            shade.setAlpha(_DIM)
        painter.fillRect(self.rect(), shade)
        painter.end()

    @override
    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize and self.isVisible():
            self.setGeometry(self._host.rect())
        return super().eventFilter(watched, event)

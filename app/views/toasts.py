"""Shows notices over the window's lower right corner, newest below. Main thread only.

Errors stay until they are closed; the others leave by themselves.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtWidgets import QApplication, QFrame, QSizePolicy, QVBoxLayout, QWidget
from typing_extensions import override

from app.notices import Notice
from app.theme import Theme
from app.views.labels import IconButton, button, column_of, label, row_of
from app.views.shapes import state_pixmap

WIDTH_PX = 400
SHOWN = 4
STAY_MS = {"info": 6_000, "done": 5_000, "warning": 12_000}
_STATE = {"info": "info", "done": "finished", "warning": "warning", "error": "error"}


class Toast(QFrame):
    """One notice."""

    closed = Signal(object)
    undo_clicked = Signal()

    def __init__(self, notice: Notice, theme: Theme) -> None:
        super().__init__()
        self.notice = notice
        self.setObjectName("toast")
        self.setFixedWidth(WIDTH_PX)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Minimum)
        self.setAccessibleName(f"{notice.level}: {notice.text}")
        self._mark = label()
        self._close = IconButton(
            "close", "Close this notice", theme, lambda: self.closed.emit(self)
        )
        text = label(notice.text, "heading", wrap=True)
        text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        body = column_of(text, spacing=4)
        if notice.subject:
            body.addWidget(label(notice.subject, "muted", wrap=True))
        if notice.remedy:
            body.addWidget(label(notice.remedy, "secondary", wrap=True))
        buttons = row_of()
        if notice.details:
            copy = button("Copy details", lambda: QApplication.clipboard().setText(notice.details))
            copy.setToolTip(notice.details)
            buttons.addWidget(copy)
        if notice.undoable:
            buttons.addWidget(button("Undo", self.undo_clicked.emit, tip="Ctrl+Z"))
        if buttons.count():
            buttons.addStretch(1)
            body.addLayout(buttons)
        line = self._line = row_of(self._mark, body, self._close, spacing=12)
        line.setAlignment(self._mark, Qt.AlignmentFlag.AlignTop)
        line.setAlignment(self._close, Qt.AlignmentFlag.AlignTop)
        line.setStretch(1, 1)
        line.setContentsMargins(16, 12, 8, 12)
        self.setLayout(line)
        self._mark.setContentsMargins(0, 4, 0, 0)
        self.set_theme(theme)

    def wanted_height(self) -> int:
        """The height that its text needs."""
        self.ensurePolished()
        self._line.activate()
        if self._line.hasHeightForWidth():
            return self._line.heightForWidth(WIDTH_PX)
        return self.sizeHint().height()

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        state = _STATE[self.notice.level]
        color = theme.colors.get(f"severity.{state}") or theme.state(state)
        self._mark.setPixmap(state_pixmap(state, color, 12, self.devicePixelRatioF()))
        self._close.set_theme(theme)
        self.setStyleSheet(
            f"#toast {{ background: {theme.color('surface.raised')};"
            f" border: 1px solid {theme.color('line.border')};"
            f" border-left: 4px solid {color}; border-radius: 4px; }}"
        )


class Toasts(QWidget):
    """The stack of notices; it takes no more room than they need."""

    undo_clicked = Signal()

    def __init__(self, parent: QWidget, theme: Theme, bottom_px: int) -> None:
        super().__init__(parent)
        self._theme = theme
        self._host = parent
        self._bottom_px = bottom_px
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(8)
        self.setAccessibleName("Notices")
        parent.installEventFilter(self)
        self.hide()

    def toasts(self) -> list[Toast]:
        """The notices on screen, oldest first."""
        items = (self._layout.itemAt(index) for index in range(self._layout.count()))
        return [found for item in items if item and isinstance(found := item.widget(), Toast)]

    def show_notice(self, notice: Notice) -> None:
        """Adds a notice; the oldest leave when there are too many, and the same one shows once."""
        for toast in self.toasts():
            if toast.notice.text == notice.text:
                self._remove(toast)
        toast = Toast(notice, self._theme)
        toast.closed.connect(self._remove)
        toast.undo_clicked.connect(self.undo_clicked)
        toast.undo_clicked.connect(lambda: self._remove(toast))
        self._layout.addWidget(toast)
        for old in self.toasts()[:-SHOWN]:
            self._remove(old)
        if (stay := STAY_MS.get(notice.level)) is not None:
            timer = QTimer(toast)
            timer.setSingleShot(True)
            timer.timeout.connect(lambda: self._remove(toast))
            timer.start(stay)
        self.show()
        self._place()

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self._theme = theme
        for toast in self.toasts():
            toast.set_theme(theme)

    def _remove(self, toast: Toast) -> None:
        self._layout.removeWidget(toast)
        toast.hide()
        toast.deleteLater()
        if not self.toasts():
            self.hide()
        self._place()

    def _place(self) -> None:
        self._layout.activate()
        space = self._layout.spacing()
        for toast in self.toasts():
            toast.setFixedHeight(toast.wanted_height())
        height = sum(toast.height() + space for toast in self.toasts())
        top = max(self._host.height() - self._bottom_px - height, 56)
        self.setGeometry(self._host.width() - WIDTH_PX - 16, top, WIDTH_PX, max(height, 1))
        self.raise_()

    @override
    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize and self.isVisible():
            self._place()
        return super().eventFilter(watched, event)

"""The command palette: type some letters of anything, press Enter. Main thread only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QEvent,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPalette
from PySide6.QtWidgets import (
    QFrame,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)
from typing_extensions import override

from app.actions import Entry, ranked
from app.theme import Theme

WIDTH_PX = 640
HEIGHT_PX = 420
ROW_PX = 36
ENTRY_ROLE = Qt.ItemDataRole.UserRole

Index = QModelIndex | QPersistentModelIndex


class EntryModel(QAbstractListModel):
    """The entries that fit the query, best first."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._entries: Sequence[Entry] = ()

    def show(self, entries: Sequence[Entry]) -> None:
        """Shows other entries."""
        self.beginResetModel()
        self._entries = entries
        self.endResetModel()

    @override
    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else len(self._entries)

    @override
    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self._entries):
            return None
        entry = self._entries[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return entry.title
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{entry.title} {entry.detail} {entry.key}".strip()
        return entry if role == ENTRY_ROLE else None


class _Lines(QStyledItemDelegate):
    """A title, a paler detail, and the key at the right."""

    def __init__(self, theme: Theme, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.theme = theme

    @override
    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(WIDTH_PX - 32, ROW_PX)

    @override
    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        entry: Entry = index.data(ENTRY_ROLE)
        given: Any = option
        rect: QRect = given.rect
        if given.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, QColor(self.theme.color("surface.selected")))
        inner = rect.adjusted(16, 0, -16, 0)
        middle, right = Qt.AlignmentFlag.AlignVCenter, Qt.AlignmentFlag.AlignRight
        painter.setPen(QColor(self.theme.color("text.muted")))
        painter.drawText(inner, middle | right, entry.key)
        title = "text.primary" if entry.enabled else "text.disabled"
        painter.setPen(QColor(self.theme.color(title)))
        painter.drawText(inner, middle, entry.title)
        if entry.detail:
            used = painter.fontMetrics().horizontalAdvance(entry.title) + 12
            rest = inner.adjusted(used, 0, -painter.fontMetrics().averageCharWidth() * 14, 0)
            text = painter.fontMetrics().elidedText(
                entry.detail, Qt.TextElideMode.ElideRight, rest.width()
            )
            painter.setPen(QColor(self.theme.color("text.muted")))
            painter.drawText(rest, middle, text)


class CommandPalette(QFrame):
    """A box over the window; Escape or a click elsewhere closes it."""

    chosen = Signal(object)
    filter_asked = Signal(str)

    def __init__(
        self,
        parent: QWidget,
        entries: Callable[[], Sequence[Entry]],
        theme: Theme,
        entries_for: Callable[[str], Sequence[Entry]] = lambda _query: (),
    ) -> None:
        super().__init__(parent)
        self._host = parent
        self._entries = entries
        self._entries_for = entries_for
        self.setObjectName("palette")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setAccessibleName("Command palette")
        self._model = EntryModel(self)
        self.input = QLineEdit()
        self.input.setPlaceholderText("Ask, filter, go to…")
        self.input.setAccessibleName("Command palette: what to do")
        self.input.textChanged.connect(self._show_fitting)
        self.input.installEventFilter(self)
        self.list = QListView()
        self.list.setAccessibleName("Command palette: what fits")
        self.list.setModel(self._model)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.clicked.connect(lambda _index: self._choose())
        self._lines = _Lines(theme, self)
        self.list.setItemDelegate(self._lines)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(8)
        layout.addWidget(self.input)
        layout.addWidget(self.list, 1)
        self.set_theme(theme)
        self.hide()

    def open(self) -> None:
        """Shows the palette over the middle of the window's upper part."""
        host = self._host
        width = min(WIDTH_PX, host.width() - 32)
        height = min(HEIGHT_PX, host.height() - 80)
        self.setGeometry((host.width() - width) // 2, 56, width, height)
        self.input.clear()
        self._show_fitting("")
        self.show()
        self.raise_()
        self.input.setFocus()

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self._lines.theme = theme
        palette = self.palette()
        palette.setColor(QPalette.ColorRole.Window, QColor(theme.color("surface.raised")))
        self.setPalette(palette)
        self.setStyleSheet(
            f"#palette {{ background: {theme.color('surface.raised')};"
            f" border: 1px solid {theme.color('line.control')}; border-radius: 8px; }}"
            f"#palette QListView {{ background: transparent; }}"
            f"#palette QLineEdit {{ font-size: 15px; padding: 7px 10px; }}"
        )

    def _show_fitting(self, query: str) -> None:
        found = [*self._entries_for(query), *ranked(query, self._entries())]
        if query and not found:
            found = [
                Entry(name=f"filter:{query}", title=f"Filter by “{query}”", detail="on this page")
            ]
        self._model.show(found)
        if found:
            self.list.setCurrentIndex(self._model.index(0, 0))

    def _choose(self) -> None:
        entry = self.list.currentIndex().data(ENTRY_ROLE)
        if entry is None or not entry.enabled:
            return
        self.hide()
        if entry.name.startswith("filter:"):
            self.filter_asked.emit(entry.name.removeprefix("filter:"))
        else:
            self.chosen.emit(entry)

    @override
    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            return self._on_key(Qt.Key(event.key()))
        if event.type() == QEvent.Type.FocusOut and self.isVisible():
            self.hide()
        return super().eventFilter(watched, event)

    def _on_key(self, key: Qt.Key) -> bool:
        step = {
            Qt.Key.Key_Down: 1,
            Qt.Key.Key_Up: -1,
            Qt.Key.Key_PageDown: 8,
            Qt.Key.Key_PageUp: -8,
        }.get(key)
        if step is not None:
            last = self._model.rowCount() - 1
            row = min(max(self.list.currentIndex().row() + step, 0), max(last, 0))
            self.list.setCurrentIndex(self._model.index(row, 0))
            return True
        if key in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
            self._choose()
            return True
        if key == Qt.Key.Key_Escape:
            self.hide()
            return True
        return False

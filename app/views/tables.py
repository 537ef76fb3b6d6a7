"""A table with a heading, a filter field, a count, and a place for its actions. Main thread."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QItemSelectionModel, QPoint, Qt, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QHeaderView,
    QLineEdit,
    QTableView,
    QVBoxLayout,
    QWidget,
)
from typing_extensions import override

from app.models.ledger import Ledger
from app.models.table import FilterModel, LogModel, TableModel, held
from app.store import Row
from app.theme import GRID_PX, Theme
from app.views.cells import StateDelegate
from app.views.labels import column_of, label, row_of
from app.views.ledgercorner import LedgerCorner

ROW_PX = 28


class Table(QTableView):
    """A sortable table that copies its selected rows as text."""

    def __init__(self, name: str, model: TableModel | LogModel, theme: Theme) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.filtered = FilterModel(self)
        self.filtered.setSourceModel(model)
        self.setModel(self.filtered)
        self.delegate = StateDelegate(theme, self)
        self.setItemDelegate(self.delegate)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setShowGrid(False)
        self.setAlternatingRowColors(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(ROW_PX)
        self.verticalHeader().setMinimumSectionSize(ROW_PX)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setStretchLastSection(True)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setAccessibleName(f"{name}: columns")
        for index, spec in enumerate(model.columns):
            self.setColumnWidth(index, spec.width)

    def selected(self) -> Row | None:
        """The row that is selected."""
        index = self.selectionModel().currentIndex()
        if not index.isValid() or not self.selectionModel().isRowSelected(index.row()):
            return None
        return held(index)

    def row_at(self, row: int) -> Row:
        """A row by its place on screen."""
        found = held(self.filtered.index(row, 0))
        assert found is not None
        return found

    def select_row(self, row: int) -> None:
        """Selects a row by its place on screen."""
        flags = QItemSelectionModel.SelectionFlag
        self.selectionModel().setCurrentIndex(
            self.filtered.index(row, 0), flags.ClearAndSelect | flags.Rows
        )

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy_selected()
            return
        super().keyPressEvent(event)

    def copy_selected(self) -> None:
        """Puts the selected row on the clipboard, its cells divided by tabs."""
        rows = sorted({index.row() for index in self.selectedIndexes()})
        lines = [
            "\t".join(
                str(self.filtered.index(row, column).data())
                for column in range(self.filtered.columnCount())
            )
            for row in rows
        ]
        if lines:
            QApplication.clipboard().setText("\n".join(lines))


class TablePanel(QWidget):
    """A heading, a filter, actions, the table, and words for when it is empty.

    Without a heading the bar is left to the one who made the panel, to put in a dock's title bar.
    """

    activated = Signal(object)
    """A row was chosen, by click or key."""

    def __init__(
        self,
        title: str,
        model: TableModel | LogModel,
        theme: Theme,
        *,
        empty: str = "",
        sort: tuple[int, Qt.SortOrder] | None = None,
        heading: bool = True,
    ) -> None:
        super().__init__()
        self.setProperty("role", "panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._model = model
        self._heading = heading
        self._shown_count = (-1, -1)
        self.table = Table(title, model, theme)
        self.heading = label(title, "heading")
        self.heading.setVisible(heading)
        self.count = label("", "muted", name=f"{title}: rows")
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("Filter")
        self.filter.setAccessibleName(f"Filter {title}")
        self.filter.setClearButtonEnabled(True)
        self.filter.setMaximumWidth(200)
        self.filter.textChanged.connect(self._on_filter)
        self.ledger = LedgerCorner(title, theme)
        self.ledger.hide()
        self.actions_row = row_of(spacing=GRID_PX // 2)
        self.bar = QWidget()
        self.bar.setLayout(
            row_of(self.heading, self.count, self.ledger, 1, self.actions_row, self.filter)
        )
        if heading:
            self.bar.setContentsMargins(12, 6, GRID_PX, 6)
        self._empty_text = label(empty, "muted", wrap=True)
        self._empty_text.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.empty = QWidget()
        self._empty_rows = column_of(1, self._empty_text, 1, margin=24, spacing=16)
        self.empty.setLayout(self._empty_rows)
        self._offers_words = bool(empty)
        self._lay_out()
        if sort is not None:
            self.table.setSortingEnabled(True)
            self.table.sortByColumn(*sort)
        self._connect()
        self.show_count()

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        if self._heading:
            layout.addWidget(self.bar)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.empty, 1)

    def _connect(self) -> None:
        # The first row is current before it is chosen: then only the selection changes.
        selection = self.table.selectionModel()
        selection.currentRowChanged.connect(lambda *_: self._on_chosen())
        selection.selectionChanged.connect(lambda *_: self._on_chosen())
        self.table.activated.connect(lambda _index: self._on_chosen())

    def with_menu(self, opened: Callable[[QPoint], None]) -> None:
        """Opens a menu on a right click or the menu key."""
        self.table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.table.customContextMenuRequested.connect(opened)

    def offer(self, action: QWidget) -> None:
        """Puts a button below the words of the empty table."""
        self._empty_rows.insertWidget(2, action, 0, Qt.AlignmentFlag.AlignCenter)

    def show_count(self) -> None:
        """Says how many rows there are, and how many the filter shows."""
        counts = (self.table.filtered.rowCount(), self._model.rowCount())
        if counts == self._shown_count:
            return
        self._shown_count = counts
        shown, there = counts
        text = f"{there:,}" if shown == there else f"{shown:,} of {there:,}"
        self.count.setText(text if self._heading else f"{text} rows")
        self.empty.setVisible(not there and self._offers_words)
        self.table.setVisible(bool(there) or not self._offers_words)

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self.table.delegate.theme = theme
        self.table.viewport().update()
        self.ledger.set_theme(theme)

    def show_ledger(self, ledger: Ledger) -> None:
        """Shows what the table was sent, keeps and dropped."""
        self.ledger.show_ledger(ledger)
        self.ledger.show()

    def _on_filter(self, text: str) -> None:
        self.table.filtered.set_filter(text)
        self.show_count()

    def _on_chosen(self) -> None:
        if (row := self.table.selected()) is not None:
            self.activated.emit(row)

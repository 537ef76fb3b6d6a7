"""The list of traces: the newest as they arrive, or what a filter finds in the engine's store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray
from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from app import figures
from app.models.table import ColumnSpec, TableModel, column
from app.store import Row
from app.theme import GRID_PX, Theme
from app.views.tables import Table
from citadel.errors import BadFilter
from citadel.query import parse

TYPING_MS = 250
"""A filter is sent when typing has paused this long."""
_HINT = 'Filter traces: status=error and dur>5ms and name~"survey*"'


def _state(row: Row) -> str:
    return "error" if row["errors"] else "flag" if row["flags"] else ""


COLUMNS = (
    ColumnSpec(
        title="Trace",
        text=lambda row, _now: row["name"],
        sort=lambda row: row["name"],
        tip=lambda row, _now: f"{row['name']}\n{row['trace_id']}\n{row['mission']}",
        state=_state,
        width=150,
    ),
    ColumnSpec(
        title="Time",
        text=lambda row, _now: figures.seconds((row["end_ns"] - row["start_ns"]) / 1e9),
        sort=lambda row: row["end_ns"] - row["start_ns"],
        right=True,
        width=68,
    ),
    column("Spans", "spans", right=True, width=52),
    ColumnSpec(
        title="When",
        text=lambda row, _now: figures.time_of_day(row["start_ns"]),
        sort=lambda row: row["start_ns"],
        tip=lambda row, _now: figures.moment(row["start_ns"]),
        width=92,
    ),
)


class TraceList(QWidget):
    """A filter, and the traces below it."""

    searched = Signal(str)
    opened = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.filter = QLineEdit()
        self.filter.setPlaceholderText(_HINT)
        self.filter.setClearButtonEnabled(True)
        self.filter.setAccessibleName("Filter of traces")
        self.filter.setToolTip(_HINT)
        self.note = QLabel()
        self.note.setWordWrap(True)
        self.note.setProperty("role", "muted")
        self.model = TableModel(COLUMNS, self)
        self.table = Table("Traces", self.model, theme)
        self.table.setSortingEnabled(True)
        self.table.sortByColumn(len(COLUMNS) - 1, Qt.SortOrder.DescendingOrder)
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(TYPING_MS)
        self._typing.timeout.connect(self._on_typed)
        self.filter.textChanged.connect(lambda _: self._typing.start())
        selection = self.table.selectionModel()
        selection.selectionChanged.connect(lambda *_: self._on_chosen())
        head = QHBoxLayout()
        head.setContentsMargins(GRID_PX, GRID_PX, GRID_PX, 0)
        head.addWidget(self.filter)
        below = QHBoxLayout()
        below.setContentsMargins(GRID_PX, 0, GRID_PX, 0)
        below.addWidget(self.note)
        column_ = QVBoxLayout(self)
        column_.setContentsMargins(0, 0, 0, 0)
        column_.setSpacing(4)
        column_.addLayout(head)
        column_.addLayout(below)
        column_.addWidget(self.table, 1)

    @property
    def live(self) -> bool:
        """Whether the newest traces are shown as they arrive."""
        return not self.filter.text().strip()

    def show_traces(self, table: Mapping[str, NDArray[Any]], note: str) -> None:
        """Shows rows of topic `trace_summary`, newest first."""
        found: dict[Any, Row] = {}
        columns = {name: values.tolist() for name, values in table.items()}
        for values in zip(*columns.values(), strict=True):
            row = dict(zip(columns, values, strict=True))
            row["trace_id"] = f"{row['trace_hi']:016x}{row['trace_lo']:016x}"
            found[row["trace_id"]] = row
        bar = self.table.verticalScrollBar()
        at_top = bar.value() == bar.minimum()
        self.model.set_rows(found)
        if at_top:
            self.table.scrollToTop()
        self.say(note)

    def say(self, note: str, *, bad: bool = False) -> None:
        """What is shown, or what is wrong."""
        self.note.setProperty("role", "error" if bad else "muted")
        if self.note.text() == note:
            return
        self.note.setText(note)
        self.note.style().unpolish(self.note)
        self.note.style().polish(self.note)

    def _on_typed(self) -> None:
        text = self.filter.text().strip()
        try:
            parse(text)
        except BadFilter as error:
            self.say(f"{error.message}. {error.remedy}", bad=True)
            return
        self.searched.emit(text)

    def _on_chosen(self) -> None:
        row = self.table.selected()
        if row is not None:
            self.opened.emit(row["trace_id"])

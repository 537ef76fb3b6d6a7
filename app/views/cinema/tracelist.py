"""The list of traces: the newest as they arrive, or what a filter finds in the engine's store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray
from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QToolButton, QVBoxLayout, QWidget

from app import figures
from app.models.table import ColumnSpec, TableModel, column
from app.store import Row
from app.theme import GRID_PX, Theme
from app.views.labels import label, set_role
from app.views.ledgercorner import LedgerCorner
from app.views.tables import Table
from citadel.errors import BadFilter
from citadel.query import parse

TYPING_MS = 250
"""A filter is sent when typing has paused this long."""
_LONGEST = 2**62
_HINT = 'Filter traces: status=error and dur>5ms and name~"survey*"'


def _state(row: Row) -> str:
    return "error" if row["errors"] else "flag" if row["flags"] else ""


def _took(row: Row) -> int:
    return row["end_ns"] - row["start_ns"]


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
        text=lambda row, _now: figures.seconds(_took(row) / 1e9) if row["end_ns"] else "open",
        sort=lambda row: _took(row) if row["end_ns"] else _LONGEST,
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
    live_again = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.filter = QLineEdit()
        self.filter.setPlaceholderText(_HINT)
        self.filter.setClearButtonEnabled(True)
        self.filter.setAccessibleName("Filter of traces")
        self.filter.setToolTip(_HINT)
        self.note = label("", "muted", wrap=True, name="What the list shows")
        self.follow = QToolButton()
        self.follow.setText("Live")
        self.follow.setProperty("role", "segment")
        self.follow.setCheckable(True)
        self.follow.setChecked(True)
        self.follow.setToolTip(
            "Follow the newest traces as they arrive; off, the list stands still"
        )
        self.follow.setAccessibleName("Follow the newest traces")
        self.follow.toggled.connect(self._on_follow)
        self._readable = True
        self._filling = False
        self._rows: dict[Any, Row] = {}
        self.model = TableModel(COLUMNS, self)
        self.table = Table("Traces", self.model, theme)
        self.table.setSortingEnabled(True)
        self.table.sortByColumn(len(COLUMNS) - 1, Qt.SortOrder.DescendingOrder)
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(TYPING_MS)
        self._typing.timeout.connect(self._on_typed)
        self.filter.textChanged.connect(lambda _: self._typing.start())
        self.filter.returnPressed.connect(self._on_typed)
        selection = self.table.selectionModel()
        selection.selectionChanged.connect(lambda *_: self._on_chosen())
        head = QHBoxLayout()
        head.setContentsMargins(GRID_PX, GRID_PX, GRID_PX, 0)
        head.addWidget(self.filter)
        head.addWidget(self.follow)
        below = QHBoxLayout()
        below.setContentsMargins(GRID_PX, 0, GRID_PX, 0)
        self.ledger = LedgerCorner("traces", theme, mark_only=True)
        below.addWidget(self.note, 1)
        below.addWidget(self.ledger)
        column_ = QVBoxLayout(self)
        column_.setContentsMargins(0, 0, 0, 0)
        column_.setSpacing(4)
        column_.addLayout(head)
        column_.addLayout(below)
        column_.addWidget(self.table, 1)

    @property
    def live(self) -> bool:
        """Whether the list follows the stream."""
        return self.follow.isChecked() and self._readable

    @property
    def text(self) -> str:
        """The filter."""
        return self.filter.text().strip()

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self.table.delegate.theme = theme
        self.ledger.set_theme(theme)
        self.table.viewport().update()

    def show_traces(self, table: Mapping[str, NDArray[Any]], note: str, current: str = "") -> None:
        """Shows rows of topic `trace_summary`, and which of them is open."""
        found: dict[Any, Row] = {}
        columns = {name: values.tolist() for name, values in table.items()}
        for values in zip(*columns.values(), strict=True):
            row = dict(zip(columns, values, strict=True))
            row["trace_id"] = f"{row['trace_hi']:016x}{row['trace_lo']:016x}"
            # The very row of before when nothing moved, so that the table need not look.
            known = self._rows.get(row["trace_id"])
            found[row["trace_id"]] = known if known is not None and known == row else row
        self._rows = found
        bar, selection = self.table.verticalScrollBar(), self.table.selectionModel()
        scrolled = bar.value()
        # When the chosen row goes, Qt chooses a neighbour; nobody has asked to open that.
        self._filling = True
        self.model.set_rows(found)
        chosen = self.table.selected()
        if chosen is not None and chosen["trace_id"] != current:
            selection.clear()
        self.mark(current)
        self._filling = False
        bar.setValue(scrolled)  # who reads the newest is not dragged to the chosen one
        self.say(note)

    def mark(self, trace_id: str) -> None:
        """Selects the open trace when it is in the list."""
        selected = self.table.selected()
        if not trace_id or (selected is not None and selected["trace_id"] == trace_id):
            return
        for place in range(self.table.filtered.rowCount()):
            if self.table.row_at(place)["trace_id"] == trace_id:
                self.table.select_row(place)
                return

    def say(self, note: str, *, bad: bool = False) -> None:
        """What is shown, or what is wrong."""
        set_role(self.note, "error" if bad else "muted")
        self.note.setText(note)

    def _on_follow(self, follow: bool) -> None:
        if follow:
            self.live_again.emit()
        else:
            self.say("The list stands still")

    def _on_typed(self) -> None:
        try:
            parse(self.text)
        except BadFilter as error:
            self._readable = False
            self.say(f"{error.message}. {error.remedy}", bad=True)
            return
        self._readable = True
        self.say("Searching…" if self.text else "")
        self.searched.emit(self.text)

    def _on_chosen(self) -> None:
        row = self.table.selected()
        if row is not None and not self._filling:
            self.opened.emit(row["trace_id"])

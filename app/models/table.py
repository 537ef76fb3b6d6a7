"""Tables over rows: columns declared as data, rows replaced with the smallest change.

`TableModel` holds present state (a key a row); `LogModel` holds a log, newest first. Both are
plain QAbstractTableModels: no I/O, no widgets. Main thread only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QSortFilterProxyModel,
    Qt,
)
from typing_extensions import override

from app.store import Row, RowLog

SORT_ROLE = Qt.ItemDataRole.UserRole
ROW_ROLE = Qt.ItemDataRole.UserRole + 1
STATE_ROLE = Qt.ItemDataRole.UserRole + 2
BAR_ROLE = Qt.ItemDataRole.UserRole + 3
PARTS_ROLE = Qt.ItemDataRole.UserRole + 4
TONE_ROLE = Qt.ItemDataRole.UserRole + 5
TRAIL_ROLE = Qt.ItemDataRole.UserRole + 6

LOG_SHOWN = 5_000
"""The newest rows of a log that a table shows; the store keeps more."""


@dataclass(frozen=True, slots=True)
class Held:
    """A row on its way through Qt, which would make 64-bit numbers of a dict's and overflow."""

    row: Row


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a cell that is told apart by a colour of the theme, and by its words."""

    text: str
    token: str
    share: float = 0.0
    """Of the cell's width, for the stacked bar."""


@dataclass(frozen=True, slots=True)
class Trail:
    """Values for a small curve, on their way through Qt."""

    values: Sequence[float]


Index = QModelIndex | QPersistentModelIndex
Text = Callable[[Row, int], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSpec:
    """One column: what it shows, sorts by, and says on hover."""

    title: str
    text: Text
    sort: Callable[[Row], Any]
    tip: Text | None = None
    right: bool = False
    width: int = 96
    state: Callable[[Row], str] | None = None
    """The state that is drawn as a coloured shape before the text."""
    bar: Callable[[Row], float | None] | None = None
    """A share of 0–1 that is drawn as a bar behind the text; None draws no bar."""
    parts: Callable[[Row], tuple[Part, ...]] | None = None
    """The same text in coloured parts, and a stacked bar of their shares."""
    tone: Callable[[Row], str] | None = None
    """The colour of the text, as a token; "" is the plain one."""
    trail: Callable[[Row], Sequence[float]] | None = None
    """Values that are drawn as a small curve before the text."""
    moves: bool = False
    """Whether the text depends on the present time."""


def held(index: Index) -> Row | None:
    """The row behind an index of one of our tables, filtered or not."""
    found = index.data(ROW_ROLE)
    return found.row if isinstance(found, Held) else None


def column(title: str, key: str, **options: Any) -> ColumnSpec:
    """A column that shows a field as it is."""
    options.setdefault("text", lambda row, _now: str(row[key]))
    return ColumnSpec(title=title, sort=lambda row: row[key], **options)


class _Columns(QAbstractTableModel):
    """What both tables share: data from the column specs."""

    def __init__(self, columns: Sequence[ColumnSpec], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.columns = tuple(columns)
        self.now_ns = 0

    def row_at(self, index: int) -> Row:
        """A row of the table."""
        raise NotImplementedError

    @override
    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else len(self.columns)

    @override
    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation != Qt.Orientation.Horizontal or not 0 <= section < len(self.columns):
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self.columns[section].title
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(self.columns[section])
        return None

    @override
    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or not 0 <= index.row() < self.rowCount():
            return None
        row, spec = self.row_at(index.row()), self.columns[index.column()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return spec.text(row, self.now_ns)
            case Qt.ItemDataRole.ToolTipRole:
                return (spec.tip or spec.text)(row, self.now_ns) or None
            case Qt.ItemDataRole.TextAlignmentRole:
                return _alignment(spec)
            case _:
                return _own_role(spec, row, role)


def _own_role(spec: ColumnSpec, row: Row, role: int) -> Any:
    if role == SORT_ROLE:
        return spec.sort(row)
    if role == ROW_ROLE:
        return Held(row)
    if role == STATE_ROLE:
        return spec.state(row) if spec.state else None
    if role == BAR_ROLE:
        return spec.bar(row) if spec.bar else None
    if role == PARTS_ROLE:
        return spec.parts(row) if spec.parts else None
    if role == TONE_ROLE:
        return spec.tone(row) if spec.tone else None
    if role == TRAIL_ROLE:
        return Trail(spec.trail(row)) if spec.trail else None
    return None


def _alignment(spec: ColumnSpec) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if spec.right else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter


class TableModel(_Columns):
    """Rows by key; a refresh changes, inserts and removes only what differs."""

    def __init__(self, columns: Sequence[ColumnSpec], parent: QObject | None = None) -> None:
        super().__init__(columns, parent)
        self._keys: list[Hashable] = []
        self._rows: list[Row] = []

    @override
    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else len(self._rows)

    @override
    def row_at(self, index: int) -> Row:
        return self._rows[index]

    def set_rows(self, rows: dict[Any, Row], now_ns: int = 0) -> None:
        """Shows these rows."""
        moved = now_ns != self.now_ns
        self.now_ns = now_ns
        gone = [at for at, key in enumerate(self._keys) if key not in rows]
        for at in reversed(gone):
            self.beginRemoveRows(QModelIndex(), at, at)
            del self._keys[at], self._rows[at]
            self.endRemoveRows()
        for at, key in enumerate(self._keys):
            if self._rows[at] is not rows[key]:
                self._rows[at] = rows[key]
                self.dataChanged.emit(self.index(at, 0), self.index(at, len(self.columns) - 1))
        known = set(self._keys)
        fresh = [key for key in rows if key not in known]
        if fresh:
            first = len(self._keys)
            self.beginInsertRows(QModelIndex(), first, first + len(fresh) - 1)
            self._keys += fresh
            self._rows += [rows[key] for key in fresh]
            self.endInsertRows()
        if moved and self._rows:
            self._touch_moving()

    def _touch_moving(self) -> None:
        for at, spec in enumerate(self.columns):
            if spec.moves:
                last = len(self._rows) - 1
                roles = [Qt.ItemDataRole.DisplayRole]
                self.dataChanged.emit(self.index(0, at), self.index(last, at), roles)


class LogModel(_Columns):
    """The newest rows of a log, newest first."""

    def __init__(
        self,
        columns: Sequence[ColumnSpec],
        parent: QObject | None = None,
        shown: int = LOG_SHOWN,
    ) -> None:
        super().__init__(columns, parent)
        self._rows: deque[Row] = deque()
        self._shown = shown
        self._seen = 0

    @override
    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else len(self._rows)

    @override
    def row_at(self, index: int) -> Row:
        return self._rows[index]

    def follow(self, log: RowLog, now_ns: int = 0) -> int:
        """Takes what the log has gained; returns how many rows were new."""
        self.now_ns = now_ns
        if log.total < self._seen:
            self.beginResetModel()
            self._rows.clear()
            self._seen = 0
            self.endResetModel()
        fresh = log.since(self._seen)[-self._shown :]
        self._seen = log.total
        over = len(self._rows) + len(fresh) - self._shown
        if over > 0 and self._rows:
            first = max(len(self._rows) - over, 0)
            self.beginRemoveRows(QModelIndex(), first, len(self._rows) - 1)
            for _ in range(len(self._rows) - first):
                self._rows.pop()
            self.endRemoveRows()
        if fresh:
            self.beginInsertRows(QModelIndex(), 0, len(fresh) - 1)
            self._rows.extendleft(fresh)
            self.endInsertRows()
        return len(fresh)

    def add_older(self, older: Sequence[Row]) -> None:
        """Puts rows below the oldest one, given oldest first; the bound rises by as many."""
        if older:
            first = len(self._rows)
            self.beginInsertRows(QModelIndex(), first, first + len(older) - 1)
            self._shown += len(older)
            self._rows.extend(reversed(older))
            self.endInsertRows()


class FilterModel(QSortFilterProxyModel):
    """Sorts by value and filters by text over all columns; words are all to be found."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.setSortRole(SORT_ROLE)
        self.setSortCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self._words: list[str] = []
        self._accepted: Callable[[Row], bool] | None = None

    def set_accepted(self, accepted: Callable[[Row], bool] | None) -> None:
        """Shows only the rows that are accepted."""
        self._accepted = accepted
        self.invalidate()

    def set_filter(self, text: str) -> None:
        """Shows the rows in which every word of the text occurs."""
        self._words = text.lower().split()
        self.invalidate()

    @override
    def filterAcceptsRow(self, source_row: int, source_parent: Index) -> bool:
        model = self.sourceModel()
        if self._accepted is not None:
            row = held(model.index(source_row, 0, source_parent))
            if row is None or not self._accepted(row):
                return False
        if not self._words:
            return True
        texts = (
            str(model.data(model.index(source_row, column, source_parent))).lower()
            for column in range(model.columnCount())
        )
        line = " ".join(texts)
        return all(word in line for word in self._words)

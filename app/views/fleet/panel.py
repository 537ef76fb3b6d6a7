"""A table of Fleet with its actions: buttons, a menu on its rows, and the same by name.

Main thread only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtWidgets import QApplication, QMenu
from typing_extensions import override

from app.models.table import ColumnSpec, TableModel
from app.store import Row
from app.theme import Theme
from app.views.labels import IconButton
from app.views.tables import TablePanel


@dataclass(frozen=True, slots=True, kw_only=True)
class RowAction:
    """Something that can be done to the row that is selected; or, without one, at any time."""

    title: str
    icon: str
    run: Callable[[Row], object]
    name: str = ""
    """Its name in the table of actions (app/actions.py), if it is there."""
    fits: Callable[[Row], bool] = lambda _row: True
    needs_row: bool = True
    tip: Callable[[Row], str] | None = None
    """What it would do to the row, on hover."""


class FleetPanel(TablePanel):
    """A table with its actions. Without a heading its bar is for the owner to place."""

    moved = Signal()
    """What can be done may be another now."""

    def __init__(
        self,
        title: str,
        columns: Sequence[ColumnSpec],
        theme: Theme,
        empty: str,
        actions: Sequence[RowAction],
        *,
        heading: bool = True,
    ) -> None:
        self.title = title
        self.model = TableModel(columns)
        super().__init__(
            title,
            self.model,
            theme,
            empty=empty,
            sort=(0, Qt.SortOrder.AscendingOrder),
            heading=heading,
        )
        self.model.setParent(self)
        self.row_actions = tuple(actions)
        self.buttons: dict[str, IconButton] = {}
        for action in actions:
            made = IconButton(action.icon, action.title, theme, lambda a=action: self.run(a))
            self.actions_row.addWidget(made)
            self.buttons[action.title] = made
        self._fitting: tuple[bool, ...] = ()
        self.with_menu(self._open_menu)
        self.activated.connect(lambda _row: self.show_actions())
        self.show_actions()

    @override
    def show_count(self) -> None:
        """Says how many rows a filter shows; how many there are is on its tab."""
        super().show_count()
        whole = self.table.filtered.rowCount() == self.model.rowCount()
        self.count.setVisible(self.heading.isVisibleTo(self) or not whole)

    def target(self) -> Row | None:
        """What an action is done to: the selected row, or the only one there is."""
        row = self.table.selected()
        if row is None and self.model.rowCount() == 1:
            return self.model.row_at(0)
        return row

    def can(self, action: RowAction) -> bool:
        """Whether an action fits now."""
        row = self.target()
        return not action.needs_row or (row is not None and action.fits(row))

    def run(self, action: RowAction) -> None:
        """Does an action to its target."""
        row = self.target()
        if not action.needs_row:
            action.run(row or {})
        elif row is not None and action.fits(row):
            action.run(row)

    def show_actions(self) -> None:
        """Enables what fits, and says what it would do."""
        row = self.target()
        fitting = tuple(self.can(action) for action in self.row_actions)
        for action, fits in zip(self.row_actions, fitting, strict=True):
            made = self.buttons[action.title]
            made.setEnabled(fits)
            if action.tip is not None:
                told = f"{action.title}\n{action.tip(row)}" if row and fits else action.title
                made.setToolTip(told)
        if fitting != self._fitting:
            self._fitting = fitting
            self.moved.emit()

    def copy_details(self) -> None:
        """Puts the whole row on the clipboard, as JSON."""
        if (row := self.target()) is not None:
            QApplication.clipboard().setText(json.dumps(row, indent=2, ensure_ascii=False))

    def _open_menu(self, point: QPoint) -> None:
        menu = QMenu(self)
        for action in self.row_actions:
            entry = menu.addAction(action.title)
            entry.setEnabled(self.can(action))
            entry.triggered.connect(lambda _checked=False, a=action: self.run(a))
        menu.addSeparator()
        menu.addAction("Copy the row").triggered.connect(self.table.copy_selected)
        menu.addAction("Copy its details").triggered.connect(self.copy_details)
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(self.table.viewport().mapToGlobal(point))

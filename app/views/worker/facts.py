"""Short facts as pairs of a name and a value; what is not there takes no room. Main thread only."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from app.theme import GRID_PX
from app.views.labels import label, set_role

NAME_PX = 88


class Facts(QWidget):
    """A grid of facts, in the order of their names."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(GRID_PX)
        grid.setVerticalSpacing(GRID_PX // 2)
        grid.setColumnMinimumWidth(0, NAME_PX)
        grid.setColumnStretch(1, 1)
        self._rows: dict[str, tuple[QLabel, QLabel]] = {}
        for at, name in enumerate(names):
            told, value = label(name, "muted"), label("", name=name, wrap=True)
            value.setTextInteractionFlags(
                Qt.TextInteractionFlag.TextSelectableByMouse
                | Qt.TextInteractionFlag.TextSelectableByKeyboard
            )
            # Reached by what is in it; the tab key goes past it.
            value.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
            grid.addWidget(told, at, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(value, at, 1)
            self._rows[name] = (told, value)
            self.tell(name, "")

    def tell(self, name: str, text: str, role: str = "") -> None:
        """Says a fact; an empty one is left out."""
        told, value = self._rows[name]
        if value.text() != text:
            value.setText(text)
        set_role(value, role)
        for part in (told, value):
            part.setVisible(bool(text))

    def text(self, name: str) -> str:
        """What is said now."""
        return self._rows[name][1].text()

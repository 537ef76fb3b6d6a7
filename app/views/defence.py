"""The Defence perspective: guards as a flow, their verdicts, a text to try. Main thread only."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QSplitter, QWidget

from app.commands import CommandSink
from app.store import FleetStore
from app.theme import Theme
from app.views.flow import GuardFlow
from app.views.labels import column_of
from app.views.tryout import TryOut
from app.views.verdicts import VerdictStream


class DefenceView(QWidget):
    """What the guards do, at a glance and in detail."""

    inspected = Signal(object)

    def __init__(self, store: FleetStore, theme: Theme, sink: CommandSink) -> None:
        super().__init__()
        self.setProperty("role", "workspace")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName("Defence")
        self.flow = GuardFlow(store, theme)
        self.verdicts = VerdictStream(store, theme)
        self.verdicts.chosen.connect(self.inspected)
        self.tryout = TryOut(theme, sink)
        lower = QSplitter(Qt.Orientation.Horizontal)
        lower.addWidget(_card(self.verdicts))
        lower.addWidget(_card(self.tryout))
        lower.setStretchFactor(0, 3)
        lower.setStretchFactor(1, 2)
        lower.setHandleWidth(8)
        lower.setChildrenCollapsible(False)
        body = column_of(_card(self.flow), lower, spacing=8)
        body.setStretch(1, 1)
        self.setLayout(body)

    def refresh(self, now_ns: int) -> None:
        """Shows the store as of now."""
        self.flow.refresh(now_ns)
        self.verdicts.refresh(now_ns)

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        for part in (self.flow, self.verdicts, self.tryout):
            part.set_theme(theme)

    def focus_filter(self) -> None:
        """Where Ctrl+F leads."""
        self.verdicts.which.setFocus()

    def set_filter(self, text: str) -> None:
        """Shows the verdicts in which the words occur."""
        self.verdicts.filtered.set_filter(text)


def _card(widget: QWidget) -> QFrame:
    made = QFrame()
    made.setProperty("role", "card")
    made.setLayout(column_of(widget, margin=1, spacing=0))
    return made

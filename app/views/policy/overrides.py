"""The overrides in force: what each keeps, its owner, why, the time it has left. Main thread."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from app import figures
from app.models.rules import amount, match_text
from app.theme import GRID_PX
from app.views.labels import Elided, button, column_of, label, row_of
from citadel.wire.messages import SamplingOverride, SamplingRule


def left_text(override: SamplingOverride, now_ns: int) -> str:
    """The time it has left: "ends in 14 min", "ends in 48 s"."""
    left = override.expires_unix_nanos - now_ns
    if left <= 0:
        return "ending now"
    # Told as a past time is, the other way round.
    return f"ends in {figures.ago(now_ns, override.expires_unix_nanos)}"


class OverrideCard(QFrame):
    """One override."""

    ended = Signal(object)

    def __init__(self, override: SamplingOverride) -> None:
        super().__init__()
        self.override = override
        self.setProperty("role", "card")
        self.setAccessibleName(f"Override {override.id}")
        rule = override.rule or SamplingRule()
        self.what = Elided("heading", name=f"What override {override.id} does")
        self.what.setText(f"{match_text(rule) or 'all traces'} {amount(rule)}")
        self.what.setToolTip(self.what.text())
        self.left = label("", "warning", name=f"Time that override {override.id} has left")
        self.who = Elided("muted", name=f"Owner and reason of override {override.id}")
        self.who.setText(f"{override.owner}: {override.reason}")
        self.who.setToolTip(
            f"{override.owner}: {override.reason}\n"
            f"since {figures.moment(override.since_unix_nanos)}\n"
            f"until {figures.moment(override.expires_unix_nanos)}"
        )
        self.end = button(
            "End now",
            lambda: self.ended.emit(self.override),
            tip="The rules below decide again; Ctrl+Z puts it back for the time it had left",
            name=f"End override {override.id} now",
        )
        top = row_of(self.what, self.left)
        top.setStretch(0, 1)
        bottom = row_of(self.who, self.end)
        bottom.setStretch(0, 1)
        body = column_of(top, bottom, spacing=4)
        body.setContentsMargins(8, 8, 8, 8)
        self.setLayout(body)

    def show_left(self, now_ns: int) -> None:
        """Shows the time it has left."""
        self.left.setText(left_text(self.override, now_ns))


class OverrideList(QWidget):
    """All overrides in force, the newest first: it decides first."""

    ended = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.cards: list[OverrideCard] = []
        self.setAccessibleName("Overrides of the sampling policy")
        self.heading = label("Overrides, before all rules", "heading")
        self._column = QVBoxLayout()
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(GRID_PX)
        self.setLayout(column_of(self.heading, self._column))
        self.hide()

    def show_overrides(self, overrides: Sequence[SamplingOverride], now_ns: int) -> None:
        """Shows them, and the time that each has left."""
        newest = sorted(overrides, key=lambda each: each.since_unix_nanos, reverse=True)
        if [card.override for card in self.cards] != newest:
            for card in self.cards:
                self._column.removeWidget(card)
                card.hide()
                card.deleteLater()
            self.cards = [OverrideCard(each) for each in newest]
            for card in self.cards:
                card.ended.connect(self.ended)
                self._column.addWidget(card)
            self.setVisible(bool(newest))
        for card in self.cards:
            card.show_left(now_ns)

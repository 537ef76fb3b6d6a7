"""One keep-rule in the dock: what is kept whatever the rules say. Main thread only."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QSignalBlocker
from PySide6.QtWidgets import QComboBox

from app.models.rules import AnyRule
from app.theme import Theme
from app.views.labels import IconButton, column_of, row_of
from app.views.policy.card import Card
from app.views.policy.rate import PlainSpin
from citadel.wire.messages import KeepRule

WHENS = {
    "error": "Has an error",
    "guard": "A guard flagged or blocked",
    "slower_than": "Slower than",
    "slower_than_p99": "Slower than p99 of its kind",
}
USUAL_SECONDS = 1.0
MOST_MS = 86_400_000.0


class KeepCard(Card):
    """Edits one keep-rule; tells what it became."""

    def __init__(self, rule: KeepRule, theme: Theme) -> None:
        subject = f"keep-rule {rule.id}"
        super().__init__(rule, subject)
        self.when = QComboBox()
        self.when.setAccessibleName(f"When {subject} keeps a trace")
        for word, text in WHENS.items():
            self.when.addItem(text, word)
        self.when.activated.connect(self._on_when)
        self.limit = PlainSpin(f"Limit of {subject} in milliseconds", MOST_MS, " ms", 96)
        self.limit.valueChanged.connect(self._on_limit)
        trash = IconButton("trash", f"Remove {subject}", theme, self.removed.emit)
        top = row_of(self.when, self.limit, trash, spacing=4)
        top.setStretch(0, 1)
        body = column_of(top, self.match, self.error, spacing=4)
        body.setContentsMargins(8, 8, 8, 8)
        self.setLayout(body)
        self.show_rule(rule)

    def show_rule(self, rule: AnyRule) -> None:
        """Shows another state of the rule; what is being typed is left alone."""
        super().show_rule(rule)
        if not isinstance(rule, KeepRule):
            return
        with QSignalBlocker(self.when), QSignalBlocker(self.limit):
            self.when.setCurrentIndex(max(self.when.findData(rule.when), 0))
            value = rule.seconds * 1e3
            if not self.limit.hasFocus() or self.limit.value() != value:
                self.limit.setValue(value)
        self.limit.setVisible(rule.when == "slower_than")

    def check(self) -> str:
        """What the engine would refuse about the rule, or ""."""
        if self.rule.when == "slower_than" and self.rule.seconds <= 0:
            return "Slower than how long? Give milliseconds above 0."
        return ""

    def _on_when(self, index: int) -> None:
        when = str(self.when.itemData(index))
        seconds = self.rule.seconds or USUAL_SECONDS
        rule = replace(self.rule, when=when, seconds=seconds if when == "slower_than" else 0.0)
        self._become(rule)

    def _on_limit(self, milliseconds: float) -> None:
        self._become(replace(self.rule, seconds=milliseconds / 1e3))

    def _become(self, rule: KeepRule) -> None:
        before, self.rule = self.rule, rule
        self.show_rule(rule)
        self.show_problem(self.check())
        if rule != before:
            self.edited.emit(rule)

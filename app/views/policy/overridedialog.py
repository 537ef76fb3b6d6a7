"""Asks for an override: what it matches, how much it keeps, how long, and why. Main thread only."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from dataclasses import replace

from PySide6.QtWidgets import QComboBox, QDialog, QFormLayout, QLineEdit, QWidget

from app.commands import CommandSink
from app.models.rules import BadMatch, fresh_id, match_text, with_match
from app.samplingcommands import override_sampling
from app.views.labels import button, column_of, label, row_of
from app.views.policy.rate import RateControl
from citadel.wire.messages import SamplingRule

WIDTH_PX = 520
DURATIONS = {"5 min": 300, "15 min": 900, "1 h": 3_600, "4 h": 14_400, "1 d": 86_400}
USUAL = "15 min"


class OverrideDialog(QDialog):
    """Puts a rule before all others, for a while."""

    def __init__(
        self,
        parent: QWidget,
        sink: CommandSink,
        rule: SamplingRule,
        known: Sequence[SamplingRule],
        reason: str = "",
    ) -> None:
        super().__init__(parent)
        self._sink = sink
        self._rule = replace(rule, id=fresh_id(known, "override"))
        self.setWindowTitle("Override the sampling policy")
        self.setMinimumWidth(WIDTH_PX)
        self.match = QLineEdit(match_text(rule))
        self.match.setPlaceholderText("all traces")
        self.match.setAccessibleName("Match of the override")
        self.match.textChanged.connect(lambda _text: self._check())
        self.amount = RateControl("the override")
        self.amount.show_amount(1.0, 0.0)
        self.duration = QComboBox()
        self.duration.setAccessibleName("How long the override lasts")
        for text, seconds in DURATIONS.items():
            self.duration.addItem(text, seconds)
        self.duration.setCurrentText(USUAL)
        self.owner = QLineEdit(_user())
        self.owner.setAccessibleName("Owner of the override")
        self.reason = QLineEdit(reason)
        self.reason.setPlaceholderText("What is it for? The audit trail keeps it.")
        self.reason.setAccessibleName("Reason of the override")
        self.reason.textChanged.connect(lambda _text: self._check())
        self.error = label("", "error", wrap=True)
        self.begin = button("Override", self._begin, "primary")
        self.begin.setDefault(True)
        self._lay_out()
        self._check()
        self.reason.setFocus()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setHorizontalSpacing(16)
        form.setVerticalSpacing(8)
        form.addRow("Traces", self.match)
        form.addRow("Keeps", self.amount)
        form.addRow("For", self.duration)
        form.addRow("Owner", self.owner)
        form.addRow("Reason", self.reason)
        note = label(
            "It is asked before all rules and ends by itself, also when the engine is started"
            " again meanwhile. Ctrl+Z ends it at once.",
            "muted",
            wrap=True,
        )
        buttons = row_of(1, button("Cancel", self.reject), self.begin)
        self.setLayout(column_of(form, note, self.error, buttons, margin=24, spacing=12))

    def _check(self) -> SamplingRule | None:
        problem, rule = "", None
        try:
            rule = with_match(self._rule, self.match.text())
        except BadMatch as error:
            problem = str(error)
        self.error.setText(problem)
        self.begin.setEnabled(rule is not None and bool(self.reason.text().strip()))
        return rule

    def _begin(self) -> None:
        rule, reason = self._check(), self.reason.text().strip()
        if rule is None or not reason:
            return
        rule = replace(rule, rate=self.amount.rate, spans_per_second=self.amount.spans_per_second)
        seconds = float(self.duration.currentData())
        self._sink.send(override_sampling(rule, seconds, reason, self.owner.text().strip()))
        self.accept()


def _user() -> str:
    """Who sits here; "" where the system does not say."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""

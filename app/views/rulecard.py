"""One sampling rule in the dock: its match, its rate as slider and number, its live share.

Main thread only.
"""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QDoubleSpinBox, QFrame, QLineEdit, QSlider

from app import figures
from app.models.rules import BadMatch, match_text, with_match
from app.theme import Theme
from app.views.labels import IconButton, column_of, label, row_of
from citadel.wire.messages import SamplingRule


class RuleCard(QFrame):
    """Edits one rule; tells what it became."""

    edited = Signal(object)
    moved = Signal(int)
    removed = Signal()

    def __init__(self, rule: SamplingRule, theme: Theme) -> None:
        super().__init__()
        self.rule = rule
        self.problem = ""
        self.setProperty("role", "card")
        self.setAccessibleName(f"Sampling rule {rule.id}")
        self.match = QLineEdit()
        self.match.setPlaceholderText("all traces")
        self.match.setAccessibleName(f"Match of rule {rule.id}")
        self.match.setToolTip(
            "field=glob, space between: class, mission, sentinel, pool, source, name\n"
            "For example: class=training name=survey*"
        )
        self.match.textEdited.connect(self._on_match)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, 100)
        self.slider.setPageStep(10)
        self.slider.setAccessibleName(f"Rate of rule {rule.id}")
        self.slider.valueChanged.connect(lambda value: self._on_rate(value / 100))
        self.spin = QDoubleSpinBox()
        self.spin.setRange(0, 100)
        self.spin.setDecimals(2)
        self.spin.setSuffix(" %")
        self.spin.setFixedWidth(92)
        self.spin.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.spin.setKeyboardTracking(False)
        self.spin.setAccessibleName(f"Rate of rule {rule.id} in per cent")
        self.spin.valueChanged.connect(lambda value: self._on_rate(round(value / 100, 6)))
        self.live = label("", "muted", name=f"Traces that rule {rule.id} matches")
        self.error = label("", "error", wrap=True)
        self.error.hide()
        up = IconButton("up", "Move the rule up", theme, lambda: self.moved.emit(-1))
        down = IconButton("down", "Move the rule down", theme, lambda: self.moved.emit(1))
        trash = IconButton("trash", "Remove the rule", theme, self.removed.emit)
        top = row_of(self.match, up, down, trash, spacing=2)
        top.setStretch(0, 1)
        bottom = row_of(self.slider, self.spin)
        bottom.setStretch(0, 1)
        body = column_of(top, self.error, bottom, self.live, spacing=4)
        body.setContentsMargins(8, 8, 8, 8)
        self.setLayout(body)
        self.show_rule(rule)

    def show_rule(self, rule: SamplingRule) -> None:
        """Shows another state of the rule; what is being typed is left alone."""
        self.rule = rule
        if not self.match.hasFocus():
            self.match.setText(match_text(rule))
            self._show_problem("")
        with QSignalBlocker(self.slider), QSignalBlocker(self.spin):
            self.slider.setValue(round(rule.rate * 100))
            if not self.spin.hasFocus() or self.spin.value() != rule.rate * 100:
                self.spin.setValue(rule.rate * 100)

    def show_matched(self, traces: int, total: int, seconds: float) -> None:
        """Says how many traces the rule matched lately."""
        rate = figures.rate(traces / seconds if seconds else 0, " traces/s")
        share = figures.share(traces / total) if total else "0 %"
        self.live.setText(f"{rate} match · {share} of all")

    def _on_match(self, text: str) -> None:
        try:
            changed = with_match(self.rule, text)
        except BadMatch as error:
            self._show_problem(str(error))
            self.edited.emit(self.rule)
            return
        self._show_problem("")
        self._changed(changed)

    def _on_rate(self, rate: float) -> None:
        with QSignalBlocker(self.slider), QSignalBlocker(self.spin):
            self.slider.setValue(round(rate * 100))
            self.spin.setValue(rate * 100)
        self._changed(replace(self.rule, rate=rate))

    def _changed(self, rule: SamplingRule) -> None:
        if rule != self.rule:
            self.rule = rule
            self.edited.emit(rule)

    def _show_problem(self, text: str) -> None:
        self.problem = text
        self.error.setText(text)
        self.error.setVisible(bool(text))

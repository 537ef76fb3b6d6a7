"""One sampling rule in the dock: its match, how much it keeps, its live share.

Main thread only.
"""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QMenu

from app import figures
from app.models.rules import AnyRule, problem_of
from app.theme import Theme
from app.views.labels import IconButton, column_of, label, row_of, set_role
from app.views.policy.card import Card, Grip
from app.views.policy.rate import RateControl
from citadel.wire.messages import SamplingRule


class RuleCard(Card):
    """Edits one rule; tells what it became."""

    override_asked = Signal(object)
    """The user wants another rate for a while, of what this rule matches."""

    def __init__(self, rule: SamplingRule, theme: Theme) -> None:
        subject = f"rule {rule.id}"
        super().__init__(rule, subject)
        self.setAccessibleName(f"Sampling rule {rule.id}")
        self.amount = RateControl(subject)
        self.slider, self.spin = self.amount.slider, self.amount.spin
        self.amount.changed.connect(self._on_amount)
        self.live = label("", "muted", name=f"Traces that rule {rule.id} matches")
        self.grip = Grip(subject, theme)
        self.grip.stepped.connect(self.moved)
        self.grip.dragged.connect(self._on_dragged)
        self.grip.dropped.connect(lambda: set_role(self, "card"))
        self.more = IconButton("more", f"What can be done to {subject}", theme, self._show_menu)
        for key, step in (("Alt+Up", -1), ("Alt+Down", 1)):
            shortcut = QShortcut(QKeySequence(key), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(lambda step=step: self.moved.emit(step))
        self._menu = QMenu(self)
        self._menu.addAction("Override for 15 min…", lambda: self.override_asked.emit(self.rule))
        self._menu.addSeparator()
        self._menu.addAction("Move up\tAlt+Up", lambda: self.moved.emit(-1))
        self._menu.addAction("Move down\tAlt+Down", lambda: self.moved.emit(1))
        self._menu.addSeparator()
        self._menu.addAction("Remove", self.removed.emit)
        top = row_of(self.grip, self.match, self.more, spacing=2)
        top.setStretch(1, 1)
        body = column_of(top, self.error, self.amount, self.live, spacing=4)
        body.setContentsMargins(4, 8, 8, 8)
        self.amount.setContentsMargins(4, 0, 0, 0)
        self.live.setContentsMargins(4, 0, 0, 0)
        self.setLayout(body)
        self.show_rule(rule)

    def show_rule(self, rule: AnyRule) -> None:
        """Shows another state of the rule; what is being typed is left alone."""
        super().show_rule(rule)
        if isinstance(rule, SamplingRule):
            self.amount.show_amount(rule.rate, rule.spans_per_second)

    def show_matched(self, traces: int, total: int, seconds: float, *, fits: bool = True) -> None:
        """Says how many traces the rule matched lately, and whether its globs fit any."""
        set_role(self.live, "muted" if fits or self.rule.event else "warning")
        if self.rule.event:
            self.live.setText("for events, of no trace")
            return
        if not fits:
            self.live.setText("◆ fits no trace of the last minutes")
            return
        rate = figures.rate(traces / seconds if seconds else 0, " traces/s")
        share = figures.share(traces / total) if total else "0 %"
        self.live.setText(f"{rate} match · {share} of all")

    def check(self) -> str:
        """What the engine would refuse about the rule, or ""."""
        return problem_of(self.rule)

    def _on_amount(self, rate: float, spans: float) -> None:
        rule = replace(self.rule, rate=rate, spans_per_second=spans)
        before, self.rule = self.rule, rule
        self.show_problem(self.check())
        if rule != before:
            self.edited.emit(rule)

    def _on_dragged(self, height: int) -> None:
        set_role(self, "card-dragged")
        self.dragged.emit(height)

    def _show_menu(self) -> None:
        self._menu.popup(self.more.mapToGlobal(QPoint(0, self.more.height())))

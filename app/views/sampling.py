"""The Sampling dock: which traces are kept. Preview, apply, echo, undo. Main thread."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QScrollArea, QVBoxLayout, QWidget

from app import figures
from app.commands import CommandSink, Outcome
from app.models import rules as edit
from app.models.draft import Draft
from app.samplingcommands import apply_sampling, preview_sampling, sampling_rules
from app.store import FleetStore
from app.theme import Theme
from app.views.draftbar import DraftBar
from app.views.labels import Elided, IconButton, button, column_of, label, retheme, row_of
from app.views.rulecard import RuleCard
from citadel.errors import Conflict
from citadel.wire.messages import SamplingPreview, SamplingRule

PREVIEW_MINUTES = 5
PREVIEW_MS = 2_000
SETTLE_MS = 120
"""A slider that moves asks for a preview this long after it stopped."""


class SamplingDock(QWidget):
    """Rules in order; the first that matches decides."""

    undo_asked = Signal()

    def __init__(self, store: FleetStore, theme: Theme, sink: CommandSink) -> None:
        super().__init__()
        self._store = store
        self._theme = theme
        self._sink = sink
        self.draft: Draft[edit.Rules] = Draft()
        self.cards: list[RuleCard] = []
        self._asked = 0
        self.can_undo = False
        self.setAccessibleName("Sampling")
        self.who = Elided("muted", name="Sampling policy in force")
        self.add = IconButton("plus", "Add a rule at the end", theme, self._on_add)
        self._list = QVBoxLayout()
        self._list.setContentsMargins(0, 0, 0, 0)
        self._list.setSpacing(8)
        self.rest = label("", "muted", wrap=True, name="Traces that no rule matches")
        self.preview = label("", "secondary", wrap=True, name="Preview of the sampling policy")
        self.empty = button("Add a rule", self._on_add)
        self.empty.hide()
        self.bar = DraftBar("sampling policy")
        self._lay_out()
        self.bar.apply_clicked.connect(self.apply)
        self.bar.discard_clicked.connect(self._on_discard)
        self.bar.keep_clicked.connect(self._on_keep)
        self.bar.undo_clicked.connect(self.undo_asked)
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._settle.timeout.connect(self._ask_preview)
        self._again = QTimer(self)
        self._again.setInterval(PREVIEW_MS)
        self._again.timeout.connect(self._ask_preview)
        self._again.start()
        self._show_state()

    def _lay_out(self) -> None:
        self.header = QWidget()
        head = row_of(self.who, self.add)
        head.setStretch(0, 1)
        self.header.setLayout(head)
        inner = QWidget()
        inner.setProperty("role", "panel")
        body = column_of(self._list, self.empty, self.rest, self.preview, 1)
        body.setContentsMargins(12, 8, 12, 8)
        inner.setLayout(body)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(inner)
        scroll.setAccessibleName("Sampling rules")
        self.setLayout(column_of(scroll, self.bar, spacing=0))

    # ── from the engine ─────────────────────────────────────────────────────────────────────────
    def refresh(self, now_ns: int) -> None:
        """Shows the policy in force, unless it is being edited."""
        row = self._store.sampling
        if row is not None:
            in_force = sampling_rules(self._store.rules())
            if self.draft.follow(in_force, row["revision"]) or len(self.cards) != len(self._body()):
                self._show_rules()
            by = f" by {row['actor']}" if row["actor"] else ""
            age = figures.ago(row["time_ns"], now_ns) if row["time_ns"] else ""
            since = f", {age} ago" if age not in {"", "now"} else ""
            self.who.setText(f"Revision {row['revision']}{by}{since}")
            self.who.setToolTip(f"{row['reason']}\n{figures.moment(row['time_ns'])}".strip())
        self._show_state()

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self._theme = theme
        retheme(self, theme)

    # ── edits ───────────────────────────────────────────────────────────────────────────────────
    def _body(self) -> edit.Rules:
        return self.draft.body or ()

    def edit(self, rules: edit.Rules) -> None:
        """Puts other rules in the draft."""
        self.draft.edit(rules)
        self._show_rules()
        self._show_state()
        self._settle.start()

    def _on_add(self) -> None:
        self.edit(edit.added(self._body()))
        self.cards[-1].match.setFocus()

    def _on_card(self, index: int, rule: SamplingRule) -> None:
        self.draft.edit(edit.replaced(self._body(), index, rule))
        self._show_state()
        self._settle.start()

    def _on_discard(self) -> None:
        self.draft.discard()
        self._show_rules()
        self._show_state()
        self._settle.start()

    def _on_keep(self) -> None:
        self.draft.keep_mine()
        self._show_state()

    def apply(self) -> None:
        """Sends the draft; it is pending until the stream echoes it."""
        if self.draft.state != "dirty" or self.draft.in_force is None:
            return
        revision = self.draft.revision
        inverse = apply_sampling(self.draft.in_force, revision, "undone in the control room")
        command = replace(apply_sampling(self._body(), revision), undo=inverse)
        self.draft.sent()
        self._show_state()
        self._sink.send(command, self._on_applied)

    def _on_applied(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self.draft.refused(stale=isinstance(outcome.error, Conflict))
        elif self.draft.accepted(outcome.reply.revision):
            self._show_rules()
        self._show_state()

    # ── preview ─────────────────────────────────────────────────────────────────────────────────
    def _ask_preview(self) -> None:
        if not self.isVisible() or not self._store.connection.live or self.draft.body is None:
            return
        self._asked = self._sink.send(
            preview_sampling(self._body(), PREVIEW_MINUTES), partial(self._on_preview, self._body())
        )

    def _on_preview(self, rules: edit.Rules, outcome: Outcome) -> None:
        if rules != self._body() or not isinstance(outcome.reply, SamplingPreview):
            return
        found = outcome.reply
        info = self._store.connection.info
        started = info.started_unix_nanos if info else 0
        uptime = (self._store.connection.last_message_ns - started) / 1e9 if started else 0
        seconds = min(PREVIEW_MINUTES * 60.0, max(uptime, 1.0))
        for card in self.cards:
            card.show_matched(found.matched.get(card.rule.id, 0), found.traces, seconds)
        rest = found.matched.get("default", 0)
        share = figures.share(rest / found.traces) if found.traces else "0 %"
        self.rest.setText(f"Everything else is kept: {share} of all.")
        self.preview.setText(edit.preview_text(found, PREVIEW_MINUTES))

    # ── show ────────────────────────────────────────────────────────────────────────────────────
    def _show_rules(self) -> None:
        rules = self._body()
        if [card.rule.id for card in self.cards] == [rule.id for rule in rules]:
            for card, rule in zip(self.cards, rules, strict=True):
                card.show_rule(rule)
            return
        for card in self.cards:
            self._list.removeWidget(card)
            card.hide()
            card.deleteLater()
        self.cards = [RuleCard(rule, self._theme) for rule in rules]
        for index, card in enumerate(self.cards):
            card.edited.connect(partial(self._on_card, index))
            card.moved.connect(
                lambda step, index=index: self.edit(edit.moved(self._body(), index, step))
            )
            card.removed.connect(lambda index=index: self.edit(edit.removed(self._body(), index)))
            self._list.addWidget(card)
        self.empty.setVisible(not rules and self.draft.state != "empty")

    def _show_state(self) -> None:
        draft = self.draft
        self.bar.show_state(
            draft.state,
            self._state_text(),
            valid=not any(card.problem for card in self.cards),
            undo=self.can_undo,
        )
        self.add.setEnabled(draft.state in {"clean", "dirty"})

    def _state_text(self) -> str:
        draft, row = self.draft, self._store.sampling
        match draft.state:
            case "empty":
                return "No policy yet: the engine has not sent one."
            case "clean":
                return "In force."
            case "dirty":
                return "Not applied yet."
            case "pending":
                return "Sent; waiting for the engine to echo it."
            case "conflict":
                lines = edit.difference(self._body(), draft.in_force or ())
                who = f" by {row['actor']}" if row and row["actor"] else ""
                return "\n".join(
                    [f"Changed meanwhile{who}, to revision {draft.their_revision}:", *lines[:6]]
                )

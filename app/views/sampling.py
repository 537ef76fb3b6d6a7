"""The Sampling dock: which traces are kept. Preview, apply, echo, undo, overrides. Main thread."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QScrollArea, QWidget

from app import figures
from app.commands import CommandSink, Outcome
from app.models import rules as edit
from app.models.draft import Draft
from app.samplingcommands import (
    apply_sampling,
    keep_rules,
    overrides,
    preview_sampling,
    revert_override,
    sampling_rules,
)
from app.store import FleetStore
from app.theme import Theme
from app.views.draftbar import DraftBar
from app.views.labels import Elided, IconButton, button, column_of, label, retheme, row_of, rule
from app.views.policy.card import Card
from app.views.policy.cardlist import CardList
from app.views.policy.keepcard import KeepCard
from app.views.policy.overridedialog import OverrideDialog
from app.views.policy.overrides import OverrideList
from app.views.policy.preview import PreviewPanel
from app.views.rulecard import RuleCard
from citadel.errors import Conflict
from citadel.wire.messages import SamplingPreview, SamplingRule

PREVIEW_MINUTES = 5
PREVIEW_MS = 2_000
SETTLE_MS = 120
"""A slider that moves asks for a preview this long after it stopped."""
MOST_LINES = 6


class SamplingDock(QWidget):
    """Rules in order; the first that matches decides."""

    undo_asked = Signal()
    trace_asked = Signal(str, bool)
    """A trace of the preview, and whether it is kept now."""

    def __init__(self, store: FleetStore, theme: Theme, sink: CommandSink) -> None:
        super().__init__()
        self._store = store
        self._theme = theme
        self._sink = sink
        self._now_ns = 0
        self.draft: Draft[edit.Policy] = Draft()
        self.can_undo = False
        self.setAccessibleName("Sampling")
        self.who = Elided("muted", name="Sampling policy in force")
        self.add = IconButton("plus", "Add a rule at the end", theme, self._on_add)
        self.for_a_while = IconButton("clock", "Override for a while…", theme, self.ask_override)
        self.rules = CardList("Sampling rules, in order", self._rule_card)
        self.keep = CardList("Keep-rules", lambda each: KeepCard(each, self._theme))
        self.overrides = OverrideList()
        self.rest = label("", "muted", wrap=True, name="Traces that no rule matches")
        self.odd = label("", "warning", wrap=True, name="Warnings about the sampling policy")
        self.odd.hide()
        self.empty = button("Add a rule", self._on_add)
        self.empty.hide()
        self.add_keep = IconButton("plus", "Add a keep-rule", theme, self._on_add_keep)
        self.preview_panel = PreviewPanel(theme, PREVIEW_MINUTES)
        self.preview = self.preview_panel.text
        self.bar = DraftBar("sampling policy", asks_why=True)
        self._lay_out()
        self._connect()
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
        head = row_of(self.who, self.for_a_while, self.add, spacing=2)
        head.setStretch(0, 1)
        self.header.setLayout(head)
        kept = row_of(label("Kept whatever the rules say", "heading"), 1, self.add_keep)
        inner = QWidget()
        inner.setProperty("role", "panel")
        body = column_of(
            self.overrides, self.rules, self.empty, self.rest, self.odd, kept, self.keep, 1
        )
        body.setContentsMargins(12, 8, 12, 8)
        inner.setLayout(body)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(inner)
        scroll.setAccessibleName("Sampling rules")
        self._scroll = scroll
        self.setLayout(column_of(scroll, rule(), self.preview_panel, self.bar, spacing=0))

    def _connect(self) -> None:
        self.bar.apply_clicked.connect(self.apply)
        self.bar.discard_clicked.connect(self._on_discard)
        self.bar.keep_clicked.connect(self._on_keep)
        self.bar.undo_clicked.connect(self.undo_asked)
        self.rules.changed.connect(lambda rules: self._take(rules=rules))
        self.rules.rearranged.connect(lambda rules: self._take(rules=rules, show=True))
        self.keep.changed.connect(lambda keep: self._take(keep=keep))
        self.keep.rearranged.connect(lambda keep: self._take(keep=keep, show=True))
        self.overrides.ended.connect(
            lambda each: self._sink.send(revert_override(each, self._now_ns))
        )
        self.preview_panel.trace_asked.connect(self.trace_asked)

    @property
    def cards(self) -> list[Any]:
        """The cards of the rules, in order."""
        return list(self.rules.cards)

    # ── from the engine ─────────────────────────────────────────────────────────────────────────
    def refresh(self, now_ns: int) -> None:
        """Shows the policy in force, unless it is being edited."""
        self._now_ns = now_ns
        row = self._store.sampling
        if row is not None:
            in_force = edit.Policy(
                rules=sampling_rules(self._store.rules()), keep=keep_rules(self._store.keep_rules())
            )
            if self.draft.follow(in_force, row["revision"]) or self._lacks_cards():
                self._show_rules()
            by = f" by {row['actor']}" if row["actor"] else ""
            age = figures.ago(row["time_ns"], now_ns) if row["time_ns"] else ""
            since = f", {age} ago" if age not in {"", "now"} else ""
            self.who.setText(f"Revision {row['revision']}{by}{since}")
            self.who.setToolTip(f"{row['reason']}\n{figures.moment(row['time_ns'])}".strip())
            self.overrides.show_overrides(overrides(self._store.overrides()), now_ns)
            # That a rule fits nothing is said on its card.
            told = tuple(f"Rule {each.id} fits none" for each in self._body().rules)
            odd = [w for w in self._store.sampling_warnings() if not w.startswith(told)]
            self.odd.setText("\n".join(f"◆ {line}" for line in odd))
            self.odd.setVisible(bool(odd))
        self._show_state()

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self._theme = theme
        self.preview_panel.set_theme(theme)
        retheme(self, theme)

    def show_rule(self, name: str) -> bool:
        """Shows the card of a rule, a keep-rule or an override; whether it is there."""
        card = self.rules.card(name) or self.keep.card(name)
        found: QWidget | None = card or next(
            (each for each in self.overrides.cards if each.override.id == name), None
        )
        if found is None:
            return False
        self._scroll.ensureWidgetVisible(found)
        (card.match if card is not None else found).setFocus()
        return True

    # ── edits ───────────────────────────────────────────────────────────────────────────────────
    def _body(self) -> edit.Policy:
        return self.draft.body or edit.Policy()

    def edit(self, rules: edit.Rules) -> None:
        """Puts other rules in the draft."""
        self._take(rules=rules, show=True)

    def ask_override(self, of: SamplingRule | None = None, reason: str = "") -> OverrideDialog:
        """Asks for a rule before all others, for a while."""
        known = [each.rule for each in overrides(self._store.overrides()) if each.rule]
        taken = [*self._body().rules, *known]
        dialog = OverrideDialog(self, self._sink, of or SamplingRule(), taken, reason)
        dialog.finished.connect(lambda _code: dialog.deleteLater())
        dialog.open()
        return dialog

    def _rule_card(self, each: SamplingRule) -> Card:
        card = RuleCard(each, self._theme)
        card.override_asked.connect(self.ask_override)
        return card

    def _take(
        self,
        *,
        rules: edit.Rules | None = None,
        keep: edit.Keeps | None = None,
        show: bool = False,
    ) -> None:
        body = self._body()
        self.draft.edit(
            edit.Policy(
                rules=body.rules if rules is None else rules,
                keep=body.keep if keep is None else keep,
            )
        )
        if show:
            self._show_rules()
        self._show_state()
        self._settle.start()

    def _on_add(self) -> None:
        self.edit(edit.added(self._body().rules))
        self.rules.cards[-1].match.setFocus()

    def _on_add_keep(self) -> None:
        self._take(keep=edit.keep_added(self._body().keep), show=True)
        self.keep.cards[-1].setFocus()

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
        before, body = self.draft.in_force, self._body()
        if self.draft.state != "dirty" or before is None:
            return
        revision, reason = self.draft.revision, self.bar.why() or "changed in the Sampling dock"
        inverse = apply_sampling(
            before.rules, revision, "undone in the control room", keep=before.keep
        )
        command = apply_sampling(body.rules, revision, reason, keep=body.keep)
        self.draft.sent()
        self._show_state()
        self._sink.send(replace(command, undo=inverse), self._on_applied)

    def _on_applied(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self.draft.refused(stale=isinstance(outcome.error, Conflict))
        elif self.draft.accepted(outcome.reply.revision):
            self._show_rules()
        if outcome.ok:
            self.bar.forget_why()
        self._show_state()

    # ── preview ─────────────────────────────────────────────────────────────────────────────────
    def _ask_preview(self) -> None:
        if not self.isVisible() or not self._store.connection.live or self.draft.body is None:
            return
        body = self._body()
        if self._problem():
            self.preview_panel.say("There is a preview when all rules can be read.")
            return
        self._sink.send(
            replace(preview_sampling(body.rules, PREVIEW_MINUTES, keep=body.keep), quiet=True),
            partial(self._on_preview, body),
        )

    def _on_preview(self, asked: edit.Policy, outcome: Outcome) -> None:
        if asked != self._body():
            return
        if outcome.error is not None:
            self.preview_panel.say(f"No preview: {outcome.error.message}")
        if not isinstance(outcome.reply, SamplingPreview):
            return
        found = outcome.reply
        info = self._store.connection.info
        started = info.started_unix_nanos if info else 0
        uptime = (self._store.connection.last_message_ns - started) / 1e9 if started else 0
        seconds = min(PREVIEW_MINUTES * 60.0, max(uptime, 1.0))
        for card in self.cards:
            matched = found.matched.get(card.rule.id, 0)
            card.show_matched(
                matched, found.traces, seconds, fits=card.rule.id not in found.unmatched
            )
        rest = found.matched.get("default", 0)
        share = figures.share(rest / found.traces) if found.traces else "0 %"
        self.rest.setText(f"Everything else is kept: {share} of all.")
        self.preview_panel.show_preview(found, changed=asked != self.draft.in_force)

    # ── show ────────────────────────────────────────────────────────────────────────────────────
    def _lacks_cards(self) -> bool:
        body = self._body()
        return (len(body.rules), len(body.keep)) != (len(self.rules.cards), len(self.keep.cards))

    def _show_rules(self) -> None:
        body = self._body()
        self.rules.show_rules(body.rules)
        self.keep.show_rules(body.keep)
        self.empty.setVisible(not body.rules and self.draft.state != "empty")

    def _problem(self) -> bool:
        return self.rules.problem or self.keep.problem

    def _show_state(self) -> None:
        draft = self.draft
        self.bar.show_state(
            draft.state, self._state_text(), valid=not self._problem(), undo=self.can_undo
        )
        editable = draft.state in {"clean", "dirty"}
        for part in (self.add, self.add_keep):
            part.setEnabled(editable)
        self.for_a_while.setEnabled(draft.state != "empty")

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
                lines = edit.difference(self._body(), draft.in_force or edit.Policy())
                who = f" by {row['actor']}" if row and row["actor"] else ""
                return "\n".join(
                    [
                        f"Changed meanwhile{who}, to revision {draft.their_revision}:",
                        *lines[:MOST_LINES],
                    ]
                )

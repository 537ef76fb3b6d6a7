"""The Defence dock: strict mode, each layer's switch and thresholds, verdicts, a text to try.

Main thread only. Strict mode is a change of its own; layers are edited as a draft and applied.
"""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QCheckBox, QScrollArea, QTabWidget, QVBoxLayout, QWidget

from app.commands import CommandSink, Outcome, apply_defense, layer_configs
from app.models.draft import Draft
from app.store import FleetStore
from app.theme import Theme
from app.views.draftbar import DraftBar
from app.views.labels import column_of, label, rule
from app.views.layercard import LayerCard
from app.views.strict import set_strict
from app.views.tryout import TryOut
from app.views.verdicts import VerdictStream
from citadel.errors import Conflict
from citadel.wire.messages import LayerConfig

Layers = tuple[LayerConfig, ...]


class DefenceSettings(QWidget):
    """Strict mode and layers."""

    undo_asked = Signal()

    def __init__(self, store: FleetStore, sink: CommandSink) -> None:
        super().__init__()
        self._store = store
        self._sink = sink
        self.draft: Draft[Layers] = Draft()
        self.cards: list[LayerCard] = []
        self.can_undo = False
        self.setProperty("role", "panel")
        self.strict = QCheckBox("Strict mode")
        self.strict.setAccessibleName("Strict mode")
        self.strict.clicked.connect(self._on_strict)
        self.about = label(
            "Flags block, and a layer that fails or times out blocks.", "muted", wrap=True
        )
        self.who = label("", "muted", wrap=True, name="Defence configuration in force")
        self._list = QVBoxLayout()
        self._list.setSpacing(8)
        self.bar = DraftBar("guards' configuration")
        self.bar.apply_clicked.connect(self.apply)
        self.bar.discard_clicked.connect(self._on_discard)
        self.bar.keep_clicked.connect(self._on_keep)
        self.bar.undo_clicked.connect(self.undo_asked)
        inner = QWidget()
        inner.setProperty("role", "panel")
        body = column_of(self.strict, self.about, rule(), self.who, self._list, 1)
        body.setContentsMargins(12, 8, 12, 8)
        inner.setLayout(body)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(inner)
        scroll.setAccessibleName("Guard layers")
        self.setLayout(column_of(scroll, self.bar, spacing=0))
        self._show_state()

    def refresh(self, _now_ns: int) -> None:
        """Shows the configuration in force, unless it is being edited."""
        row = self._store.defense
        if row is not None:
            layers = layer_configs(self._store.layers())
            if self.draft.follow(layers, row["revision"]) or len(self.cards) != len(self._body()):
                self._show_layers()
            with QSignalBlocker(self.strict):
                self.strict.setChecked(bool(row["strict"]))
            by = f" by {row['actor']}" if row["actor"] else ""
            self.who.setText(f"Revision {row['revision']}{by}")
            self.who.setToolTip(row["reason"])
        for card in self.cards:
            card.show_counts(self._store)
        self._show_state()

    def apply(self) -> None:
        """Sends the layers; pending until the stream echoes them."""
        if self.draft.state != "dirty" or self.draft.in_force is None:
            return
        strict, revision = self._store.strict, self.draft.revision
        inverse = apply_defense(strict, self.draft.in_force, revision)
        command = replace(apply_defense(strict, self._body(), revision), undo=inverse)
        self.draft.sent()
        self._show_state()
        self._sink.send(command, self._on_applied)

    def _body(self) -> Layers:
        return self.draft.body or ()

    def _on_strict(self, on: bool) -> None:
        """The box shows what is in force: it moves when the engine's stream says so."""
        with QSignalBlocker(self.strict):
            self.strict.setChecked(self._store.strict)
        set_strict(self, self._store, self._sink, on)

    def _on_applied(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self.draft.refused(stale=isinstance(outcome.error, Conflict))
        elif self.draft.accepted(outcome.reply.revision):
            self._show_layers()
        self._show_state()

    def _on_discard(self) -> None:
        self.draft.discard()
        self._show_layers()
        self._show_state()

    def _on_keep(self) -> None:
        self.draft.keep_mine()
        self._show_state()

    def _on_card(self, changed: LayerConfig) -> None:
        self.draft.edit(
            tuple(changed if layer.name == changed.name else layer for layer in self._body())
        )
        self._show_state()

    def _show_layers(self) -> None:
        layers = self._body()
        if [card.layer.name for card in self.cards] == [layer.name for layer in layers]:
            for card, layer in zip(self.cards, layers, strict=True):
                card.show_layer(layer)
            return
        for card in self.cards:
            self._list.removeWidget(card)
            card.hide()
            card.deleteLater()
        self.cards = [LayerCard(layer) for layer in layers]
        for card in self.cards:
            card.edited.connect(self._on_card)
            self._list.addWidget(card)

    def _show_state(self) -> None:
        draft = self.draft
        theirs = self._store.defense
        who = f" by {theirs['actor']}" if theirs and theirs["actor"] else ""
        text = {
            "empty": "No configuration yet: the engine has not sent one.",
            "clean": "In force.",
            "dirty": "Not applied yet.",
            "pending": "Sent; waiting for the engine to echo it.",
            "conflict": f"Changed meanwhile{who}, to revision {draft.their_revision}.",
        }[draft.state]
        valid = not any(card.problem for card in self.cards)
        self.bar.show_state(draft.state, text, valid=valid, undo=self.can_undo)
        self.strict.setEnabled(theirs is not None and self._store.connection.live)


class DefenceDock(QWidget):
    """Settings, verdicts and a text to try, as tabs."""

    undo_asked = Signal()
    chosen = Signal(object)

    def __init__(self, store: FleetStore, theme: Theme, sink: CommandSink) -> None:
        super().__init__()
        self.setAccessibleName("Defence")
        self.settings = DefenceSettings(store, sink)
        self.settings.undo_asked.connect(self.undo_asked)
        self.verdicts = VerdictStream(store, theme)
        self.verdicts.chosen.connect(self.chosen)
        self.tryout = TryOut(theme, sink)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.addTab(self.settings, "Layers")
        self.tabs.addTab(self.verdicts, "Verdicts")
        self.tabs.addTab(self.tryout, "Try a text")
        self.setLayout(column_of(self.tabs, spacing=0))

    def refresh(self, now_ns: int) -> None:
        """Shows what is in force and what was decided."""
        self.settings.refresh(now_ns)
        if self.verdicts.isVisible():
            self.verdicts.refresh(now_ns)

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self.verdicts.set_theme(theme)
        self.tryout.set_theme(theme)

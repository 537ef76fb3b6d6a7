"""Cards in their order: moved by drag or key, each the same widget wherever its rule goes.

Main thread only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import QPoint, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.models.rules import moved, removed, replaced
from app.theme import GRID_PX
from app.views.policy.card import Card


class CardList(QWidget):
    """Shows rules as cards; tells what the rules became."""

    changed = Signal(object)
    """The rules became these, the same ones in number and order: nothing to lay out."""
    rearranged = Signal(object)
    """The rules became these: one came, went or moved."""

    def __init__(self, name: str, make: Callable[[Any], Card]) -> None:
        super().__init__()
        self._make = make
        self._rules: tuple[Any, ...] = ()
        self.cards: list[Card] = []
        self.setAccessibleName(name)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(GRID_PX)

    @property
    def problem(self) -> bool:
        """Whether the engine would refuse one of them."""
        return any(card.problem for card in self.cards)

    def show_rules(self, rules: Sequence[Any]) -> None:
        """Shows rules; the focus stays in the card that has it."""
        self._rules = tuple(rules)
        known = {card.rule.id: card for card in self.cards}
        kept = {rule.id for rule in rules}
        for name, card in known.items():
            if name not in kept:
                self._column.removeWidget(card)
                card.hide()
                card.deleteLater()
        self.cards = []
        for place, rule in enumerate(rules):
            card = known.get(rule.id)
            if card is None:
                card = self._made(rule)
            card.show_rule(rule)
            self.cards.append(card)
            if self._column.indexOf(card) != place:
                self._column.insertWidget(place, card)
                card.show()

    def card(self, name: str) -> Card | None:
        """The card of a rule, by its id."""
        return next((card for card in self.cards if card.rule.id == name), None)

    def _made(self, rule: Any) -> Card:
        card = self._make(rule)
        card.edited.connect(lambda changed: self._on_edited(card, changed))
        card.moved.connect(lambda step: self._on_moved(card, step))
        card.removed.connect(lambda: self._on_removed(card))
        card.dragged.connect(lambda height: self._on_dragged(card, height))
        return card

    def _on_edited(self, card: Card, changed: Any) -> None:
        self._rules = replaced(self._rules, self.cards.index(card), changed)
        self.changed.emit(self._rules)

    def _on_moved(self, card: Card, step: int) -> None:
        rules = moved(self._rules, self.cards.index(card), step)
        if rules != self._rules:
            self.rearranged.emit(rules)

    def _on_removed(self, card: Card) -> None:
        self.rearranged.emit(removed(self._rules, self.cards.index(card)))

    def _on_dragged(self, card: Card, height: int) -> None:
        """Moves the card to where the pointer is, past the middles of the others."""
        y = self.mapFromGlobal(QPoint(0, height)).y()
        others = [other for other in self.cards if other is not card]
        place = sum(other.geometry().center().y() < y for other in others)
        self._on_moved(card, place - self.cards.index(card))

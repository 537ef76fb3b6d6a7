"""The Sampling dock: edits, preview, apply, conflict, with a sink that is answered by hand."""

import json
from collections.abc import Callable
from dataclasses import asdict

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from app.commands import RecordingSink
from app.store import FleetStore
from app.theme import Theme
from app.views.sampling import SamplingDock
from citadel.errors import Conflict, InvalidRequest
from citadel.wire.messages import SamplingPolicy, SamplingPreview, SamplingRule

Tables = Callable[..., dict]
RULES = (
    SamplingRule(id="critical", mission_class="critical", rate=1.0),
    SamplingRule(id="training", mission_class="training", rate=0.1),
)


def policy(tables: Tables, revision: int, rules: tuple[SamplingRule, ...] = RULES) -> dict:
    text = json.dumps([asdict(rule) for rule in rules])
    row = {"name": "sampling", "revision": revision, "rules": text, "actor": "someone"}
    return tables("sampling", row)


@pytest.fixture
def dock(
    qtbot: QtBot, store: FleetStore, theme: Theme, sink: RecordingSink, tables: Tables
) -> SamplingDock:
    made = SamplingDock(store, theme, sink)
    qtbot.addWidget(made)
    store.connection.state = "live"
    store.apply(policy(tables, 3))
    made.refresh(1)
    made.resize(380, 600)
    made.show()
    return made


def test_it_shows_the_rules_in_force(dock: SamplingDock) -> None:
    assert [card.match.text() for card in dock.cards] == ["class=critical", "class=training"]
    assert [card.spin.value() for card in dock.cards] == [100, 10]
    assert dock.bar.status.text() == "In force."
    assert not dock.bar.apply.isEnabled()


def test_before_the_engine_sent_a_policy_nothing_can_be_changed(
    qtbot: QtBot, theme: Theme, sink: RecordingSink
) -> None:
    empty = SamplingDock(FleetStore(), theme, sink)
    qtbot.addWidget(empty)
    empty.refresh(1)
    assert not empty.add.isEnabled()
    assert not empty.bar.apply.isEnabled()
    assert "No policy yet" in empty.bar.status.text()


def test_slider_and_number_move_together(dock: SamplingDock) -> None:
    card = dock.cards[1]
    card.slider.setValue(40)
    assert card.spin.value() == 40
    card.spin.setValue(0.25)
    assert card.slider.value() == 0
    assert card.rule.rate == pytest.approx(0.0025)
    assert dock.draft.state == "dirty"


def test_apply_sends_the_whole_policy_on_its_revision_and_waits_for_the_echo(
    qtbot: QtBot, dock: SamplingDock, store: FleetStore, sink: RecordingSink, tables: Tables
) -> None:
    dock.cards[1].slider.setValue(50)
    qtbot.mouseClick(dock.bar.apply, Qt.MouseButton.LeftButton)
    command = sink.sent[-1]
    assert command.method == "Sampling.Apply"
    assert command.request.change.revision == 3
    assert [rule.rate for rule in command.request.rules] == [1.0, 0.5]
    assert command.undo is not None
    assert command.undo.request.rules == RULES
    assert dock.draft.state == "pending"
    sink.answer(SamplingPolicy(revision=4))
    assert dock.draft.state == "pending"
    store.apply(policy(tables, 4, command.request.rules))
    dock.refresh(2)
    assert dock.draft.state == "clean"


def test_a_refusal_gives_the_edit_back(
    qtbot: QtBot, dock: SamplingDock, sink: RecordingSink
) -> None:
    dock.cards[1].slider.setValue(50)
    dock.apply()
    sink.answer(error=InvalidRequest("no"))
    assert dock.draft.state == "dirty"
    dock.apply()
    sink.answer(error=Conflict("stale"))
    assert dock.draft.state == "conflict"


def test_a_conflict_shows_the_difference_and_asks_whose_counts(
    qtbot: QtBot, dock: SamplingDock, store: FleetStore, tables: Tables
) -> None:
    dock.cards[1].slider.setValue(50)
    theirs = (RULES[0], SamplingRule(id="training", mission_class="training", rate=0.9))
    store.apply(policy(tables, 4, theirs))
    dock.refresh(2)
    text = dock.bar.status.text()
    assert "someone" in text
    assert "50 %" in text
    assert "90 %" in text
    qtbot.mouseClick(dock.bar.theirs, Qt.MouseButton.LeftButton)
    assert dock.draft.state == "clean"
    assert dock.cards[1].spin.value() == 90


def test_rules_are_added_moved_and_removed(
    qtbot: QtBot, dock: SamplingDock, sink: RecordingSink
) -> None:
    qtbot.mouseClick(dock.add, Qt.MouseButton.LeftButton)
    qtbot.keyClicks(dock.cards[2].match, "name=survey*")
    dock.cards[2].moved.emit(-1)
    dock.cards[0].removed.emit()
    dock.apply()
    sent = sink.sent[-1].request.rules
    assert [rule.id for rule in sent] == ["rule-1", "training"]
    assert sent[0].name == "survey*"


def test_a_match_that_makes_no_sense_cannot_be_applied(qtbot: QtBot, dock: SamplingDock) -> None:
    card = dock.cards[0]
    card.match.clear()
    qtbot.keyClicks(card.match, "klass=x")
    assert card.error.isVisible()
    assert not dock.bar.apply.isEnabled()
    card.match.clear()
    qtbot.keyClicks(card.match, "class=x")
    assert not card.error.isVisible()
    assert dock.bar.apply.isEnabled()


def test_the_preview_belongs_to_the_rules_that_it_was_asked_for(
    qtbot: QtBot, dock: SamplingDock, sink: RecordingSink
) -> None:
    dock.cards[1].slider.setValue(5)
    qtbot.waitUntil(lambda: any(c.method == "Sampling.Preview" for c in sink.sent))
    asked = len(sink.sent)
    reply = SamplingPreview(
        traces=8310, kept_now=8310, kept_then=412, flagged_lost=2, matched={"training": 8000}
    )
    sink.answer(reply, ticket=asked)
    assert "412" in dock.preview.text()
    assert "96.3 % of all" in dock.cards[1].live.text()
    dock.cards[1].slider.setValue(6)
    sink.answer(SamplingPreview(traces=1, kept_then=1), ticket=asked)
    assert "412" in dock.preview.text(), "an answer to an older question is left aside"

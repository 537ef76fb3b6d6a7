"""The Sampling dock: edits, preview, apply, conflict, with a sink that is answered by hand."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot

from app.commands import RecordingSink
from app.models.rules import stop_of
from app.store import FleetStore
from app.theme import Theme
from app.views.policy.overridedialog import OverrideDialog
from app.views.sampling import SamplingDock
from citadel.errors import Conflict, InvalidRequest
from citadel.wire.messages import (
    KeepRule,
    PreviewExample,
    SamplingOverride,
    SamplingPolicy,
    SamplingPreview,
    SamplingRule,
)

Tables = Callable[..., dict]
RULES = (
    SamplingRule(id="critical", mission_class="critical", rate=1.0),
    SamplingRule(id="training", mission_class="training", rate=0.1),
)


def policy(
    tables: Tables, revision: int, rules: tuple[SamplingRule, ...] = RULES, **more: Any
) -> dict:
    row = {"name": "sampling", "revision": revision, "rules": as_json(rules), "actor": "someone"}
    return tables("sampling", row | {key: as_json(value) for key, value in more.items()})


def as_json(values: Sequence[Any]) -> str:
    return json.dumps([value if isinstance(value, str) else asdict(value) for value in values])


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
    card.slider.setValue(stop_of(0.4))
    assert card.spin.value() == 40
    card.spin.setValue(0.25)
    assert 0 < card.slider.value() <= stop_of(0.003), "between nothing and 1 % there are stops"
    assert card.rule.rate == pytest.approx(0.0025)
    assert dock.draft.state == "dirty"


def test_apply_sends_the_whole_policy_on_its_revision_and_waits_for_the_echo(
    qtbot: QtBot, dock: SamplingDock, store: FleetStore, sink: RecordingSink, tables: Tables
) -> None:
    dock.cards[1].slider.setValue(stop_of(0.5))
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
    dock.cards[1].slider.setValue(stop_of(0.5))
    dock.apply()
    sink.answer(error=InvalidRequest("no"))
    assert dock.draft.state == "dirty"
    dock.apply()
    sink.answer(error=Conflict("stale"))
    assert dock.draft.state == "conflict"


def test_a_conflict_shows_the_difference_and_asks_whose_counts(
    qtbot: QtBot, dock: SamplingDock, store: FleetStore, tables: Tables
) -> None:
    dock.cards[1].slider.setValue(stop_of(0.5))
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
    dock.cards[1].slider.setValue(stop_of(0.05))
    qtbot.waitUntil(lambda: any(c.method == "Sampling.Preview" for c in sink.sent))
    asked = len(sink.sent)
    reply = SamplingPreview(
        traces=8310, kept_now=8310, kept_then=412, flagged_lost=2, matched={"training": 8000}
    )
    sink.answer(reply, ticket=asked)
    assert "412" in dock.preview.text()
    assert "96.3 % of all" in dock.cards[1].live.text()
    dock.cards[1].slider.setValue(stop_of(0.06))
    sink.answer(SamplingPreview(traces=1, kept_then=1), ticket=asked)
    assert "412" in dock.preview.text(), "an answer to an older question is left aside"


def test_a_ceiling_takes_the_place_of_the_rate(
    qtbot: QtBot, dock: SamplingDock, sink: RecordingSink
) -> None:
    amount = dock.cards[1].amount
    amount.how.setCurrentIndex(1)
    amount.how.activated.emit(1)
    assert amount.ceiling.isVisible()
    assert not amount.slider.isVisible()
    amount.ceiling.setValue(250)
    dock.apply()
    sent = sink.sent[-1].request.rules[1]
    assert (sent.rate, sent.spans_per_second) == (1.0, 250)


def test_a_rule_for_events_is_a_match_and_takes_no_ceiling(
    qtbot: QtBot, dock: SamplingDock
) -> None:
    card = dock.cards[1]
    card.match.clear()
    qtbot.keyClicks(card.match, "event=worker.*")
    assert card.rule.event == "worker.*"
    assert dock.bar.apply.isEnabled()
    card.amount.how.activated.emit(1)
    assert "ceiling is for spans" in card.error.text()
    assert not dock.bar.apply.isEnabled()


def test_alt_and_arrows_move_a_rule_and_the_focus_goes_along(
    qtbot: QtBot, dock: SamplingDock
) -> None:
    card = dock.cards[1]
    card.match.setFocus()
    card.moved.emit(-1)
    assert [each.rule.id for each in dock.cards] == ["training", "critical"]
    assert dock.cards[0] is card, "the same widget, in another place"
    assert dock.draft.state == "dirty"
    qtbot.keyClick(card.grip, Qt.Key.Key_Down)
    assert [each.rule.id for each in dock.cards] == ["critical", "training"]
    assert dock.draft.state == "clean"


def test_a_rule_is_dragged_past_the_middle_of_another(qtbot: QtBot, dock: SamplingDock) -> None:
    first, second = dock.cards
    qtbot.waitUntil(lambda: second.y() > first.y())
    below = second.mapToGlobal(QPoint(0, second.height() - 2)).y()
    first.grip.dragged.emit(below)
    assert dock.cards == [second, first]
    assert first.property("role") == "card-dragged"
    first.grip.dropped.emit()
    assert first.property("role") == "card"


def test_keep_rules_are_edited_and_sent_with_the_rules(
    qtbot: QtBot, dock: SamplingDock, store: FleetStore, sink: RecordingSink, tables: Tables
) -> None:
    store.apply(policy(tables, 4, keep=[KeepRule(id="errors", when="error")]))
    dock.refresh(2)
    qtbot.mouseClick(dock.add_keep, Qt.MouseButton.LeftButton)
    errors, added = dock.keep.cards
    assert not errors.limit.isVisible()
    added.when.setCurrentIndex(2)
    added.when.activated.emit(2)
    assert added.limit.isVisible()
    added.limit.setValue(0)
    assert not dock.bar.apply.isEnabled()
    added.limit.setValue(250)
    dock.bar.reason.setText("slow ones matter")
    dock.apply()
    request = sink.sent[-1].request
    assert request.sets_keep
    assert [(rule.when, rule.seconds) for rule in request.keep] == [
        ("error", 0.0),
        ("slower_than", 0.25),
    ]
    assert request.change.reason == "slow ones matter"
    assert sink.sent[-1].undo.request.keep == (KeepRule(id="errors", when="error"),)


MINUTE = 60 * 10**9
FOR_A_WHILE = SamplingOverride(
    id="override-1",
    rule=SamplingRule(id="override-1", mission_class="training", rate=1.0),
    owner="ada",
    reason="a bug in training",
    since_unix_nanos=1,
    expires_unix_nanos=15 * MINUTE,
)


def test_overrides_count_down_and_are_ended_by_hand(
    qtbot: QtBot, dock: SamplingDock, store: FleetStore, sink: RecordingSink, tables: Tables
) -> None:
    assert not dock.overrides.isVisible()
    store.apply(policy(tables, 4, overrides=[FOR_A_WHILE], warnings=["Rule x is never asked"]))
    dock.refresh(MINUTE)
    (card,) = dock.overrides.cards
    assert card.what.text() == "class=training at 100 %"
    assert card.who.text() == "ada: a bug in training"
    assert card.left.text() == "ends in 14 min"
    assert "never asked" in dock.odd.text()
    dock.refresh(15 * MINUTE - 30 * 10**9)
    assert card.left.text() == "ends in 30 s"
    assert dock.overrides.cards == [card], "a tick of the clock lays nothing out"
    qtbot.mouseClick(card.end, Qt.MouseButton.LeftButton)
    assert sink.sent[-1].method == "Sampling.Revert"
    assert sink.sent[-1].undo.request.seconds == 30


def test_an_override_needs_a_reason_and_ends_by_itself(
    qtbot: QtBot, dock: SamplingDock, sink: RecordingSink
) -> None:
    dock.cards[1].override_asked.emit(dock.cards[1].rule)
    dialog = dock.findChild(OverrideDialog)
    assert dialog.match.text() == "class=training"
    assert not dialog.begin.isEnabled()
    dialog.owner.setText("ada")
    dialog.reason.setText("a bug in training")
    dialog.duration.setCurrentText("15 min")
    qtbot.mouseClick(dialog.begin, Qt.MouseButton.LeftButton)
    request = sink.sent[-1].request
    assert (request.rule.id, request.rule.mission_class) == ("override-1", "training")
    assert (request.rule.rate, request.seconds) == (1.0, 900)
    assert (request.change.actor, request.change.reason) == ("ada", "a bug in training")
    assert sink.sent[-1].undo.method == "Sampling.Revert"


def test_a_preview_draws_now_and_then_and_lists_what_flips(
    qtbot: QtBot, dock: SamplingDock, sink: RecordingSink
) -> None:
    dock.cards[1].slider.setValue(stop_of(0.05))
    qtbot.waitUntil(lambda: any(c.method == "Sampling.Preview" for c in sink.sent))
    example = PreviewExample(trace_id="a" * 32, name="train", kept_now=True, rule_id="training")
    sink.answer(
        SamplingPreview(
            traces=900,
            kept_now=800,
            kept_then=40,
            kept_then_low=30,
            kept_then_high=50,
            spans_now=8000,
            spans_then=400,
            bytes_now=1 << 20,
            bytes_then=1 << 16,
            flagged_lost=2,
            examples=(example,),
            unmatched=("critical",),
        )
    )
    panel = dock.preview_panel
    assert "30 to 50" in panel.text.text()
    assert "1.0 MiB now, 64.0 KiB then" in panel.bars.accessibleDescription()
    assert "2 with an error or flag" in panel.warnings.text()
    assert "fits no trace" in dock.cards[0].live.text()
    panel.flips.click()
    assert "would be lost" in panel.examples.item(0).text()
    with qtbot.waitSignal(dock.trace_asked) as asked:
        panel.examples.itemActivated.emit(panel.examples.item(0))
    assert asked.args == ["a" * 32, True]


def test_a_preview_that_fails_says_so_in_its_place(
    qtbot: QtBot, dock: SamplingDock, sink: RecordingSink
) -> None:
    dock.cards[1].slider.setValue(stop_of(0.05))
    qtbot.waitUntil(lambda: any(c.method == "Sampling.Preview" for c in sink.sent))
    assert sink.sent[-1].quiet
    sink.answer(error=InvalidRequest("too many minutes"))
    assert dock.preview.text() == "No preview: too many minutes"


def test_a_rule_is_shown_by_its_id(dock: SamplingDock) -> None:
    assert dock.show_rule("training")
    assert not dock.show_rule("nobody")

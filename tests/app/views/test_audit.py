"""The Audit dock: an entry's diff, the chain, older pages, the moment of a change."""

import json
from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.commands import RecordingSink
from app.store import FleetStore
from app.theme import Theme
from app.views.audit import AuditDock
from citadel.wire.columns import pack
from citadel.wire.messages import AuditReply
from citadel.wire.topics import TOPICS

Tables = Callable[..., dict]
ENTRY = {
    "seq": 9,
    "time_ns": 1_800_000_000_000_000_000,
    "actor": "ada",
    "action": "sampling.apply",
    "subject": "sampling",
    "before": json.dumps({"rules": [{"id": "training", "rate": 0.1}]}),
    "after": json.dumps({"rules": [{"id": "training", "rate": 0.5}]}),
    "reason": "a bug in training",
    "hash": "abc",
}


@pytest.fixture
def dock(
    qtbot: QtBot, store: FleetStore, theme: Theme, sink: RecordingSink, tables: Tables
) -> AuditDock:
    made = AuditDock(store, theme, sink)
    qtbot.addWidget(made)
    store.connection.state = "live"
    store.apply(tables("audit", ENTRY))
    made.resize(1200, 300)
    made.show()
    made.refresh(1)
    return made


def page(*seqs: int) -> AuditReply:
    columns = TOPICS["audit"].columns
    entries = [[(ENTRY | {"seq": seq})[name] for name in columns] for seq in seqs]
    return AuditReply(entries=pack("audit", entries), chain_intact=True)


def test_an_entry_is_told_with_what_differs(dock: AuditDock) -> None:
    assert "Choose an entry" in dock.detail.text.toPlainText()
    dock.panel.table.select_row(0)
    told = dock.detail.text.toPlainText()
    assert "ada sampling.apply sampling" in told
    assert "a bug in training" in told
    assert "rules.training.rate" in told
    assert "− 0.1" in told
    assert "+ 0.5" in told
    dock.detail.copy.click()
    copied = json.loads(QApplication.clipboard().text())
    assert copied["after"]["rules"][0]["rate"] == 0.5


def test_the_chain_is_checked_when_the_trail_grows(
    dock: AuditDock, sink: RecordingSink, store: FleetStore
) -> None:
    sink.answer(AuditReply(chain_intact=True))
    assert "intact" in dock.chain.text()
    dock.refresh(2)
    assert len(sink.sent) == 1
    store.audit.total += 1
    dock.refresh(3)
    sink.answer(AuditReply(chain_intact=False))
    assert "BROKEN" in dock.chain.text()
    assert dock.chain.property("role") == "error"


def test_older_entries_come_a_page_at_a_time(
    qtbot: QtBot, dock: AuditDock, sink: RecordingSink
) -> None:
    assert not dock.older.isHidden()
    dock.older.click()
    assert sink.sent[-1].request.before == 9
    sink.answer(page(6, 7, 8))
    shown = dock.panel.table.filtered
    assert [shown.index(row, 0).data() for row in range(4)] == ["9", "8", "7", "6"]
    dock.older.click()
    assert sink.sent[-1].request.before == 6
    sink.answer(page(1, 2, 3, 4, 5))
    assert shown.rowCount() == 9
    assert dock.older.isHidden(), "the first entry is here"


def test_the_moment_of_a_change_is_asked_for(qtbot: QtBot, dock: AuditDock) -> None:
    dock.panel.table.select_row(0)
    with qtbot.waitSignal(dock.moment_asked) as asked:
        qtbot.mouseClick(dock.detail.jump, Qt.MouseButton.LeftButton)
    assert asked.args == [ENTRY["time_ns"]]

"""Why is this missing: the dialog, and the ways that lead to it."""

from collections.abc import Callable

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QShortcut
from PySide6.QtWidgets import QApplication, QLabel, QWidget
from pytestqt.qtbot import QtBot

from app.commands import RecordingSink
from app.models import whystory
from app.store import FleetStore
from app.theme import Theme
from app.views.logs import EventsDock
from app.views.why import WhyDialog
from citadel.errors import Unavailable
from citadel.wire.messages import WhyReply

Tables = Callable[..., dict]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
DROPPED = WhyReply(
    trace_id=TRACE,
    fate="dropped",
    cause="rule",
    explanation="Rule training keeps 10 % of such traces, and this one not",
    rule_id="training",
    revision=7,
    actor="ada",
    randomness=2**54,
    threshold=2**55,
    mission_class="training",
    name="train",
)


@pytest.fixture
def parent(qtbot: QtBot) -> QWidget:
    made = QWidget()
    qtbot.addWidget(made)
    made.show()
    return made


def test_it_asks_at_once_and_tells_the_story(
    qtbot: QtBot, parent: QWidget, theme: Theme, sink: RecordingSink
) -> None:
    dialog = WhyDialog(parent, theme, sink, TRACE)
    dialog.open()
    assert sink.sent[0].request.trace_id == TRACE
    assert "Asking" in dialog.title.text()
    sink.answer(DROPPED)
    assert dialog.title.text() == "It was not kept"
    assert "training keeps 10 %" in dialog.explanation.text()
    assert "25 % < the threshold 50 %" in dialog.bar.accessibleDescription()
    assert any(found.text() == "ada" for found in dialog.findChildren(QLabel))
    assert not dialog.see.isVisible(), "there is nothing to open"
    dialog.copy.click()
    assert "training" in QApplication.clipboard().text()
    with qtbot.waitSignal(dialog.keep_asked) as asked:
        qtbot.mouseClick(dialog.keep, Qt.MouseButton.LeftButton)
    assert asked.args[0] == whystory.such_traces(DROPPED)


def test_a_kept_trace_can_be_opened(
    qtbot: QtBot, parent: QWidget, theme: Theme, sink: RecordingSink
) -> None:
    dialog = WhyDialog(parent, theme, sink, TRACE)
    dialog.open()
    sink.answer(WhyReply(trace_id=TRACE, fate="kept", cause="default", revision=1))
    assert not dialog.keep.isVisible()
    assert not dialog.bar.isVisible()
    with qtbot.waitSignal(dialog.trace_asked) as asked:
        qtbot.mouseClick(dialog.see, Qt.MouseButton.LeftButton)
    assert asked.args == [TRACE]


def test_an_id_is_typed_and_only_the_last_answer_counts(
    qtbot: QtBot, parent: QWidget, theme: Theme, sink: RecordingSink
) -> None:
    dialog = WhyDialog(parent, theme, sink)
    dialog.open()
    assert not sink.sent
    dialog.id.setText("nonsense")
    assert not dialog.ask.isEnabled()
    dialog.id.setText("python-00012f")
    dialog.run()
    assert sink.sent[-1].request.command_id == "python-00012f"
    dialog.id.setText(TRACE)
    dialog.run()
    sink.answer(DROPPED, ticket=1)
    assert "Asking" in dialog.title.text()
    sink.answer(error=Unavailable("no engine is connected", remedy="Connect first"))
    assert "Connect first" in dialog.explanation.text()
    assert dialog.ask.isEnabled()


def test_a_row_with_a_trace_offers_both(
    qtbot: QtBot, store: FleetStore, theme: Theme, tables: Tables
) -> None:
    dock = EventsDock(store, theme)
    qtbot.addWidget(dock)
    store.apply(tables("event", {"name": "x", "severity": "info", "trace_hi": 5, "trace_lo": 6}))
    dock.refresh(1)
    dock.show()
    dock.panel.table.select_row(0)
    menu = dock.menu.show_at(QPoint(4, 4))
    with qtbot.waitSignal(dock.menu.why_asked) as asked:
        menu.actions()[1].trigger()
    menu.hide()
    assert asked.args == [f"{5:016x}{6:016x}"]
    with qtbot.waitSignal(dock.menu.trace_asked):
        dock.panel.table.findChild(QShortcut).activated.emit()

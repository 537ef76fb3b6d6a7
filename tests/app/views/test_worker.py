"""A worker in the Inspector: its life, its curve, its output, from both sources, in any state."""

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QMessageBox, QPushButton
from pytestqt.qtbot import QtBot

from app.commands import RecordingSink
from app.models.lives import POINTS
from app.store import FleetStore
from app.theme import Theme, load
from app.views.inspector import Inspector
from app.views.worker.chart import nice_bytes
from app.views.worker.output import MOST_LINES
from citadel.errors import NotFound
from citadel.wire.messages import MemoryPoint, StateChange, WorkerDetail, WorkerStatus

Tables = Callable[..., dict]
LEFT = Qt.MouseButton.LeftButton
SECOND = 1_000_000_000
NOW = 1_800_000_000 * SECOND
MIB = 1 << 20


def worker(second: int, state: str = "busy", **fields: object) -> dict:
    time_ns = NOW + second * SECOND
    return {
        "pool": "p",
        "id": "p-1",
        "pid": 11,
        "state": state,
        "rss_bytes": (40 + second) * MIB,
        "pss_bytes": 20 * MIB,
        "cpu": 0.5,
        "done": 3,
        "failed": 1,
        "tool": "parse",
        "command_id": "c-7",
        "running": 1,
        "started_ns": NOW,
        "since_ns": time_ns,
        "time_ns": time_ns,
    } | fields


def line(text: str, subject: str = "p-1") -> dict:
    return {"time_ns": NOW, "name": "worker.output", "subject": subject, "message": text}


@pytest.fixture
def inspector(
    qtbot: QtBot, store: FleetStore, theme: Theme, sink: RecordingSink, tables: Tables
) -> Inspector:
    made = Inspector(store, theme, sink)
    qtbot.addWidget(made)
    store.connection.state = "live"
    store.apply(
        tables("worker", *(worker(second) for second in range(1, 20)))
        | tables("event", line("one"), line("of another", "p-2"), line("two"))
    )
    made.resize(424, 760)
    made.show()
    made.inspect("worker", store.workers["p", "p-1"])
    made.refresh(NOW + 20 * SECOND)
    return made


def detail(**fields: object) -> WorkerDetail:
    return WorkerDetail(pool="p", status=WorkerStatus(id="p-1"), **fields)  # type: ignore[arg-type]


def test_what_it_does_is_said(inspector: Inspector) -> None:
    panel = inspector.worker
    assert inspector.pages.currentWidget() is panel
    assert panel.state.text() == "busy"
    assert panel.facts.text("Runs") == "parse (c-7)"
    assert panel.facts.text("Commands") == "3 done, 1 failed"
    assert panel.facts.text("Memory") == "59.0 MiB resident, 20.0 MiB its share"
    assert panel.facts.text("Heartbeats") == ""
    assert panel.facts.text("Ended") == ""


def test_troubles_are_said(inspector: Inspector, store: FleetStore, tables: Tables) -> None:
    store.apply(tables("worker", worker(20, missed=2, taint="resident memory over 256 MiB")))
    inspector.refresh(NOW + 20 * SECOND)
    facts = inspector.worker.facts
    assert facts.text("Heartbeats") == "2 in a row did not come"
    assert facts.text("To be replaced") == "resident memory over 256 MiB"


def test_the_past_is_asked_for_and_joined(inspector: Inspector, sink: RecordingSink) -> None:
    panel = inspector.worker
    assert sink.sent[-1].method == "Pools.InspectWorker"
    assert panel.note.text() == "Asking the engine for its past…"
    assert panel.output.text.toPlainText() == "one\ntwo"
    sink.answer(
        detail(
            output=("zero", "one", "two"),
            history=(
                StateChange(
                    state="starting", since_unix_nanos=NOW - 5 * SECOND, cause="a spare was wanted"
                ),
            ),
            memory=(MemoryPoint(time_unix_nanos=NOW - 4 * SECOND, rss_bytes=30 * MIB),),
        )
    )
    assert panel.note.isHidden()
    assert panel.output.text.toPlainText() == "zero\none\ntwo"
    assert [row["state"] for row in panel.steps._rows] == ["starting", "ready and busy"]
    assert panel.steps.index(0, 3).data() == "a spare was wanted"
    assert panel.steps.index(0, 2).data() == "6.0 s"
    curve = panel.chart.seen.curve
    assert curve is not None
    assert curve.rss[0] == 30 * MIB
    assert panel.chart.seen.start_ns == NOW - 5 * SECOND


def test_an_error_says_what_is_shown_instead_and_can_be_asked_again(
    inspector: Inspector, qtbot: QtBot, sink: RecordingSink
) -> None:
    panel = inspector.worker
    sink.answer(error=NotFound("pool p has no worker p-1"))
    assert panel.note.text() == "Only what this window saw is shown: pool p has no worker p-1"
    assert panel.again.isVisible()
    qtbot.mouseClick(panel.again, LEFT)
    assert [command.method for command in sink.sent] == ["Pools.InspectWorker"] * 2
    assert sink.sent[-1].quiet, "the panel says it; no notice on top"


def test_a_reply_for_another_worker_is_left_aside(
    inspector: Inspector, sink: RecordingSink, store: FleetStore, tables: Tables
) -> None:
    store.apply(tables("worker", worker(1, id="p-2")))
    inspector.inspect("worker", store.workers["p", "p-2"])
    sink.answer(detail(output=("of p-1",)), ticket=1)
    assert inspector.worker.output.text.toPlainText() == "of another"


def test_output_is_followed_and_bounded(
    inspector: Inspector, store: FleetStore, tables: Tables
) -> None:
    text = inspector.worker.output.text
    store.apply(tables("event", *(line(f"line {n}") for n in range(MOST_LINES + 50))))
    inspector.refresh(NOW)
    assert text.blockCount() <= MOST_LINES
    assert text.toPlainText().endswith(f"line {MOST_LINES + 49}")
    bar = text.verticalScrollBar()
    assert bar.value() == bar.maximum(), "it follows the end"
    bar.setValue(0)
    store.apply(tables("event", line("newest")))
    inspector.refresh(NOW)
    assert bar.value() < bar.maximum(), "it stays where it is read"


def test_output_is_searched(inspector: Inspector, qtbot: QtBot, store: FleetStore) -> None:
    panel = inspector.worker
    panel.tabs.setCurrentIndex(1)
    inspector.focus_filter()
    output = panel.output
    assert panel.tabs.currentIndex() == 0
    output.query.setText("o")
    assert output.count.text() == "2"
    qtbot.keyClick(output.query, Qt.Key.Key_Return)
    qtbot.keyClick(output.query, Qt.Key.Key_Return)
    assert output.count.text() == "2 of 2"
    assert output.text.textCursor().selectedText() == "o"
    qtbot.mouseClick(output.before, LEFT)
    assert output.count.text() == "1 of 2"
    output.query.setText("nothing")
    assert output.count.text() == "none"
    assert not output.after.isEnabled()


def test_how_it_ended_stays(
    inspector: Inspector, store: FleetStore, sink: RecordingSink, tables: Tables
) -> None:
    gone = worker(25, "lost", cause="killed by SIGSEGV", running=0, command_id="", tool="")
    store.apply(tables("worker", gone, worker(25, "gone")))
    assert ("p", "p-1") not in store.workers
    sink.answer(detail(ended="signal 11 (SIGSEGV)"))
    inspector.refresh(NOW + 90 * SECOND)
    panel = inspector.worker
    assert panel.state.text() == "lost"
    assert panel.since.text() == "1 min ago · killed by SIGSEGV"
    assert panel.facts.text("Ended") == "signal 11 (SIGSEGV)"
    assert not panel.kill.isEnabled()
    end = panel.chart.seen.end_ns
    assert NOW + 25 * SECOND <= end < NOW + 27 * SECOND, "the curve stops where it ended"
    assert "lost" in panel.chart.as_text()


def test_it_is_killed_in_place_after_a_question(
    inspector: Inspector, qtbot: QtBot, sink: RecordingSink
) -> None:
    panel = inspector.worker
    qtbot.mouseClick(panel.recycle, LEFT)
    assert sink.sent[-1].method == "Pools.Recycle"
    qtbot.mouseClick(panel.kill, LEFT)
    box = panel.findChild(QMessageBox)
    assert isinstance(box, QMessageBox)
    assert "Its command parse fails" in box.informativeText()
    qtbot.mouseClick(box.findChild(QPushButton, "confirm-do"), LEFT)
    assert sink.sent[-1].method == "Pools.KillWorker"


def test_nothing_is_done_without_an_engine(inspector: Inspector, store: FleetStore) -> None:
    store.connection.state = "reconnecting"
    inspector.refresh(NOW)
    assert not inspector.worker.kill.isEnabled()
    assert not inspector.worker.recycle.isEnabled()


def test_the_chart_draws_a_bounded_number_of_shapes(
    inspector: Inspector, store: FleetStore, tables: Tables
) -> None:
    rows = [worker(s, "busy" if s % 2 else "ready") for s in range(20, 12_000)]
    store.apply(tables("worker", *rows))
    inspector.refresh(NOW + 12_000 * SECOND)
    chart = inspector.worker.chart
    chart.grab()
    assert 0 < chart.drawn <= chart.width() + 3 * (POINTS + 2)


@pytest.mark.parametrize("name", ["dark", "light"])
def test_it_is_drawn_in_both_themes_and_read_by_keys(
    inspector: Inspector, qtbot: QtBot, name: str
) -> None:
    inspector.set_theme(load(name))
    chart = inspector.worker.chart
    assert not chart.grab().isNull()
    assert "resident 59.0 MiB" in chart.accessibleDescription()
    press = QKeyEvent(QKeyEvent.Type.KeyPress, Qt.Key.Key_Left, Qt.KeyboardModifier.NoModifier)
    chart.keyPressEvent(press)
    assert "RSS" in chart.reading()
    assert "busy" in chart.reading()
    assert "CPU 50 %" in chart.accessibleDescription()
    qtbot.keyClick(chart, Qt.Key.Key_Escape)


def test_a_stretch_is_chosen(inspector: Inspector, qtbot: QtBot) -> None:
    panel = inspector.worker
    minute = panel.stretches.buttons()[0]
    qtbot.mouseClick(minute, LEFT)
    seen = panel.chart.seen
    assert seen.end_ns - seen.start_ns == 60 * SECOND


def test_a_worker_of_which_nothing_is_known_is_said_to_have_no_measure(
    inspector: Inspector, store: FleetStore, tables: Tables
) -> None:
    store.apply(tables("worker", worker(1, "starting", id="p-9", rss_bytes=0, pss_bytes=0)))
    inspector.inspect("worker", store.workers["p", "p-9"])
    inspector.refresh(NOW + 2 * SECOND)
    panel = inspector.worker
    assert panel.facts.text("Memory") == "not measured yet"
    assert panel.output.text.toPlainText() == ""
    assert not panel.chart.grab().isNull()


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1024), (900, 1024), (104 * MIB, 120 * MIB), (1024 * MIB, 1024 * MIB)]
)
def test_the_scale_is_round(value: float, top: float) -> None:
    assert nice_bytes(value) == top

"""A pool in the Inspector: its facts, its queue by priority over time, what can be done to it."""

from collections.abc import Callable

import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QMessageBox, QPushButton
from pytestqt.qtbot import QtBot

from app.commands import RecordingSink
from app.store import FleetStore
from app.theme import Theme, load
from app.views.inspector import Inspector
from app.views.pool import PoolPanel

Tables = Callable[..., dict]
LEFT = Qt.MouseButton.LeftButton
SECOND = 1_000_000_000
NOW = 1_800_000_000 * SECOND
POOL = {
    "name": "p",
    "state": "serving",
    "adapter": "a:B",
    "size": 3,
    "min_size": 2,
    "max_size": 8,
    "queue_limit": 100,
    "queue_wait": 0.25,
    "breaker": "open",
    "sessions": 2,
    "retried": 4,
    "slab_bytes": 1 << 20,
    "slab_used_bytes": 1 << 19,
}


def row(back: int, urgent: int, normal: int, later: int, **fields: object) -> dict:
    return {
        **POOL,
        "time_ns": NOW - back * SECOND + SECOND // 2,
        "queued": urgent + normal + later,
        "queued_urgent": urgent,
        "queued_normal": normal,
        "queued_later": later,
        "done": 100 - back,
        **fields,
    }


@pytest.fixture
def inspector(
    qtbot: QtBot, store: FleetStore, theme: Theme, sink: RecordingSink, tables: Tables
) -> Inspector:
    made = Inspector(store, theme, sink)
    qtbot.addWidget(made)
    store.connection.state = "live"
    store.apply(tables("pool", row(30, 6, 20, 9), row(20, 0, 3, 0), row(10, 1, 4, 2)))
    made.resize(424, 760)
    made.show()
    made.inspect("pool", store.pools["p"])
    made.refresh(NOW)
    return made


def test_how_it_stands_is_said(inspector: Inspector) -> None:
    panel: PoolPanel = inspector.pool
    assert inspector.pages.currentWidget() is panel
    assert inspector.title.text() == "Pool p"
    facts = panel.facts
    assert "between 2 and 8" in facts.text("Workers")
    assert facts.text("Queue").startswith("7 of 100 wait: 1 urgent, 4 normal, 2 later")
    assert facts.text("Wait") == "250 ms in the queue, the median"
    assert facts.text("Breaker") == "open"
    assert facts.text("Commands") == "90 done"
    assert facts.text("Taken care of") == "4 retried"
    assert facts.text("Keeps") == "2 sessions"
    assert facts.text("Shared memory") == "512.0 KiB of 1.0 MiB, 0 leases out"
    assert facts.text("Trouble") == ""


def test_its_trouble_comes_first(inspector: Inspector, store: FleetStore, tables: Tables) -> None:
    store.apply(tables("pool", row(1, 0, 0, 0, state="failed", error="the adapter did not import")))
    inspector.refresh(NOW)
    assert inspector.pool.state.text() == "failed"
    assert inspector.pool.facts.text("Trouble") == "the adapter did not import"


def test_the_queue_is_stacked_over_time(inspector: Inspector) -> None:
    chart = inspector.pool.queue
    assert {name: values.max() for name, values in chart.values.items()} == {
        "urgent": 6,
        "normal": 20,
        "later": 9,
    }
    assert chart.as_text() == "1 urgent, 4 normal, 2 later"
    assert chart.accessibleDescription() == chart.as_text()


@pytest.mark.parametrize("name", ["dark", "light"])
def test_it_is_drawn_in_both_themes(inspector: Inspector, name: str) -> None:
    theme = load(name)
    inspector.set_theme(theme)
    chart = inspector.pool.queue
    picture = chart.grab().toImage()
    place = QPointF(chart.x_of(NOW - 25 * SECOND), chart.plot().bottom() - 3)
    seen = QColor(picture.pixel(place.toPoint()))
    wanted = QColor(theme.priority("urgent"))
    assert abs(seen.hslHueF() - wanted.hslHueF()) < 0.05, "what is urgent lies at the bottom"


def test_a_stretch_is_chosen(inspector: Inspector, qtbot: QtBot) -> None:
    panel = inspector.pool
    qtbot.mouseClick(panel.stretches.buttons()[-1], LEFT)
    assert panel.axis.seconds == 900
    assert len(panel.queue.values["urgent"]) == 300, "a bounded number of columns"


def test_it_is_drained_in_place_after_a_question(
    inspector: Inspector, qtbot: QtBot, sink: RecordingSink, store: FleetStore
) -> None:
    panel = inspector.pool
    assert not panel.buttons["Resume the pool"].isEnabled()
    qtbot.mouseClick(panel.buttons["Drain the pool…"], LEFT)
    box = panel.findChild(QMessageBox)
    assert isinstance(box, QMessageBox)
    assert "7 queued still run" in box.informativeText()
    qtbot.mouseClick(box.findChild(QPushButton, "confirm-do"), LEFT)
    assert sink.sent[-1].request.state == "draining"
    store.connection.state = "lost"
    inspector.refresh(NOW)
    assert not any(made.isEnabled() for made in panel.buttons.values())


def test_poison_and_sessions_are_inspected_as_fields(
    inspector: Inspector, store: FleetStore, sink: RecordingSink, tables: Tables
) -> None:
    session = {"pool": "p", "key": "ada", "state": "open", "variables": '{"step": 3}'}
    poison = {"pool": "p", "fingerprint": "9f", "state": "counted", "tool": "parse"}
    store.apply(tables("session", session) | tables("poison", poison))
    inspector.inspect("session", store.sessions["p", "ada"])
    assert inspector.title.text() == "Session ada"
    assert '"step": 3' in inspector.text.toPlainText()
    inspector.inspect("poison", store.poison["p", "9f"])
    assert sink.sent[-1].method == "Pools.ListPoison"
    sink.answer(None)
    assert "somebody released it" in inspector.text.toPlainText()

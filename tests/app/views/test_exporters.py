"""The Exporters and Incidents docks, with a sink that is answered by hand."""

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLineEdit, QMessageBox, QPushButton
from pytestqt.qtbot import QtBot

from app.commands import RecordingSink
from app.models.exports import headers_of
from app.store import FleetStore
from app.theme import Theme
from app.views.exporterdialog import ExporterDialog
from app.views.exporters import ExportersDock
from app.views.incidents import IncidentsDock
from citadel.errors import InvalidRequest
from citadel.wire import messages as wire
from citadel.wire.messages import (
    ExporterConfig,
    ExporterStatus,
    ListExportersReply,
)

Tables = Callable[..., dict]
LEFT = Qt.MouseButton.LeftButton
CONFIG = ExporterConfig(
    name="main", preset="honeycomb", endpoint="https://api.honeycomb.io", headers={"x": "••••"}
)
ROW = {
    "name": "main",
    "state": "retrying",
    "preset": "honeycomb",
    "endpoint": "https://api.honeycomb.io",
    "signals": '["traces"]',
    "revision": 2,
    "queued": 40,
    "sent": 900,
    "dropped": '{"unreachable": 7, "rejected": 0}',
    "error": "401: no such key",
}


@pytest.fixture
def dock(
    qtbot: QtBot, store: FleetStore, theme: Theme, sink: RecordingSink, tables: Tables
) -> ExportersDock:
    made = ExportersDock(store, theme, sink)
    qtbot.addWidget(made)
    store.connection.state = "live"
    store.apply(tables("exporter", ROW))
    made.resize(1200, 300)
    made.show()
    made.refresh(1)
    sink.answer(ListExportersReply(revision=2, exporters=(ExporterStatus(config=CONFIG),)))
    return made


def cells(dock: ExportersDock | IncidentsDock) -> list[str]:
    filtered = dock.panel.table.filtered
    return [str(filtered.index(0, at).data()) for at in range(filtered.columnCount())]


def test_it_shows_how_an_exporter_stands(dock: ExportersDock, sink: RecordingSink) -> None:
    shown = cells(dock)
    assert shown[:4] == ["main", "retrying", "https://api.honeycomb.io", "traces"]
    assert "7 unreachable" in shown
    assert "401: no such key" in shown
    assert not dock.buttons["edit"].isEnabled(), "nothing is chosen"
    dock.panel.table.select_row(0)
    assert dock.buttons["edit"].isEnabled()
    dock.refresh(2)
    assert [c.method for c in sink.sent] == ["Exporters.List"], "asked again only when it changed"


def test_without_exporters_it_says_what_to_do(
    qtbot: QtBot, store: FleetStore, theme: Theme, sink: RecordingSink
) -> None:
    empty = ExportersDock(store, theme, sink)
    qtbot.addWidget(empty)
    empty.show()
    empty.refresh(1)
    assert empty.panel.empty.isVisible()
    assert not sink.sent


def test_pause_and_remove_ask_first_and_say_what_they_cost(
    qtbot: QtBot, dock: ExportersDock, sink: RecordingSink
) -> None:
    dock.panel.table.select_row(0)
    dock.pause()
    dock.remove()
    pause, remove = dock.findChildren(QMessageBox)
    assert "queue's limit" in pause.informativeText()
    assert "40 rows wait" in remove.informativeText()
    qtbot.mouseClick(pause.findChild(QPushButton, "confirm-do"), LEFT)
    assert sink.sent[-1].request.config.paused
    assert sink.sent[-1].undo is not None
    qtbot.mouseClick(remove.findChild(QPushButton, "confirm-do"), LEFT)
    assert sink.sent[-1].request.name == "main"


def test_a_test_tells_what_came_back(
    qtbot: QtBot, dock: ExportersDock, sink: RecordingSink
) -> None:
    dock.panel.table.select_row(0)
    with qtbot.waitSignal(dock.told) as said:
        dock.test()
        sink.answer(
            wire.TestExporterReply(ok=False, status="401 Unauthorized", remedy="Give a key")
        )
    assert said.args[0].level == "error"
    assert "Give a key" in said.args[0].text


def test_a_preset_fills_in_the_endpoint_and_the_header_of_the_key(
    qtbot: QtBot, dock: ExportersDock, sink: RecordingSink
) -> None:
    dialog = dock.add()
    assert not dialog.save.isEnabled()
    dialog.preset.setCurrentIndex(dialog.preset.findData("datadog"))
    assert dialog.name.text() == "datadog"
    assert not dialog.signal_boxes["metrics"].isEnabled(), "the preset does not take them"
    dialog.key.setText("s3cret")
    assert dialog.key.echoMode() == QLineEdit.EchoMode.Password
    dialog.options.setText("site=datadoghq.eu")
    dialog.run_test()
    config = sink.sent[-1].request.config
    assert sink.sent[-1].method == "Exporters.Test"
    assert config.endpoint == "https://otlp.datadoghq.eu"
    assert config.headers["dd-api-key"] == "s3cret"
    sink.answer(
        wire.TestExporterReply(ok=True, status="200 OK", trace_id="ab", endpoint="https://x")
    )
    assert "200 OK" in dialog.answer.text()
    dialog.apply()
    sink.answer(error=InvalidRequest("no", remedy="another name"))
    assert dialog.isVisible()
    assert "another name" in dialog.answer.text()
    dialog.apply()
    sink.answer(ExporterStatus(config=config))
    assert not dialog.isVisible()


def test_what_cannot_be_read_is_said_and_not_sent(
    qtbot: QtBot, dock: ExportersDock, sink: RecordingSink
) -> None:
    dialog = dock.add()
    dialog.name.setText("x")
    dialog.endpoint.setText("http://localhost:4318")
    dialog.headers.setPlainText("no colon")
    sent = len(sink.sent)
    dialog.apply()
    assert len(sink.sent) == sent
    assert "not name: value" in dialog.answer.text()
    dialog.preset.setCurrentIndex(dialog.preset.findData("grafana"))
    dialog.headers.setPlainText("")
    dialog.key.setText("k")
    dialog.apply()
    assert "instance" in dialog.answer.text(), "what the preset lacks"


def test_a_change_keeps_what_the_engine_masked(dock: ExportersDock, sink: RecordingSink) -> None:
    dock.panel.table.select_row(0)
    dialog = dock.edit()
    assert isinstance(dialog, ExporterDialog)
    assert not dialog.name.isEnabled()
    dialog.signal_boxes["logs"].setChecked(True)
    dialog.apply()
    config = sink.sent[-1].request.config
    assert config.headers == CONFIG.headers
    assert config.signals == ("traces", "logs")


def test_headers_are_lines() -> None:
    assert headers_of("X-Key: a:b\n\n y : z") == {"x-key": "a:b", "y": "z"}


def test_incidents_show_their_trigger_and_recordings_start_and_stop(
    qtbot: QtBot, store: FleetStore, theme: Theme, sink: RecordingSink, tables: Tables
) -> None:
    dock = IncidentsDock(store, theme, sink)
    qtbot.addWidget(dock)
    store.connection.state = "live"
    dock.show()
    dock.refresh(1)
    assert dock.panel.empty.isVisible()
    dock.start()
    assert sink.sent[-1].request.before_seconds == 30
    incident = {
        "name": "i1",
        "kind": "incident",
        "state": "done",
        "trigger": "crash",
        "cause": "python-1 was killed",
        "since_ns": 10**18,
        "until_ns": 10**18 + 40 * 10**9,
        "bytes": 2048,
    }
    running = {"name": "r1", "kind": "recording", "state": "recording", "since_ns": 10**18}
    store.apply(tables("recording", incident, running))
    dock.refresh(2)
    assert dock.panel.table.filtered.rowCount() == 2
    shown = cells(dock)
    assert "python-1 was killed" in shown
    assert "40.0 s" in shown
    qtbot.mouseClick(dock.buttons["stop"], LEFT)
    assert sink.sent[-1].request.name == "r1"
    dock.panel.table.select_row(0)
    dock.remove()
    box = dock.findChild(QMessageBox)
    assert "for good" in box.informativeText()

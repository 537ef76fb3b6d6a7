"""The Fleet tables: sort, filter, and actions that fit the row that is selected."""

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.commands import RecordingSink
from app.store import FleetStore
from app.theme import Theme
from app.views.fleet import FleetView
from app.views.results import ResultsDialog
from citadel.wire.columns import pack
from citadel.wire.messages import MissionKind, MissionKindList, MissionResult, MissionStatus

Tables = Callable[..., dict]
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def fleet(
    qtbot: QtBot, store: FleetStore, theme: Theme, sink: RecordingSink, tables: Tables
) -> FleetView:
    made = FleetView(store, theme, sink)
    qtbot.addWidget(made)
    store.connection.state = "live"
    store.apply(
        tables("pool", {"name": "python", "state": "serving", "size": 2, "queue_limit": 8})
        | tables(
            "worker",
            {"pool": "python", "id": "python-1", "state": "busy", "pid": 11},
            {"pool": "python", "id": "python-2", "state": "lost", "pid": 12},
        )
        | tables(
            "sentinel",
            {"id": "s/planner", "behaviour": "planner", "state": "idle"},
            {"id": "s/critic", "behaviour": "critic", "state": "quarantined"},
        )
        | tables(
            "mission",
            {"id": "m1", "name": "one", "kind": "survey", "state": "running", "rate": 20.0},
            {"id": "m2", "name": "two", "kind": "survey", "state": "finished"},
        )
    )
    made.resize(1200, 700)
    made.show()
    made.refresh(1)
    return made


def test_all_that_runs_is_listed(fleet: FleetView) -> None:
    counts = {name: panel.table.filtered.rowCount() for name, panel in fleet.panels.items()}
    assert counts == {"pool": 1, "worker": 2, "sentinel": 2, "mission": 2}


def test_actions_fit_the_row(fleet: FleetView) -> None:
    kill = fleet.workers.buttons["Kill the worker"]
    assert not kill.isEnabled(), "nothing is selected"
    fleet.workers.table.select_row(0)
    assert kill.isEnabled()
    fleet.workers.table.select_row(1)
    assert not kill.isEnabled(), "a lost worker cannot be killed"


@pytest.mark.parametrize(
    ("panel", "row", "action", "method"),
    [
        ("worker", 0, "Kill the worker", "Pools.KillWorker"),
        ("worker", 0, "Recycle the worker", "Pools.Recycle"),
        ("pool", 0, "One worker more", "Pools.Resize"),
        ("pool", 0, "One worker less", "Pools.Resize"),
        ("pool", 0, "Recycle all workers", "Pools.Recycle"),
        ("sentinel", 1, "Stop the Sentinel", "Sentinels.Stop"),
        ("sentinel", 0, "Restart the Sentinel", "Sentinels.Restart"),
        ("mission", 0, "Cancel the mission", "Missions.Cancel"),
    ],
)
def test_each_action_sends_its_command(
    fleet: FleetView,
    qtbot: QtBot,
    sink: RecordingSink,
    panel: str,
    row: int,
    action: str,
    method: str,
) -> None:
    fleet.panels[panel].table.select_row(row)
    qtbot.mouseClick(fleet.panels[panel].buttons[action], LEFT)
    assert [command.method for command in sink.sent] == [method]
    assert sink.sent[0].changes


def test_a_resize_can_be_undone(fleet: FleetView, qtbot: QtBot, sink: RecordingSink) -> None:
    fleet.pools.table.select_row(0)
    qtbot.mouseClick(fleet.pools.buttons["One worker more"], LEFT)
    command = sink.sent[0]
    assert command.request.size == 3
    assert command.undo is not None
    assert command.undo.request.size == 2


def test_a_selected_row_is_inspected(fleet: FleetView, qtbot: QtBot) -> None:
    with qtbot.waitSignal(fleet.inspected) as signal:
        fleet.workers.table.select_row(0)
    assert signal.args[0] == "worker"
    assert signal.args[1]["pid"] == 11


def test_the_selection_survives_a_refresh(
    fleet: FleetView, store: FleetStore, tables: Tables
) -> None:
    fleet.workers.table.select_row(0)
    store.apply(tables("worker", {"pool": "python", "id": "python-0", "state": "starting"}))
    fleet.refresh(2)
    selected = fleet.workers.table.selected()
    assert selected is not None
    assert selected["id"] == "python-1"


def test_a_filter_counts_what_it_shows(fleet: FleetView, qtbot: QtBot) -> None:
    qtbot.keyClicks(fleet.sentinels.filter, "quarantined")
    assert fleet.sentinels.count.text() == "1 of 2"


def test_a_row_is_copied_as_text(fleet: FleetView, qapp: QApplication) -> None:
    fleet.workers.table.select_row(0)
    fleet.workers.table.copy_selected()
    text = qapp.clipboard().text()
    assert text.split("\t")[:3] == ["python-1", "python", "busy"]


def test_a_mission_is_started_from_a_form_of_its_schema(
    fleet: FleetView, qtbot: QtBot, sink: RecordingSink
) -> None:
    dialog = fleet.ask_mission()
    schema = (
        '{"properties": {"path": {"type": "string"}, "limit": {"type": "integer", "default": 0},'
        ' "loop": {"type": "boolean", "default": false}}}'
    )
    kinds = (MissionKind(name="survey", description="Reads source.", parameters_schema=schema),)
    sink.answer(MissionKindList(kinds=kinds))
    assert dialog.about.text() == "Reads source."
    path, limit, loop = (
        dialog.form.itemAt(row, dialog.form.ItemRole.FieldRole).widget() for row in range(3)
    )
    qtbot.keyClicks(path, "/src")
    loop.click()
    assert limit.value() == 0
    qtbot.mouseClick(dialog.start, LEFT)
    request = sink.sent[-1].request
    assert (request.kind, request.parameters_json) == ("survey", '{"path": "/src", "loop": true}')


def test_a_sentinel_is_spawned_and_bad_options_are_not_sent(
    fleet: FleetView, qtbot: QtBot, sink: RecordingSink
) -> None:
    dialog = fleet.ask_spawn()
    dialog.behaviour.setCurrentText("executor")
    dialog.options.setPlainText("{")
    assert not dialog.spawn.isEnabled()
    assert "Line 1" in dialog.error.text()
    dialog.options.setPlainText('{"pool": "python"}')
    qtbot.mouseClick(dialog.spawn, LEFT)
    assert sink.sent[-1].request.behaviour == "executor"
    assert sink.sent[-1].request.options_json == '{"pool": "python"}'


def test_results_are_a_table_with_totals(
    fleet: FleetView, qtbot: QtBot, sink: RecordingSink
) -> None:
    fleet.missions.table.select_row(1)
    qtbot.mouseClick(fleet.missions.buttons["Show the results"], LEFT)
    dialog = fleet.findChild(ResultsDialog)
    assert isinstance(dialog, ResultsDialog)
    row = ["a.py", "ab" * 32, 10, 5, 20, 1, 0, 2, 2, 0, "ok", "", "ok", "", ""]
    sink.answer(
        MissionResult(
            status=MissionStatus(id="m2", summary_json='{"files": 1, "lines": 5}'),
            table=pack("survey_result", [row]),
        )
    )
    assert dialog.panel.table.filtered.index(0, 0).data() == "a.py"
    assert dialog.summary.text() == "files 1 · lines 5"
    dialog.close()

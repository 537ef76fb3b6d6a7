"""The Fleet tables: sort, filter, and actions that fit the row that is selected."""

import json
from collections.abc import Callable

import msgpack
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication, QMessageBox, QPushButton
from pytestqt.qtbot import QtBot

from app.actions import ACTIONS
from app.commands import RecordingSink
from app.store import FleetStore
from app.theme import Theme, load
from app.views.fleet import FleetView
from app.views.fleet.poison import PoisonDialog
from app.views.fleet.sizedialog import SizeDialog
from app.views.results import ResultsDialog
from citadel.errors import Unavailable
from citadel.wire.columns import pack
from citadel.wire.messages import (
    MissionKind,
    MissionKindList,
    MissionResult,
    MissionStatus,
    PoisonEntry,
    PoisonList,
)

Tables = Callable[..., dict]
LEFT = Qt.MouseButton.LeftButton
POOL = {
    "name": "python",
    "state": "serving",
    "size": 2,
    "queue_limit": 50,
    "queued": 34,
    "queued_normal": 34,
    "running": 12,
}
SESSION = {
    "pool": "python",
    "key": "ada",
    "state": "open",
    "worker": "python-1",
    "commands": 3,
    "variables": '{"step": 3}',
}
POISON = {
    "pool": "python",
    "fingerprint": "9f3a",
    "state": "quarantined",
    "tool": "parse",
    "kills": 3,
    "arguments_bytes": 30,
    "error": "killed by SIGSEGV",
}


def question(fleet: FleetView) -> QMessageBox:
    """What is asked before a command is sent."""
    found = [box for box in fleet.findChildren(QMessageBox) if box.isVisible()]
    assert len(found) == 1
    return found[0]


def answer(fleet: FleetView, qtbot: QtBot, *, yes: bool = True) -> None:
    box = question(fleet)
    button = (
        box.findChild(QPushButton, "confirm-do")
        if yes
        else box.button(QMessageBox.StandardButton.Cancel)
    )
    qtbot.mouseClick(button, LEFT)


@pytest.fixture
def fleet(
    qtbot: QtBot, store: FleetStore, theme: Theme, sink: RecordingSink, tables: Tables
) -> FleetView:
    made = FleetView(store, theme, sink)
    qtbot.addWidget(made)
    store.connection.state = "live"
    store.apply(
        tables("pool", POOL)
        | tables(
            "worker",
            {
                "pool": "python",
                "id": "python-1",
                "state": "busy",
                "pid": 11,
                "tool": "parse",
                "command_id": "c-7",
                "running": 1,
            },
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
        | tables("session", SESSION)
        | tables("poison", POISON)
    )
    made.resize(1200, 700)
    made.show()
    made.refresh(1)
    return made


def test_all_that_runs_is_listed(fleet: FleetView) -> None:
    counts = {name: panel.table.filtered.rowCount() for name, panel in fleet.panels.items()}
    assert counts == {
        "pool": 1,
        "worker": 2,
        "sentinel": 2,
        "mission": 2,
        "session": 1,
        "poison": 1,
    }
    texts = [fleet.tabs.tabs.tabText(at) for at in range(5)]
    assert texts == ["Workers  2", "Missions  2", "Sentinels  2", "Sessions  1", "Poison  1"]


def test_actions_fit_the_row(fleet: FleetView) -> None:
    kill = fleet.workers.buttons["Kill the worker…"]
    assert not kill.isEnabled(), "nothing is selected"
    fleet.workers.table.select_row(0)
    assert kill.isEnabled()
    fleet.workers.table.select_row(1)
    assert not kill.isEnabled(), "a lost worker cannot be killed"


@pytest.mark.parametrize(
    ("panel", "row", "action", "method"),
    [
        ("worker", 0, "Recycle the worker", "Pools.Recycle"),
        ("pool", 0, "One worker more", "Pools.Resize"),
        ("pool", 0, "One worker less", "Pools.Resize"),
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
    fleet.tabs.show_panel(panel)
    fleet.panels[panel].table.select_row(row)
    qtbot.mouseClick(fleet.panels[panel].buttons[action], LEFT)
    assert [command.method for command in sink.sent] == [method]
    assert sink.sent[0].changes


@pytest.mark.parametrize(
    ("panel", "action", "method", "told"),
    [
        ("pool", "Pause the pool…", "Pools.SetState", "12 running commands finish. 34 queued"),
        (
            "pool",
            "Drain the pool…",
            "Pools.SetState",
            "12 running commands finish, 34 queued still run, new ones are refused",
        ),
        ("pool", "Recycle all workers…", "Pools.Recycle", "2 workers of pool python"),
        ("worker", "Kill the worker…", "Pools.KillWorker", "Its command parse fails"),
        ("session", "End the session…", "Pools.EndSession", "what worker python-1 holds"),
    ],
)
def test_what_takes_something_is_asked_first_with_its_consequence(
    fleet: FleetView,
    qtbot: QtBot,
    sink: RecordingSink,
    panel: str,
    action: str,
    method: str,
    told: str,
) -> None:
    fleet.tabs.show_panel(panel)
    fleet.panels[panel].table.select_row(0)
    for yes in (False, True):
        qtbot.mouseClick(fleet.panels[panel].buttons[action], LEFT)
        assert told in question(fleet).informativeText()
        answer(fleet, qtbot, yes=yes)
        assert [command.method for command in sink.sent] == [method] * yes
    assert told in fleet.panels[panel].buttons[action].toolTip()


def test_a_paused_pool_is_resumed_at_once_and_each_way_is_undone(
    fleet: FleetView, qtbot: QtBot, sink: RecordingSink, store: FleetStore, tables: Tables
) -> None:
    qtbot.mouseClick(fleet.pools.buttons["Pause the pool…"], LEFT)
    answer(fleet, qtbot)
    paused = sink.sent[-1]
    assert paused.request.state == "paused"
    assert paused.undo is not None
    assert paused.undo.request.state == "serving"
    store.apply(tables("pool", POOL | {"state": "paused"}))
    fleet.refresh(2)
    assert not fleet.pools.buttons["Pause the pool…"].isEnabled()
    assert fleet.pools.buttons["Drain the pool…"].isEnabled()
    qtbot.mouseClick(fleet.pools.buttons["Resume the pool"], LEFT)
    assert sink.sent[-1].request.state == "serving"
    assert sink.sent[-1].undo is not None
    assert sink.sent[-1].undo.request.state == "paused"


def test_a_pool_is_given_a_range_and_takes_it_back(
    fleet: FleetView, qtbot: QtBot, sink: RecordingSink
) -> None:
    qtbot.mouseClick(fleet.pools.buttons["Resize the pool…"], LEFT)
    dialog = fleet.findChild(SizeDialog)
    assert isinstance(dialog, SizeDialog)
    assert not dialog.resize_.isEnabled(), "nothing is another yet"
    dialog.size_.setValue(5)
    assert dialog.about.text() == "3 more workers start."
    dialog.ranges.click()
    dialog.least.setValue(9)
    dialog.most.setValue(8)
    assert not dialog.resize_.isEnabled()
    assert "more than the most" in dialog.about.text()
    dialog.least.setValue(2)
    assert "between 2 and 8" in dialog.about.text()
    qtbot.mouseClick(dialog.resize_, LEFT)
    command = sink.sent[-1]
    request = command.request
    assert (request.size, request.min_size, request.max_size) == (2, 2, 8)
    assert command.undo is not None
    assert (command.undo.request.size, command.undo.request.max_size) == (2, 0)


def test_a_pool_that_sizes_itself_has_no_step(
    fleet: FleetView, store: FleetStore, tables: Tables
) -> None:
    store.apply(tables("pool", POOL | {"min_size": 2, "max_size": 8}))
    fleet.refresh(2)
    assert not fleet.pools.buttons["One worker more"].isEnabled()
    assert fleet.pools.buttons["Resize the pool…"].isEnabled()


def test_poison_is_released_after_its_input_was_shown(
    fleet: FleetView, qtbot: QtBot, sink: RecordingSink
) -> None:
    fleet.tabs.show_panel("poison")
    qtbot.mouseClick(fleet.poison.buttons["Show its input, release it…"], LEFT)
    dialog = fleet.findChild(PoisonDialog)
    assert isinstance(dialog, PoisonDialog)
    assert sink.sent[-1].method == "Pools.ListPoison"
    assert dialog.note.text() == "Reading its input…"
    sink.answer(error=Unavailable("no engine"))
    assert "could not be read: no engine" in dialog.note.text()
    assert dialog.again.isVisible()
    qtbot.mouseClick(dialog.again, LEFT)
    arguments = msgpack.packb({"path": "a.py", "depth": 3})
    entry = PoisonEntry(pool="python", fingerprint="9f3a", tool="parse", arguments=arguments)
    sink.answer(PoisonList(entries=(PoisonEntry(fingerprint="other"), entry)))
    assert json.loads(dialog.text.toPlainText()) == {"path": "a.py", "depth": 3}
    assert dialog.note.text() == f"{len(arguments)} B of 30 B were kept."
    qtbot.mouseClick(dialog.release, LEFT)
    command = sink.sent[-1]
    assert (command.method, command.request.fingerprint) == ("Pools.ReleasePoison", "9f3a")
    assert "each new run may kill another one" in command.consequence


def test_poison_that_somebody_released_cannot_be_released_again(
    fleet: FleetView, qtbot: QtBot, sink: RecordingSink
) -> None:
    fleet.tabs.show_panel("poison")
    qtbot.mouseClick(fleet.poison.buttons["Show its input, release it…"], LEFT)
    dialog = fleet.findChild(PoisonDialog)
    assert isinstance(dialog, PoisonDialog)
    sink.answer(PoisonList())
    assert "does not keep it any more" in dialog.note.text()
    assert not dialog.release.isEnabled()


def test_poison_marks_its_tab(fleet: FleetView, store: FleetStore, tables: Tables) -> None:
    assert not fleet.tabs.tabs.tabIcon(4).isNull()
    store.apply(tables("poison", POISON | {"state": "gone"}))
    fleet.refresh(2)
    assert fleet.tabs.tabs.tabIcon(4).isNull()
    assert fleet.tabs.tabs.tabText(4) == "Poison"


def test_empty_tables_say_what_to_do(
    qtbot: QtBot, store: FleetStore, theme: Theme, sink: RecordingSink
) -> None:
    made = FleetView(store, theme, sink)
    qtbot.addWidget(made)
    made.show()
    made.refresh(1)
    for name, panel in made.panels.items():
        made.tabs.show_panel(name)
        assert panel.empty.isVisible(), name
    assert not made.can("pool.pause")
    assert not made.can("poison.release")


def test_actions_by_name_are_done_to_the_only_row_or_the_selected_one(
    fleet: FleetView, qtbot: QtBot, store: FleetStore, tables: Tables
) -> None:
    assert fleet.can("pool.pause"), "there is only one pool"
    assert not fleet.can("worker.kill"), "which one of two?"
    fleet.workers.table.select_row(0)
    assert fleet.can("worker.kill")
    fleet.act("worker.kill")
    answer(fleet, qtbot, yes=False)
    store.apply(tables("pool", POOL | {"name": "another"}))
    fleet.refresh(2)
    assert not fleet.can("pool.pause")


def test_every_named_action_is_in_the_menu() -> None:
    known = {action.name for action in ACTIONS if action.menu == "Fleet"}
    with_handlers = {
        *("pool.pause", "pool.resume", "pool.drain", "pool.resize", "pool.recycle"),
        *("worker.recycle", "worker.kill", "session.end", "poison.release"),
    }
    assert known == with_handlers


@pytest.mark.parametrize(
    ("topic", "key"),
    [("pool", "python"), ("worker", "python-2"), ("session", "ada"), ("poison", "9f3a")],
)
def test_a_row_is_gone_to_by_its_name(fleet: FleetView, qtbot: QtBot, topic: str, key: str) -> None:
    fleet.panels[topic].filter.setText("nothing has this")
    with qtbot.waitSignal(fleet.inspected) as signal:
        assert fleet.show_row(topic, key)
    assert signal.args[0] == topic
    assert fleet.panels[topic].table.isVisible()
    assert not fleet.show_row(topic, "no such thing")


def test_details_are_copied_whole(fleet: FleetView, qapp: QApplication) -> None:
    fleet.sessions.copy_details()
    assert json.loads(qapp.clipboard().text())["variables"] == '{"step": 3}'


def test_a_thousand_workers_are_listed_and_only_what_is_seen_is_painted(
    fleet: FleetView, store: FleetStore, tables: Tables
) -> None:
    rows = [
        {
            "pool": "python",
            "id": f"w{at:04}",
            "state": "busy",
            "rss_bytes": 1 << 20,
            "time_ns": second * 10**9,
        }
        for second in (1, 2, 3)
        for at in range(1_000)
    ]
    store.apply(tables("worker", *rows))
    painted = 0
    life_of = store.lives.get

    def counted(pool: str, worker: str) -> object:
        nonlocal painted
        painted += 1
        return life_of(pool, worker)

    store.lives.get = counted  # type: ignore[method-assign]
    fleet.refresh(10**9)
    painted = 0
    fleet.grab()
    assert fleet.workers.model.rowCount() == 1_002
    assert 0 < painted < 100, "curves of the rows on screen, each once"


def test_both_themes_draw_the_queue_in_the_colours_of_its_priorities(
    fleet: FleetView,
) -> None:
    for name in ("dark", "light"):
        chosen = load(name)
        fleet.set_theme(chosen)
        picture = fleet.pools.grab().toImage()
        wanted = QColor(chosen.priority("normal")).rgb()
        seen = {
            picture.pixel(x, y)
            for x in range(0, picture.width(), 2)
            for y in range(picture.height())
        }
        assert wanted in seen


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
    fleet.tabs.show_panel("sentinel")
    qtbot.keyClicks(fleet.sentinels.filter, "quarantined")
    assert fleet.sentinels.count.text() == "1 of 2 rows"


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
    fleet.tabs.show_panel("mission")
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

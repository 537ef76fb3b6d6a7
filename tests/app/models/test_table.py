"""Table models hold Qt's contract under any change, sort by value, filter by words."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from app.models import fleet, pools
from app.models.table import SORT_ROLE, FilterModel, LogModel, TableModel, held
from app.store import FleetStore, RowLog

Tables = Callable[..., dict]
COLUMNS = pools.WORKERS


def worker(name: str, **fields: object) -> dict:
    return {
        "pool": "p",
        "id": name,
        "pid": 1,
        "state": "ready",
        "rss_bytes": 1 << 20,
        "cpu": 0.5,
        "done": 3,
        "failed": 0,
        "tool": "",
        "command_id": "",
        "running": 0,
        "pss_bytes": 0,
        "missed": 0,
        "taint": "",
        "node": "",
        "started_ns": 1,
        "cause": "",
    } | fields


def test_tables_pass_qts_own_check(qtmodeltester: ModelTester) -> None:
    model = TableModel(COLUMNS)
    model.set_rows({name: worker(name) for name in "abc"})
    qtmodeltester.check(model)
    filtered = FilterModel()
    filtered.setSourceModel(model)
    qtmodeltester.check(filtered)


def test_logs_pass_qts_own_check(qtmodeltester: ModelTester) -> None:
    log, model = RowLog(), LogModel(fleet.EVENTS)
    row = {"time_ns": 1, "severity": "info", "name": "x", "subject": "", "message": ""}
    log.extend([row] * 3)
    model.follow(log)
    qtmodeltester.check(model)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.lists(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3)), max_size=8))
def test_any_change_of_rows_is_told_by_signals(
    qtmodeltester: ModelTester, states: list[dict[str, int]]
) -> None:
    model, filtered = TableModel(COLUMNS), FilterModel()
    filtered.setSourceModel(model)
    filtered.sort(0)
    for state in states:
        model.set_rows({name: worker(name, done=done) for name, done in state.items()})
        shown = [filtered.index(row, 0).data() for row in range(filtered.rowCount())]
        assert shown == sorted(state)
        done = {filtered.index(r, 0).data(): filtered.index(r, 6).data() for r in range(len(state))}
        assert done == {name: str(number) for name, number in state.items()}


def test_a_row_that_did_not_change_is_left_alone(qtbot: QtBot) -> None:
    model = TableModel(COLUMNS)
    rows = {"a": worker("a"), "b": worker("b")}
    model.set_rows(rows)
    changed: list[int] = []
    model.dataChanged.connect(lambda first, _last: changed.append(first.row()))
    model.set_rows(rows | {"b": worker("b", done=4)})
    assert changed == [1]


def test_numbers_sort_as_numbers(qtbot: QtBot) -> None:
    model, filtered = TableModel(COLUMNS), FilterModel()
    filtered.setSourceModel(model)
    model.set_rows(
        {name: worker(name, done=done) for name, done in zip("abc", (10, 9, 100), strict=True)}
    )
    filtered.sort(6, Qt.SortOrder.DescendingOrder)
    assert [filtered.index(row, 0).data() for row in range(3)] == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("text", "shown"), [("", 3), ("python-1", 1), ("busy", 1), ("PYTHON ready", 2), ("nothing", 0)]
)
def test_every_word_of_a_filter_must_occur(qtbot: QtBot, text: str, shown: int) -> None:
    model, filtered = TableModel(COLUMNS), FilterModel()
    filtered.setSourceModel(model)
    model.set_rows(
        {
            1: worker("python-1"),
            2: worker("python-2", state="busy"),
            3: worker("python-3"),
        }
    )
    filtered.set_filter(text)
    assert filtered.rowCount() == shown


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 12))
def test_a_log_shows_the_newest_first_and_is_bounded(
    qtmodeltester: ModelTester, sizes: list[int], shown: int
) -> None:
    log, model, total = RowLog(30), LogModel(fleet.EVENTS, shown=shown), 0
    for size in sizes:
        log.extend([_event(total + number) for number in range(size)])
        total += size
        model.follow(log)
        names = [model.index(row, 2).data() for row in range(model.rowCount())]
        assert names == [str(number) for number in range(total - 1, -1, -1)][:shown]


def test_a_log_that_starts_over_is_followed(qtbot: QtBot) -> None:
    log, model = RowLog(), LogModel(fleet.EVENTS)
    log.extend([_event(number) for number in range(5)])
    model.follow(log)
    log.clear()
    log.extend([_event(7)])
    model.follow(log)
    assert [model.index(row, 2).data() for row in range(model.rowCount())] == ["7"]


def test_a_table_of_a_hundred_thousand_rows_is_filtered_and_sorted(qtbot: QtBot) -> None:
    model, filtered = TableModel(COLUMNS), FilterModel()
    filtered.setSourceModel(model)
    model.set_rows({n: worker(f"w{n:06}", done=n) for n in range(20_000)})
    filtered.sort(6, Qt.SortOrder.DescendingOrder)
    filtered.set_filter("w0199")
    assert filtered.rowCount() == 100
    assert filtered.index(0, 0).data() == "w019999"


def test_every_column_of_every_table_reads_a_row_of_its_topic(qtbot: QtBot, tables: Tables) -> None:
    store = FleetStore()
    for topic, name in (
        ("pool", "pools"),
        ("worker", "workers"),
        ("sentinel", "sentinels"),
        ("mission", "missions"),
    ):
        store.apply(tables(topic, {"name": "n", "id": "i", "state": "running"}))
        module = pools if topic in {"pool", "worker"} else fleet
        model = TableModel(getattr(module, name.upper()))
        model.set_rows(getattr(store, name), 5)
        _read_all(model)
    for log, columns in ((store.events, fleet.EVENTS), (store.audit, fleet.AUDIT)):
        topic = "event" if columns is fleet.EVENTS else "audit"
        store.apply(
            tables(
                topic, {"seq": 1, "trace_hi": 2**64 - 1, "before": '{"a": 1}', "after": '{"a": 2}'}
            )
        )
        follower = LogModel(columns)
        follower.follow(log)
        _read_all(follower)


def test_an_audit_entry_says_what_changed() -> None:
    change = fleet.AUDIT[5].text
    row = {"before": '{"rate": 1.0, "revision": 1}', "after": '{"rate": 0.1, "revision": 2}'}
    assert change(row, 0) == "rate: 1.0 → 0.1"
    assert change({"before": "", "after": '{"size": 4}'}, 0) == "size: – → 4"
    before = '{"rules": [{"id": "a", "rate": 1.0}, {"id": "b", "rate": 0.5}]}'
    after = '{"rules": [{"id": "b", "rate": 0.5}, {"id": "a", "rate": 0.2}]}'
    assert change({"before": before, "after": after}, 0) == "rules.a.rate: 1.0 → 0.2"


def _event(number: int) -> dict:
    return {
        "time_ns": number,
        "severity": "info",
        "name": str(number),
        "subject": "",
        "message": "",
    }


def _read_all(model: TableModel | LogModel) -> None:
    assert model.rowCount() == 1
    for column in range(model.columnCount()):
        index = model.index(0, column)
        assert isinstance(index.data(), str)
        for role in (Qt.ItemDataRole.ToolTipRole, SORT_ROLE):
            index.data(role)
        assert held(index) == model.row_at(0)

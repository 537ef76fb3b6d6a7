"""Cinema as a user meets it: traces arrive, are filtered, opened, grow, and fail readably."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.commands import RecordingSink
from app.store import FleetStore, Row
from app.theme import Theme, load
from app.views.cinema import CinemaView
from app.views.cinema.describe import described
from citadel.errors import NotFound
from citadel.wire.columns import Table, pack
from citadel.wire.messages import ColumnBatch, SearchTracesReply, Trace
from citadel.wire.topics import TOPICS

Tables = Callable[..., dict[str, Table]]
BEGIN = 1_800_000_000_000_000_000
SECOND = 1_000_000_000
MS = 1_000_000
NOW = BEGIN + 60 * SECOND


def span(trace: int, number: int, start: int, end: int, **more: object) -> dict[str, Any]:
    return {
        "trace_hi": 0xAB,
        "trace_lo": trace,
        "span_id": 100 * trace + number,
        "parent_id": 0 if number == 1 else 100 * trace + 1,
        "start_ns": BEGIN + start * MS,
        "end_ns": BEGIN + end * MS if end else 0,
        "kind": 1,
        "source": "worker",
        "service": "python-1",
        "name": f"step {number}",
        "mission": "survey-1",
    } | more


def batch(topic: str, *given: Mapping[str, Any]) -> ColumnBatch:
    columns = TOPICS[topic].columns
    rows = [[r.get(n, "" if k == "str" else 0) for n, k in columns.items()] for r in given]
    return pack(topic, rows)


def trace_id(trace: int) -> str:
    return f"{0xAB:016x}{trace:016x}"


@pytest.fixture
def view(qtbot: QtBot, store: FleetStore, theme: Theme, sink: RecordingSink) -> CinemaView:
    made = CinemaView(store, theme, sink)
    qtbot.addWidget(made)
    made.resize(1_200, 700)
    made.show()
    return made


def listed(view: CinemaView) -> list[str]:
    table = view.list.table
    return [table.row_at(row)["name"] for row in range(table.filtered.rowCount())]


def names(view: CinemaView) -> set[str]:
    assert view._shown is not None
    return set(view._shown.table["name"].tolist())


# ── the list ────────────────────────────────────────────────────────────────────────────────────
def test_empty_says_what_to_do(view: CinemaView, store: FleetStore) -> None:
    view.refresh(NOW)
    assert "Start a mission" in view.list.note.text()
    assert not view.grab().isNull()


def test_the_newest_traces_come_first_as_they_arrive(
    view: CinemaView, store: FleetStore, tables: Tables
) -> None:
    store.apply(tables("span", span(1, 1, 0, 10, name="old"), span(2, 1, 20, 30, name="new")))
    view.refresh(NOW)
    assert listed(view) == ["new", "old"]
    store.apply(tables("span", span(3, 1, 40, 0, name="newer still")))
    view.refresh(NOW)
    assert listed(view) == ["newer still", "new", "old"]
    assert view.list.table.filtered.index(0, 1).data() == "open"


def test_the_list_stands_still_when_asked(
    view: CinemaView, store: FleetStore, tables: Tables
) -> None:
    store.apply(tables("span", span(1, 1, 0, 10, name="old")))
    view.refresh(NOW)
    QTest.mouseClick(view.list.follow, Qt.MouseButton.LeftButton)
    store.apply(tables("span", span(2, 1, 20, 30, name="new")))
    view.refresh(NOW)
    assert listed(view) == ["old"]
    QTest.mouseClick(view.list.follow, Qt.MouseButton.LeftButton)
    assert listed(view) == ["new", "old"]


def test_errors_and_flags_are_marked(view: CinemaView, store: FleetStore, tables: Tables) -> None:
    flag = json.dumps({"citadel.guard.decision": "block"})
    store.apply(
        tables(
            "span",
            span(1, 1, 0, 10, name="fails"),
            span(1, 2, 1, 9, status=2),
            span(2, 1, 20, 30, name="flagged"),
            span(2, 2, 21, 29, source="guard", attributes=flag),
            span(3, 1, 40, 50, name="fine"),
        )
    )
    view.refresh(NOW)
    rows = [view.list.table.row_at(row) for row in range(3)]
    assert [(r["name"], r["errors"], r["flags"]) for r in rows] == [
        ("fine", 0, 0),
        ("flagged", 0, 1),
        ("fails", 1, 0),
    ]


# ── the filter ──────────────────────────────────────────────────────────────────────────────────
def type_filter(view: CinemaView, text: str) -> None:
    view.set_filter(text)
    QTest.keyClick(view.list.filter, Qt.Key.Key_Return)


def test_a_filter_asks_the_engine(view: CinemaView, sink: RecordingSink) -> None:
    type_filter(view, "status=error and dur>5ms")
    assert sink.sent[-1].method == "Traces.Search"
    assert sink.sent[-1].request.filter == "status=error and dur>5ms"
    summary = {"trace_lo": 7, "name": "found", "start_ns": BEGIN, "end_ns": BEGIN + MS, "spans": 3}
    sink.answer(SearchTracesReply(traces=batch("trace_summary", summary)))
    assert listed(view) == ["found"]
    assert view.list.note.text() == "1 trace matches"
    sink.answer(SearchTracesReply(traces=batch("trace_summary")))
    assert listed(view) == []
    assert view.list.note.text() == "No trace matches."


def test_an_unreadable_filter_is_said_at_once_and_not_sent(
    view: CinemaView, sink: RecordingSink, store: FleetStore, tables: Tables
) -> None:
    type_filter(view, "stats=error")
    assert not sink.sent
    assert "stats" in view.list.note.text()
    assert "status" in view.list.note.text()
    assert view.list.note.property("role") == "error"
    store.apply(tables("span", span(1, 1, 0, 10)))
    view.refresh(NOW)
    assert not sink.sent
    assert view.list.note.property("role") == "error"
    type_filter(view, "")
    assert view.list.note.property("role") == "muted"
    assert listed(view) == ["step 1"]


def test_an_answer_that_comes_late_is_not_shown(view: CinemaView, sink: RecordingSink) -> None:
    type_filter(view, "name=a")
    type_filter(view, "name=b")
    summary = {"trace_lo": 7, "name": "a", "start_ns": BEGIN, "end_ns": BEGIN + MS}
    sink.answer(SearchTracesReply(traces=batch("trace_summary", summary)), ticket=1)
    assert listed(view) == []


def test_a_search_that_fails_says_why(view: CinemaView, sink: RecordingSink) -> None:
    type_filter(view, "name=a")
    sink.answer(error=NotFound("there is nothing", remedy="Look elsewhere"))
    assert view.list.note.text() == "there is nothing. Look elsewhere"


def test_a_live_filter_is_sent_again_while_spans_arrive(
    view: CinemaView, sink: RecordingSink, store: FleetStore, tables: Tables
) -> None:
    view.refresh(NOW)
    type_filter(view, "name=a")
    for number in range(1, 40):
        store.apply(tables("span", span(1, number, number, number + 1)))
        view.refresh(NOW + number * SECOND // 10)
    assert [c.method for c in sink.sent] == ["Traces.Search"] * 2


# ── a trace ─────────────────────────────────────────────────────────────────────────────────────
def test_a_trace_that_the_stream_brought_is_shown_at_once(
    view: CinemaView, store: FleetStore, tables: Tables, sink: RecordingSink
) -> None:
    store.apply(tables("span", span(1, 1, 0, 10, name="root"), span(1, 2, 1, 5)))
    view.refresh(NOW)
    view.list.table.select_row(0)
    assert not sink.sent
    assert view.title.text() == "root"
    assert view.summary.text() == "2 spans in 1 service over 10 ms, no errors"
    assert "step 2" in names(view)


def test_another_trace_is_asked_for(view: CinemaView, sink: RecordingSink) -> None:
    view.open_trace(trace_id(5))
    assert sink.sent[-1].method == "Traces.Get"
    assert sink.sent[-1].request.trace_id == trace_id(5)
    sink.answer(Trace(spans=batch("span", span(5, 1, 0, 10, name="far")), truncated=True))
    assert view.title.text() == "far"
    assert "first 200,000" in view.summary.text()


def test_a_trace_that_is_gone_says_so_and_can_be_asked_for_again(
    view: CinemaView, sink: RecordingSink
) -> None:
    view.open_trace(trace_id(5))
    sink.answer(error=NotFound("trace 5 is not kept", remedy="Look at the sampling policy"))
    assert view.waterfall.accessibleDescription() == (
        "trace 5 is not kept. Look at the sampling policy"
    )
    view.open_trace(trace_id(5))
    assert len(sink.sent) == 2


def test_the_first_trace_opens_by_itself_when_it_has_settled(
    view: CinemaView, store: FleetStore, tables: Tables
) -> None:
    store.apply(
        tables(
            "span",
            span(1, 1, 0, 10, name="rich"),
            span(1, 2, 1, 5),
            span(2, 1, 20, 30, name="poor"),
            span(3, 1, 40, 0, name="open"),
            span(3, 2, 41, 42),
            span(3, 3, 41, 42),
        )
    )
    view.refresh(NOW)
    assert view.title.text() == "No trace open", "a richer one may come"
    store.apply(tables("span", span(4, 1, 60, 70, name="small")))
    view.refresh(NOW + 5 * SECOND)
    assert view.title.text() == "rich"
    selected = view.list.table.selected()
    assert selected is not None
    assert selected["name"] == "rich"


def test_the_newest_stay_in_sight_while_the_open_trace_falls_out(
    view: CinemaView, store: FleetStore, tables: Tables
) -> None:
    for first in range(1, 600, 50):
        many = [span(n, 1, 10 * n, 10 * n + 5, name=f"t{n}") for n in range(first, first + 50)]
        store.apply(tables("span", *many))
        view.refresh(NOW)
        if first == 1:
            view.list.table.select_row(3)
            assert view.title.text() == "t47"
        assert view.list.table.verticalScrollBar().value() == 0
        assert listed(view)[0] == f"t{first + 49}"
    assert view.title.text() == "t47", "it stays open"
    assert view.list.table.selected() is None


def test_what_comes_later_is_added_to_the_open_trace(
    view: CinemaView, store: FleetStore, tables: Tables, sink: RecordingSink
) -> None:
    view.open_trace(trace_id(1))
    sink.answer(Trace(spans=batch("span", span(1, 1, 0, 0, name="root"))))
    view.refresh(NOW)
    assert view._shown is not None
    assert view._shown.layout.end_ns == NOW, "an open span reaches to now"
    store.apply(tables("span", span(1, 2, 5, 9), span(1, 1, 0, 30, name="root")))
    view.refresh(NOW + SECOND)
    assert len(view._shown.layout) == 2
    assert view._shown.layout.span_ns == 30 * MS
    assert not view._shown.layout.unfinished
    before = view._shown
    view.refresh(NOW + 2 * SECOND)
    assert view._shown is before, "nothing came, nothing is laid out"


def test_a_chosen_span_is_inspected(view: CinemaView, store: FleetStore, tables: Tables) -> None:
    attributes = json.dumps({"rpc.method": "Run", "name": "mine"})
    events = json.dumps([{"time_ns": BEGIN + 2 * MS, "name": "exception", "attributes": {"a": 1}}])
    store.apply(
        tables(
            "span",
            span(1, 1, 0, 10, name="root"),
            span(1, 2, 1, 5, attributes=attributes, events=events, status=2),
        )
    )
    seen: list[tuple[str, Row]] = []
    view.inspected.connect(lambda topic, row: seen.append((topic, row)))
    view.refresh(NOW)
    view.open_trace(trace_id(1))
    QTest.keyClick(view.waterfall, Qt.Key.Key_E)
    topic, row = seen[-1]
    assert topic == "span"
    assert row["status"] == "error"
    assert row["begins"] == "+1.0 ms"
    assert row["rpc.method"] == "Run"
    assert row["attr.name"] == "mine"
    assert row["events"] == [{"after": "1.0 ms", "name": "exception", "attributes": {"a": 1}}]
    assert row["trace_id"] == trace_id(1)
    assert "rpc.method" in view.inspector.text.toPlainText()


@pytest.mark.parametrize("text", ["", "{}", "[]", "no json", "3", '{"a":'])
def test_attributes_of_any_shape_are_shown(view: CinemaView, text: str, tables: Tables) -> None:
    table = tables("span", span(1, 1, 0, 10, attributes=text, events=text))["span"]
    row = {name: column[0] for name, column in table.items()}
    assert described(row, BEGIN)["name"] == "step 1"


def test_other_colours_at_once(view: CinemaView, store: FleetStore, tables: Tables) -> None:
    store.apply(tables("span", span(1, 1, 0, 10), span(1, 2, 1, 5)))
    view.refresh(NOW)
    dark = view.grab().toImage()
    view.set_theme(load("light"))
    assert view.grab().toImage() != dark


def test_keyboard_and_readers_reach_all_parts(view: CinemaView) -> None:
    for part in (view, view.list.filter, view.list.follow, view.list.table, view.waterfall):
        assert part.accessibleName()
    assert view.waterfall.focusPolicy() == Qt.FocusPolicy.StrongFocus
    view.focus_filter()
    assert view.focusWidget() is view.list.filter

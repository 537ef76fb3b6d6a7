"""The Bridge as a user meets it: figures, pools, Sentinels and charts of one engine."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QToolButton
from pytestqt.qtbot import QtBot

from app.commands import RecordingSink
from app.store import FleetStore, GapNote, Row
from app.theme import Theme, load
from app.views.bridge import BridgeView
from app.views.bridge.chart import Panel
from citadel.vocabulary import SENTINEL_STATES, WORKER_STATES
from citadel.wire.columns import Table
from citadel.wire.messages import Gap

Tables = Callable[..., dict[str, Table]]
SECOND = 1_000_000_000
NOW = 1_800_000_000 * SECOND


@pytest.fixture
def view(qtbot: QtBot, store: FleetStore, theme: Theme, sink: RecordingSink) -> BridgeView:
    made = BridgeView(store, theme, sink)
    qtbot.addWidget(made)
    made.resize(1_130, 620)
    made.show()
    return made


def worker(name: str, state: str = "ready", **more: object) -> dict[str, Any]:
    return {
        "pool": "python",
        "id": name,
        "pid": 7,
        "state": state,
        "rss_bytes": 40 << 20,
        "cpu": 0.5,
        "started_ns": NOW - 60 * SECOND,
    } | more


def pool(at: int, **more: object) -> dict[str, Any]:
    row = {"name": "python", "state": "serving", "size": 2, "time_ns": at}
    return row | {"queue_limit": 1_024} | more


def busy(store: FleetStore, tables: Tables) -> None:
    """A minute of work: 10 commands a second, half a minute of them queued, some failing."""
    for back in range(60, -1, -1):
        at = NOW - back * SECOND
        done = 10 * (60 - back)
        store.apply(
            tables(
                "pool",
                pool(at, queued=3 if back > 30 else 0, running=2, done=done, failed=done // 10),
            )
            | tables(
                "latency",
                {"time_ns": at, "name": "citadel.command.duration", "bucket": -100, "count": 9},
                {"time_ns": at, "name": "citadel.command.duration", "bucket": -20, "count": 1},
            )
            | tables(
                "counter",
                {
                    "name": "citadel.commands",
                    "labels": '{"outcome": "ok", "pool": "python"}',
                    "value": done,
                    "time_ns": at,
                },
                {
                    "name": "citadel.guard.requests",
                    "labels": '{"channel": "prompt", "decision": "block"}',
                    "value": (60 - back) // 20,
                    "time_ns": at,
                },
            )
        )
    store.apply(tables("worker", worker("python-1", "busy"), worker("python-2", "lost")))
    for number, state in enumerate(SENTINEL_STATES):
        store.apply(
            tables(
                "sentinel",
                {"id": f"s-{number}", "state": state, "since_ns": NOW - 9 * SECOND},
            )
        )


def text_of(view: BridgeView) -> dict[str, str]:
    return {tile.title: tile.accessibleDescription() for tile in view.kpis.tiles}


def colors(picture: QImage) -> set[int]:
    picture = picture.convertToFormat(QImage.Format.Format_RGB32)
    pixels = np.frombuffer(picture.constBits(), np.uint32)
    return set((np.unique(pixels) & 0xFFFFFF).tolist())


# ── figures ─────────────────────────────────────────────────────────────────────────────────────
def test_key_figures_are_those_of_the_engine(
    view: BridgeView, store: FleetStore, tables: Tables
) -> None:
    busy(store, tables)
    view.refresh(NOW)
    texts = text_of(view)
    assert texts["Commands"] == "10/s, 600 in all"
    assert texts["Median"] == "14 ms"
    assert texts["p99"] == "439 ms"
    assert texts["Queued"] == "0, 2 running"
    assert texts["Failed"] == "1.0/s, 60 in all"
    assert texts["Blocked"].startswith("3, ")


def test_queue_peaks_are_not_missed(view: BridgeView, store: FleetStore, tables: Tables) -> None:
    at = NOW - 10 * SECOND
    for offset, queued in ((0, 0), (100, 50), (200, 0)):
        store.apply(tables("pool", pool(at + offset * 1_000_000, queued=queued)))
    view.refresh(NOW)
    waiting = view.queue._values[0]
    assert waiting.max() == 50
    assert waiting[-1] == 0


def test_nothing_yet_is_said_with_what_to_do(view: BridgeView) -> None:
    view.refresh(NOW)
    for part in (view.matrix, view.latency, view.strips):
        assert part.empty
    assert "Start a mission" in view.latency.empty
    assert not view.grab().isNull()


def test_the_ledger_says_what_became_of_the_spans(
    view: BridgeView, store: FleetStore, tables: Tables
) -> None:
    store.apply(
        tables(
            "counter",
            {"name": "citadel.spans.started", "value": 1_204.0, "time_ns": NOW},
            {"name": "citadel.spans.kept", "value": 1_000.0, "time_ns": NOW},
            {
                "name": "citadel.spans.dropped",
                "labels": '{"cause": "sampled_out"}',
                "value": 204.0,
                "time_ns": NOW,
            },
        )
    )
    store.connection.gaps.append(GapNote(time_ns=NOW, gap=Gap(from_seq=5, to_seq=14, cause="slow")))
    view.refresh(NOW)
    ledger = view._ledger.text()
    for part in ("1,204 spans", "1,000 kept", "204 dropped", "3 rows received", "10 missed"):
        assert part in ledger


# ── pools ───────────────────────────────────────────────────────────────────────────────────────
def test_every_state_of_a_worker_is_drawn_in_its_colour(
    view: BridgeView, store: FleetStore, tables: Tables, theme: Theme
) -> None:
    rows = [worker(f"w-{n}", state) for n, state in enumerate(WORKER_STATES)]
    store.apply(tables("pool", pool(NOW)) | tables("worker", *rows))
    view.refresh(NOW)
    seen = colors(view.matrix.grab().toImage())
    for state in WORKER_STATES:
        assert QColor(theme.state(state)).rgb() & 0xFFFFFF in seen, state


def test_a_click_on_a_cell_chooses_its_worker(
    view: BridgeView, store: FleetStore, tables: Tables
) -> None:
    busy(store, tables)
    view.refresh(NOW)
    chosen: list[tuple[str, Row]] = []
    view.inspected.connect(lambda topic, row: chosen.append((topic, row)))
    for box, row in view.matrix._cells:
        QTest.mouseClick(view.matrix, Qt.MouseButton.LeftButton, pos=box.center().toPoint())
        assert chosen[-1] == ("worker", row)
    QTest.mouseMove(view.matrix, view.matrix._cells[1][0].center().toPoint())
    assert "python-2" in view.matrix.toolTip()
    assert "lost" in view.matrix.toolTip()


def test_the_arrows_choose_workers(view: BridgeView, store: FleetStore, tables: Tables) -> None:
    busy(store, tables)
    view.refresh(NOW)
    chosen: list[str] = []
    view.inspected.connect(lambda _topic, row: chosen.append(row["id"]))
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Left):
        QTest.keyClick(view.matrix, key)
    assert chosen == ["python-1", "python-2", "python-1", "python-2"]


def test_hundreds_of_workers_have_small_cells_that_are_found(
    view: BridgeView, store: FleetStore, tables: Tables
) -> None:
    rows = [worker(f"w-{n:03d}", started_ns=NOW + n) for n in range(200)]
    store.apply(tables("pool", pool(NOW)) | tables("worker", *rows))
    view.refresh(NOW)
    assert len(view.matrix._cells) == 200
    boxes = [box for box, _ in view.matrix._cells]
    assert not any(a.intersects(b) for a in boxes for b in boxes if a is not b)
    assert view.matrix.corner == "200 workers"


# ── Sentinels ───────────────────────────────────────────────────────────────────────────────────
def test_sentinels_in_trouble_come_first(
    view: BridgeView, store: FleetStore, tables: Tables
) -> None:
    busy(store, tables)
    view.refresh(NOW)
    states = [row["state"] for row in view.strips._shown]
    assert set(states[:3]) == {"quarantined", "restarting", "degraded"}
    assert states[-1] == "stopped"
    assert "1 quarantined" in view.strips.accessibleDescription()


def test_a_strip_shows_when_a_sentinel_was_in_which_state(
    view: BridgeView, store: FleetStore, tables: Tables, theme: Theme
) -> None:
    for back, state in ((50, "working"), (20, "degraded")):
        row = {"id": "s", "state": state, "since_ns": NOW - back * SECOND}
        store.apply(tables("sentinel", row))
    view.refresh(NOW)
    picture = view.strips.grab().toImage()
    plot = view.strips.plot()
    for back, state in ((40, "working"), (10, "degraded")):
        at = QPointF(view.strips.x_of(NOW - back * SECOND), plot.top() + 9).toPoint()
        assert picture.pixelColor(at).name() == QColor(theme.state(state)).name()
    before = QPointF(view.strips.x_of(NOW - 55 * SECOND), plot.top() + 9).toPoint()
    assert picture.pixelColor(before).name() == QColor(theme.color("surface.panel")).name()


def test_a_sentinel_is_chosen_by_click_and_key(
    view: BridgeView, store: FleetStore, tables: Tables
) -> None:
    busy(store, tables)
    view.refresh(NOW)
    chosen: list[str] = []
    view.inspected.connect(lambda topic, row: chosen.append(f"{topic} {row['id']}"))
    names = [row["id"] for row in view.strips._shown]
    plot = view.strips.plot()
    at = QPoint(int(plot.left()) + 5, int(plot.top()) + 18 + 9)
    QTest.mouseClick(view.strips, Qt.MouseButton.LeftButton, pos=at)
    QTest.keyClick(view.strips, Qt.Key.Key_Down)
    assert chosen == [f"sentinel {names[1]}", f"sentinel {names[2]}"]


# ── charts ──────────────────────────────────────────────────────────────────────────────────────
def test_the_crosshair_is_at_the_same_time_in_all_charts(
    view: BridgeView, store: FleetStore, tables: Tables
) -> None:
    busy(store, tables)
    view.refresh(NOW)
    chart = view.throughput
    x = int(chart.plot().center().x())
    QTest.mouseMove(chart, QPoint(x, 40))
    assert view.axis.crosshair_ns == chart.time_at(x)
    for other in (view.latency, view.queue, view.strips):
        assert other.plot().contains(QPointF(other.x_of(view.axis.crosshair_ns), 60))
    QTest.mouseMove(chart, QPoint(2, 40))
    assert view.axis.crosshair_ns == 0


@pytest.mark.parametrize("back", [1, 17, 59])
def test_time_and_place_are_each_others_inverse(view: BridgeView, back: int) -> None:
    view.refresh(NOW)
    for chart in (view.latency, view.queue, view.throughput, view.strips):
        at = NOW - back * SECOND
        assert abs(chart.time_at(chart.x_of(at)) - at) < SECOND // 1_000


def test_the_heatmap_has_a_cell_where_there_was_a_duration(
    view: BridgeView, store: FleetStore, tables: Tables
) -> None:
    busy(store, tables)
    view.refresh(NOW)
    assert view.latency._total == 600, "the newest second is still filling up"
    assert view.latency.accessibleDescription() == (
        "600 commands; newest p50 14 ms, p90 14 ms, p99 439 ms"
    )
    assert int(view.latency._cells.sum()) == 600
    assert np.count_nonzero(view.latency._cells.sum(axis=0)) == 2


def test_other_stretches_can_be_shown(view: BridgeView, store: FleetStore, tables: Tables) -> None:
    busy(store, tables)
    view.refresh(NOW)
    button = next(b for b in view.findChildren(QToolButton) if b.text() == "15 min")
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert view.axis.seconds == 900
    assert view.latency._lines.shape[1] == 180
    assert not view.grab().isNull()


def test_changes_crashes_and_gaps_are_marked_on_every_chart(
    view: BridgeView, store: FleetStore, tables: Tables
) -> None:
    store.apply(
        tables(
            "event",
            {"time_ns": NOW - 30 * SECOND, "name": "worker.lost", "subject": "python-1"},
            {"time_ns": NOW - 20 * SECOND, "name": "sampling.changed", "message": "rate 10 %"},
            {"time_ns": NOW - 10 * SECOND, "name": "worker.ready", "subject": "python-2"},
        )
    )
    gap = Gap(from_seq=1, to_seq=3, cause="slow")
    store.connection.gaps.append(GapNote(time_ns=NOW - 5 * SECOND, gap=gap))
    view.refresh(NOW)
    assert [mark.kind for mark in view.axis.marks] == ["crash", "policy", "gap"]
    x = int(view.queue.x_of(NOW - 20 * SECOND))
    QTest.mouseMove(view.queue, QPoint(x, 60))
    assert "rate 10 %" in view.queue.toolTip()
    assert not view.grab().isNull()
    store.reset({})
    view.refresh(NOW)
    assert [mark.kind for mark in view.axis.marks] == ["gap"]


# ── all of it ───────────────────────────────────────────────────────────────────────────────────
def test_other_colours_at_once(view: BridgeView, store: FleetStore, tables: Tables) -> None:
    busy(store, tables)
    view.refresh(NOW)
    dark = view.grab().toImage()
    view.set_theme(load("light"))
    light = view.grab().toImage()
    assert dark != light
    assert QColor(load("light").color("surface.panel")).rgb() & 0xFFFFFF in colors(light)


def test_every_part_has_a_name_and_says_what_it_shows(
    view: BridgeView, store: FleetStore, tables: Tables
) -> None:
    busy(store, tables)
    view.refresh(NOW)
    for part in view.findChildren(Panel):
        assert part.accessibleName()
        assert part.accessibleDescription(), part.accessibleName()


@pytest.mark.parametrize("size", [(400, 300), (700, 420), (2_400, 1_300)])
def test_any_size_is_drawn(
    view: BridgeView, store: FleetStore, tables: Tables, size: tuple[int, int]
) -> None:
    busy(store, tables)
    view.resize(*size)
    view.refresh(NOW)
    assert not view.grab().isNull()

"""The waterfall as a user meets it: what is seen, what a click finds, what keys and wheel do."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QImage, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.models.waterfall import ERROR, Waterfall
from app.theme import Theme
from app.views.cinema.geometry import LANE_PX, NAME_PX, RULER_PX
from app.views.cinema.lanes import Shown, round_step, tick
from app.views.cinema.palette import span_token
from app.views.cinema.viewport import Viewport
from app.views.cinema.waterfall import WaterfallView
from benchmarks.synthetic import spans as synthetic
from citadel.wire.columns import Table

Opened = Callable[[Table], WaterfallView]
Tables = Callable[..., dict[str, Table]]
BEGIN = 1_800_000_000_000_000_000
MS = 1_000_000


@pytest.fixture
def small(tables: Tables) -> Table:
    def span(number: int, start: int, end: int, **more: object) -> dict[str, Any]:
        return {
            "trace_lo": 1,
            "span_id": number,
            "start_ns": BEGIN + start * MS,
            "end_ns": BEGIN + end * MS,
            "kind": 1,
            "source": "worker",
            "service": "python-1",
            "name": f"step {number}",
        } | more

    return tables(
        "span",
        span(1, 0, 100, service="api", source="api", name="root"),
        span(2, 10, 40, parent_id=1),
        span(3, 50, 90, parent_id=1, status=2),
        span(4, 60, 70, parent_id=3),
    )["span"]


def has_color(image: QImage, theme: Theme, token: str) -> bool:
    wanted = QColor(theme.color(token)).rgb() & 0xFFFFFF
    image = image.convertToFormat(QImage.Format.Format_RGB32)
    pixels = np.frombuffer(image.constBits(), np.uint32).reshape(image.height(), -1)
    return bool(((pixels & 0xFFFFFF) == wanted).any())


def middle_of(view: WaterfallView, index: int) -> QPointF:
    assert view._shown is not None
    layout = view._shown.layout
    return view.geometry_now().box(layout, index, layout.lane_of(index)).center()


def turn(view: WaterfallView, at: QPointF, notches: int, modifier: Any = None) -> None:
    keys = modifier or Qt.KeyboardModifier.NoModifier
    event = QWheelEvent(
        at,
        view.viewport().mapToGlobal(at),
        QPoint(),
        QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton,
        keys,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(view.viewport(), event)


# ── what is seen ────────────────────────────────────────────────────────────────────────────────
@pytest.fixture(scope="module")
def million() -> Shown:
    table = synthetic(1_000_000, errors=1)
    return Shown("0" * 31 + "1", table, Waterfall(table))


def test_a_lone_error_of_a_million_spans_is_on_screen_at_every_zoom(
    qtbot: QtBot, theme: Theme, million: Shown
) -> None:
    stretch = Viewport()
    view = WaterfallView(stretch, theme)
    qtbot.addWidget(view)
    view.resize(1_000, 300)
    view.show_trace(million)
    layout = million.layout
    bad = int(np.flatnonzero(layout.code == ERROR)[0])
    middle = float(layout.start[bad] + layout.end[bad]) / 2
    for octave in range(0, 27, 2):
        for shift in (-0.47, -0.1, 0.33):
            length = layout.span_ns / 2**octave
            start = middle - length / 2 + shift * length
            stretch.show(start, start + length)
            token = span_token(ERROR)
            assert has_color(view.grab().toImage(), theme, token), f"lost at 1/2^{octave} {shift}"


def test_all_of_a_small_trace_is_drawn_in_its_colours(
    opened: Opened, small: Table, theme: Theme
) -> None:
    picture = opened(small).grab().toImage()
    for token in ("source.api", "source.worker", "severity.error"):
        assert has_color(picture, theme, token)


def test_an_empty_waterfall_says_what_to_do(qtbot: QtBot, theme: Theme) -> None:
    view = WaterfallView(Viewport(), theme)
    qtbot.addWidget(view)
    assert "Choose a trace" in view.accessibleDescription()
    assert not view.grab().isNull()
    assert view.index_at(QPointF(300, 100)) == -1


def test_the_trace_is_described_in_words(opened: Opened, small: Table) -> None:
    assert opened(small).accessibleDescription() == ("4 spans in 2 services over 100 ms, 1 error")


# ── what a click finds ──────────────────────────────────────────────────────────────────────────
def test_a_click_on_each_span_chooses_it(opened: Opened, small: Table) -> None:
    view = opened(small)
    chosen: list[int] = []
    view.chosen.connect(chosen.append)
    assert view._shown is not None
    for index in range(len(view._shown.layout)):
        at = middle_of(view, index).toPoint()
        QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=at)
        assert view.selected == index
        assert chosen[-1] == int(view._shown.layout.rows[index])
        assert f"step {chosen[-1] + 1}" in view.tip(index) or "root" in view.tip(index)


def test_beside_of_all_spans_a_click_chooses_nothing(opened: Opened, small: Table) -> None:
    view = opened(small)
    for at in (QPointF(NAME_PX - 5, 60), QPointF(400, 5), QPointF(400, RULER_PX + 20 * LANE_PX)):
        assert view.index_at(at) == -1


def test_every_painted_pixel_is_found(opened: Opened, small: Table) -> None:
    view = opened(small)
    assert view._shown is not None
    layout, at = view._shown.layout, view.geometry_now()
    for number, lane in enumerate(layout.lanes):
        codes = layout.paint(lane, at.start, at.end, int(at.plot.width()))
        y = at.top(number) + LANE_PX / 2
        for pixel in np.flatnonzero(codes)[::7].tolist():
            found = view.index_at(QPointF(NAME_PX + pixel + 0.5, y))
            assert layout.code[found] == codes[pixel]


# ── keys and wheel ──────────────────────────────────────────────────────────────────────────────
def test_the_wheel_zooms_at_the_pointer(opened: Opened, small: Table) -> None:
    view = opened(small)
    for x in (200.0, 555.0, 900.0):
        at = QPointF(x, 60)
        before = view.geometry_now()
        turn(view, at, 3)
        after = view.geometry_now()
        assert after.end - after.start < before.end - before.start
        assert abs(after.time(x) - before.time(x)) < before.pixel
    for _ in range(60):
        turn(view, QPointF(500, 60), -3)
    assert view.geometry_now().end >= 100 * MS
    assert view.geometry_now().start <= 0


def test_a_drag_moves_the_stretch_with_the_pointer(opened: Opened, small: Table) -> None:
    view = opened(small)
    turn(view, QPointF(500, 60), 8)
    before = view.geometry_now().time(500)
    canvas, left = view.viewport(), Qt.MouseButton.LeftButton
    QTest.mousePress(canvas, left, pos=QPoint(500, 200))
    QTest.mouseMove(canvas, QPoint(430, 200))
    QTest.mouseRelease(canvas, left, pos=QPoint(430, 200))
    assert abs(view.geometry_now().time(430) - before) < 2 * view.geometry_now().pixel


def test_keys_zoom_move_and_show_all(opened: Opened, small: Table) -> None:
    view = opened(small)
    whole = view.geometry_now()
    QTest.keyClick(view, Qt.Key.Key_Plus)
    near = view.geometry_now()
    assert near.end - near.start < whole.end - whole.start
    QTest.keyClick(view, Qt.Key.Key_Right)
    assert view.geometry_now().start > near.start
    QTest.keyClick(view, Qt.Key.Key_Left)
    assert view.geometry_now().start == pytest.approx(near.start, abs=2)
    QTest.keyClick(view, Qt.Key.Key_Minus)
    QTest.keyClick(view, Qt.Key.Key_0)
    assert view.geometry_now() == whole


def test_keys_step_through_spans_and_to_trouble(opened: Opened, small: Table) -> None:
    view = opened(small)
    assert view._shown is not None
    names: list[int] = []
    view.chosen.connect(names.append)
    for _ in range(5):
        QTest.keyClick(view, Qt.Key.Key_N)
    assert names == [0, 1, 2, 3, 0]
    QTest.keyClick(view, Qt.Key.Key_P)
    assert names[-1] == 3
    QTest.keyClick(view, Qt.Key.Key_E)
    assert names[-1] == 2


def test_stepping_brings_the_span_into_view(opened: Opened) -> None:
    view = opened(synthetic(5_000))
    assert view._shown is not None
    view.select(0)
    view.stretch.show(0, 100_000)  # type: ignore[attr-defined]
    QTest.keyClick(view, Qt.Key.Key_E)
    layout, at = view._shown.layout, view.geometry_now()
    assert layout.code[view.selected] == ERROR
    assert at.start <= layout.end[view.selected]
    assert layout.start[view.selected] <= at.end


def test_a_double_click_zooms_to_the_span(opened: Opened, small: Table) -> None:
    view = opened(small)
    assert view._shown is not None
    layout = view._shown.layout
    bad = int(np.flatnonzero(layout.code == ERROR)[0])
    QTest.mouseDClick(
        view.viewport(), Qt.MouseButton.LeftButton, pos=middle_of(view, bad).toPoint()
    )
    at = view.geometry_now()
    assert at.start < layout.start[bad]
    assert at.end > layout.end[bad]
    assert at.end - at.start < 1.3 * (layout.end[bad] - layout.start[bad])


# ── growth ──────────────────────────────────────────────────────────────────────────────────────
def test_a_trace_that_grows_keeps_what_was_chosen(
    opened: Opened, small: Table, tables: Tables
) -> None:
    view = opened(small)
    QTest.keyClick(view, Qt.Key.Key_E)
    more = tables(
        "span",
        {
            "trace_lo": 1,
            "span_id": 9,
            "start_ns": BEGIN,
            "end_ns": BEGIN + 200 * MS,
            "service": "a",
        },
    )["span"]
    grown = {name: np.concatenate([small[name], more[name]]) for name in small}
    view.show_trace(Shown("0" * 31 + "1", grown, Waterfall(grown)), keep=True)
    assert view._shown is not None
    layout = view._shown.layout
    assert grown["span_id"][layout.rows[view.selected]] == 3
    assert view.geometry_now().end >= 200 * MS, "a fitted view stays fitted"
    QTest.keyClick(view, Qt.Key.Key_Plus)
    zoomed = view.geometry_now()
    view.show_trace(view._shown, keep=True)
    assert view.geometry_now() == zoomed


def test_many_lanes_scroll(opened: Opened, tables: Tables) -> None:
    rows = [
        {"trace_lo": 1, "span_id": n, "start_ns": BEGIN + n, "end_ns": BEGIN + 900 - n}
        | {"service": f"s{n % 7}", "parent_id": n - 1}
        for n in range(1, 300)
    ]
    view = opened(tables("span", *rows)["span"])
    assert view._shown is not None
    bar = view.verticalScrollBar()
    assert bar.maximum() >= len(view._shown.layout.lanes) * LANE_PX - view.viewport().height()
    turn(view, QPointF(20, 60), -5)
    assert bar.value() > 0
    bar.setValue(bar.maximum())
    assert not view.grab().isNull()
    last = len(view._shown.layout) - 1
    assert view.index_at(middle_of(view, last)) == last


# ── the ruler ───────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("time", "step", "text"),
    [
        (0, 1e6, "0"),
        (5e6, 1e6, "5 ms"),
        (1.25e6, 5e4, "1.25 ms"),
        (2e3, 1e3, "2 µs"),
        (1.5e9, 5e8, "1.5 s"),
        (250, 50, "250 ns"),
        (-2e6, 1e6, "-2 ms"),
    ],
)
def test_the_ruler_has_the_digits_that_its_step_needs(time: float, step: float, text: str) -> None:
    assert tick(time, step) == text


@pytest.mark.parametrize(("least", "step"), [(1, 1), (3, 5), (99, 100), (101, 200), (6e9, 1e10)])
def test_steps_are_round(least: float, step: float) -> None:
    assert round_step(least) == step

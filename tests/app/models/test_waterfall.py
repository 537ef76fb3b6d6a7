"""The layout of traces: nothing overlaps, nothing severe is lost, and a hit test inverts paint."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.models.waterfall import BLOCK, ERROR, FLAG, OPEN, Lane, Waterfall, levels
from benchmarks.synthetic import spans as synthetic
from citadel.wire.columns import Table, pack, unpack
from citadel.wire.topics import TOPICS

BEGIN = 1_700_000_000_000_000_000
COLUMNS = TOPICS["span"].columns


def table(*rows: dict) -> Table:
    plain = {"trace_lo": 1, "kind": 1, "attributes": "{}", "events": "[]"}
    made = [
        [(plain | row).get(name, "" if kind == "str" else 0) for name, kind in COLUMNS.items()]
        for row in rows
    ]
    return unpack(pack("span", made))


def span(number: int, start: int, end: int, *, parent: int = 0, **more: object) -> dict:
    return {
        "span_id": number,
        "parent_id": parent,
        "start_ns": BEGIN + start,
        "end_ns": BEGIN + end if end >= 0 else 0,
        "source": "worker",
        "service": "python-1",
    } | more


@st.composite
def traces(draw: st.DrawFn) -> Table:
    number = draw(st.integers(1, 40))
    rows: list[dict] = []
    for index in range(1, number + 1):
        start = draw(st.integers(0, 400))
        rows.append(
            span(
                index,
                start,
                start + draw(st.one_of(st.just(0), st.integers(0, 300))),
                parent=draw(st.integers(0, number + 1)),
                status=draw(st.sampled_from((0, 0, 1, 2))),
                service=draw(st.sampled_from(("python-1", "python-2", ""))),
                source=draw(st.sampled_from(("worker", "pool", "guard", "unheard of"))),
            )
        )
    return table(*rows)


def touched(layout: Waterfall, lane: Lane, left: float, right: float) -> list[int]:
    """The spans that touch a pixel, one by one: the oracle."""
    left, right = int(np.ceil(left)), int(np.ceil(right))
    return [
        index
        for index in range(lane.first, lane.last)
        if layout.start[index] < right and (layout.end[index] > left or layout.start[index] >= left)
    ]


# ── the layout ──────────────────────────────────────────────────────────────────────────────────
@given(traces())
def test_lanes_hold_every_span_once_and_none_overlaps(trace: Table) -> None:
    layout = Waterfall(trace)
    assert sorted(layout.rows.tolist()) == list(range(len(trace["span_id"])))
    assert [lane.first for lane in layout.lanes[1:]] == [lane.last for lane in layout.lanes[:-1]]
    for number, lane in enumerate(layout.lanes):
        starts, ends = layout.start[lane.first : lane.last], layout.end[lane.first : lane.last]
        assert (starts[1:] >= ends[:-1]).all()
        assert {
            trace["service"][row] or trace["source"][row]
            for row in layout.rows[lane.first : lane.last]
        } == {lane.service}
        assert layout.lane_of(lane.first) == layout.lane_of(lane.last - 1) == number


@given(traces())
def test_times_are_as_they_were_told(trace: Table) -> None:
    layout = Waterfall(trace)
    assert (layout.start + layout.begin_ns == trace["start_ns"][layout.rows]).all()
    assert (layout.end + layout.begin_ns == trace["end_ns"][layout.rows]).all()


def test_services_come_in_the_order_in_which_they_began() -> None:
    layout = Waterfall(
        table(
            span(1, 50, 60, service="late"),
            span(2, 0, 100, service="early"),
            span(3, 10, 20, service="between"),
        )
    )
    assert [lane.service for lane in layout.lanes] == ["early", "between", "late"]


def test_children_of_a_service_are_below_their_parents() -> None:
    layout = Waterfall(
        table(
            span(1, 0, 100),
            span(2, 10, 40, parent=1),
            span(3, 50, 90, parent=1),
            span(4, 55, 60, parent=3),
            span(5, 0, 100, parent=4, service="other"),
        )
    )
    lanes = [layout.rows[lane.first : lane.last].tolist() for lane in layout.lanes]
    assert lanes == [[0], [1, 2], [3], [4]]


def test_a_chain_five_thousand_deep_is_laid_out() -> None:
    deep = 5_000
    layout = Waterfall(table(*(span(n, n, 20_000 - n, parent=n - 1) for n in range(1, deep + 1))))
    assert len(layout.lanes) == deep
    assert layout.rows.tolist() == list(range(deep))
    assert layout.overview(24, 300).any(axis=1).all()


def test_parents_in_a_ring_do_not_hang() -> None:
    layout = Waterfall(
        table(span(1, 0, 9, parent=2), span(2, 1, 8, parent=1), span(3, 2, 3, parent=3))
    )
    assert len(layout) == 3


@given(st.lists(st.integers(0, 12), min_size=1, max_size=12))
def test_levels_count_the_parents_above(parents: list[int]) -> None:
    ids = np.arange(1, len(parents) + 1, dtype=np.uint64)

    def above(number: int, seen: tuple[int, ...] = ()) -> int | None:
        parent = parents[number - 1]
        if parent == 0 or parent > len(parents):
            return 0
        if parent == number or parent in seen:
            return None
        deeper = above(parent, (*seen, number))
        return None if deeper is None else deeper + 1

    expected = [above(int(number)) or 0 for number in ids]
    found = levels(ids, np.array(parents, np.uint64), np.zeros(len(ids), np.int64))
    assert found.tolist() == expected


def test_a_span_told_twice_counts_once_and_ended() -> None:
    layout = Waterfall(table(span(1, 5, 9), span(1, 5, -1)), BEGIN + 100)
    assert len(layout) == 1
    assert layout.code[0] != OPEN
    assert not layout.unfinished


def test_open_spans_reach_to_now() -> None:
    layout = Waterfall(table(span(1, 0, -1), span(2, 10, 20, parent=1)), BEGIN + 70)
    assert layout.unfinished
    assert layout.end_ns == BEGIN + 70
    assert layout.end[layout.code == OPEN].tolist() == [70]


def test_guards_that_did_not_allow_are_flagged() -> None:
    def verdict(number: int, decision: str) -> dict:
        text = f'{{"citadel.guard.decision": "{decision}", "citadel.guard.score": 0.9}}'
        return span(number, number, number + 1, source="guard", attributes=text)

    layout = Waterfall(
        table(*(verdict(n, d) for n, d in enumerate(("allow", "flag", "redact", "block"), 1)))
    )
    assert (layout.code == FLAG).tolist() == [False, True, True, True]


def test_nothing_is_a_layout_too() -> None:
    layout = Waterfall(table())
    assert len(layout) == 0
    assert layout.lanes == []
    assert layout.overview(24, 100).shape == (1, 100)


# ── painting ────────────────────────────────────────────────────────────────────────────────────
@given(traces(), st.floats(-100, 700), st.floats(0.01, 900), st.integers(1, 90))
def test_a_pixel_has_the_most_severe_code_that_touches_it(
    trace: Table, start: float, length: float, width: int
) -> None:
    layout = Waterfall(trace)
    edges = np.linspace(start, start + length, width + 1)
    for lane in layout.lanes:
        row = layout.paint(lane, start, start + length, width)
        for pixel in range(width):
            found = touched(layout, lane, edges[pixel], edges[pixel + 1])
            assert row[pixel] == max((int(layout.code[i]) for i in found), default=0)


@given(st.integers(1, 4 * BLOCK), st.integers(1, 3), st.randoms(use_true_random=False))
def test_blocks_tell_what_spans_tell(number: int, width: int, random: object) -> None:
    trace = table(
        *(
            span(n, 2 * n, 2 * n + 1, status=2 * (random.random() < 0.02))
            for n in range(1, number + 1)
        )
    )  # type: ignore[attr-defined]
    layout = Waterfall(trace)
    lane = layout.lanes[0]
    length = layout.span_ns
    wide = layout.paint(lane, -7, length + 9, width)
    edges = np.linspace(-7, length + 9, width + 1)
    for pixel in range(width):
        found = touched(layout, lane, edges[pixel], edges[pixel + 1])
        assert wide[pixel] == max((int(layout.code[i]) for i in found), default=0)


@given(traces(), st.integers(1, 60))
def test_the_hit_test_inverts_the_paint(trace: Table, width: int) -> None:
    layout = Waterfall(trace)
    edges = np.linspace(0, layout.span_ns, width + 1)
    for lane in layout.lanes:
        row = layout.paint(lane, 0, layout.span_ns, width)
        for pixel in range(width):
            found = layout.at(lane, edges[pixel], edges[pixel + 1])
            if row[pixel] == 0:
                assert found is None
            else:
                assert found is not None
                assert lane.first <= found < lane.last
                assert layout.code[found] == row[pixel]
                assert found in touched(layout, lane, edges[pixel], edges[pixel + 1])


@given(traces())
def test_every_span_is_hit_in_the_middle_of_itself(trace: Table) -> None:
    layout = Waterfall(trace)
    for lane in layout.lanes:
        for index in range(lane.first, lane.last):
            start, end = int(layout.start[index]), int(layout.end[index])
            middle = (start + end) // 2
            found = layout.at(lane, middle, middle + 1)
            assert found is not None
            # An instant may share its nanosecond with the span that begins there.
            assert found == index or start == end or layout.start[found] == layout.end[found]


def test_beside_a_span_the_slack_finds_it() -> None:
    layout = Waterfall(table(span(1, 0, 10), span(2, 100, 110)))
    lane = layout.lanes[0]
    assert layout.at(lane, 20, 21) is None
    assert layout.at(lane, 20, 21, 5) is None
    assert layout.at(lane, 20, 21, 15) == 0
    assert layout.at(lane, 75, 76, 200) == 1
    assert layout.at(lane, 25, 26, 200) == 0


@given(traces(), st.integers(1, 30), st.integers(1, 80))
def test_the_overview_has_what_the_lanes_have(trace: Table, rows: int, width: int) -> None:
    layout = Waterfall(trace)
    codes = layout.overview(rows, width)
    assert len(codes) == min(rows, len(layout.lanes))
    assert codes.max() == layout.code.max()
    for number, lane in enumerate(layout.lanes):
        row = codes[number * len(codes) // len(layout.lanes)]
        assert row.max() >= layout.code[lane.first : lane.last].max()


@pytest.fixture(scope="module")
def million() -> Waterfall:
    return Waterfall(synthetic(1_000_000, errors=1))


def test_a_lone_error_of_a_million_spans_is_seen_at_every_zoom(million: Waterfall) -> None:
    bad = int(np.flatnonzero(million.code == ERROR)[0])
    lane = million.lanes[million.lane_of(bad)]
    middle = float(million.start[bad] + million.end[bad]) / 2
    for octave in range(28):
        length = million.span_ns / 2**octave
        for shift in np.linspace(-0.49, 0.49, 13):
            start = middle + shift * length - length / 2
            row = million.paint(lane, start, start + length, 1_333)
            assert (row == ERROR).any(), f"lost at 1/2^{octave}, shifted by {shift:.2f}"
    assert (million.overview(24, 1_333) == ERROR).any()


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 1), st.floats(1e-7, 1), st.integers(1, 1_600))
def test_any_view_of_a_million_spans_is_exact(
    million: Waterfall, at: float, share: float, width: int
) -> None:
    start, length = at * million.span_ns, share * million.span_ns
    for lane in million.lanes[:2]:
        row = million.paint(lane, start, start + length, width)
        edges = np.ceil(np.linspace(start, start + length, width + 1)).astype(np.int64)
        for pixel in {0, width // 3, width - 1}:
            starts, ends = (
                million.start[lane.first : lane.last],
                million.end[lane.first : lane.last],
            )
            inside = (starts < edges[pixel + 1]) & (
                (ends > edges[pixel]) | (starts >= edges[pixel])
            )
            expected = million.code[lane.first : lane.last][inside].max(initial=0)
            assert row[pixel] == expected


# ── what faulty senders make ────────────────────────────────────────────────────────────────────
def test_a_ring_an_orphan_and_what_hangs_below_a_ring_are_all_shown() -> None:
    ring = [span(n, n, n + 5, parent=n % 3 + 1) for n in (1, 2, 3)]
    own = span(4, 4, 9, parent=4)
    below, orphan = span(5, 5, 9, parent=1), span(6, 6, 9, parent=999)
    layout = Waterfall(table(*ring, own, below, orphan))
    assert sorted(layout.rows.tolist()) == [0, 1, 2, 3, 4, 5]
    assert layout.overview(len(layout.lanes), 40).any(axis=1).all()


def test_a_chain_of_5000_has_a_level_a_span() -> None:
    number = 5_000
    layout = Waterfall(table(*(span(n, n, 20_000 - n, parent=n - 1) for n in range(1, number + 1))))
    assert len(layout.lanes) == number
    assert layout.rows.tolist() == list(range(number))
    assert layout.overview(50, 100).any()


def test_times_of_a_faulty_clock_are_shown() -> None:
    first = span(1, 0, 5) | {"start_ns": 1, "end_ns": 2}
    last = span(2, 0, 5) | {"start_ns": 2**63 - 2, "end_ns": 2**63 - 1}
    layout = Waterfall(table(first, last))
    (lane,) = layout.lanes
    row = layout.paint(lane, 0.0, float(layout.span_ns + 1), 10)
    assert row[0]
    assert layout.overview(1, 10)[0, 0]
    assert layout.at(lane, 0.0, 10.0) == 0

"""The newest spans in columns: what goes in comes out, within bounds; traces are found in it."""

from collections.abc import Callable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.models.spans import SpanColumns
from citadel.wire.columns import pack, rows, unpack
from citadel.wire.topics import TOPICS

COLUMNS = TOPICS["span"].columns
Tables = Callable[..., dict]


def told(*spans: dict) -> dict:
    made = [[s.get(n, "" if k == "str" else 0) for n, k in COLUMNS.items()] for s in spans]
    return unpack(pack("span", made))  # type: ignore[return-value]


def span(number: int, **fields: object) -> dict:
    return {
        "trace_hi": 7,
        "trace_lo": number,
        "span_id": number,
        "start_ns": number,
        "end_ns": number + 5,
        "name": f"step {number}",
        "attributes": "{}",
    } | fields


@given(st.lists(st.lists(st.integers(1, 9), max_size=30), max_size=12), st.integers(4, 40))
def test_the_newest_rows_are_kept_as_they_came(batches: list[list[int]], capacity: int) -> None:
    columns = SpanColumns(capacity)
    everything: list[dict] = []
    for batch in batches:
        added = [span(len(everything) + n + 1, mission=f"m{k}") for n, k in enumerate(batch)]
        everything += added
        if added:
            columns.append(told(*added))
    assert columns.received == len(everything)
    assert columns.count <= capacity
    kept = rows(columns.table(np.arange(columns.count)))
    newest = rows(told(*everything[-columns.count :])) if columns.count else []
    assert kept == newest
    assert columns.received == columns.count + columns.forgotten


def test_texts_that_no_row_has_any_more_are_forgotten() -> None:
    columns = SpanColumns(100)
    for number in range(1, 1_000):
        columns.append(told(span(number, name=f"only here {number}")))
    assert columns.count <= 100
    assert len(columns._texts) <= 2 * columns.count + 2 * 100


def test_a_batch_larger_than_all_room_leaves_its_newest_rows() -> None:
    columns = SpanColumns(10)
    columns.append(told(*(span(n) for n in range(1, 26))))
    assert columns.column("span_id").tolist() == list(range(16, 26))
    assert (columns.received, columns.forgotten) == (25, 15)


def test_a_trace_is_found_by_its_id() -> None:
    columns = SpanColumns()
    columns.append(told(span(1), span(2, trace_lo=9), span(3, trace_lo=9), span(4, trace_hi=8)))
    assert columns.trace(7, 9)["span_id"].tolist() == [2, 3]
    assert columns.trace(7, 10)["span_id"].tolist() == []


def test_the_newest_traces_are_summed_up() -> None:
    columns = SpanColumns()
    blocked = '{"citadel.guard.decision": "block"}'
    columns.append(
        told(
            span(1, trace_lo=5, parent_id=2, start_ns=20, end_ns=30, status=2, name="child"),
            span(2, trace_lo=5, start_ns=10, end_ns=0, name="root", mission="m"),
            span(2, trace_lo=5, start_ns=10, end_ns=40, name="root", mission="m"),
            span(
                3,
                trace_lo=5,
                parent_id=2,
                start_ns=31,
                end_ns=33,
                source="guard",
                attributes=blocked,
            ),
            span(4, trace_lo=6, start_ns=50, end_ns=51, name="later"),
        )
    )
    found = columns.recent_traces()
    assert found["name"].tolist() == ["later", "root"]
    assert found["spans"].tolist() == [1, 3]
    assert found["errors"].tolist() == [0, 1]
    assert found["flags"].tolist() == [0, 1]
    assert found["start_ns"].tolist() == [50, 10]
    assert found["end_ns"].tolist() == [51, 40]
    assert found["mission"].tolist() == ["", "m"]
    assert set(found) == set(TOPICS["trace_summary"].columns)


def test_a_trace_in_flight_has_no_end() -> None:
    columns = SpanColumns()
    columns.append(
        told(
            span(1, trace_lo=5, start_ns=10, end_ns=0),
            span(2, trace_lo=5, parent_id=1, start_ns=11, end_ns=12),
        )
    )
    assert columns.recent_traces()["end_ns"].tolist() == [0]


def test_nothing_has_no_traces() -> None:
    found = SpanColumns().recent_traces()
    assert set(found) == set(TOPICS["trace_summary"].columns)
    assert all(len(values) == 0 for values in found.values())


def test_it_can_be_emptied() -> None:
    columns = SpanColumns(50)
    columns.append(told(span(1), span(2)))
    columns.clear()
    assert (columns.count, columns.received) == (0, 0)
    columns.append(told(span(3)))
    assert columns.column("span_id").tolist() == [3]

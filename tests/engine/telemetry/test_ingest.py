"""Rows from elsewhere: anything is taken whole or counted as lost; nothing raises."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.pool.answers import ingest
from engine.telemetry.encode import MAX_JSON
from engine.telemetry.ingest import COLUMNS
from engine.telemetry.recorder import Recorder

SOUND = [1, 2, 3, 0, 10, 20, 1, 0, "n", "worker", "s", "m", "c", "x", "p", "{}", "[]", "[]"]
SOUND += ["", "", 0]
junk: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def damaged(draw: st.DrawFn) -> list[Any]:
    """A sound row with some columns of anything."""
    row = list(SOUND)
    for column in draw(st.sets(st.integers(0, len(row) - 1), max_size=4)):
        row[column] = draw(junk)
    return row


def kept(rows: Any) -> tuple[Recorder, list[tuple[Any, ...]]]:
    recorder = Recorder(publish=lambda *_: None)
    found: list[tuple[Any, ...]] = []
    recorder.sinks.append(lambda batch: found.extend(batch) or 0)
    ingest(recorder, "p", rows)
    recorder.drain()
    return recorder, found


def test_the_sound_row_is_sound() -> None:
    assert len(SOUND) == len(COLUMNS)
    assert kept([SOUND])[1] == [tuple(SOUND)]


@given(st.lists(damaged() | junk, max_size=5) | junk)
def test_any_rows_of_a_worker_are_kept_or_counted(rows: Any) -> None:
    recorder, found = kept(rows)
    ledger = recorder.ledger()
    told = len(rows) if isinstance(rows, list) else 1
    assert ledger.started == told
    assert ledger.residual == 0
    assert len(found) + recorder.books.lost["invalid"] + ledger.in_flight == told
    for row in found:
        assert isinstance(json.loads(row[15]), dict)


@pytest.mark.parametrize(
    "attributes",
    [
        json.dumps({"a": "x" * 1_000_000}),
        json.dumps({f"k{n}": "x" for n in range(100_000)}),
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"a":' + "9" * 10_000 + "}",
        '{"a":NaN}',
    ],
    ids=["1 MB", "many", "deep list", "deep map", "huge number", "NaN"],
)
def test_outsize_attributes_are_cut(attributes: str) -> None:
    _, (row,) = kept([[*SOUND[:15], attributes, *SOUND[16:]]])
    assert len(row[15]) <= MAX_JSON
    assert isinstance(json.loads(row[15]), dict)


@pytest.mark.parametrize(
    ("start", "end", "shown"),
    [(20, 10, 0), (0, 10, 0), (-5, 10, 0), (2**63, 2**63 + 1, 0), (2**62, 2**62 + 1, 1)],
    ids=["jumped back", "never", "before 1970", "past int64", "future"],
)
def test_odd_times_are_shown_or_counted(start: int, end: int, shown: int) -> None:
    recorder, found = kept([[*SOUND[:4], start, end, *SOUND[6:]]])
    assert (len(found), recorder.books.lost["invalid"]) == (shown, 1 - shown)

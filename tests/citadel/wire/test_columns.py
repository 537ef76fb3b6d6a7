"""Rows to columns and back, for every topic; a batch that lies is refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel.errors import WireError
from citadel.wire import codec
from citadel.wire.columns import MAX_ROWS, pack, rows, unpack
from citadel.wire.messages import Column, ColumnBatch
from citadel.wire.topics import STREAMED, TOPICS

KINDS: dict[str, st.SearchStrategy[Any]] = {
    "u1": st.integers(0, 2**8 - 1),
    "u4": st.integers(0, 2**32 - 1),
    "u8": st.integers(0, 2**64 - 1),
    "i8": st.integers(-(2**63), 2**63 - 1),
    "f8": st.floats(allow_nan=False),
    "str": st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
}


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, list[tuple[Any, ...]]]:
    topic = draw(st.sampled_from(sorted(TOPICS)))
    row = st.tuples(*(KINDS[kind] for kind in TOPICS[topic].columns.values()))
    return topic, draw(st.lists(row, max_size=8))


@given(tables())
def test_rows_survive_packing_and_the_wire(table: tuple[str, list[tuple[Any, ...]]]) -> None:
    topic, sent = table
    batch = codec.decode(ColumnBatch, codec.encode(pack(topic, sent)))
    got = unpack(batch)
    assert list(got) == list(TOPICS[topic].columns)
    assert [tuple(row.values()) for row in rows(got)] == sent


def test_texts_are_sent_once() -> None:
    batch = pack("counter", [("a", "{}", 1.0, 1), ("a", "{}", 2.0, 2), ("b", "{}", 3.0, 3)])
    assert batch.columns[0].strings == ("a", "b")
    assert batch.columns[1].strings == ("{}",)
    assert unpack(batch)["value"].dtype == np.dtype("<f8")


def test_a_column_that_an_older_sender_lacks_is_filled() -> None:
    batch = pack("latency", [(1, "x", "y", 3, 4)])
    older = replace(batch, columns=batch.columns[:2])
    assert rows(unpack(older)) == [
        {"time_ns": 1, "name": "x", "subject": "", "bucket": 0, "count": 0}
    ]


def test_a_column_that_a_newer_sender_has_is_left_out() -> None:
    batch = pack("latency", [(1, "x", "y", 3, 4)])
    extra = Column(name="later", kind="u1", data=b"\x01")
    assert "later" not in unpack(replace(batch, columns=(*batch.columns, extra)))


def lie(**values: Any) -> ColumnBatch:
    """A batch of one row whose first column is not as it should be."""
    batch = pack("counter", [("a", "{}", 1.0, 1)])
    first = replace(batch.columns[0], **values)
    return replace(batch, columns=(first, *batch.columns[1:]))


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        (ColumnBatch(topic="nonsense"), "no topic 'nonsense'"),
        (ColumnBatch(topic="event", rows=MAX_ROWS + 1), "claims"),
        (lie(kind="u8"), "counter.name is 'u8', not 'str'"),
        (lie(data=b""), "0 bytes, not 1 × 4"),
        (lie(data=b"\x00" * 8), "8 bytes, not 1 × 4"),
        (lie(data=b"\x09\x00\x00\x00"), "names text 9 of 1"),
        (lie(strings=()), "names text 0 of 0"),
    ],
)
def test_a_batch_that_lies_is_a_wire_error(batch: ColumnBatch, words: str) -> None:
    with pytest.raises(WireError, match=words):
        unpack(batch)


def test_a_row_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        pack("counter", [("a", "{}")])


def test_state_topics_have_keys_that_are_columns() -> None:
    for topic in TOPICS.values():
        assert set(topic.key) <= set(topic.columns)
    assert "trace_summary" not in STREAMED
    assert "survey_result" not in STREAMED
    assert "span" in STREAMED

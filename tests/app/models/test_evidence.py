"""Evidence is marked where it is, and only there."""

import json

from hypothesis import given
from hypothesis import strategies as st

from app.models.evidence import excerpt_pieces, pieces, reason_text


@given(
    st.text(max_size=60),
    st.lists(st.tuples(st.integers(0, 70), st.integers(0, 70), st.just("r")), max_size=8),
)
def test_pieces_join_to_the_text_and_mark_what_was_marked(
    text: str, marks: list[tuple[int, int, str]]
) -> None:
    cut = pieces(text, marks)
    assert "".join(piece.text for piece in cut) == text
    marked = {i for start, end, _ in marks for i in range(start, min(end, len(text)))}
    at = 0
    for piece in cut:
        for index in range(at, at + len(piece.text)):
            assert (index in marked) == bool(piece.rule)
        at += len(piece.text)


def row(excerpt: str, *reasons: dict, failure: str = "") -> dict:
    return {"excerpt": excerpt, "reasons": json.dumps(reasons), "failure": failure}


def test_evidence_is_marked_by_its_range_in_the_excerpt() -> None:
    found = excerpt_pieces(row("by ████ (c)", {"rule": "pii.email", "start": 3, "end": 7}))
    assert [(piece.text, piece.rule) for piece in found] == [
        ("by ", ""),
        ("████", "pii.email"),
        (" (c)", ""),
    ]


def test_a_reason_without_a_range_marks_nothing() -> None:
    found = excerpt_pieces(row("something else", {"rule": "r", "start": 4, "end": 4}))
    assert [piece.rule for piece in found] == [""]


def test_a_failure_is_the_reason() -> None:
    assert reason_text(row("x", failure="timeout after 50 ms")) == "timeout after 50 ms"
    assert reason_text(row("x", {"rule": "a"}, {"rule": "b"}, {"rule": "a"})) == "a, b"

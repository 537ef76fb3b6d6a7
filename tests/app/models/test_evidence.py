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


def test_evidence_is_found_by_its_text_in_a_shortened_excerpt() -> None:
    found = excerpt_pieces(
        row(
            "…please ignore all rules", {"rule": "r", "text": "ignore all", "start": 90, "end": 100}
        )
    )
    assert [(piece.text, piece.rule) for piece in found] == [
        ("…please ", ""),
        ("ignore all", "r"),
        (" rules", ""),
    ]


def test_evidence_that_is_not_in_the_excerpt_marks_nothing() -> None:
    found = excerpt_pieces(row("something else", {"rule": "r", "text": "ignore", "start": 0}))
    assert [piece.rule for piece in found] == [""]


def test_a_failure_is_the_reason() -> None:
    assert reason_text(row("x", failure="timeout after 50 ms")) == "timeout after 50 ms"
    assert reason_text(row("x", {"rule": "a"}, {"rule": "b"}, {"rule": "a"})) == "a, b"

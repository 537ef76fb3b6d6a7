"""What workers print: whole lines, whatever the cuts; long ones cut, many ones counted."""

from hypothesis import given
from hypothesis import strategies as st

from engine.pool.output import LINES_A_SECOND, MAX_LINE, Lines, Throttle


@given(st.lists(st.text(st.characters(codec="ascii", exclude_categories=["C", "Z"]), min_size=1)),
       st.data())  # fmt: skip
def test_lines_survive_any_cut(lines, data):
    stream = "".join(f"{line}\n" for line in lines).encode()
    splitter, found = Lines(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += splitter.feed(stream[:size])
        stream = stream[size:]
    assert found + splitter.end() == lines


def test_a_long_line_is_cut_and_costs_no_memory():
    lines = Lines()
    for _ in range(100):
        assert lines.feed(b"x" * MAX_LINE) == []
        assert len(lines._rest) <= MAX_LINE + 1
    assert lines.feed(b"\nnext\n") == ["x" * MAX_LINE + "…", "next"]


def test_what_has_no_end_and_what_is_no_text():
    lines = Lines()
    assert lines.feed(b"\xff\n\n  \nlast") == ["\ufffd"]
    assert lines.end() == ["last"]
    assert lines.end() == []


def test_a_flood_is_counted():
    throttle = Throttle()
    shown = [line for _ in range(LINES_A_SECOND + 50) for line in throttle.take("a", 7.2)]
    assert len(shown) == LINES_A_SECOND
    assert throttle.take("b", 8.0) == ["… 50 more lines in that second are not shown", "b"]
    assert throttle.held_back() == []

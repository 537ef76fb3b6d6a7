"""The filter language: what it reads, and what it says when it cannot."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel.errors import BadFilter
from citadel.query import (
    FIELDS,
    FLAGS,
    MAX_DEPTH,
    TEXT_FIELDS,
    And,
    Compare,
    Expr,
    Flag,
    Not,
    Or,
    parse,
)


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("", None),
        ("   ", None),
        ("error", Flag("error")),
        ("flagged", Flag("flagged")),
        ("status=error", Compare("status", "=", 2)),
        ("status != ok", Compare("status", "!=", 1)),
        ("dur>5ms", Compare("dur", ">", 5_000_000)),
        ("dur>=1.2s", Compare("dur", ">=", 1_200_000_000)),
        ("dur<200us", Compare("dur", "<", 200_000)),
        ("dur<=7µs", Compare("dur", "<=", 7_000)),
        ("dur<2m", Compare("dur", "<", 120_000_000_000)),
        ('name~"survey*"', Compare("name", "~", "survey*")),
        ("name ~ survey*", Compare("name", "~", "survey*")),
        ('name="a \\"b\\" c"', Compare("name", "=", 'a "b" c')),
        ('name="and"', Compare("name", "=", "and")),
        ("class=training", Compare("class", "=", "training")),
        ("attr.gen_ai.request.model=m", Compare("attr.gen_ai.request.model", "=", "m")),
        ("attr.n>=3", Compare("attr.n", ">=", "3")),
        ("not error", Not(Flag("error"))),
        ("NOT error AND pool=p", And((Not(Flag("error")), Compare("pool", "=", "p")))),
        (
            "error or pool=p and dur>1s",
            Or((Flag("error"), And((Compare("pool", "=", "p"), Compare("dur", ">", 10**9))))),
        ),
        (
            "(error or pool=p) and dur>1s",
            And((Or((Flag("error"), Compare("pool", "=", "p"))), Compare("dur", ">", 10**9))),
        ),
    ],
)
def test_a_filter_is_read(text: str, expression: Expr | None) -> None:
    assert parse(text) == expression


@pytest.mark.parametrize(
    ("text", "column", "words", "remedy"),
    [
        ("durr>5ms", 1, "no field 'durr'", "Did you mean dur?"),
        ("error and mision=x", 11, "no field 'mision'", "Did you mean mission?"),
        ("zzzz=1", 1, "no field 'zzzz'", "attr.KEY"),
        ("attr.=1", 1, "no field 'attr.'", ""),
        ("dur>5", 5, "'5' is no duration", "5ms"),
        ("dur>fast", 5, "'fast' is no duration", "5ms"),
        ("status>ok", 8, "makes no sense", "status=error"),
        ("status=bad", 8, "makes no sense", "status=error"),
        ("pool", 5, "pool has no operator", "~"),
        ("pool=", 6, "ends too early", "VALUE"),
        ("error and", 10, "ends too early", ""),
        ("(error", 7, '")" is missing', ""),
        ("error)", 6, "')' does not belong here", ""),
        ("error pool=p", 7, "'pool' does not belong here", '"and"'),
        ("name==x", 6, "'=' is no value", "Quote"),
        ('name="open', 6, "cannot be read", "Quote"),
        ("=x", 1, "'=' is no field", "Fields"),
        ("error ! pool", 7, "cannot be read", ""),
    ],
)
def test_what_cannot_be_read_is_named_with_its_column(
    text: str, column: int, words: str, remedy: str
) -> None:
    with pytest.raises(BadFilter) as caught:
        parse(text)
    error = caught.value
    assert words in error.message
    assert error.message.startswith(f"at column {column}:")
    assert error.details["column"] == str(column)
    assert remedy in error.remedy


@pytest.mark.parametrize("word", ["not ", "("])
def test_depth_is_bounded(word: str) -> None:
    with pytest.raises(BadFilter, match="too deeply"):
        parse(word * (MAX_DEPTH + 2) + "error")
    inner = parse(word * MAX_DEPTH + "error" + ")" * (MAX_DEPTH if word == "(" else 0))
    assert inner is not None


def test_length_is_bounded() -> None:
    with pytest.raises(BadFilter, match="longer than"):
        parse("error or " * 1000 + "error")


@given(st.text(max_size=40))
def test_any_text_is_a_filter_or_a_bad_one(text: str) -> None:
    try:
        parse(text)
    except BadFilter as error:
        column = int(error.details["column"])
        assert 1 <= column <= len(text) + 1


def quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def written(expression: Expr) -> str:
    match expression:
        case Flag(name):
            return name
        case Not(inner):
            return f"not ({written(inner)})"
        case And(parts) | Or(parts):
            word = " and " if isinstance(expression, And) else " or "
            return word.join(f"({written(part)})" for part in parts)
        case Compare(field, operator, value):
            if field == "dur":
                return f"dur{operator}{value}ns"
            return f"{field} {operator} {quoted(str(value))}"


SIGNS = st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "~"])
PRINTABLE = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=10)
LEAVES = (
    st.builds(Flag, st.sampled_from(FLAGS))
    | st.builds(Compare, st.sampled_from(TEXT_FIELDS), SIGNS, PRINTABLE)
    | st.builds(Compare, st.just("dur"), SIGNS, st.integers(0, 10**15))
)
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple))
        | st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple))
    ),
    max_leaves=8,
)


@given(EXPRESSIONS)
def test_what_is_written_is_what_is_read(expression: Expr) -> None:
    assert parse(written(expression)) == expression


def test_the_fields_are_these() -> None:
    assert set(FIELDS) == {
        *("name", "mission", "class", "sentinel", "pool"),
        *("source", "service", "trace", "status", "dur"),
        *("span", "parent", "message", "event", "kind"),
    }


def test_an_attribute_alone_asks_whether_it_is_there() -> None:
    assert parse("attr.a.b") == Flag("attr.a.b")
    assert parse("not attr.a and error") == And((Not(Flag("attr.a")), Flag("error")))
    assert parse("kind=client") == Compare("kind", "=", 3)
    assert parse("dur>2h") == Compare("dur", ">", 7_200 * 10**9)
    with pytest.raises(BadFilter, match="makes no sense"):
        parse("kind=green")
    with pytest.raises(BadFilter, match="no field"):
        parse("attr.")

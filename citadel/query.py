"""The filter language: `status=error and dur>5ms and name~"survey*"`.

One parser for the SDK, the CLI, the engine and the window. Grammar:

    expression = term {"or" term}          term = factor {"and" factor}
    factor     = "not" factor | "(" expression ")" | comparison | flag
    comparison = field ("=" | "!=" | "<" | "<=" | ">" | ">=" | "~") value
    flag       = "error" | "flagged" | "attr.KEY"

`~` matches a glob. Durations have a unit: ns, us, ms, s, m, h. `attr.KEY` reads an attribute:
numbers are compared as such, and alone it asks whether it is there. `event` is the name of some
event of the span. Errors name the column and what would fit there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from citadel.errors import BadFilter

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "~"]

TEXT_FIELDS = (
    "name",
    "mission",
    "class",
    "sentinel",
    "pool",
    "source",
    "service",
    "trace",
    "span",
    "parent",
    "message",
    "event",
)
FIELDS = (*TEXT_FIELDS, "status", "kind", "dur")
FLAGS = ("error", "flagged")
STATUSES = {"unset": 0, "ok": 1, "error": 2}
KINDS = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
_NAMED = {"status": STATUSES, "kind": KINDS}
UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3_600 * 10**9,
}
MAX_LENGTH = 4_096
MAX_DEPTH = 64
"""Parentheses and nots that may be nested."""


@dataclass(frozen=True, slots=True)
class Compare:
    """A field against a value: nanoseconds for `dur`, a number for `status`, `kind`; else text."""

    field: str
    operator: Operator
    value: str | int


@dataclass(frozen=True, slots=True)
class Flag:
    """Spans with an error, a guard's flag, or an attribute (`attr.KEY`)."""

    name: str


@dataclass(frozen=True, slots=True)
class Not:
    """What does not match."""

    inner: Expr


@dataclass(frozen=True, slots=True)
class And:
    """What matches all."""

    parts: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """What matches any."""

    parts: tuple[Expr, ...]


Expr = Compare | Flag | Not | And | Or


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int


_TOKENS = re.compile(
    r'\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<operator><=|>=|!=|[=<>~()])'
    r'|(?P<word>[^\s"=<>~()!]+)|(?P<bad>\S))'
)


def parse(text: str) -> Expr | None:
    """The expression of a filter, or None for an empty one.

    Raises:
        BadFilter: the text cannot be read; the message names the column (from 1).
    """
    if len(text) > MAX_LENGTH:
        raise BadFilter(f"a filter of {len(text)} characters is longer than {MAX_LENGTH}")
    tokens = _tokens(text)
    if not tokens:
        return None
    parser = _Parser(tokens, len(text) + 1)
    expression = parser.either(0)
    if parser.at < len(tokens):
        token = tokens[parser.at]
        raise _bad(f"{token.text!r} does not belong here", token.column, 'Join terms with "and"')
    return expression


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    for match in _TOKENS.finditer(text):
        kind = match.lastgroup or ""
        token = _Token(kind, match[kind], match.start(kind) + 1)
        if kind == "bad":
            raise _bad(f"{token.text!r} cannot be read", token.column, 'Quote texts: name="a b"')
        found.append(token)
    return found


def _bad(what: str, column: int, remedy: str) -> BadFilter:
    return BadFilter(
        f"at column {column}: {what}",
        subject=str(column),
        remedy=remedy,
        details={"column": str(column)},
    )


class _Parser:
    def __init__(self, tokens: list[_Token], end: int) -> None:
        self.tokens = tokens
        self.at = 0
        self._end = end

    def either(self, depth: int) -> Expr:
        return self._joined("or", self._all, Or, depth)

    def _all(self, depth: int) -> Expr:
        return self._joined("and", self._factor, And, depth)

    def _joined(
        self,
        word: str,
        part: Callable[[int], Expr],
        join: Callable[[tuple[Expr, ...]], Expr],
        depth: int,
    ) -> Expr:
        parts = [part(depth)]
        while self._take(word):
            parts.append(part(depth))
        return parts[0] if len(parts) == 1 else join(tuple(parts))

    def _factor(self, depth: int) -> Expr:
        if depth > MAX_DEPTH:
            raise _bad(
                "it is nested too deeply", self._next().column, f"At most {MAX_DEPTH} levels"
            )
        if self._take("not"):
            return Not(self._factor(depth + 1))
        if self._take("("):
            inner = self.either(depth + 1)
            if not self._take(")"):
                raise _bad('a ")" is missing', self._column(), 'Close the "("')
            return inner
        return self._comparison()

    def _comparison(self) -> Expr:
        field = self._next()
        if field.kind != "word":
            raise _bad(f"{field.text!r} is no field", field.column, f"Fields: {', '.join(FIELDS)}")
        operator = self.tokens[self.at] if self.at < len(self.tokens) else None
        if operator is None or operator.kind != "operator" or operator.text in "()":
            if field.text in FLAGS or _is_attribute(field.text):
                return Flag(field.text)
            _check_field(field)
            raise _bad(f"{field.text} has no operator", self._column(), "One of = != < <= > >= ~")
        _check_field(field)
        self.at += 1
        return _compare(field, operator, self._next())

    def _next(self) -> _Token:
        if self.at >= len(self.tokens):
            raise _bad("the filter ends too early", self._end, "Write FIELD OPERATOR VALUE")
        self.at += 1
        return self.tokens[self.at - 1]

    def _take(self, text: str) -> bool:
        if self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token.kind != "string" and token.text.lower() == text:
                self.at += 1
                return True
        return False

    def _column(self) -> int:
        return self.tokens[self.at].column if self.at < len(self.tokens) else self._end


def _is_attribute(text: str) -> bool:
    return text.startswith("attr.") and len(text) > len("attr.")


def _check_field(field: _Token) -> None:
    if field.text in FIELDS or _is_attribute(field.text):
        return
    near = get_close_matches(field.text, [*FIELDS, *FLAGS], n=1)
    remedy = f"Did you mean {near[0]}?" if near else f"Fields: {', '.join(FIELDS)}, attr.KEY"
    raise _bad(f"there is no field {field.text!r}", field.column, remedy)


def _compare(field: _Token, operator: _Token, value: _Token) -> Compare:
    if value.kind == "operator":
        raise _bad(f"{value.text!r} is no value", value.column, 'Quote it: name="<lambda>"')
    text = value.text
    if value.kind == "string":
        text = re.sub(r"\\(.)", r"\1", text[1:-1])
    sign: Operator = operator.text  # type: ignore[assignment]
    if field.text == "dur":
        return Compare("dur", sign, _duration(text, value.column))
    if field.text in _NAMED:
        numbers = _NAMED[field.text]
        *first, last = sorted(numbers)
        if text not in numbers or sign not in ("=", "!="):
            raise _bad(
                f"{field.text}{sign}{text} makes no sense",
                value.column,
                f"{field.text}={', '.join(first)} or {last}",
            )
        return Compare(field.text, sign, numbers[text])
    return Compare(field.text, sign, text)


def _duration(text: str, column: int) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([a-zµ]+)", text)
    if found is None or found[2] not in UNITS:
        raise _bad(f"{text!r} is no duration", column, "For instance 5ms, 1.5s, 200us")
    return round(float(found[1]) * UNITS[found[2]])

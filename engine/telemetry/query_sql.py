"""The filter language as SQL over the tables `span` and `scope`; values are always bound."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from citadel.query import And, Compare, Expr, Flag, Not, Or
from engine.telemetry.span_schema import content

_COLUMNS = {
    "name": "scope.name",
    "mission": "scope.mission",
    "class": "scope.mission_class",
    "sentinel": "span.sentinel",
    "pool": "scope.pool",
    "source": "scope.source",
    "service": "span.service",
    "status": "span.status",
    "kind": "span.kind",
    "message": "span.status_message",
    "span": "lower(hex(span.span_id))",
    "parent": "lower(hex(span.parent_id))",
    "dur": "(span.end_ns - span.start_ns)",
    "trace": "(SELECT lower(hex(t.trace_id)) FROM trace AS t WHERE t.id = span.trace)",
}
_FLAGS = {
    "error": "span.status = 2",
    "flagged": "span.flagged",
}


def where(expression: Expr | None) -> tuple[str, list[Any]]:
    """The condition and the values of its placeholders."""
    match expression:
        case None:
            return "1", []
        case Flag(name) if name in _FLAGS:
            return _FLAGS[name], []
        case Flag(name):
            return f"json_type({content('attributes')}, ?) IS NOT NULL", [_path(name)]
        case Not(inner):
            condition, values = where(inner)
            return f"NOT ({condition})", values
        case And(parts) | Or(parts):
            word = " AND " if isinstance(expression, And) else " OR "
            made = [where(part) for part in parts]
            condition = word.join(f"({text})" for text, _ in made)
            return condition, [value for _, values in made for value in values]
        case Compare():
            return _compare(expression)


def trace_where(expression: Expr) -> tuple[str, list[Any]]:
    """A condition over the table `trace` that holds wherever a span of it matches.

    It is cheap, and spares looking at the spans of most traces.
    """
    match expression:
        case And(parts):
            made = [trace_where(part) for part in parts]
            condition = " AND ".join(f"({text})" for text, _ in made)
            return condition, [value for _, values in made for value in values]
        case Flag("error") | Compare("status", "=", 2):
            return "trace.errors > 0", []
        case Flag("flagged"):
            return "trace.flags > 0", []
        case Compare("dur", ">" | ">=" as operator, value):
            return f"trace.end_ns - trace.start_ns {operator} ?", [value]
        case Compare("trace", "=", value) if re.fullmatch("[0-9a-f]{32}", str(value)):
            return "trace.trace_id = ?", [bytes.fromhex(str(value))]
        case _:
            return "1", []


def _compare(comparison: Compare) -> tuple[str, list[Any]]:
    operator = "GLOB" if comparison.operator == "~" else comparison.operator
    if comparison.field.startswith("attr."):
        condition, values = _attribute(comparison.field, operator, str(comparison.value))
    elif comparison.field == "event":
        condition = (
            f"EXISTS (SELECT 1 FROM json_each({content('events')})"  # noqa: S608 - values are bound
            f" WHERE json_extract(value, '$.name') {operator} ?)"
        )
        values = [comparison.value]
    else:
        condition, values = f"{_COLUMNS[comparison.field]} {operator} ?", [comparison.value]
    # What is not there compares as false, so that "not" of it is true.
    return f"coalesce({condition}, 0)", values


def _attribute(field: str, operator: str, value: str) -> tuple[str, list[Any]]:
    """An attribute against a value: numbers with numbers, texts with texts, true with true."""
    path = _path(field)
    found = f"json_extract({content('attributes')}, ?)"
    number = _number(value)
    if operator == "GLOB":
        return f"{found} GLOB ?", [path, value]
    if operator in ("=", "!="):
        join = "OR" if operator == "=" else "AND"
        texts = f"{found} {operator} ?", [path, value]
        if value in ("true", "false"):
            other = f"json_type({content('attributes')}, ?) {operator} ?", [path, value]
        elif number is not None:
            other = f"{found} {operator} ?", [path, number]
        else:
            return texts
        return f"({texts[0]} {join} {other[0]})", [*texts[1], *other[1]]
    # For SQLite each text is more than any number.
    kinds = "('text')" if number is None else "('integer', 'real')"
    condition = f"typeof({found}) IN {kinds} AND {found} {operator} ?"
    return f"({condition})", [path, path, value if number is None else number]


def _path(field: str) -> str:
    """Where an attribute is in the JSON object of them."""
    return f"$.{json.dumps(field.removeprefix('attr.'), ensure_ascii=False)}"


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None

"""The filter language as SQL over the tables `span` and `scope`; values are always bound."""

from __future__ import annotations

import json
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
        case Flag(name):
            return _FLAGS[name], []
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
    value: Any = comparison.value
    if comparison.field.startswith("attr."):
        key = json.dumps(comparison.field.removeprefix("attr."))
        column, values = f"json_extract({content('attributes')}, ?)", [f"$.{key}"]
        number = _number(value)
        if number is not None and comparison.operator != "~":
            value = number
    else:
        column, values = _COLUMNS[comparison.field], []
    operator = "GLOB" if comparison.operator == "~" else comparison.operator
    # An attribute that is not there compares as false, so that "not" of it is true.
    return f"coalesce({column} {operator} ?, 0)", [*values, value]


def _number(text: Any) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None

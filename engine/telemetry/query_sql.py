"""The filter language as a SQL condition over the table `span`; values are always bound."""

from __future__ import annotations

import json
from typing import Any

from citadel.query import And, Compare, Expr, Flag, Not, Or

_COLUMNS = {
    "name": "span.name",
    "mission": "span.mission",
    "class": "span.mission_class",
    "sentinel": "span.sentinel",
    "pool": "span.pool",
    "source": "span.source",
    "service": "span.service",
    "status": "span.status",
    "dur": "(span.end_ns - span.start_ns)",
    "trace": "printf('%016x%016x', span.trace_hi, span.trace_lo)",
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


def _compare(comparison: Compare) -> tuple[str, list[Any]]:
    value: Any = comparison.value
    if comparison.field.startswith("attr."):
        key = json.dumps(comparison.field.removeprefix("attr."))
        column, values = "json_extract(span.attributes, ?)", [f"$.{key}"]
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

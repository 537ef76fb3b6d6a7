"""Whether a row fits its topic: as many values as columns, each of its column's kind. Pure.

Checked where a row is published, so that a fault shows at its author and not at a watcher.
"""

from __future__ import annotations

from typing import Any

from citadel.errors import EngineError
from citadel.wire.topics import TOPICS

_LIMITS: dict[str, tuple[int, int]] = {
    "u1": (0, 2**8 - 1),
    "u4": (0, 2**32 - 1),
    "u8": (0, 2**64 - 1),
    "i8": (-(2**63), 2**63 - 1),
}


def check_row(topic: str, row: tuple[Any, ...]) -> None:
    """Refuses a row that the topic's columns cannot carry.

    Raises:
        EngineError: there is no such topic, or the row does not fit it.
    """
    schema = TOPICS.get(topic)
    if schema is None:
        raise EngineError(f"there is no topic {topic!r}", subject=topic)
    if len(row) != len(schema.columns):
        raise EngineError(
            f"a row of {topic} has {len(schema.columns)} values, not {len(row)}", subject=topic
        )
    for (name, kind), value in zip(schema.columns.items(), row, strict=True):
        if kind == "str":
            fits = isinstance(value, str)
        elif kind == "f8":
            fits = isinstance(value, int | float)
        else:
            low, high = _LIMITS[kind]
            fits = isinstance(value, int) and low <= value <= high
        if not fits:
            raise EngineError(
                f"{topic}.{name} is {kind}, which {value!r} is not", subject=f"{topic}.{name}"
            )

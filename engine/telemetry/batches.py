"""A stretch of the live sequence to the tables of one batch: filtered, coalesced, bounded. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

BATCH_TEXT = 4 * 2**20
"""Characters that a batch holds at most, beyond its first row: well under the wire's limit."""

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """What a watcher gets next: the rows of its topics, and how many of the sequence they cover."""

    taken: int
    tables: Mapping[str, list[Row]]


def collect(
    entries: Iterable[tuple[str, Row]],
    wanted: frozenset[str],
    keys: Mapping[str, tuple[int, ...]],
) -> Stretch:
    """The rows of `wanted` topics; a topic in `keys` is reduced to the last row of each key."""
    logs: dict[str, list[Row]] = {}
    states: dict[str, dict[Row, Row]] = {}
    taken = size = 0
    for topic, row in entries:
        if topic in wanted:
            weight = sum(len(value) for value in row if type(value) is str)
            if size and size + weight > BATCH_TEXT:
                break
            size += weight
            columns = keys.get(topic)
            if columns is None:
                logs.setdefault(topic, []).append(row)
            else:
                last = states.setdefault(topic, {})
                key = tuple(row[column] for column in columns)
                # Out and in again: rows stay in the order in which they were said last.
                last.pop(key, None)
                last[key] = row
        taken += 1
    reduced = {topic: list(last.values()) for topic, last in states.items()}
    return Stretch(taken=taken, tables=logs | reduced)

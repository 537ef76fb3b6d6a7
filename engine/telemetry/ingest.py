"""Spans that other processes recorded: which rows make sense. Pure.

A row is taken when its ids fit and are not zero, it has ended, and does not end before it starts.
Numbers and words outside OpenTelemetry's and the vocabulary are put right rather than refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from citadel.vocabulary import KIND_CONSUMER, KIND_INTERNAL, STATUS_ERROR, STATUS_UNSET, Source
from citadel.wire.topics import TOPICS
from engine.telemetry.encode import FinishedRow, Row, foreign_row

COLUMNS = tuple(TOPICS["span"].columns)

_SOURCES = frozenset(get_args(Source))
_IDS = 2**64
_TIMES = 2**63


def sound(row: Sequence[Any]) -> Row | None:
    """The row as topic `span` can carry it, or None when it makes no sense."""
    if type(row) is FinishedRow:
        return row
    if len(row) != len(COLUMNS) or not all(isinstance(value, int) for value in row[:8]):
        return None
    hi, lo, span_id, parent_id, start_ns, end_ns, kind, status, name, source, *texts = row[:-1]
    threshold = row[-1]
    ids = (hi, lo, span_id, parent_id)
    if not all(0 <= number < _IDS for number in ids) or not (hi or lo) or not span_id:
        return None
    if not 0 < start_ns <= end_ns < _TIMES or not all(isinstance(text, str) for text in texts):
        return None
    if not isinstance(threshold, int) or not 0 <= threshold <= 2**56:
        threshold = 0
    return (
        *ids,
        start_ns,
        end_ns,
        kind if KIND_INTERNAL <= kind <= KIND_CONSUMER else KIND_INTERNAL,
        status if 0 <= status <= STATUS_ERROR else STATUS_UNSET,
        str(name),
        source if isinstance(source, str) and source in _SOURCES else "user",
        *texts,
        threshold,
    )


def whole(row: Row) -> Row:
    """A sound row as it may be stored and shown."""
    return row if type(row) is FinishedRow else foreign_row(row)

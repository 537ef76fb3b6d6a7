"""What is told of many spans at once: histograms, estimates, whole days. Pure, but for the queries.

Each works over the files of a `SpanFiles`; give one to its `read`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from citadel.errors import InvalidRequest
from citadel.query import Expr
from citadel.vocabulary import STATUS_ERROR
from engine.telemetry.batches import BATCH_TEXT
from engine.telemetry.encode import Row
from engine.telemetry.estimate import Estimates, Sample, estimate
from engine.telemetry.policy import adjusted_count
from engine.telemetry.query_sql import where
from engine.telemetry.span_files import Opened, SpanFile
from engine.telemetry.span_histogram import MINUTE_NS, counted, folded_rows
from engine.telemetry.span_schema import SELECT_SPAN, UNFOLDED, from_sqlite

MAX_ESTIMATED_SPANS = 4_000_000
MAX_HISTOGRAM_ROWS = 500_000
PAGE_ROWS = 2_000
_FOREVER_NS = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A range of time, in unix nanoseconds; 0 is no bound."""

    since_ns: int = 0
    until_ns: int = 0

    @property
    def ends(self) -> tuple[int, int]:
        """Its first and last nanosecond."""
        return self.since_ns, self.until_ns or _FOREVER_NS


def histogram(
    paths: Iterable[Path],
    opened: Opened,
    stretch: Stretch,
    *,
    mission: str = "",
    name: str = "",
    step_minutes: int = 0,
) -> list[Row]:
    """Rows of topic `span_histogram`: minutes added up by `step_minutes`, or all of them.

    Raises:
        InvalidRequest: there are too many rows.
    """
    first, last = (each // MINUTE_NS for each in stretch.ends)
    globs = (mission or "*", name or "*")
    sql = (
        "SELECT min(minute), mission, name, bucket, sum(count), sum(weight) FROM histogram"  # noqa: S608 - an integer
        " WHERE minute BETWEEN ? AND ? AND mission GLOB ? AND name GLOB ?"
        f" GROUP BY mission, name, bucket{f', minute / {step_minutes}' if step_minutes else ''}"
    )
    found: list[Any] = []
    for path in paths:
        with opened(path) as file:
            if file is None:
                continue
            with file.snapshot():
                found += file.rows(sql, (first, last, *globs))
                fresh = file.rows(
                    f"{UNFOLDED} AND start_ns BETWEEN ? AND ? AND mission GLOB ? AND name GLOB ?",
                    (first * MINUTE_NS, min((last + 1) * MINUTE_NS - 1, _FOREVER_NS), *globs),
                )
        found += folded_rows(counted(fresh))
    return _added(found, step_minutes)


def _added(rows: Iterable[Sequence[Any]], step: int) -> list[Row]:
    """Rows of the same step, mission, name and bucket as one."""
    found: dict[tuple[int, str, str, int], list[Any]] = {}
    for minute, mission, name, bucket, count, weight in rows:
        key = (minute // step if step else 0, mission, name, bucket)
        known = found.setdefault(key, [minute, 0, 0.0])
        known[0] = min(known[0], minute)
        known[1] += count
        known[2] += weight
    if len(found) > MAX_HISTOGRAM_ROWS:
        raise InvalidRequest(
            f"{len(found)} rows of histograms are more than {MAX_HISTOGRAM_ROWS}",
            remedy="Narrow the range, the mission or the name, or take longer steps",
        )
    return [
        (key[0] * step * MINUTE_NS if step else minute * MINUTE_NS, *key[1:], count, weight)
        for key, (minute, count, weight) in sorted(found.items())
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Estimates, and what they rest on."""

    estimates: Estimates
    kept_traces: int
    kept_spans: int


def estimated(
    paths: Iterable[Path], opened: Opened, expression: Expr | None, stretch: Stretch
) -> Report:
    """What there was of spans that match.

    Raises:
        InvalidRequest: too many spans match.
    """
    condition, values = where(expression)
    first, last = stretch.ends
    # Which traces may have such spans is told by the small table.
    sql = (
        "SELECT trace.trace_id, span.end_ns - span.start_ns, span.status, span.threshold"  # noqa: S608 - values are bound
        " FROM trace JOIN span ON span.trace = trace.id JOIN scope ON scope.id = span.scope"
        f" WHERE span.start_ns BETWEEN ? AND ? AND ({condition})"
        f"{' AND trace.end_ns >= ? AND trace.start_ns <= ?' if stretch.since_ns else ''} LIMIT ?"
    )
    bound = [first, last, *values, *([first, last] if stretch.since_ns else [])]
    rows: list[tuple[bytes, int, int, int]] = []
    for path in paths:
        with opened(path) as file:
            if file is not None and _reaches(file, first):
                rows += file.rows(sql, (*bound, MAX_ESTIMATED_SPANS + 1 - len(rows)))
        if len(rows) > MAX_ESTIMATED_SPANS:
            raise InvalidRequest(
                f"more than {MAX_ESTIMATED_SPANS} spans match",
                remedy="Narrow the range or the filter; `citadel trace latency` takes any range",
            )
    traces: dict[bytes, int] = {}
    numbers = [traces.setdefault(row[0], len(traces)) for row in rows]
    counts = {limit: adjusted_count(limit) for limit in {row[3] for row in rows}}
    sample = Sample(
        trace=np.array(numbers, dtype=np.int64),
        weight=np.array([counts[row[3]] for row in rows], dtype=np.float64),
        seconds=np.array([row[1] for row in rows], dtype=np.float64) / 1e9,
        error=np.array([row[2] == STATUS_ERROR for row in rows], dtype=np.bool_),
    )
    return Report(estimates=estimate(sample), kept_traces=len(traces), kept_spans=len(rows))


def _reaches(file: SpanFile, first_ns: int) -> bool:
    """Whether the file has spans that began then or later."""
    minute = file.rows("SELECT max(minute) FROM histogram")[0][0]
    if minute is not None and minute >= first_ns // MINUTE_NS:
        return True
    return bool(file.rows(f"{UNFOLDED} AND start_ns >= ? LIMIT 1", (first_ns,)))


def page(path: Path, opened: Opened, after: int) -> tuple[list[Row], int]:
    """Spans of a file in the order in which they were written, and where the next page begins.

    An empty page is the end.
    """
    with opened(path) as file:
        found = (
            file.rows(
                f"{SELECT_SPAN} WHERE span.rowid > ? ORDER BY span.rowid LIMIT ?",
                (after, PAGE_ROWS),
            )
            if file
            else []
        )
    taken = list(_within(found))
    return [from_sqlite(row) for row in taken], taken[-1][-1] if taken else after


def _within(rows: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    """As many rows, one at least, as fit one message."""
    size = 0
    for row in rows:
        weight = sum(len(value) for value in row if type(value) is str)
        if size and size + weight > BATCH_TEXT:
            return
        size += weight
        yield row

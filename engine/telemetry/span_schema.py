"""The span store's tables, and how rows go into and come out of them. Pure, but for the SQL.

`span` has every span, `trace` one row a trace that is kept up to date with each batch: searches
walk it newest first and stop at their limit. SQLite's integers are signed, ids are not.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from citadel.vocabulary import STATUS_ERROR
from engine.telemetry.encode import ATTRIBUTES, Row

VERSION = 3

SPAN_COLUMNS = (
    "trace_hi, trace_lo, span_id, parent_id, start_ns, end_ns, kind, status, name, source, service,"
    " mission, mission_class, sentinel, pool, attributes, events, links, status_message,"
    " trace_state, threshold"
)
INSERT_SPAN = f"INSERT INTO span ({SPAN_COLUMNS}, flagged) VALUES ({', '.join('?' * 22)})"  # noqa: S608 - constants

# A trace is named by its root span; until that has come, by the span that began first.
UPSERT_TRACE = """
INSERT INTO trace VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (trace_hi, trace_lo) DO UPDATE SET
  name = CASE WHEN (excluded.has_root, -excluded.named_ns) > (has_root, -named_ns)
    THEN excluded.name ELSE name END,
  named_ns = CASE WHEN (excluded.has_root, -excluded.named_ns) > (has_root, -named_ns)
    THEN excluded.named_ns ELSE named_ns END,
  has_root = max(has_root, excluded.has_root),
  start_ns = min(start_ns, excluded.start_ns), end_ns = max(end_ns, excluded.end_ns),
  spans = spans + excluded.spans, errors = errors + excluded.errors,
  flags = flags + excluded.flags,
  mission = CASE WHEN mission = '' THEN excluded.mission ELSE mission END,
  mission_class =
    CASE WHEN mission_class = '' THEN excluded.mission_class ELSE mission_class END
"""

SUMMARY_COLUMNS = (
    "trace_hi, trace_lo, name, start_ns, end_ns, spans, errors, flags, mission, mission_class"
)

_TABLES = """
CREATE TABLE IF NOT EXISTS span (
  trace_hi INTEGER NOT NULL, trace_lo INTEGER NOT NULL, span_id INTEGER NOT NULL,
  parent_id INTEGER NOT NULL, start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL,
  kind INTEGER NOT NULL, status INTEGER NOT NULL, name TEXT NOT NULL, source TEXT NOT NULL,
  service TEXT NOT NULL, mission TEXT NOT NULL, mission_class TEXT NOT NULL,
  sentinel TEXT NOT NULL, pool TEXT NOT NULL, attributes TEXT NOT NULL, events TEXT NOT NULL,
  links TEXT NOT NULL, status_message TEXT NOT NULL, trace_state TEXT NOT NULL,
  threshold INTEGER NOT NULL,
  flagged INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS span_by_trace ON span (trace_hi, trace_lo, start_ns);
CREATE TABLE IF NOT EXISTS trace (
  trace_hi INTEGER NOT NULL, trace_lo INTEGER NOT NULL, name TEXT NOT NULL,
  start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL, spans INTEGER NOT NULL,
  errors INTEGER NOT NULL, flags INTEGER NOT NULL, mission TEXT NOT NULL,
  mission_class TEXT NOT NULL, has_root INTEGER NOT NULL, named_ns INTEGER NOT NULL,
  PRIMARY KEY (trace_hi, trace_lo)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS trace_by_start ON trace (start_ns);
"""
_SIGN = 2**63
_ROUND = 2**64


def make_tables(connection: sqlite3.Connection) -> None:
    """Makes what is missing; the tables of an older version, which held the same, are begun anew.

    Raises:
        sqlite3.DatabaseError: the file is no sound database.
        FutureVersion: it is of a newer Citadel.
    """
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if found > VERSION:
        raise FutureVersion(found)
    drop = "DROP TABLE IF EXISTS span; DROP TABLE IF EXISTS trace;" if 0 < found < VERSION else ""
    connection.executescript(f"{drop}{_TABLES}PRAGMA user_version = {VERSION};")


class FutureVersion(Exception):
    """The database is of a newer version than this code knows."""


def to_sqlite(row: Row) -> Row:
    """A row of topic `span` as INSERT_SPAN takes it."""
    return (*map(signed, row[:4]), *row[4:], int(is_flagged(row)))


def trace_rows(rows: Iterable[Row]) -> list[Row]:
    """What a batch of span rows adds to its traces, as UPSERT_TRACE takes it."""
    traces: dict[tuple[int, int], list[Any]] = {}
    for row in rows:
        start, end, root = row[4], row[5], not row[3]
        found = traces.get((row[0], row[1]))
        if found is None:
            found = [row[8], start, end, 0, 0, 0, row[11], row[12], root, start]
            traces[row[0], row[1]] = found
        elif (root, -start) > (found[8], -found[9]):
            found[0], found[8], found[9] = row[8], root, start
        found[1], found[2] = min(found[1], start), max(found[2], end)
        found[3] += 1
        found[4] += row[7] == STATUS_ERROR
        found[5] += is_flagged(row)
        found[6], found[7] = found[6] or row[11], found[7] or row[12]
    return [(signed(hi), signed(lo), *values) for (hi, lo), values in traces.items()]


def is_flagged(row: Row) -> bool:
    """Whether a guard objected in this span."""
    if row[9] != "guard" or "citadel.guard.decision" not in row[ATTRIBUTES]:
        return False
    decision = json.loads(row[ATTRIBUTES]).get("citadel.guard.decision")
    return decision in ("flag", "redact", "block")


def from_sqlite(row: Sequence[Any], ids: int) -> Row:
    """A row as topics have it: its first `ids` columns are ids."""
    return (*(value % _ROUND for value in row[:ids]), *row[ids:])


def signed(number: int) -> int:
    """An id as SQLite's integers carry it."""
    return number - _ROUND if number >= _SIGN else number

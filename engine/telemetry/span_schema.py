"""The tables of span databases, and how rows go into and come out of them. Pure, but for the SQL.

A database holds the spans of a day, or of a recording; the tables are the same. `trace` has one row
a trace that is kept up to date with each batch (searches walk it newest first and stop at their
limit), `span` every span by the number of its trace, so that its index grows at its end. `text` has
each text of attributes, events and links once, `scope` each combination of what a span is of, and
`histogram` durations by minute, mission and name. Ids are BLOBs: SQLite's integers are signed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

from citadel import semconv
from citadel.vocabulary import STATUS_ERROR
from engine.telemetry.encode import ATTRIBUTES, Row

VERSION = 4

INSERT_SPAN = f"INSERT INTO span VALUES ({', '.join('?' * 17)})"  # noqa: S608 - constants
INSERT_SCOPE = f"INSERT INTO scope VALUES ({', '.join('?' * 6)})"  # noqa: S608 - constants
SELECT_SCOPE = (
    "SELECT id FROM scope WHERE (name, source, mission, mission_class, pool) = (?, ?, ?, ?, ?)"
)
INSERT_TEXT = "INSERT INTO text VALUES (?, ?, ?)"

INSERT_TRACE = f"INSERT INTO trace VALUES ({', '.join('?' * 13)})"  # noqa: S608 - constants

# A trace is named by its root span; until that has come, by the span that began first.
UPDATE_TRACE = """
UPDATE trace SET
  name = CASE WHEN (?9, -?10) > (has_root, -named_ns) THEN ?1 ELSE name END,
  named_ns = CASE WHEN (?9, -?10) > (has_root, -named_ns) THEN ?10 ELSE named_ns END,
  has_root = max(has_root, ?9),
  start_ns = min(start_ns, ?2), end_ns = max(end_ns, ?3),
  spans = spans + ?4, errors = errors + ?5, flags = flags + ?6,
  mission = CASE WHEN mission = '' THEN ?7 ELSE mission END,
  mission_class = CASE WHEN mission_class = '' THEN ?8 ELSE mission_class END
WHERE id = ?12
"""

UPSERT_HISTOGRAM = """
INSERT INTO histogram VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (minute, mission, name, bucket) DO UPDATE SET
  count = count + excluded.count, weight = weight + excluded.weight
"""


# Marks: `folded` is the last row of `span` that is in the histograms, `trimmed` a time in unix
# nanoseconds: traces that began before were deleted to make room.
SET_MARK = """
INSERT INTO mark VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""

UNFOLDED = (
    "SELECT start_ns, end_ns, mission, name, threshold FROM span JOIN scope ON scope.id = scope"
    " WHERE span.rowid > coalesce((SELECT value FROM mark WHERE name = 'folded'), 0)"
)
"""What the histograms need of spans that are in none yet."""


def content(column: str) -> str:
    """The text that a column of `span` names, as SQL."""
    return f"(SELECT content FROM text WHERE id = span.{column})"  # noqa: S608 - constants


SELECT_SPAN = (
    "SELECT (SELECT trace_id FROM trace WHERE id = span.trace), span_id, parent_id, start_ns,"  # noqa: S608 - constants
    " end_ns, kind, status, name, source, service, mission, mission_class, sentinel, pool,"
    f" {content('attributes')}, {content('events')}, {content('links')}, status_message,"
    " trace_state, threshold, span.rowid FROM span JOIN scope ON scope.id = scope"
)
SELECT_TRACE = (
    "trace_id, name, start_ns, end_ns, spans, errors, flags, mission, mission_class, has_root,"
    " named_ns, id"
)

_TABLES = """
CREATE TABLE IF NOT EXISTS text (
  id INTEGER PRIMARY KEY, hash INTEGER NOT NULL, content TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS text_by_hash ON text (hash);
CREATE TABLE IF NOT EXISTS scope (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL, source TEXT NOT NULL, mission TEXT NOT NULL,
  mission_class TEXT NOT NULL, pool TEXT NOT NULL,
  UNIQUE (name, source, mission, mission_class, pool)
) STRICT;
CREATE TABLE IF NOT EXISTS span (
  trace INTEGER NOT NULL, span_id BLOB NOT NULL, parent_id BLOB,
  start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL,
  kind INTEGER NOT NULL, status INTEGER NOT NULL, scope INTEGER NOT NULL,
  service TEXT NOT NULL, sentinel TEXT NOT NULL,
  attributes INTEGER NOT NULL,
  events INTEGER NOT NULL, links INTEGER NOT NULL, status_message TEXT NOT NULL,
  trace_state TEXT NOT NULL, threshold INTEGER NOT NULL, flagged INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS span_by_trace ON span (trace);
CREATE TABLE IF NOT EXISTS trace (
  id INTEGER PRIMARY KEY, trace_id BLOB NOT NULL UNIQUE, name TEXT NOT NULL,
  start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL, spans INTEGER NOT NULL,
  errors INTEGER NOT NULL, flags INTEGER NOT NULL, mission TEXT NOT NULL,
  mission_class TEXT NOT NULL, has_root INTEGER NOT NULL, named_ns INTEGER NOT NULL,
  threshold INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS trace_by_start ON trace (start_ns);
CREATE TABLE IF NOT EXISTS histogram (
  minute INTEGER NOT NULL, mission TEXT NOT NULL, name TEXT NOT NULL, bucket INTEGER NOT NULL,
  count INTEGER NOT NULL, weight REAL NOT NULL,
  PRIMARY KEY (minute, mission, name, bucket)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL)
  STRICT, WITHOUT ROWID;
"""


class FutureVersion(Exception):
    """The database is of a newer version than this code knows."""


def check_version(connection: sqlite3.Connection) -> int:
    """The database's version; 0 when it is new.

    Raises:
        sqlite3.DatabaseError: the file is no sound database.
        FutureVersion: it is of a newer Citadel.
    """
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if found > VERSION:
        raise FutureVersion(found)
    return found


def make_tables(connection: sqlite3.Connection) -> None:
    """Makes what is missing; other tables in the file are left alone.

    Raises:
        sqlite3.DatabaseError: the file is no sound database.
        FutureVersion: it is of a newer Citadel.
    """
    if check_version(connection) < VERSION:
        connection.executescript(f"BEGIN;{_TABLES}PRAGMA user_version = {VERSION};COMMIT;")


Scope = tuple[str, ...]
"""Name, source, mission, its class and pool."""
scope_of: Callable[[Row], Scope] = itemgetter(8, 9, 11, 12, 14)
"""The scope of a row of topic `span`."""


def to_sqlite(row: Row, trace: int, scopes: Mapping[Scope, int], texts: Mapping[str, int]) -> Row:
    """A row of topic `span` as INSERT_SPAN takes it, given the numbers of what it refers to."""
    return (
        trace,
        row[2].to_bytes(8, "big"),
        row[3].to_bytes(8, "big") if row[3] else None,
        row[4],
        row[5],
        row[6],
        row[7],
        scopes[scope_of(row)],
        row[10],
        row[13],
        texts[row[15]],
        texts[row[16]],
        texts[row[17]],
        row[18],
        row[19],
        row[20],
        1 if row[9] == "guard" and is_flagged(row) else 0,
    )


def from_sqlite(row: Sequence[Any]) -> Row:
    """A row of SELECT_SPAN as topic `span` has it."""
    trace_id, span_id, parent_id = row[:3]
    return (
        int.from_bytes(trace_id[:8], "big"),
        int.from_bytes(trace_id[8:], "big"),
        int.from_bytes(span_id, "big"),
        int.from_bytes(parent_id or b"", "big"),
        *row[3:20],
    )


def trace_rows(rows: Iterable[Row]) -> dict[tuple[int, int], list[Any]]:
    """What a batch of span rows adds to its traces: the first eleven values of UPDATE_TRACE."""
    traces: dict[tuple[int, int], list[Any]] = {}
    for row in rows:
        start, end, root = row[4], row[5], not row[3]
        found = traces.get((row[0], row[1]))
        if found is None:
            found = [row[8], start, end, 0, 0, 0, row[11], row[12], root, start, row[20]]
            traces[row[0], row[1]] = found
        elif (root, -start) > (found[8], -found[9]):
            found[0], found[8], found[9] = row[8], root, start
        found[1] = min(found[1], start)
        found[2] = max(found[2], end)
        found[3] += 1
        if row[7] == STATUS_ERROR:
            found[4] += 1
        if row[9] == "guard" and is_flagged(row):
            found[5] += 1
        found[6], found[7] = found[6] or row[11], found[7] or row[12]
    return traces


def is_flagged(row: Row) -> bool:
    """Whether a guard objected in this span."""
    if row[9] != "guard" or semconv.CITADEL_GUARD_DECISION not in row[ATTRIBUTES]:
        return False
    decision = json.loads(row[ATTRIBUTES]).get(semconv.CITADEL_GUARD_DECISION)
    return decision in ("flag", "redact", "block")


def is_corrupt(error: Exception) -> bool:
    """Whether it says that the file is damaged, and not that it is locked, full or read-only."""
    return isinstance(error, sqlite3.DatabaseError) and getattr(
        error,
        "sqlite_errorcode",
        sqlite3.SQLITE_CORRUPT if type(error) is sqlite3.DatabaseError else 0,
    ) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def sidecars(path: Path) -> tuple[Path, Path]:
    """SQLite's own files beside a database."""
    return path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")

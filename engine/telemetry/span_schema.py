"""The tables of span databases, and how rows go into and come out of them. Pure, but for the SQL.

A database holds the spans of a day, or of a recording; the tables are the same. `span` has every
span, `trace` one row a trace that is kept up to date with each batch (searches walk it newest first
and stop at their limit), `text` each text of attributes, events and links once, and `histogram`
durations by minute, mission and name. SQLite's integers are signed, ids are not: ids are BLOBs.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from citadel.vocabulary import STATUS_ERROR
from engine.telemetry.encode import ATTRIBUTES, Row

VERSION = 4

INSERT_SPAN = f"INSERT INTO span VALUES ({', '.join('?' * 21)})"  # noqa: S608 - constants
INSERT_TEXT = "INSERT INTO text VALUES (?, ?, ?)"

# A trace is named by its root span; until that has come, by the span that began first.
UPSERT_TRACE = """
INSERT INTO trace VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (trace_id) DO UPDATE SET
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
    "SELECT start_ns, end_ns, mission, name, threshold FROM span"
    " WHERE rowid > coalesce((SELECT value FROM mark WHERE name = 'folded'), 0)"
)
"""What the histograms need of spans that are in none yet."""


def content(column: str) -> str:
    """The text that a column of `span` names, as SQL."""
    return f"(SELECT content FROM text WHERE id = span.{column})"  # noqa: S608 - constants


SELECT_SPAN = (
    "trace_id, span_id, parent_id, start_ns, end_ns, kind, status, name, source, service, mission,"
    f" mission_class, sentinel, pool, {content('attributes')}, {content('events')},"
    f" {content('links')}, status_message, trace_state, threshold"
)
SELECT_TRACE = (
    "trace_id, name, start_ns, end_ns, spans, errors, flags, mission, mission_class, has_root,"
    " named_ns"
)

_TABLES = """
CREATE TABLE IF NOT EXISTS text (
  id INTEGER PRIMARY KEY, hash INTEGER NOT NULL, content TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS text_by_hash ON text (hash);
CREATE TABLE IF NOT EXISTS span (
  trace_id BLOB NOT NULL, span_id BLOB NOT NULL, parent_id BLOB,
  start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL,
  kind INTEGER NOT NULL, status INTEGER NOT NULL, name TEXT NOT NULL, source TEXT NOT NULL,
  service TEXT NOT NULL, mission TEXT NOT NULL, mission_class TEXT NOT NULL,
  sentinel TEXT NOT NULL, pool TEXT NOT NULL, attributes INTEGER NOT NULL,
  events INTEGER NOT NULL, links INTEGER NOT NULL, status_message TEXT NOT NULL,
  trace_state TEXT NOT NULL, threshold INTEGER NOT NULL, flagged INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS span_by_trace ON span (trace_id, start_ns);
CREATE TABLE IF NOT EXISTS trace (
  trace_id BLOB PRIMARY KEY, name TEXT NOT NULL,
  start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL, spans INTEGER NOT NULL,
  errors INTEGER NOT NULL, flags INTEGER NOT NULL, mission TEXT NOT NULL,
  mission_class TEXT NOT NULL, has_root INTEGER NOT NULL, named_ns INTEGER NOT NULL,
  threshold INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
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


def to_sqlite(row: Row, texts: dict[str, int]) -> Row:
    """A row of topic `span` as INSERT_SPAN takes it; `texts` has the ids of its texts."""
    return (
        row[0].to_bytes(8, "big") + row[1].to_bytes(8, "big"),
        row[2].to_bytes(8, "big"),
        row[3].to_bytes(8, "big") if row[3] else None,
        *row[4:15],
        texts[row[15]],
        texts[row[16]],
        texts[row[17]],
        *row[18:],
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
        *row[3:],
    )


def trace_rows(rows: Iterable[Row]) -> list[Row]:
    """What a batch of span rows adds to its traces, as UPSERT_TRACE takes it."""
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
    return [
        (hi.to_bytes(8, "big") + lo.to_bytes(8, "big"), *values)
        for (hi, lo), values in traces.items()
    ]


def is_flagged(row: Row) -> bool:
    """Whether a guard objected in this span."""
    if row[9] != "guard" or "citadel.guard.decision" not in row[ATTRIBUTES]:
        return False
    decision = json.loads(row[ATTRIBUTES]).get("citadel.guard.decision")
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

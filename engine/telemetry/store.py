"""The span store: SQLite in WAL mode, one writer thread, readers that never wait for it.

`write` is called on the loop thread and only queues; what does not fit is dropped and counted.
Reads run in threads on connections of their own, opened read-only. A database that is corrupt is
set aside under another name, and a new one begun.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from citadel.errors import BadConfig
from citadel.query import Expr
from engine.telemetry.query_sql import where

QUEUE_BATCHES = 256
"""Batches that may wait for the writer."""
BATCH_ROWS = 500
BATCH_SECONDS = 0.05
MAX_SPANS_OF_TRACE = 200_000
MAX_TRACES = 1_000
RETAIN_SPANS = 5_000_000
"""The oldest spans past this many are deleted."""
RETENTION_EVERY_ROWS = 50_000
_2_63 = 2**63
_2_64 = 2**64

_SCHEMA = """
CREATE TABLE IF NOT EXISTS span (
  trace_hi INTEGER NOT NULL, trace_lo INTEGER NOT NULL, span_id INTEGER NOT NULL,
  parent_id INTEGER NOT NULL, start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL,
  kind INTEGER NOT NULL, status INTEGER NOT NULL, name TEXT NOT NULL, source TEXT NOT NULL,
  service TEXT NOT NULL, mission TEXT NOT NULL, mission_class TEXT NOT NULL,
  sentinel TEXT NOT NULL, pool TEXT NOT NULL, attributes TEXT NOT NULL, events TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS span_by_trace ON span (trace_hi, trace_lo);
CREATE INDEX IF NOT EXISTS span_by_start ON span (start_ns);
PRAGMA user_version = 1;
"""
_INSERT = "INSERT INTO span VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
_SUMMARY = """
SELECT trace_hi, trace_lo,
  coalesce(max(CASE WHEN parent_id = 0 THEN name END), min(name)),
  min(start_ns), max(end_ns), count(*), sum(status = 2), sum(source = 'guard' AND
    json_extract(attributes, '$."citadel.guard.decision"') IN ('flag', 'redact', 'block')),
  max(mission), max(mission_class)
FROM span WHERE (trace_hi, trace_lo) IN (
  SELECT trace_hi, trace_lo FROM span WHERE {where}
  GROUP BY trace_hi, trace_lo ORDER BY max(start_ns) DESC LIMIT ?)
GROUP BY trace_hi, trace_lo ORDER BY min(start_ns) DESC
"""


class SpanStore:
    """Spans on disk, by trace and by time."""

    def __init__(self, path: Path, *, on_trouble: Callable[[str, str], None] | None = None) -> None:
        """Opens or makes the database.

        Args:
            path: the database file.
            on_trouble: told an event's name (store.failed, store.set_aside) and a text; called from
                the writer thread.

        Raises:
            BadConfig: the folder cannot be written.
        """
        self._path = path
        self._on_trouble = on_trouble
        self._queue: queue.Queue[Sequence[tuple[Any, ...]] | threading.Event | None] = queue.Queue(
            QUEUE_BATCHES
        )
        self.set_aside: Path | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._open_or_set_aside()
        except (OSError, sqlite3.OperationalError) as error:
            raise BadConfig(
                f"the span store {path} cannot be written: {error}",
                subject=str(path),
                remedy="Give a folder that can be written: --data-dir DIR",
            ) from error
        self._thread = threading.Thread(target=self._write_forever, name="span-store", daemon=True)
        self._thread.start()

    def write(self, rows: Sequence[tuple[Any, ...]]) -> int:
        """Queues rows of topic `span`; returns how many were dropped because the queue is full."""
        dropped = 0
        for start in range(0, len(rows), BATCH_ROWS):
            part = rows[start : start + BATCH_ROWS]
            try:
                self._queue.put_nowait(part)
            except queue.Full:
                dropped += len(part)
        return dropped

    async def flush(self) -> None:
        """Waits until what was queued before is on disk."""
        done = threading.Event()
        await asyncio.to_thread(self._queue.put, done)
        await asyncio.to_thread(done.wait)

    def close(self) -> None:
        """Writes what is queued, then ends the writer. Blocks: call it in a thread or at exit."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    async def search(
        self, expression: Expr | None, *, limit: int = 100, since_ns: int = 0, until_ns: int = 0
    ) -> list[tuple[Any, ...]]:
        """Rows of topic `trace_summary`, newest first, of traces with a span that matches."""
        condition, values = where(expression)
        clauses, bound = [f"({condition})"], list(values)
        if since_ns:
            clauses.append("start_ns >= ?")
            bound.append(since_ns)
        if until_ns:
            clauses.append("start_ns <= ?")
            bound.append(until_ns)
        sql = _SUMMARY.format(where=" AND ".join(clauses))
        found = await asyncio.to_thread(self._read, sql, (*bound, min(limit or 100, MAX_TRACES)))
        return [(_unsigned(row[0]), _unsigned(row[1]), *row[2:]) for row in found]

    async def get(
        self, trace_id: int, limit: int = MAX_SPANS_OF_TRACE
    ) -> tuple[list[tuple[Any, ...]], bool]:
        """The spans of a trace by start time, and whether there were more than the limit."""
        key = (_signed(trace_id >> 64), _signed(trace_id % _2_64))
        found = await asyncio.to_thread(
            self._read,
            "SELECT * FROM span WHERE trace_hi = ? AND trace_lo = ? ORDER BY start_ns LIMIT ?",
            (*key, limit + 1),
        )
        rows = [(*map(_unsigned, row[:4]), *row[4:]) for row in found[:limit]]
        return rows, len(found) > limit

    def _read(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        uri = f"{self._path.resolve().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=5.0)) as connection:
            return connection.execute(sql, values).fetchall()

    def _open_or_set_aside(self) -> None:
        try:
            self._connect().close()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            aside = self._path.with_suffix(f".corrupt-{time.time_ns()}")
            self._path.rename(aside)
            for suffix in ("-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            self.set_aside = aside
            self._connect().close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=5.0)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(_SCHEMA)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _write_forever(self) -> None:
        connection = self._connect()
        written = 0
        with contextlib.closing(connection):
            for batch, waiting in self._batches():
                try:
                    with connection:
                        connection.executemany(_INSERT, map(_to_sqlite, batch))
                    written += len(batch)
                    if written >= RETENTION_EVERY_ROWS:
                        written = 0
                        _retain(connection)
                except sqlite3.Error as error:
                    if self._on_trouble:
                        self._on_trouble("store.failed", f"{len(batch)} spans lost: {error}")
                for event in waiting:
                    event.set()

    def _batches(self) -> Iterator[tuple[list[tuple[Any, ...]], list[threading.Event]]]:
        """What was queued, joined for up to BATCH_SECONDS or BATCH_ROWS rows; ends on None."""
        ended = False
        while not ended:
            batch: list[tuple[Any, ...]] = []
            waiting: list[threading.Event] = []
            item = self._queue.get()
            end = time.monotonic() + BATCH_SECONDS
            while True:
                if item is None:
                    ended = True
                elif isinstance(item, threading.Event):
                    waiting.append(item)
                else:
                    batch.extend(item)
                left = end - time.monotonic()
                if ended or waiting or len(batch) >= BATCH_ROWS or left <= 0:
                    break
                try:
                    item = self._queue.get(timeout=left)
                except queue.Empty:
                    break
            yield batch, waiting


def _retain(connection: sqlite3.Connection) -> None:
    with connection:
        connection.execute(
            "DELETE FROM span WHERE rowid <= (SELECT max(rowid) FROM span) - ?", (RETAIN_SPANS,)
        )


def _to_sqlite(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*map(_signed, row[:4]), *row[4:])


def _signed(value: int) -> int:
    """SQLite's integers are signed."""
    return value - _2_64 if value >= _2_63 else value


def _unsigned(value: int) -> int:
    return value % _2_64

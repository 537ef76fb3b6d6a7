"""The span store: SQLite in WAL mode, one writer thread, readers that never wait for it.

`write` is called on the loop thread and only queues; what does not fit is dropped and counted.
Reads run in threads on connections of their own, opened read-only, and are stopped when they take
too long. A database that is corrupt is set aside under another name, and a new one begun.
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

from citadel.errors import BadConfig, DeadlineExceeded, NotReady
from citadel.query import Expr
from engine.telemetry.encode import Row
from engine.telemetry.query_sql import where
from engine.telemetry.span_schema import (
    INSERT_SPAN,
    SPAN_COLUMNS,
    SUMMARY_COLUMNS,
    UPSERT_TRACE,
    FutureVersion,
    from_sqlite,
    make_tables,
    signed,
    to_sqlite,
    trace_rows,
)

QUEUE_BATCHES = 256
"""Batches that may wait for the writer."""
BATCH_ROWS = 500
BATCH_SECONDS = 0.05
MAX_SPANS_OF_TRACE = 200_000
MAX_TRACES = 1_000
RETAIN_SPANS = 5_000_000
"""The oldest traces are deleted while there are more spans than this."""
RETENTION_EVERY_ROWS = 50_000
EXPIRE_TRACES = 500
"""Traces deleted in one transaction, so that spans never wait long for retention."""
READ_SECONDS = 10.0
READERS = 4
"""Reads at a time; more wait their turn."""
_STEPS = 10_000
"""SQLite's steps between two looks at the clock."""

_Item = Sequence[Row] | threading.Event | None


class SpanStore:
    """Spans on disk, by trace and by time."""

    def __init__(
        self,
        path: Path,
        *,
        on_trouble: Callable[[str, str], None] | None = None,
        retain_spans: int = RETAIN_SPANS,
    ) -> None:
        """Opens or makes the database.

        Args:
            path: the database file.
            on_trouble: told an event's name (store.failed, store.set_aside) and a text; called from
                the writer thread.
            retain_spans: the oldest traces are deleted while there are more spans than this.

        Raises:
            BadConfig: the folder cannot be written, or the database is of a newer Citadel.
        """
        self._path = path
        self._on_trouble = on_trouble
        self._retain_spans = retain_spans
        self._queue: queue.Queue[_Item] = queue.Queue(QUEUE_BATCHES)
        self._readers = asyncio.Semaphore(READERS)
        self._damaged = False
        self.set_aside: Path | None = None
        self.written = self.lost = 0
        """Spans that were written, and that were taken but could not be; the writer's."""
        self.retained_since_ns = 0
        """Spans that ended before are deleted."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = self._open_or_set_aside()
        except FutureVersion as error:
            raise BadConfig(
                f"the span store {path} is of a newer Citadel (version {error})",
                subject=str(path),
                remedy="Install the newer Citadel, or give another folder: --data-dir DIR",
            ) from error
        except (OSError, sqlite3.OperationalError) as error:
            raise BadConfig(
                f"the span store {path} cannot be written: {error}",
                subject=str(path),
                remedy="Give a folder that can be written: --data-dir DIR",
            ) from error
        self._thread = threading.Thread(
            target=self._write_forever, args=(connection,), name="span-store", daemon=True
        )
        self._thread.start()

    def write(self, rows: Sequence[Row]) -> int:
        """Queues rows of topic `span`; returns how many were dropped because the queue is full."""
        dropped = 0
        for start in range(0, len(rows), BATCH_ROWS):
            part = rows[start : start + BATCH_ROWS]
            try:
                self._queue.put_nowait(part)
            except queue.Full:
                dropped += len(part)
        return dropped

    def gauges(self) -> list[tuple[str, dict[str, str], float]]:
        """What waits for the writer, and the size on disk."""
        size = 0
        for suffix in ("", "-wal"):
            with contextlib.suppress(OSError):
                size += Path(f"{self._path}{suffix}").stat().st_size
        return [
            ("citadel.store.queue", {}, self._queue.qsize()),
            ("citadel.store.bytes", {}, size),
        ]

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
    ) -> list[Row]:
        """Rows of topic `trace_summary`, newest first, of traces with a span that matches.

        Raises:
            DeadlineExceeded: so much had to be read that it took too long.
        """
        clauses, bound = ["1"], list[Any]()
        if since_ns:
            clauses.append("start_ns >= ?")
            bound.append(since_ns)
        if until_ns:
            clauses.append("start_ns <= ?")
            bound.append(until_ns)
        if expression is not None:
            condition, values = where(expression)
            clauses.append(
                "EXISTS (SELECT 1 FROM span WHERE span.trace_hi = trace.trace_hi"  # noqa: S608 - values are bound
                f" AND span.trace_lo = trace.trace_lo AND ({condition}))"
            )
            bound += values
        sql = (
            f"SELECT {SUMMARY_COLUMNS} FROM trace WHERE {' AND '.join(clauses)}"  # noqa: S608 - values are bound
            " ORDER BY start_ns DESC LIMIT ?"
        )
        found = await self._read(sql, (*bound, min(limit or 100, MAX_TRACES)))
        return [from_sqlite(row, 2) for row in found]

    async def get(self, trace_id: int, limit: int = MAX_SPANS_OF_TRACE) -> tuple[list[Row], bool]:
        """The spans of a trace by start time, and whether there were more than the limit."""
        found = await self._read(
            f"SELECT {SPAN_COLUMNS} FROM span WHERE trace_hi = ? AND trace_lo = ?"  # noqa: S608 - constants
            " ORDER BY start_ns LIMIT ?",
            (signed(trace_id >> 64), signed(trace_id % 2**64), limit + 1),
        )
        return [from_sqlite(row, 4) for row in found[:limit]], len(found) > limit

    async def _read(self, sql: str, values: Sequence[Any]) -> list[Row]:
        async with self._readers:
            return await asyncio.to_thread(self._read_now, sql, values)

    def _read_now(self, sql: str, values: Sequence[Any]) -> list[Row]:
        uri = f"{self._path.resolve().as_uri()}?mode=ro"
        end = time.monotonic() + READ_SECONDS
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=5.0)) as connection:
            connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
            try:
                return connection.execute(sql, values).fetchall()
            except sqlite3.DatabaseError as error:
                raise self._unreadable(error) from error

    def _unreadable(self, error: sqlite3.DatabaseError) -> Exception:
        """What a reader is told; damage is left to the writer to deal with."""
        if "interrupted" in str(error):
            return DeadlineExceeded(
                f"the search took longer than {READ_SECONDS:g} s",
                remedy="Narrow the time range, or name the mission in the filter",
            )
        if not _is_corrupt(error):
            return error
        self._damaged = True
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(())
        return NotReady(
            f"the span store {self._path} is damaged: {error}",
            subject=str(self._path),
            remedy="It is set aside, and a fresh one begun: ask again",
        )

    def _open_or_set_aside(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.DatabaseError as error:
            if not _is_corrupt(error):
                raise
            return self._begin_anew()

    def _begin_anew(self) -> sqlite3.Connection:
        """Sets the damaged file aside, and opens a fresh one."""
        aside = self._path.with_suffix(f".corrupt-{time.time_ns()}")
        self._path.rename(aside)
        for suffix in ("-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        self.set_aside = aside
        return self._connect()

    def _connect(self) -> sqlite3.Connection:
        # Opened on one thread, then the writer's alone.
        connection = sqlite3.connect(self._path, timeout=5.0, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            make_tables(connection)
        except (sqlite3.Error, FutureVersion):
            connection.close()
            raise
        return connection

    def _write_forever(self, connection: sqlite3.Connection) -> None:
        """The writer thread; it ends on None alone, whatever a batch holds."""
        written = 0
        for batch, waiting in self._batches():
            try:
                if batch:
                    _write_batch(connection, batch)
                self.written += len(batch)
                written += len(batch)
                if self._damaged:
                    connection = self._recovered(connection)
                if written >= min(RETENTION_EVERY_ROWS, self._retain_spans):
                    written = 0
                    _retain(connection, self._retain_spans)
            except (sqlite3.Error, ValueError, OverflowError) as error:
                self.lost += len(batch)
                self._tell("store.failed", f"{len(batch)} spans lost: {error}")
                if _is_corrupt(error):
                    connection = self._recovered(connection)
            for event in waiting:
                event.set()
        connection.close()

    def _recovered(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        """A fresh database, since the present one turned out to be damaged."""
        connection.close()
        self._damaged = False
        try:
            fresh = self._begin_anew()
        except (sqlite3.Error, OSError) as error:
            self._tell("store.failed", f"no fresh span store could be begun: {error}")
            return sqlite3.connect(":memory:")  # no tables: each batch fails, and is counted so
        self._tell("store.set_aside", str(self.set_aside))
        return fresh

    def _tell(self, name: str, text: str) -> None:
        if self._on_trouble:
            self._on_trouble(name, text)

    def _batches(self) -> Iterator[tuple[list[Row], list[threading.Event]]]:
        """What was queued, joined for up to BATCH_SECONDS or BATCH_ROWS rows; ends on None."""
        ended = False
        while not ended:
            batch: list[Row] = []
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


def _write_batch(connection: sqlite3.Connection, batch: Sequence[Row]) -> None:
    with connection:
        connection.executemany(INSERT_SPAN, map(to_sqlite, batch))
        connection.executemany(UPSERT_TRACE, trace_rows(batch))


def _retain(connection: sqlite3.Connection, most: int) -> None:
    """Deletes whole traces, the oldest first, until there are few enough spans."""
    excess = int(connection.execute("SELECT count(*) FROM span").fetchone()[0]) - most
    while excess > 0:
        oldest = connection.execute(
            "SELECT trace_hi, trace_lo, spans FROM trace ORDER BY start_ns LIMIT ?",
            (EXPIRE_TRACES,),
        ).fetchall()
        if not oldest:
            return
        gone: list[tuple[int, int]] = []
        for hi, lo, spans in oldest:
            if excess > 0:
                gone.append((hi, lo))
                excess -= spans
        with connection:
            for table in ("span", "trace"):
                connection.executemany(
                    f"DELETE FROM {table} WHERE trace_hi = ? AND trace_lo = ?",  # noqa: S608 - constants
                    gone,
                )


def _is_corrupt(error: Exception) -> bool:
    """Whether it says that the file is damaged, and not that it is locked, full or read-only."""
    return isinstance(error, sqlite3.DatabaseError) and getattr(
        error,
        "sqlite_errorcode",
        sqlite3.SQLITE_CORRUPT if type(error) is sqlite3.DatabaseError else 0,
    ) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

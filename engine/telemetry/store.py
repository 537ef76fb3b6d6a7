"""The span store: SQLite files, one a day; one writer thread, readers that never wait for it.

`write` is called on the loop thread and only queues; what does not fit is dropped and counted.
Reads (`span_files`) run in threads. A day's file that is corrupt is set aside under another name,
and the rest is served. Which day a span goes to, and which days are kept: `day_files`.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path

from citadel.errors import BadConfig
from citadel.query import Expr
from citadel.vocabulary import DropCause
from engine.telemetry.day_files import DayFiles
from engine.telemetry.encode import Row
from engine.telemetry.settings import Retention
from engine.telemetry.span_files import MAX_SPANS_OF_TRACE, SpanFiles
from engine.telemetry.span_schema import FutureVersion, is_corrupt
from engine.telemetry.span_writer import SpanWriter

QUEUE_BATCHES = 256
"""Batches that may wait for the writer."""
HURRY_BATCHES = 4
"""With more than these waiting, the writer lets nobody run in between."""
BATCH_ROWS = 500
BATCH_SECONDS = 0.05
RETENTION_ROWS = 50_000
RETENTION_SECONDS = 60.0
"""Retention is looked at after so many rows, and after so long."""

_Item = Sequence[Row] | threading.Event | None
OnLost = Callable[[Iterable[int], DropCause, str], object]


class SpanStore:
    """Spans on disk, by trace and by time."""

    def __init__(
        self,
        folder: Path,
        retention: Retention = Retention(),  # noqa: B008 - immutable
        *,
        on_trouble: Callable[[str, str], None] | None = None,
        on_lost: OnLost | None = None,
        clock: Callable[[], int] = time.time_ns,
        open_writer: Callable[[Path], SpanWriter] = SpanWriter,
    ) -> None:
        """Opens or makes the store.

        Args:
            folder: of the days' files.
            retention: how much is kept.
            on_trouble: told an event's name (store.failed, store.set_aside) and a text; called from
                the writer thread.
            on_lost: told the traces of spans that were lost, the cause, and "": nobody else did it;
                called from the writer thread (store_failed), or by `write` (store_full).
            clock: unix nanoseconds.
            open_writer: opens a file to be written.

        Raises:
            BadConfig: the folder cannot be written, or a database is of a newer Citadel.
        """
        self._on_trouble = on_trouble
        self._on_lost = on_lost
        self._queue: queue.Queue[_Item] = queue.Queue(QUEUE_BATCHES)
        self._damaged: set[Path] = set()
        self.written = self.lost = 0
        """Spans that were written, and that were taken but could not be; the writer's."""
        self.files = SpanFiles(lambda: self._days.paths, on_damage=self._found_damaged)
        """Reads it."""
        with _refusing(folder):
            self._days = DayFiles(
                folder,
                retention,
                forget=self.files.forget,
                clock=clock,
                open_writer=open_writer,
            )
            self.set_aside = next(reversed(self._days.check()), None)
            """The last file that was."""
            self.retained_since_ns = self._days.since_ns()
            """Spans that began before are deleted."""
        self._thread = threading.Thread(target=self._write_forever, name="span-store", daemon=True)
        self._thread.start()

    @property
    def paths(self) -> tuple[Path, ...]:
        """The days' files, newest first."""
        return self._days.paths

    @property
    def today(self) -> str:
        """The name of the day that is not over, for instance 2026-11-25."""
        return self._days.today_name

    def write(self, rows: Sequence[Row]) -> int:
        """Queues rows of topic `span`; returns how many were dropped because the queue is full."""
        dropped: list[Row] = []
        for start in range(0, len(rows), BATCH_ROWS):
            part = rows[start : start + BATCH_ROWS]
            try:
                self._queue.put_nowait(part)
            except queue.Full:
                dropped += part
        if dropped:
            self._tell_lost(dropped, "store_full")
        return len(dropped)

    def gauges(self) -> list[tuple[str, dict[str, str], float]]:
        """What waits for the writer, and the size on disk."""
        return [
            ("citadel.store.queue", {}, self._queue.qsize()),
            ("citadel.store.bytes", {}, self._days.size()),
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
        self.files.close()

    async def search(
        self, expression: Expr | None, *, limit: int = 100, since_ns: int = 0, until_ns: int = 0
    ) -> list[Row]:
        """As SpanFiles.search."""
        return await self.files.search(
            expression, limit=limit, since_ns=since_ns, until_ns=until_ns
        )

    async def get(self, trace_id: int, limit: int = MAX_SPANS_OF_TRACE) -> tuple[list[Row], bool]:
        """As SpanFiles.get."""
        return await self.files.get(trace_id, limit)

    def _found_damaged(self, path: Path) -> None:
        """Called by readers: it is the writer who sets files aside."""
        self._damaged.add(path)
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(())

    def _write_forever(self) -> None:
        """The writer thread; it ends on None alone, whatever a batch holds."""
        rows, looked = 0, time.monotonic()
        for batch, waiting in self._batches():
            self._write_batch(batch)
            while self._damaged:
                self._set_aside(self._damaged.pop())
            rows += len(batch)
            if rows >= RETENTION_ROWS or time.monotonic() > looked + RETENTION_SECONDS:
                rows, looked = 0, time.monotonic()
                self._retain()
            for event in waiting:
                event.set()
        self._days.close()

    def _write_batch(self, batch: Sequence[Row]) -> None:
        try:
            parts = self._days.by_day(batch)
        except (TypeError, ValueError, OverflowError) as error:
            self._failed(batch, error)
            return
        for path, rows in parts.items():
            try:
                hurries = self._queue.qsize() > HURRY_BATCHES
                self._days.writer(path).write(rows, gently=not hurries)
                self.written += len(rows)
            except (sqlite3.Error, FutureVersion, ValueError, OverflowError) as error:
                self._failed(rows, error)
                if is_corrupt(error):
                    self._damaged.add(path)

    def _failed(self, rows: Sequence[Row], error: Exception) -> None:
        self.lost += len(rows)
        self._tell("store.failed", f"{len(rows)} spans lost: {error}")
        self._tell_lost(rows, "store_failed")

    def _set_aside(self, path: Path) -> None:
        if path not in self._days.paths:
            return  # two readers found it
        try:
            self.set_aside = self._days.set_aside(path)
        except OSError as error:
            self._tell("store.failed", f"{path} is damaged, and cannot be set aside: {error}")
            return
        self._tell("store.set_aside", str(self.set_aside))

    def _retain(self) -> None:
        try:
            self._days.fold()
            if self._days.retain():
                self.retained_since_ns = self._days.since_ns()
        except (sqlite3.Error, OSError, FutureVersion) as error:
            self._tell("store.failed", f"what is too old could not be deleted: {error}")

    def _tell(self, name: str, text: str) -> None:
        if self._on_trouble:
            self._on_trouble(name, text)

    def _tell_lost(self, rows: Sequence[Row], cause: DropCause) -> None:
        if self._on_lost:
            self._on_lost({row[0] << 64 | row[1] for row in rows}, cause, "")

    def _batches(self) -> Iterator[tuple[list[Row], list[threading.Event]]]:
        """What was queued, joined for up to BATCH_SECONDS or BATCH_ROWS rows; ends on None.

        Empty ones come now and then when nothing is queued.
        """
        ended = False
        while not ended:
            batch: list[Row] = []
            waiting: list[threading.Event] = []
            try:
                item = self._queue.get(timeout=RETENTION_SECONDS)
            except queue.Empty:
                yield batch, waiting
                continue
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


@contextlib.contextmanager
def _refusing(folder: Path) -> Generator[None]:
    """Says why a store cannot be opened."""
    try:
        yield
    except FutureVersion as error:
        raise BadConfig(
            f"the span store {folder} is of a newer Citadel (version {error})",
            subject=str(folder),
            remedy="Install the newer Citadel, or give another folder: --data-dir DIR",
        ) from error
    except (OSError, sqlite3.Error) as error:
        raise BadConfig(
            f"the span store {folder} cannot be written: {error}",
            subject=str(folder),
            remedy="Give a folder that can be written: --data-dir DIR",
        ) from error

"""Reads spans from database files: the days of the store, or a recording. Any thread.

Each file is read on its own, by connections that are opened read-only and kept for the next read,
so a read never waits for the writer; it is stopped when it takes too long. What lies in several
files, as does a trace that spans midnight, is put together. A reader of one file::

    SpanFiles(lambda: [Path("incident.citadel")])

Such a file needs the tables of `span_schema` (other tables are left alone), and no writer: from a
folder that cannot be written it is read as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from citadel.errors import BadConfig, DeadlineExceeded, NotReady
from citadel.query import Expr
from engine.telemetry.encode import Row
from engine.telemetry.span_schema import (
    SELECT_SPAN,
    FutureVersion,
    check_version,
    from_sqlite,
    is_corrupt,
    sidecars,
)
from engine.telemetry.span_search import Wanted, search

MAX_SPANS_OF_TRACE = 200_000
MAX_TRACES = 1_000
READ_SECONDS = 10.0
READERS = 4
"""Reads at a time; more wait their turn."""
POOLED_FILES = 16
"""Of the newest files, connections are kept; of others they are opened for each read."""
_T = TypeVar("_T")
_STEPS = 10_000
"""SQLite's steps between two looks at the clock."""


class SpanFile:
    """One file, for the length of a read."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """What a query finds.

        Raises:
            Unreadable: names the file.
        """
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise Unreadable(self.path, error) from error

    @contextlib.contextmanager
    def snapshot(self) -> Generator[None]:
        """All queries within see the file at one moment."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK")


class Unreadable(Exception):
    """A query of a file failed."""

    def __init__(self, path: Path, error: sqlite3.DatabaseError) -> None:
        super().__init__(str(error))
        self.path = path
        self.error = error


class SpanFiles:
    """Reads over files that may come and go."""

    def __init__(
        self,
        paths: Callable[[], Sequence[Path]],
        *,
        on_damage: Callable[[Path], None] | None = None,
    ) -> None:
        """Reads what `paths` says at each read, newest first.

        Args:
            paths: which files there are; called from any thread.
            on_damage: told a file that turned out to be damaged; called from any thread.
        """
        self._paths = paths
        self._on_damage = on_damage
        self._readers = asyncio.Semaphore(READERS)
        self._lock = threading.Lock()
        self._idle: dict[Path, list[sqlite3.Connection]] = {}
        self._gone: set[sqlite3.Connection] = set()
        self._busy: dict[sqlite3.Connection, Path] = {}

    async def search(
        self, expression: Expr | None, *, limit: int = 100, since_ns: int = 0, until_ns: int = 0
    ) -> list[Row]:
        """Rows of topic `trace_summary`, newest first, of traces with a span that matches.

        The range is of a trace's start. A trace that runs on is found by what it did until the end
        of the day after the range's.

        Raises:
            DeadlineExceeded: so much had to be read that it took too long.
            NotReady: a file is damaged.
        """
        wanted = Wanted(expression, min(limit or 100, MAX_TRACES), since_ns, until_ns)
        return await self.read(lambda opened: search(self._paths(), opened, wanted))

    async def get(self, trace_id: int, limit: int = MAX_SPANS_OF_TRACE) -> tuple[list[Row], bool]:
        """The spans of a trace by start time, and whether there were more than the limit.

        Raises:
            DeadlineExceeded, NotReady: as `search`.
        """
        key = trace_id.to_bytes(16, "big")

        def get(opened: Opened) -> list[Any]:
            found: list[Any] = []
            for path in self._paths():
                with opened(path) as file:
                    if file is not None:
                        found += file.rows(
                            f"{SELECT_SPAN} WHERE trace ="  # noqa: S608 - constants
                            " (SELECT id FROM trace WHERE trace_id = ?) ORDER BY start_ns LIMIT ?",
                            (key, limit + 1),
                        )
            return found

        found = [from_sqlite(row) for row in await self.read(get)]
        found.sort(key=lambda row: row[4])
        return found[:limit], len(found) > limit

    async def read(self, work: Callable[[Opened], _T]) -> _T:
        """Runs it in a thread; what it opens is stopped when it takes too long.

        Raises:
            DeadlineExceeded, NotReady: as `search`.
        """
        async with self._readers:
            return await asyncio.to_thread(self._read_now, work)

    def forget(self, path: Path) -> None:
        """Closes what is open of a file that is about to go."""
        with self._lock:
            idle = self._idle.pop(path, [])
            self._gone.update(each for each, busy in self._busy.items() if busy == path)
        for connection in idle:
            connection.close()

    def close(self) -> None:
        """Closes what is open; reads that run go on."""
        for path in {*self._idle, *self._busy.values()}:
            self.forget(path)

    def _read_now(self, work: Callable[[Opened], _T]) -> _T:
        end = time.monotonic() + READ_SECONDS

        @contextlib.contextmanager
        def opened(path: Path) -> Generator[SpanFile | None]:
            connection = self._take(path)
            if connection is None:
                yield None
                return
            connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
            try:
                yield SpanFile(path, connection)
            finally:
                self._give_back(path, connection)

        try:
            return work(opened)
        except Unreadable as failure:
            raise self._told(failure) from failure.error

    def _take(self, path: Path) -> sqlite3.Connection | None:
        """A connection to the file; None when it is gone, or is being made."""
        with self._lock:
            idle = self._idle.get(path)
            connection = idle.pop() if idle else None
        if connection is None:
            connection = open_read_only(path)
        if connection is not None:
            with self._lock:
                self._busy[connection] = path
        return connection

    def _give_back(self, path: Path, connection: sqlite3.Connection) -> None:
        connection.set_progress_handler(None, 0)
        with self._lock:
            del self._busy[connection]
            gone = connection in self._gone
            self._gone.discard(connection)
            if not gone and path in self._paths()[:POOLED_FILES]:
                self._idle.setdefault(path, []).append(connection)
                return
        connection.close()

    def _told(self, failure: Unreadable) -> Exception:
        """What a reader is told; damage is left to the writer to deal with."""
        error = failure.error
        if "interrupted" in str(error):
            return DeadlineExceeded(
                f"the search took longer than {READ_SECONDS:g} s",
                remedy="Narrow the time range, or name the mission in the filter",
            )
        if not is_corrupt(error):
            return error
        if self._on_damage is None:
            return NotReady(f"{failure.path} is damaged: {error}", subject=str(failure.path))
        self._on_damage(failure.path)
        return NotReady(
            f"the span store's file {failure.path} is damaged: {error}",
            subject=str(failure.path),
            remedy="It is set aside, and the rest is served: ask again",
        )


Opened = Callable[[Path], contextlib.AbstractContextManager[SpanFile | None]]
"""Opens a file, for as long as it is read; None when it is gone."""


def open_read_only(path: Path) -> sqlite3.Connection | None:
    """Opens a span database to read; None when there is none, or it is just being made.

    Raises:
        BadConfig: it is of a newer Citadel.
        Unreadable: it is damaged.
    """
    if not path.exists():
        return None
    uri = f"{path.resolve().as_uri()}?mode=ro"
    try:
        return _opened(uri)
    except FutureVersion as error:
        raise BadConfig(
            f"{path} is of a newer Citadel (version {error})",
            subject=str(path),
            remedy="Install the newer Citadel",
        ) from error
    except sqlite3.DatabaseError as error:
        if not path.exists():
            return None
        if isinstance(error, sqlite3.OperationalError) and not sidecars(path)[0].exists():
            # SQLite wants to make files beside it, and may not.
            return _opened(f"{uri}&immutable=1")
        raise Unreadable(path, error) from error


def _opened(uri: str) -> sqlite3.Connection | None:
    connection = sqlite3.connect(
        uri, uri=True, timeout=5.0, check_same_thread=False, isolation_level=None
    )
    try:
        if check_version(connection):
            return connection
    except BaseException:
        connection.close()
        raise
    connection.close()
    return None

"""The folder of span databases, one a UTC day: `2026-11-25.db`. The writer's thread, but `paths`.

A span is of the day on which it started. One that is older than what is kept, or of a clock that is
ahead, goes to the nearest day that may be written: none is lost, and none makes a file that would
never expire. Days are deleted as whole files: those over the age, and the oldest while all are over
the size. Today's is never deleted: when it is over the size on its own, its oldest traces are.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from datetime import UTC, date, datetime
from pathlib import Path

from engine.telemetry.encode import Row
from engine.telemetry.settings import Retention
from engine.telemetry.span_schema import FutureVersion, check_version, is_corrupt, sidecars
from engine.telemetry.span_writer import SpanWriter, trimmed_ns

DAY_NS = 86_400 * 10**9
OPEN_DAYS = 2
"""Days that are open to be written: today, and the one of late spans."""
ROOM = 0.9
"""How far today's file is emptied when it is over the size, so that it is not done all the time."""
_NAME = re.compile(r"\d{4}-\d\d-\d\d\.db")
_EPOCH = date(1970, 1, 1).toordinal()


class DayFiles:
    """The files of a folder."""

    def __init__(
        self,
        folder: Path,
        retention: Retention,
        *,
        forget: Callable[[Path], None],
        clock: Callable[[], int] = time.time_ns,
        open_writer: Callable[[Path], SpanWriter] = SpanWriter,
    ) -> None:
        """Finds the files; nothing is opened yet.

        Args:
            folder: is made when it is not there.
            retention: how much is kept.
            forget: told a file that is about to be renamed or deleted.
            clock: unix nanoseconds.
            open_writer: opens a file to be written.

        Raises:
            OSError: the folder cannot be made or read.
        """
        self._folder = folder
        self._retention = retention
        self._forget = forget
        self._clock = clock
        self._open_writer = open_writer
        self._writers: OrderedDict[Path, SpanWriter] = OrderedDict()
        folder.mkdir(parents=True, exist_ok=True)
        found = (each for each in folder.iterdir() if _NAME.fullmatch(each.name))
        self.paths: tuple[Path, ...] = tuple(sorted(found, reverse=True))
        """Newest first; may be read from any thread."""

    @property
    def today(self) -> int:
        """Days since 1970."""
        return self._clock() // DAY_NS

    @property
    def today_name(self) -> str:
        """For instance 2026-11-25."""
        return self._path(self.today).stem

    def check(self) -> list[Path]:
        """Sets aside files that are no databases, and opens today's; the new names of the former.

        Raises:
            FutureVersion: one is of a newer Citadel.
            OSError, sqlite3.Error: one cannot be read, or today's cannot be written.
        """
        aside = [self.set_aside(path) for path in self.paths if not _is_sound(path)]
        try:
            self.writer()
        except sqlite3.DatabaseError as error:
            if not is_corrupt(error):
                raise
            aside.append(self.set_aside(self._path(self.today)))
            self.writer()
        return aside

    def by_day(self, rows: Iterable[Row]) -> dict[Path, list[Row]]:
        """The rows by the file that they belong in."""
        lowest, highest = self.today - self._retention.days + 1, self.today + 1
        days: dict[int, list[Row]] = {}
        for row in rows:
            days.setdefault(row[4] // DAY_NS, []).append(row)
        found: dict[Path, list[Row]] = {}
        for day, some in days.items():
            found.setdefault(self._path(min(max(day, lowest), highest)), []).extend(some)
        return found

    def writer(self, path: Path | None = None) -> SpanWriter:
        """Writes into a day's file; without one, into today's.

        Raises:
            sqlite3.DatabaseError: it is damaged, or cannot be written.
            FutureVersion: it is of a newer Citadel.
        """
        path = path or self._path(self.today)
        found = self._writers.get(path)
        if found is None:
            while len(self._writers) >= OPEN_DAYS:
                self._writers.popitem(last=False)[1].close()
            found = self._writers[path] = self._open_writer(path)
            self.paths = tuple(sorted({*self.paths, path}, reverse=True))
        self._writers.move_to_end(path)
        return found

    def set_aside(self, path: Path) -> Path:
        """Renames a damaged file; returns its new name.

        Raises:
            OSError: it cannot be renamed.
        """
        self._close(path)
        aside = path.with_suffix(f".corrupt-{time.time_ns()}")
        path.rename(aside)
        for each in sidecars(path):
            each.unlink(missing_ok=True)
        self.paths = tuple(each for each in self.paths if each != path)
        return aside

    def retain(self) -> bool:
        """Deletes what is over the age or the size; whether anything was.

        Raises:
            OSError, sqlite3.Error: something cannot be deleted.
        """
        today = self._path(self.today).name
        lowest = self._path(self.today - self._retention.days + 1).name
        before = self.paths
        for path in reversed(before):
            if path.name < lowest:
                self._unlink(path)
        past = [path for path in self.paths if path.name < today]
        present = [path for path in self.paths if path.name >= today]
        room = self._retention.bytes - sum(self.writer(path).used_bytes() for path in present)
        sizes = {path: _size(path) for path in past}
        while past and sum(sizes[each] for each in past) > room:
            self._unlink(past.pop())
        if room < 0 and present:
            others = sum(self.writer(path).used_bytes() for path in present[:-1])
            self.writer(present[-1]).trim(max(0, round(ROOM * self._retention.bytes) - others))
        return room < 0 or self.paths != before

    def since_ns(self) -> int:
        """What began before is not kept; 0 when there is nothing."""
        if not self.paths:
            return 0
        oldest = self.paths[-1]
        return max(_trimmed_ns(oldest), _day(oldest) * DAY_NS)

    def size(self) -> int:
        """Bytes of all files on disk; may be asked on any thread."""
        return sum(map(_size, self.paths))

    def fold(self) -> None:
        """Puts what waits into the histograms.

        Raises:
            sqlite3.Error: it could not be written.
        """
        for writer in self._writers.values():
            writer.fold()

    def close(self) -> None:
        """Closes all files."""
        for writer in self._writers.values():
            with suppress(sqlite3.Error):
                writer.close()
        self._writers.clear()

    def _path(self, day: int) -> Path:
        return self._folder / f"{date.fromordinal(_EPOCH + day).isoformat()}.db"

    def _close(self, path: Path) -> None:
        writer = self._writers.pop(path, None)
        if writer is not None:
            with suppress(sqlite3.Error):
                writer.close()
        self._forget(path)

    def _unlink(self, path: Path) -> None:
        self.paths = tuple(each for each in self.paths if each != path)
        self._close(path)
        for each in (path, *sidecars(path)):
            each.unlink(missing_ok=True)


def _is_sound(path: Path) -> bool:
    """Whether its first pages are a database's; others are found out when they are read."""
    connection = sqlite3.connect(path, timeout=5.0)
    try:
        check_version(connection)
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        if not is_corrupt(error):
            raise
        return False
    except FutureVersion as error:
        raise FutureVersion(f"{error.args[0]}, of {path.name}") from error
    finally:
        connection.close()
    return True


def _trimmed_ns(path: Path) -> int:
    """What of the file's day began before was deleted."""
    with closing(sqlite3.connect(path, timeout=5.0)) as connection:
        try:
            return trimmed_ns(connection)
        except sqlite3.DatabaseError:
            return 0  # damaged: whoever reads or writes it finds out


def _size(path: Path) -> int:
    """Bytes of a file with its write-ahead log."""
    size = 0
    for each in (path, sidecars(path)[0]):
        with suppress(OSError):  # it is deleted meanwhile, or there is none
            size += each.stat().st_size
    return size


def _day(path: Path) -> int:
    return datetime.strptime(path.stem, "%Y-%m-%d").replace(tzinfo=UTC).toordinal() - _EPOCH

"""A log of fixed records that is looked up by key: an append-only journal, and sorted segments.

A record is four unsigned 64-bit numbers, the first of which is the key. What comes in is appended
to the journal, unbuffered, so that a killed engine loses what it had not been given, and no more.
A full journal is sorted into a segment; a lookup searches each segment by halves, in the pages of
the system's cache. The oldest segments go when there are more records than allowed. One thread
writes; `find` may be called from any other.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEGMENT_RECORDS = 65_536
COLUMNS = 4
_BYTES = 8 * COLUMNS
_SUFFIX = ".segment"
Records = NDArray[np.uint64]
"""Shape (n, 4)."""


class SortedLog:
    """Records below one folder."""

    def __init__(self, folder: Path, most: int) -> None:
        """Opens or makes the log; a journal that was left is taken up.

        Args:
            folder: where its files are.
            most: records that are kept, to within a segment.

        Raises:
            OSError: the folder cannot be written.
        """
        self._folder = folder
        self._most = most
        self._lock = threading.Lock()
        self.retired = False
        """Whether segments went since somebody last looked."""
        folder.mkdir(parents=True, exist_ok=True)
        self._segments = [
            (path, _mapped(path)) for path in sorted(folder.glob(f"*{_SUFFIX}"), key=_number)
        ]
        self._next = _number(self._segments[-1][0]) + 1 if self._segments else 1
        self._path = folder / "journal"
        left = self._path.read_bytes() if self._path.exists() else b""
        # A write that was cut short is not whole: what there is of it is no record.
        whole = np.frombuffer(left[: len(left) // _BYTES * _BYTES], "<u8").reshape(-1, COLUMNS)
        self._fresh: list[Records] = [whole.astype(np.uint64)] if len(whole) else []
        self._count = len(whole)
        self._journal = self._path.open("wb", buffering=0)
        self._journal.write(whole.tobytes())

    def __len__(self) -> int:
        return self._count + sum(len(keys) // COLUMNS for _, keys in self._segments)

    def append(self, records: Records) -> None:
        """Adds records; on disk, as far as the system goes, when it returns.

        Raises:
            OSError: the disk is full, or gone; then none of them was added.
        """
        if not len(records):
            return
        at = self._journal.tell()
        try:
            _write(self._journal.write, records.astype("<u8").tobytes())
        except OSError:
            self._journal.truncate(at)
            self._journal.seek(at)
            raise
        with self._lock:
            self._fresh.append(records)
            self._count += len(records)
        if self._count >= SEGMENT_RECORDS:
            self._seal()

    def find(self, key: int) -> list[tuple[int, int, int]]:
        """The other numbers of all records of a key, the oldest first."""
        with self._lock:
            segments, fresh = [keys for _, keys in self._segments], list(self._fresh)
        wanted = np.uint64(key)
        found: list[tuple[int, int, int]] = []
        for values in segments:
            count = len(values) // COLUMNS
            keys = values[:count]
            first = int(np.searchsorted(keys, wanted, "left"))
            while first < count and keys[first] == wanted:
                one, two, three = (int(values[n * count + first]) for n in (1, 2, 3))
                found.append((one, two, three))
                first += 1
        for records in fresh:
            theirs = records[records[:, 0] == wanted, 1:].tolist()
            found += [(one, two, three) for one, two, three in theirs]
        return found

    def column(self, number: int) -> Iterable[NDArray[np.uint64]]:
        """One column of all records, segment by segment."""
        with self._lock:
            segments, fresh = [keys for _, keys in self._segments], list(self._fresh)
        for values in segments:
            count = len(values) // COLUMNS
            yield values[number * count : (number + 1) * count]
        for records in fresh:
            yield records[:, number]

    def close(self) -> None:
        """Ends the log; its files stay as they are."""
        self._journal.close()

    def _seal(self) -> None:
        """Sorts the journal into a segment, and begins an empty one."""
        records = np.concatenate(self._fresh)
        ordered = records[np.argsort(records[:, 0], kind="stable")]
        path = self._folder / f"{self._next:010d}{_SUFFIX}"
        being_made = path.with_suffix(".part")
        with being_made.open("wb") as file:
            _write(file.write, np.ascontiguousarray(ordered.T).astype("<u8").tobytes())
        being_made.replace(path)
        with self._lock:
            self._segments.append((path, _mapped(path)))
            self._fresh, self._count = [], 0
        self._next += 1
        self._journal.truncate(0)
        self._journal.seek(0)
        self._retain()

    def _retain(self) -> None:
        while len(self._segments) > 1 and len(self) > self._most:
            with self._lock:
                path = self._segments.pop(0)[0]  # and no name for what is mapped: it would stay so
            self.retired = True
            # On Windows a file that is mapped stays; it counts again from the next start.
            with contextlib.suppress(OSError):
                path.unlink()


def _mapped(path: Path) -> NDArray[np.uint64]:
    """A segment's columns, one after the other, as the system reads them."""
    if path.stat().st_size % _BYTES or not path.stat().st_size:
        path.rename(path.with_suffix(".corrupt"))
        return np.zeros(0, np.uint64)
    return np.asarray(np.memmap(path, "<u8", "r"))


def _number(path: Path) -> int:
    return int(path.stem) if path.stem.isdigit() else 0


def _write(write: Callable[[bytes], Any], data: bytes) -> None:
    """All of it: an unbuffered file may take less."""
    view = memoryview(data)
    while view:
        taken = write(view)  # type: ignore[arg-type]
        view = view[taken:]

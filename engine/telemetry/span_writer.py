"""Writes spans into one database: a day's file or a recording. One thread at a time.

Each batch is one transaction, its texts, traces and spans together. Durations are put into the
histograms a few batches later; the database knows up to which span, so that a reader adds the rest,
and whoever opens the file after a crash makes up for it: histograms are always exact.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from operator import itemgetter
from pathlib import Path
from typing import Any

from engine.telemetry.encode import ATTRIBUTES, EVENTS, LINKS, Row
from engine.telemetry.span_histogram import Counts, counted, folded_rows, samples_of
from engine.telemetry.span_schema import (
    INSERT_SCOPE,
    INSERT_SPAN,
    INSERT_TEXT,
    INSERT_TRACE,
    SELECT_SCOPE,
    SET_MARK,
    UNFOLDED,
    UPDATE_TRACE,
    UPSERT_HISTOGRAM,
    FutureVersion,
    Scope,
    make_tables,
    scope_of,
    to_sqlite,
    trace_rows,
)

KNOWN_TEXTS = 16_384
"""Texts whose ids are remembered."""
KNOWN_TRACES = 16_384
"""Traces whose numbers are remembered."""
BREATH_ROWS = 32
BREATH_SECONDS = 20e-6
"""When there is time, other threads run for so long after so many rows."""
KNOWN_SCOPES = 16_384
"""Scopes whose numbers are remembered."""
KNOWN_CHARACTERS = 16 * 2**20
"""Characters of all texts that are remembered."""
FOLD_ROWS = 10_000
"""Spans that may wait to be put into the histograms."""
CACHE_KIB = 32 * 1024
CHECKPOINT_PAGES = 4_000
"""Pages of the write-ahead log, 16 MiB, after which they are copied into the database."""
TRIM_TRACES = 500
"""Traces deleted in one transaction."""

_TEXTS = tuple(map(itemgetter, (ATTRIBUTES, EVENTS, LINKS)))
_KEYS_AT_ONCE = 100
_SELECT_NUMBERS = (
    f"SELECT trace_id, id FROM trace WHERE trace_id IN ({', '.join('?' * _KEYS_AT_ONCE)})"  # noqa: S608 - constants
)


class SpanWriter:
    """A span database that is written."""

    def __init__(self, path: Path) -> None:
        """Opens or makes it.

        Raises:
            sqlite3.DatabaseError: it is damaged (`is_corrupt`), or cannot be written.
            FutureVersion: it is of a newer Citadel.
        """
        self.path = path
        # Opened on one thread, then the writer's alone.
        self._connection = sqlite3.connect(path, timeout=5.0, check_same_thread=False)
        self._texts: dict[str, int] = {}
        self._characters = 0
        self._scopes: dict[Scope, int] = {}
        self._traces: dict[tuple[int, int], int] = {}
        self._waiting: Counts = Counter()
        self._rows = 0
        """Rows that are counted there."""
        self._behind = True
        """Whether spans are in no histogram that do not wait either."""
        try:
            for pragma in (
                "journal_mode = WAL",
                "synchronous = NORMAL",
                f"cache_size = -{CACHE_KIB}",
                f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
            ):
                self._connection.execute(f"PRAGMA {pragma}")
            make_tables(self._connection)
            self._next_text = self._highest("text", "id") + 1
            self._next_trace = self._highest("trace", "id") + 1
            self._next_scope = self._highest("scope", "id") + 1
            with contextlib.suppress(sqlite3.OperationalError):  # full: it is made up for later
                self.fold()  # what a writer that was killed had not
        except (sqlite3.Error, FutureVersion):
            self._connection.close()
            raise

    @property
    def connection(self) -> sqlite3.Connection:
        """For what a recording keeps besides."""
        return self._connection

    def write(self, rows: Sequence[Row], *, gently: bool = False) -> None:
        """Writes rows of topic `span`, all or none; `gently` lets other threads run in between.

        Raises:
            sqlite3.Error: they could not be written.
            ValueError, OverflowError: a row is not one of that topic.
        """
        try:
            with self._connection:
                texts = self._known(rows)
                if gently:
                    time.sleep(BREATH_SECONDS)
                scopes = self._scoped(rows)
                traces = self._numbered(trace_rows(rows))
                self._connection.executemany(
                    INSERT_SPAN,
                    (
                        to_sqlite(row, traces[row[0], row[1]], scopes, texts)
                        for row in (_breathing(rows) if gently else rows)
                    ),
                )
        except BaseException:
            # The ids that were given to what is new are void.
            self._forget()
            raise
        self._waiting.update(counted(samples_of(rows)))
        self._rows += len(rows)
        if self._rows >= FOLD_ROWS:
            try:
                self.fold()
            except sqlite3.Error:
                # The rows are written; the histograms follow when there is room again.
                self._waiting.clear()
                self._rows, self._behind = 0, True

    def fold(self) -> None:
        """Puts what waits into the histograms.

        Raises:
            sqlite3.Error: it could not be written; the next call makes up for it.
        """
        waiting = self._waiting
        if self._behind:
            waiting = counted(self._connection.execute(UNFOLDED).fetchall())
        if waiting:
            with self._connection:
                self._connection.executemany(UPSERT_HISTOGRAM, folded_rows(waiting))
                self._mark_folded()
        self._waiting.clear()
        self._rows, self._behind = 0, False

    def used_bytes(self) -> int:
        """Bytes of the file that are in use; what was deleted is used again, not given back."""
        pages, free, size = (
            int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size

    def trim(self, most: int) -> None:
        """Deletes the oldest traces until few enough bytes are in use. The histograms stay.

        Raises:
            sqlite3.Error: it could not be written.
        """
        self.fold()
        while (used := self.used_bytes()) > most:
            traces = int(self._connection.execute("SELECT count(*) FROM trace").fetchone()[0])
            if not traces:
                break
            # As many as the excess is of the whole: a few rounds come near, from above.
            excess = -(-traces * (used - most) // used)
            while excess > 0:
                self._delete(min(excess, TRIM_TRACES))
                excess -= TRIM_TRACES
            self._drop_unused_texts()

    def close(self) -> None:
        """Writes what waits for the histograms, and closes the database."""
        try:
            self.fold()
        finally:
            self._connection.close()

    def _known(self, rows: Sequence[Row]) -> dict[str, int]:
        """Ids of at least the texts of these rows; those that are new are written."""
        if len(self._texts) > KNOWN_TEXTS or self._characters > KNOWN_CHARACTERS:
            self._texts.clear()
            self._characters = 0
        texts = self._texts
        found = {text for each in _TEXTS for text in map(each, rows)}
        wanted = {text for text in found if text not in texts}
        if wanted:
            self._characters += sum(map(len, wanted))
            self._add(wanted)
        return texts

    def _add(self, wanted: set[str]) -> None:
        hashes = {text: text_hash(text) for text in wanted}
        found = self._connection.execute(
            "SELECT content, id FROM text WHERE hash IN (SELECT value FROM json_each(?))",
            (json.dumps(list(hashes.values())),),
        ).fetchall()
        # Another text of the same hash is not asked for: it stays out of the way.
        stored = {text: number for text, number in found if text in hashes}
        self._texts.update(stored)
        new = [text for text in hashes if text not in stored]
        ids = range(self._next_text, self._next_text + len(new))
        self._connection.executemany(
            INSERT_TEXT, zip(ids, map(hashes.__getitem__, new), new, strict=True)
        )
        self._texts.update(zip(new, ids, strict=True))
        self._next_text += len(new)

    def _scoped(self, rows: Sequence[Row]) -> Mapping[Scope, int]:
        """Numbers of at least the scopes of these rows; those that are new are written."""
        if len(self._scopes) > KNOWN_SCOPES:
            self._scopes.clear()
        known = self._scopes
        for scope in set(map(scope_of, rows)):
            if scope not in known:
                found = self._connection.execute(SELECT_SCOPE, scope).fetchone()
                if found is None:
                    found = (self._next_scope,)
                    self._next_scope += 1
                    self._connection.execute(INSERT_SCOPE, (*found, *scope))
                known[scope] = found[0]
        return known

    def _numbered(self, traces: dict[tuple[int, int], list[Any]]) -> Mapping[tuple[int, int], int]:
        """Numbers of at least these traces, to which this is added; those that are new are made."""
        if len(self._traces) > KNOWN_TRACES:
            self._traces.clear()
        known = self._traces
        unknown = {_key(trace): trace for trace in traces if trace not in known}
        for key, number in self._stored(list(unknown)):
            known[unknown.pop(key)] = number
        changed = [(*values, known[trace]) for trace, values in traces.items() if trace in known]
        self._connection.executemany(UPDATE_TRACE, changed)
        new: list[tuple[Any, ...]] = []
        for number, (key, trace) in enumerate(unknown.items(), self._next_trace):
            new.append((number, key, *traces[trace]))
            known[trace] = number
        self._next_trace += len(new)
        self._connection.executemany(INSERT_TRACE, new)
        return known

    def _stored(self, keys: list[bytes]) -> Iterator[tuple[bytes, int]]:
        """Those of the traces that the database has, with their numbers."""
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            some = keys[start : start + _KEYS_AT_ONCE]
            # Always as many marks: then it is the same statement.
            padded = some + some[-1:] * (_KEYS_AT_ONCE - len(some))
            yield from self._connection.execute(_SELECT_NUMBERS, padded)

    def _forget(self) -> None:
        self._texts.clear()
        self._characters = 0
        self._traces.clear()
        self._scopes.clear()
        try:
            self._next_scope = self._highest("scope", "id") + 1
            self._next_text = self._highest("text", "id") + 1
            self._next_trace = self._highest("trace", "id") + 1
        except sqlite3.Error:
            return  # it is told by what is written next

    def _highest(self, table: str, column: str) -> int:
        found = self._connection.execute(f"SELECT max({column}) FROM {table}")  # noqa: S608 - constants
        return int(found.fetchone()[0] or 0)

    def _mark_folded(self) -> None:
        self._connection.execute(SET_MARK, ("folded", self._highest("span", "rowid")))

    def _delete(self, traces: int) -> None:
        oldest = self._connection.execute(
            "SELECT id, start_ns FROM trace ORDER BY start_ns LIMIT ?", (traces,)
        ).fetchall()
        if not oldest:
            return
        ids = [row[:1] for row in oldest]
        with self._connection:
            self._connection.executemany("DELETE FROM span WHERE trace = ?", ids)
            self._connection.executemany("DELETE FROM trace WHERE id = ?", ids)
            self._connection.execute(SET_MARK, ("trimmed", oldest[-1][1] + 1))
            self._mark_folded()  # SQLite may use the numbers of the last rows again

    def _drop_unused_texts(self) -> None:
        with self._connection:
            self._connection.execute(
                "DELETE FROM text WHERE id NOT IN (SELECT attributes FROM span"
                " UNION SELECT events FROM span UNION SELECT links FROM span)"
            )
        self._forget()


def _breathing(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows, with breaks: a thread that waits for the interpreter gets it, not after 5 ms."""
    for number, row in enumerate(rows):
        if number % BREATH_ROWS == 0:
            time.sleep(BREATH_SECONDS)
        yield row


def _key(trace: tuple[int, int]) -> bytes:
    return trace[0].to_bytes(8, "big") + trace[1].to_bytes(8, "big")


def text_hash(text: str) -> int:
    """The first 64 bits of a text's BLAKE2b, as SQLite's integers have them."""
    digest = blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def trimmed_ns(connection: sqlite3.Connection) -> int:
    """Traces that began before were deleted to make room; 0: none was."""
    found = connection.execute("SELECT value FROM mark WHERE name = 'trimmed'").fetchone()
    return int(found[0]) if found else 0

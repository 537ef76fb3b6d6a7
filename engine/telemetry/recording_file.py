"""A `.citadel` file: a stretch of an engine's telemetry, in one SQLite database.

Table `meta` says what it is; `batch` has the state at the begin (number 0), then what watchers were
told from there on, each a `WatchBatch` of the wire, deflated. Each batch is a transaction: a writer
that is killed loses at most the one that it had not committed, and the file says that it was not
closed. Used from one thread at a time; what is read does not change the file.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import zlib
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from citadel.errors import BadConfig, WireError
from citadel.wire import codec
from citadel.wire.columns import pack, rows, unpack
from citadel.wire.messages import ColumnBatch, SnapshotReply, WatchBatch
from citadel.wire.topics import TOPICS
from engine.telemetry.redact import redact

SUFFIX = ".citadel"
APPLICATION_ID = 0x43495444
VERSION = 1
LEVEL = 1
"""Of zlib: the loop's thread does not wait for it, but the writer's keeps up with it."""
SECRETIVE: Mapping[str, tuple[str, ...]] = {
    "mission": ("parameters", "summary"),
    "session": ("variables",),
    "audit": ("before", "after"),
}
"""Columns of JSON that users fill: secrets leave them before they are written."""
_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE batch (
  number INTEGER PRIMARY KEY, first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL,
  time_ns INTEGER NOT NULL, rows INTEGER NOT NULL, data BLOB NOT NULL
) STRICT;
"""

Kind = Literal["recording", "incident"]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a file says of itself."""

    name: str
    kind: Kind = "recording"
    engine: Mapping[str, Any]
    """The engine's own description: EngineInfo."""
    since_ns: int
    until_ns: int = 0
    trigger: str = ""
    cause: str = ""
    closed: bool = False
    """Whether it was ended in order; otherwise its writer was killed."""


class RecordingWriter:
    """Writes one file."""

    def __init__(self, path: Path, about: About, snapshot: SnapshotReply) -> None:
        """Begins the file with the state at its begin.

        Raises:
            OSError, sqlite3.Error: it cannot be written.
        """
        self.path = path
        self.rows = 0
        self.dropped = 0
        """Rows of the stretch that watchers missed."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._number = 0
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self._db.execute(f"PRAGMA user_version = {VERSION}")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_TABLES)
        self._say("about", json.dumps(_plain(about)))
        self._add(
            WatchBatch(
                instance_id=snapshot.instance_id,
                first_seq=snapshot.seq,
                last_seq=snapshot.seq,
                time_unix_nanos=snapshot.time_unix_nanos,
                batches=snapshot.batches,
            )
        )

    def write(self, batch: WatchBatch) -> None:
        """Adds what happened next.

        Raises:
            sqlite3.Error: the disk is full, or gone.
        """
        if batch.gap is not None:
            self.dropped += batch.gap.to_seq - batch.gap.from_seq + 1
        if batch.batches or batch.gap is not None:
            self._add(batch)

    @property
    def bytes(self) -> int:
        """What it takes on disk."""
        sizes = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(path.stat().st_size for path in sizes if path.exists())

    def close(self, until_ns: int) -> None:
        """Ends it: one file, which says that it is whole.

        Raises:
            sqlite3.Error: the disk is full, or gone.
        """
        self._say("until_ns", str(until_ns))
        self._say("rows", str(self.rows))
        self._say("dropped", str(self.dropped))
        self._say("closed", "1")
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.execute("PRAGMA journal_mode = DELETE")
        self._db.close()

    def abandon(self) -> None:
        """Ends it as it is: what was committed stays."""
        with contextlib.suppress(sqlite3.Error):
            self._db.close()

    def _add(self, batch: WatchBatch) -> None:
        safe = tuple(without_secrets(each) for each in batch.batches)
        told = WatchBatch(
            instance_id=batch.instance_id,
            first_seq=batch.first_seq,
            last_seq=batch.last_seq,
            time_unix_nanos=batch.time_unix_nanos,
            batches=safe,
            gap=batch.gap,
            coalesced=batch.coalesced,
        )
        count = sum(each.rows for each in safe)
        self._db.execute(
            "INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?)",
            (
                self._number,
                batch.first_seq,
                batch.last_seq,
                batch.time_unix_nanos,
                count,
                zlib.compress(codec.encode(told), LEVEL),
            ),
        )
        self._number += 1
        self.rows += count

    def _say(self, key: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


class RecordingFile:
    """Reads one file."""

    def __init__(self, path: Path) -> None:
        """Looks at what it is.

        Raises:
            BadConfig: it is not there, no recording, damaged, or of a newer Citadel.
        """
        self.path = path
        if not path.is_file():
            raise self._refused("there is no such file", "Look at its name")
        try:
            with self._open() as db:
                found = int(db.execute("PRAGMA application_id").fetchone()[0])
                version = int(db.execute("PRAGMA user_version").fetchone()[0])
                if found != APPLICATION_ID:
                    raise self._refused("it is no recording", "Give a .citadel file")
                if version > VERSION:
                    raise self._refused(
                        f"it is of a newer Citadel (version {version})", "Install the newer Citadel"
                    )
                said = dict(db.execute("SELECT key, value FROM meta").fetchall())
                last = db.execute("SELECT max(time_ns) FROM batch").fetchone()[0]
            told: dict[str, Any] = json.loads(said["about"])
            about = About(**told)
            until_ns = int(said.get("until_ns") or last or about.since_ns)
            self.about = replace(about, until_ns=until_ns, closed=said.get("closed") == "1")
        except (sqlite3.Error, KeyError, TypeError, ValueError) as error:
            raise self._refused(f"it is damaged: {error}", "Fetch or copy it again") from error

    def snapshot(self) -> WatchBatch:
        """The state at the begin.

        Raises:
            BadConfig: it is damaged.
        """
        return next(self.batches(first=0, last=0))

    def batches(self, first: int = 1, last: int = 2**62) -> Iterator[WatchBatch]:
        """What happened, in order; what cannot be read any more ends it.

        Raises:
            BadConfig: it is damaged.
        """
        try:
            with self._open() as db:
                for (data,) in db.execute(
                    "SELECT data FROM batch WHERE number BETWEEN ? AND ? ORDER BY number",
                    (first, last),
                ):
                    yield codec.decode(WatchBatch, zlib.decompress(data))
        except (sqlite3.Error, zlib.error, WireError) as error:
            raise self._refused(f"it is damaged: {error}", "Fetch or copy it again") from error

    @contextlib.contextmanager
    def _open(self) -> Generator[sqlite3.Connection]:
        # A file whose writer was killed has a journal beside it, which a reader must be able to
        # take up; a closed one is opened so that a medium that cannot be written will do.
        wal = self.path.with_name(self.path.name + "-wal")
        how = "mode=rw" if wal.exists() else "mode=ro&immutable=1"
        with contextlib.closing(
            sqlite3.connect(f"{self.path.resolve().as_uri()}?{how}", uri=True)
        ) as db:
            yield db

    def _refused(self, why: str, remedy: str) -> BadConfig:
        return BadConfig(
            f"{self.path} cannot be opened: {why}", subject=str(self.path), remedy=remedy
        )


def without_secrets(batch: ColumnBatch) -> ColumnBatch:
    """The batch without secrets in what users fill; rows of spans and events have none."""
    columns = SECRETIVE.get(batch.topic)
    if columns is None:
        return batch
    names = tuple(TOPICS[batch.topic].columns)
    cleaned = [
        tuple(_cleaned(row[name]) if name in columns else row[name] for name in names)
        for row in rows(unpack(batch))
    ]
    return pack(batch.topic, cleaned)


def _cleaned(text: str) -> str:
    if not text:
        return text
    try:
        return json.dumps(redact(json.loads(text)))
    except ValueError:
        return str(redact(text))


def _plain(about: About) -> dict[str, Any]:
    return {
        "name": about.name,
        "kind": about.kind,
        "engine": dict(about.engine),
        "since_ns": about.since_ns,
        "trigger": about.trigger,
        "cause": about.cause,
    }

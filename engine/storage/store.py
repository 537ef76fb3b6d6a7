"""The operational database: audit trail, numbered documents, missions. SQLAlchemy, one thread.

An async face over blocking calls: all of them run, one after the other, in a thread of this store's
own, so that the loop never waits and transactions never interleave. SQLite by default; any URL that
SQLAlchemy knows will do.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, delete, event, insert, select
from sqlalchemy.exc import SQLAlchemyError

from citadel.errors import BadConfig
from engine.storage.schema import AUDIT, DOCUMENTS, MISSIONS

T = TypeVar("T")
MISSIONS_KEPT = 200
"""Missions that are remembered; the oldest are forgotten."""
AUDIT_PAGE = 1_000
_FIRST_HASH = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Who changed what, when, why, from what to what; `hash` chains it to the one before."""

    seq: int
    time_ns: int
    actor: str
    action: str
    subject: str
    before: str
    after: str
    reason: str
    hash: str

    def row(self) -> tuple[Any, ...]:
        """The columns of topic `audit`."""
        head = (self.seq, self.time_ns, self.actor, self.action, self.subject)
        return (*head, self.before, self.after, self.reason, self.hash)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One revision of a named JSON document."""

    name: str
    revision: int
    body: str
    actor: str
    reason: str
    time_ns: int


class OperationalStore:
    """State that outlives the engine."""

    def __init__(self, url: str, *, clock: Callable[[], int] = time.time_ns) -> None:
        self._url = url
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="operational-store")
        self._engine: Engine | None = None

    @classmethod
    def in_folder(cls, folder: Path) -> OperationalStore:
        """The default: SQLite in the data folder."""
        return cls(f"sqlite:///{folder / 'citadel.db'}")

    async def open(self) -> None:
        """Opens the database and brings it to the newest version.

        Raises:
            BadConfig: it cannot be opened, or is from a newer Citadel.
        """
        try:
            await self._do(self._migrate)
        except (SQLAlchemyError, CommandError, OSError) as error:
            raise self._not_opened(error) from error

    async def close(self) -> None:
        """Ends the thread and the connections."""
        if self._engine:
            await self._do(self._engine.dispose)
        self._thread.shutdown()

    async def append_audit(
        self,
        actor: str,
        action: str,
        subject: str,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any] | None,
        reason: str,
    ) -> AuditEntry:
        """Adds an entry to the chain."""

        def write() -> AuditEntry:
            with self._begin() as connection:
                return self._append(connection, actor, action, subject, before, after, reason)

        return await self._do(write)

    async def audit(
        self, after: int = 0, limit: int = AUDIT_PAGE, before: int = 0
    ) -> list[AuditEntry]:
        """The newest entries past `after`, and older than `before` unless it is 0; oldest first."""

        def read() -> list[AuditEntry]:
            query = (
                select(AUDIT)
                .where(AUDIT.c.seq > after)
                .order_by(AUDIT.c.seq.desc())
                .limit(min(limit or AUDIT_PAGE, AUDIT_PAGE))
            )
            if before:
                query = query.where(AUDIT.c.seq < before)
            with self._begin() as connection:
                found = connection.execute(query).mappings().all()
            return [AuditEntry(**row) for row in reversed(found)]

        return await self._do(read)

    async def audit_intact(self) -> bool:
        """Whether every entry's hash follows from its content and the one before."""

        def check() -> bool:
            previous, expected = _FIRST_HASH, 1
            with self._begin() as connection:
                for row in connection.execute(select(AUDIT).order_by(AUDIT.c.seq)).mappings():
                    entry = AuditEntry(**row)
                    if entry.seq != expected or entry.hash != _hash(previous, entry):
                        return False
                    previous, expected = entry.hash, expected + 1
            return True

        return await self._do(check)

    async def load_document(self, name: str, revision: int = 0) -> Document | None:
        """A revision of a document; 0 is the newest."""

        def read() -> Document | None:
            query = select(DOCUMENTS).where(DOCUMENTS.c.name == name)
            if revision:
                query = query.where(DOCUMENTS.c.revision == revision)
            query = query.order_by(DOCUMENTS.c.revision.desc()).limit(1)
            with self._begin() as connection:
                row = connection.execute(query).mappings().first()
            return Document(**row) if row else None

        return await self._do(read)

    def save_document(
        self,
        document: Document,
        before: Mapping[str, Any],
        after: Mapping[str, Any] | None = None,
    ) -> asyncio.Future[AuditEntry]:
        """Adds a revision and its audit entry: both or neither, whoever still waits for it.

        The entry says `after` where the body holds what may not be shown.
        """

        def write() -> AuditEntry:
            with self._begin() as connection:
                connection.execute(
                    insert(DOCUMENTS).values(
                        name=document.name,
                        revision=document.revision,
                        body=document.body,
                        actor=document.actor,
                        reason=document.reason,
                        time_ns=document.time_ns,
                    )
                )
                return self._append(
                    connection,
                    document.actor,
                    f"{document.name}.apply",
                    f"{document.name} revision {document.revision}",
                    before,
                    json.loads(document.body) if after is None else after,
                    document.reason,
                )

        return self._do(write)

    async def save_mission(self, mission_id: str, started_ns: int, body: str) -> None:
        """Remembers a mission as it is now; forgets the oldest past MISSIONS_KEPT."""

        def write() -> None:
            with self._begin() as connection:
                connection.execute(delete(MISSIONS).where(MISSIONS.c.id == mission_id))
                connection.execute(
                    insert(MISSIONS).values(id=mission_id, started_ns=started_ns, body=body)
                )
                kept = select(MISSIONS.c.id).order_by(MISSIONS.c.started_ns.desc())
                connection.execute(
                    delete(MISSIONS).where(MISSIONS.c.id.not_in(kept.limit(MISSIONS_KEPT)))
                )

        await self._do(write)

    async def missions(self) -> list[str]:
        """The bodies of the remembered missions, oldest first."""

        def read() -> list[str]:
            with self._begin() as connection:
                query = select(MISSIONS.c.body).order_by(MISSIONS.c.started_ns)
                return list(connection.execute(query).scalars())

        return await self._do(read)

    @property
    def _shown(self) -> str:
        return self._url.removeprefix("sqlite:///")

    def _not_opened(self, error: Exception) -> BadConfig:
        text = str(error).splitlines()[0]
        cause, remedy = text, "Give a folder that can be written: --data-dir DIR"
        if "Can't locate revision" in text:
            cause = "it is from a newer Citadel"
            remedy = "Install the newer Citadel, or give another folder: --data-dir DIR"
        elif "not a database" in text or "malformed" in text:
            cause = "it is damaged"
            remedy = "Put a backup in its place, or give another folder: --data-dir DIR"
        return BadConfig(
            f"the database {self._shown} cannot be opened: {cause}",
            subject=self._shown,
            remedy=remedy,
        )

    def _do(self, call: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, call)

    def _begin(self) -> Any:
        assert self._engine is not None, "open() comes first"
        return self._engine.begin()

    def _migrate(self) -> None:
        if self._url.startswith("sqlite:///"):
            Path(self._shown).parent.mkdir(parents=True, exist_ok=True)
        self._engine = create_engine(self._url)
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _prepare_sqlite)
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        with self._engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def _append(
        self,
        connection: Connection,
        actor: str,
        action: str,
        subject: str,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any] | None,
        reason: str,
    ) -> AuditEntry:
        last = connection.execute(
            select(AUDIT.c.seq, AUDIT.c.hash).order_by(AUDIT.c.seq.desc()).limit(1)
        ).first()
        values: dict[str, Any] = {
            "seq": last.seq + 1 if last else 1,
            "time_ns": self._clock(),
            "actor": actor,
            "action": action,
            "subject": subject,
            "before": json.dumps(before or {}, sort_keys=True),
            "after": json.dumps(after or {}, sort_keys=True),
            "reason": reason,
        }
        unhashed = AuditEntry(**values, hash="")
        values["hash"] = _hash(last.hash if last else _FIRST_HASH, unhashed)
        connection.execute(insert(AUDIT).values(**values))
        return AuditEntry(**values)


def _hash(previous: str, entry: AuditEntry) -> str:
    text = json.dumps([previous, *entry.row()[:-1]], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()

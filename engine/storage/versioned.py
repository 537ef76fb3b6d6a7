"""A document of which one revision is in force: the sampling policy, the defence configuration.

Every change is a new revision, written with its audit entry in one transaction, then put in force,
then published. A change that was based on another revision is refused.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from citadel.errors import Conflict, NotFound
from engine.storage.store import AuditEntry, Document, OperationalStore

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Versioned(Generic[T]):
    """A body and where it came from."""

    revision: int
    body: T
    actor: str
    reason: str
    time_ns: int


class VersionedDocument(Generic[T]):
    """The revisions of one document."""

    def __init__(
        self,
        name: str,
        default: T,
        store: OperationalStore,
        *,
        encode: Callable[[T], Any],
        decode: Callable[[Any], T],
        on_audit: Callable[[AuditEntry], None],
        shown: Callable[[T], Any] | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """Starts with the default as revision 1, until `load` has looked.

        Args:
            name: the document's name, also the stem of its audit action.
            default: the first revision.
            store: where revisions are kept.
            encode: body to JSON values; `decode` is its inverse.
            decode: JSON values to body.
            on_audit: told each new audit entry.
            shown: body to JSON values without its secrets, for the audit trail and for errors;
                without it, `encode`.
            clock: unix nanoseconds.
        """
        self.name = name
        self.current: Versioned[T] = Versioned(
            revision=1, body=default, actor="engine", reason="default", time_ns=clock()
        )
        self.on_change: list[Callable[[Versioned[T]], None]] = []
        self._store = store
        self._encode = encode
        self._decode = decode
        self._shown = shown or encode
        self._on_audit = on_audit
        self._clock = clock
        self._lock = asyncio.Lock()

    async def load(self) -> None:
        """Puts the newest stored revision in force, or stores the default as the first."""
        stored = await self._store.load_document(self.name)
        if stored is None:
            await self._put_in_force(self.current, before={})
            return
        self.current = self._versioned(stored)
        self._tell()

    async def get(self, revision: int = 0) -> Versioned[T]:
        """A revision; 0 is the one in force.

        Raises:
            NotFound: there is no such revision.
        """
        if revision in (0, self.current.revision):
            return self.current
        stored = await self._store.load_document(self.name, revision)
        if stored is None:
            raise NotFound(
                f"{self.name} has no revision {revision}",
                subject=self.name,
                remedy=f"The newest is {self.current.revision}",
            )
        return self._versioned(stored)

    async def apply(self, body: T, *, based_on: int, actor: str, reason: str) -> Versioned[T]:
        """Puts a new revision in force; `based_on` 0 takes whatever is current.

        Raises:
            Conflict: another revision is in force; details hold it.
        """
        return await self.change(lambda _: body, based_on=based_on, actor=actor, reason=reason)

    async def change(
        self, make: Callable[[T], T], *, based_on: int, actor: str, reason: str
    ) -> Versioned[T]:
        """Puts in force what `make` makes of the current body, as `apply` would.

        Nothing else is put in force between the two. What `make` raises is raised.

        Raises:
            Conflict: another revision is in force; details hold it.
        """
        async with self._lock:
            before = self.current
            body = make(before.body)
            if based_on not in (0, before.revision):
                raise Conflict(
                    f"{self.name} is at revision {before.revision} (by {before.actor}),"
                    f" the change was based on {based_on}",
                    subject=self.name,
                    details={
                        "current": str(before.revision),
                        "body": json.dumps(self._shown(before.body)),
                    },
                )
            new = Versioned(
                revision=before.revision + 1,
                body=body,
                actor=actor,
                reason=reason,
                time_ns=self._clock(),
            )
            await self._put_in_force(new, before={self.name: self._shown(before.body)})
            return new

    async def _put_in_force(self, new: Versioned[T], before: dict[str, Any]) -> None:
        saving = self._store.save_document(
            Document(
                name=self.name,
                revision=new.revision,
                body=json.dumps({self.name: self._encode(new.body)}),
                actor=new.actor,
                reason=new.reason,
                time_ns=new.time_ns,
            ),
            before,
            {self.name: self._shown(new.body)},
        )
        gone: asyncio.CancelledError | None = None
        try:
            await asyncio.shield(saving)
        except asyncio.CancelledError as error:
            # Its caller went away, but what the store has begun it ends: that is then in force.
            gone = error
            await asyncio.wait([saving])
        entry = saving.result()
        self.current = new
        self._on_audit(entry)
        self._tell()
        if gone:
            raise gone

    def _versioned(self, stored: Document) -> Versioned[T]:
        return Versioned(
            revision=stored.revision,
            body=self._decode(json.loads(stored.body)[self.name]),
            actor=stored.actor,
            reason=stored.reason,
            time_ns=stored.time_ns,
        )

    def _tell(self) -> None:
        for told in self.on_change:
            told(self.current)

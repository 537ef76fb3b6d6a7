"""Sessions of one pool: which worker has which, their variables, their end. A sans-IO core.

A session is state that stays with a key. Its variables are a msgpack map that the engine keeps, so
that they outlive a worker; whatever else a worker holds for it dies with the worker. Affinity says
how much that matters: `hint` prefers the worker, `strict_queue` waits for it and moves when it is
lost, `strict_fail` never waits, and is lost with its worker.

A key that is used again while commands of its ended session are left is a new session, whose
commands wait for those: else a worker would take the end of the old one for that of the new.

An open session is one that was used in the last TTL, or that has commands here. Times are those of
the caller's clock, in seconds.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import msgpack

from citadel.errors import (
    Conflict,
    InvalidRequest,
    QuotaExceeded,
    SessionLost,
    UnknownSession,
)
from citadel.vocabulary import Affinity
from engine.pool.call import Call, Farewell
from engine.pool.fairqueue import Line
from engine.pool.options import SessionOptions

MAX_KEY = 256
"""Characters of a session's key."""
EMPTY = b"\x80"
"""No variables: an empty msgpack map."""


@dataclass(slots=True, eq=False)
class Session:
    """One key's state."""

    key: str
    created: float
    expires: float
    affinity: Affinity = "hint"
    worker: str = ""
    """Where its state is; empty: nowhere yet, or its worker is gone."""
    commands: int = 0
    """Commands that it was given."""
    live: int = 0
    """Commands that have not ended."""
    placed: dict[str, int] = field(default_factory=dict[str, int])
    """Commands that workers have, by worker."""
    leaving: bool = False
    """Its worker drains: it moves when what it runs there has ended."""
    lost: str = ""
    """How its worker ended, when the session was `strict_fail`: it is not used again."""
    gone: bool = False
    variables: bytes = EMPTY
    revision: int = 0
    """Of the variables."""
    held: tuple[str, int] = ("", 0)
    """The worker that has the variables, and their revision there."""
    parked: Line = field(default_factory=Line)
    """Strict commands that wait for one of its own to end; all, while there is one `before` it."""
    before: Session | None = None
    """An ended one of the same key that has commands left."""
    after: Session | None = None
    """A new one of the same key, while this one, which has ended, has commands left."""

    def news_for(self, worker: str) -> bytes | None:
        """The variables, when a worker that is about to run a command has not these."""
        if self.held == (worker, self.revision):
            return None
        self.held = (worker, self.revision)
        return self.variables


class SessionTable:
    """The sessions of one pool."""

    def __init__(self, pool: str, options: SessionOptions, clock: Callable[[], float]) -> None:
        self.sessions: OrderedDict[str, Session] = OrderedDict()
        """The one that was used longest ago first."""
        self.changed: dict[str, Session] = {}
        """Those whose rows are to be shown; the shell takes them out."""
        self.begun = 0
        """Sessions since the start."""
        self._pool = pool
        self._options = options
        self._clock = clock
        self._bound: dict[str, dict[str, Session]] = {}
        self._parting: dict[str, Session] = {}
        """Ended ones that have commands left, the last of each key."""

    # ── use ──────────────────────────────────────────────────────────────────────────────────

    def check(self, key: str, affinity: Affinity) -> Session | None:
        """The session that a command names, None when it would be a new one.

        Where a new one would have to wait for an ended one, that.

        Raises:
            InvalidRequest: the key is too long.
            QuotaExceeded: a new one would be one too many.
            SessionLost: it was `strict_fail`, and its worker is lost.
        """
        session = self.sessions.get(key)
        if session is None:
            if len(key) > MAX_KEY:
                raise InvalidRequest(
                    f"a session's key has {len(key)} characters",
                    subject=self._pool,
                    remedy=f"1 to {MAX_KEY}",
                )
            if len(self.sessions) >= self._options.limit:
                raise QuotaExceeded(
                    f"pool {self._pool} has {len(self.sessions)} open sessions", subject=self._pool
                )
            return self._parting.get(key)
        if session.lost and affinity == "strict_fail":
            raise SessionLost(
                f"session {key} of pool {self._pool} is lost: {session.lost}", subject=key
            )
        return session

    def enter(self, key: str, affinity: Affinity) -> Session:
        """A command of a session begins its way; `check` has let it."""
        now = self._clock()
        session = self.sessions.get(key)
        if session is None:
            before = self._parting.get(key)
            session = self.sessions[key] = Session(key, now, now, before=before)
            self.begun += 1
            if before is not None:
                before.after = session
        session.affinity, session.lost = affinity, ""
        session.commands += 1
        session.live += 1
        self._touch(session, now)
        return session

    def leave(self, session: Session) -> None:
        """A command of a session has ended."""
        session.live -= 1
        if not session.gone:
            self._touch(session, self._clock())

    def place(self, session: Session, worker: str) -> list[Farewell]:
        """A worker is given a command of it: its state is there from now on."""
        session.placed[worker] = session.placed.get(worker, 0) + 1
        return self.bind(session, worker) if session.worker != worker else []

    def bind(self, session: Session, worker: str) -> list[Farewell]:
        """Its state is to be at a worker; the one that had it may forget it."""
        if session.gone:
            return []
        old = self._unbind(session)
        session.worker = worker
        self._bound.setdefault(worker, {})[session.key] = session
        self.changed[session.key] = session
        return [Farewell(old, session.key)] if old and not session.placed.get(old) else []

    def lift(self, session: Session, worker: str) -> list[Farewell]:
        """A worker has a command of it no more."""
        left = session.placed[worker] - 1
        if left:
            session.placed[worker] = left
            return []
        del session.placed[worker]
        if session.leaving and session.worker == worker:
            self._unbind(session)
        if session.worker != worker or session.gone:
            return [Farewell(worker, session.key)]
        return []

    def over(self, session: Session) -> list[Call]:
        """One of its commands has ended: those of another that waited for the last one of it."""
        if not session.gone or session.live or session.placed or session.before is not None:
            return []
        if self._parting.get(session.key) is session:
            del self._parting[session.key]
        after, session.after = session.after, None
        if after is None:
            return []
        after.before = None
        return [*iter(after.parked.pop, None), *self.over(after)]

    # ── workers ──────────────────────────────────────────────────────────────────────────────

    def retire(self, worker: str) -> None:
        """A worker drains: its sessions move, at once or when what they run there has ended."""
        for session in list(self._bound.get(worker, {}).values()):
            if session.placed.get(worker):
                session.leaving = True
            else:
                self._unbind(session)

    def lose(self, worker: str, how: str) -> list[Session]:
        """A worker is gone: its sessions; those that are `strict_fail` are lost, others move."""
        found = list(self._bound.get(worker, {}).values())
        for session in found:
            self._unbind(session)
            if session.affinity == "strict_fail":
                session.lost = how
                session.variables, session.held = EMPTY, ("", 0)
                session.revision += 1
        return found

    def told(self, session: Session, worker: str, variables: bytes) -> None:
        """A worker says a session's variables after a command; those of an ended one are of no use.

        Raises:
            QuotaExceeded: they are larger than a session may have; the old ones stay.
        """
        if session.gone:
            return
        self._check_size(session, variables)
        session.variables = variables
        session.revision += 1
        session.held = (worker, session.revision)
        self.changed[session.key] = session

    # ── operators ────────────────────────────────────────────────────────────────────────────

    def known(self, key: str) -> Session:
        """An open session.

        Raises:
            UnknownSession: there is none with this key.
        """
        session = self.sessions.get(key)
        if session is None:
            raise UnknownSession(f"pool {self._pool} has no session {key!r}", subject=key)
        return session

    def set(self, key: str, changes: bytes, revision: int) -> Session:
        """Sets variables, and removes those that are nil; the next command sees them.

        Raises:
            UnknownSession: there is none with this key.
            Conflict: the session is at another revision; 0 is any.
            InvalidRequest: the changes are no msgpack map with texts as keys.
            QuotaExceeded: it would have more than a session may have.
        """
        session = self.known(key)
        if revision not in (0, session.revision):
            raise Conflict(
                f"session {key} is at revision {session.revision}, not {revision}",
                subject=key,
                details={"current": str(session.revision)},
            )
        merged = {**_map(session.variables), **_map(changes)}
        left = {name: value for name, value in merged.items() if value is not None}
        variables = bytes(msgpack.packb(left) or EMPTY)
        self._check_size(session, variables)
        session.variables = variables
        session.revision += 1
        self._touch(session, self._clock())
        return session

    def end(self, key: str) -> tuple[Session, list[Farewell]]:
        """Ends a session; commands of it that are here go on without its state's being kept.

        Raises:
            UnknownSession: there is none with this key.
        """
        session = self.known(key)
        return session, self._end(session)

    def expire(self) -> tuple[list[Session], list[Farewell]]:
        """Ends the sessions whose time is over: which these are, and who is to be told."""
        ended: list[Session] = []
        found: list[Farewell] = []
        now = self._clock()
        while self.sessions:
            session = next(iter(self.sessions.values()))
            if session.expires > now:
                break
            if session.live:
                self._touch(session, now)
            else:
                ended.append(session)
                found += self._end(session)
        return ended, found

    def next_expiry(self) -> float | None:
        """When `expire` has something to do; never too late."""
        return next(iter(self.sessions.values())).expires if self.sessions else None

    # ── inside ───────────────────────────────────────────────────────────────────────────────

    def _touch(self, session: Session, now: float) -> None:
        session.expires = now + self._options.ttl_seconds
        self.sessions.move_to_end(session.key)
        self.changed[session.key] = session

    def _unbind(self, session: Session) -> str:
        worker, session.worker, session.leaving = session.worker, "", False
        if worker:
            bound = self._bound[worker]
            del bound[session.key]
            if not bound:
                del self._bound[worker]
            self.changed[session.key] = session
        return worker

    def _end(self, session: Session) -> list[Farewell]:
        del self.sessions[session.key]
        session.gone = True
        if session.live or session.placed:
            self._parting[session.key] = session
        worker = self._unbind(session)
        self.changed[session.key] = session
        return [Farewell(worker, session.key)] if worker and not session.placed.get(worker) else []

    def _check_size(self, session: Session, variables: bytes) -> None:
        limit = self._options.variables_bytes
        if len(variables) > limit:
            raise QuotaExceeded(
                f"session {session.key} would have {len(variables)} bytes of variables, more than"
                f" {limit}",
                subject=session.key,
            )


def _map(data: bytes) -> dict[str, object]:
    try:
        # A tool's own values may have keys of any kind in them.
        found: object = msgpack.unpackb(data, strict_map_key=False)
    except (ValueError, TypeError) as error:
        raise InvalidRequest(f"variables are no msgpack: {error}") from None
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise InvalidRequest("variables are no map with texts as keys")
    return found

"""Shows one pool's sessions, ends them in time, and takes what workers say of them: a shell.

Loop thread only. Topic `session` has a row for each open session, published when something changed,
at most once an interval.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import msgpack

from citadel.errors import InvalidRequest, QuotaExceeded
from citadel.vocabulary import GONE
from citadel.wire.messages import SessionStatus
from engine.pool.call import Instruction
from engine.pool.display import PUBLISH_SECONDS, Coalesced
from engine.pool.scheduler import Scheduler
from engine.pool.sessions import Session
from engine.pool.worker import Worker
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder

SHOWN_CHARACTERS = 4_096
"""Of a session's variables as a row shows them; longer ones are told by name and size."""


class SessionDesk:
    """The outside of a pool's sessions."""

    def __init__(
        self,
        scheduler: Scheduler,
        recorder: Recorder,
        hub: LiveHub,
        act: Callable[[list[Instruction]], None],
    ) -> None:
        self._scheduler = scheduler
        self._table = scheduler.sessions
        self._recorder = recorder
        self._hub = hub
        self._act = act
        self._loop = asyncio.get_running_loop()
        self._publish = Coalesced(PUBLISH_SECONDS, self._show)
        self._expiry: asyncio.TimerHandle | None = None
        self._shown: set[str] = set()
        self._begun = recorder.counter("citadel.session.started", pool=scheduler.pool)
        self._counted = 0

    def touch(self) -> None:
        """Something about a session changed."""
        if more := self._table.begun - self._counted:
            self._begun.add(more)
            self._counted += more
        self._publish.soon()
        if self._expiry is None:
            self._arm()

    def close(self) -> None:
        """Ends every session: the pool is no more."""
        self._publish.cancel()
        if self._expiry:
            self._expiry.cancel()
        for key in list(self._table.sessions):
            self._table.end(key)
            self._count_end("closed")
        self._show()

    def told(self, worker: Worker, item: list[Any]) -> None:
        """Takes [VARIABLES, key, variables, number]; too large ones fail that command."""
        _, _, variables, number = item
        call = self._scheduler.holds(worker.id, number)
        if call is None or call.session is None:
            return  # told twice: it was on the slate and on the link
        try:
            self._table.told(call.session, worker.id, bytes(variables))
        except QuotaExceeded as error:
            call.refusal = error
        self.touch()

    # ── operators ────────────────────────────────────────────────────────────────────────────

    def sessions(self) -> tuple[SessionStatus, ...]:
        """The open sessions."""
        return tuple(self._status(each) for each in self._table.sessions.values())

    def set(self, key: str, variables: bytes, revision: int) -> SessionStatus:
        """Sets variables; see `SessionTable.set`."""
        session = self._table.set(key, variables, revision)
        self.touch()
        return self._status(session)

    def end(self, key: str) -> SessionStatus:
        """Ends a session; see `SessionTable.end`."""
        session, farewells = self._table.end(key)
        self._act([*farewells])
        self.touch()
        self._count_end("operator")
        self._recorder.event("session.ended", subject=key, message="ended by an operator")
        return self._status(session)

    # ── inside ───────────────────────────────────────────────────────────────────────────────

    def _count_end(self, cause: str) -> None:
        self._recorder.count("citadel.session.ended", pool=self._scheduler.pool, cause=cause)

    def _arm(self) -> None:
        due = self._table.next_expiry()
        if due is not None:
            self._expiry = self._loop.call_at(due, self._expire)

    def _expire(self) -> None:
        self._expiry = None
        ended, farewells = self._table.expire()
        self._act([*farewells])
        for session in ended:
            self._count_end("expired")
            self._recorder.event(
                "session.ended", subject=session.key, message="unused for too long", context=None
            )
        self.touch()

    def _show(self) -> None:
        changed, self._table.changed = self._table.changed, {}
        for key, session in changed.items():
            if session.gone and key not in self._shown:
                continue  # it came and went between two looks
            self._hub.publish("session", self._row(session))
            if session.gone:
                self._shown.discard(key)
            else:
                self._shown.add(key)

    def _row(self, session: Session) -> tuple[Any, ...]:
        status = self._status(session)
        return (
            status.pool,
            status.key,
            status.state,
            status.worker,
            status.commands,
            status.variables_json,
            status.revision,
            status.created_unix_nanos,
            status.expires_unix_nanos,
        )

    def _status(self, session: Session) -> SessionStatus:
        ahead = time.time_ns() - round(self._loop.time() * 1e9)
        return SessionStatus(
            pool=self._scheduler.pool,
            key=session.key,
            worker=session.worker,
            state=GONE if session.gone else "open",
            commands=session.commands,
            variables_json=shown(session.variables),
            revision=session.revision,
            created_unix_nanos=ahead + round(session.created * 1e9),
            expires_unix_nanos=ahead + round(session.expires * 1e9),
        )


def shown(variables: bytes) -> str:
    """A msgpack map as a JSON object, cut where it is long."""
    try:
        found: dict[str, Any] = msgpack.unpackb(
            variables, strict_map_key=False, object_pairs_hook=_named
        )
    except ValueError as error:
        raise InvalidRequest(f"variables are no msgpack: {error}") from None
    try:
        text = json.dumps(found, default=_told, ensure_ascii=False)
    except RecursionError:
        return json.dumps(dict.fromkeys(list(found)[:1], "nested too deeply to be shown"))
    if len(text) <= SHOWN_CHARACTERS:
        return text
    sizes: dict[str, str] = {}
    for number, (name, value) in enumerate(found.items()):
        sizes[name] = f"{len(json.dumps(value, default=_told))} characters"
        if len(json.dumps(sizes, ensure_ascii=False)) > SHOWN_CHARACTERS:
            del sizes[name]
            sizes["…"] = f"{len(found) - number} more"
            break
    return json.dumps(sizes, ensure_ascii=False)


def _named(pairs: list[tuple[object, object]]) -> dict[str, object]:
    """A map as JSON has it: a tool's keys may be anything that msgpack carries."""
    return {key if isinstance(key, str) else repr(key): value for key, value in pairs}


def _told(value: object) -> str:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return f"{type(value).__name__} value"

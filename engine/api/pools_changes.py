"""What operators change of pools: each change is checked against its revision, and audited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from citadel.errors import InvalidRequest
from citadel.vocabulary import PoolState
from citadel.wire.messages import (
    Change,
    EndSessionRequest,
    KillWorkerRequest,
    PoisonEntry,
    PoolStatus,
    RecycleRequest,
    ReleasePoisonRequest,
    ResizeRequest,
    SessionStatus,
    SetPoolStateRequest,
    SetVariablesRequest,
)
from engine.api.dispatch import Call
from engine.api.trail import Trail
from engine.pool.pools import Pools
from engine.pool.settings import MAX_WORKERS

STATES: Mapping[str, PoolState] = {
    "serving": "serving",
    "paused": "paused",
    "draining": "draining",
}
"""What a pool may be set to; failed it becomes by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolChanges:
    """The RPCs of Pools that change one."""

    pools: Pools
    trail: Trail

    async def resize(self, request: ResizeRequest, call: Call) -> PoolStatus:
        """Wants another number of workers, or lets the pool decide between two."""
        most = max(request.size, request.min_size, request.max_size)
        if most > MAX_WORKERS:
            raise InvalidRequest(
                f"{most} workers are more than {MAX_WORKERS}", subject=request.pool
            )
        if request.max_size and request.max_size < request.min_size:
            raise InvalidRequest(
                f"at most {request.max_size} is less than at least {request.min_size}",
                subject=request.pool,
            )
        before = self._checked(request.pool, request.change)
        after = await self.pools.resize(
            request.pool, request.size, request.min_size, request.max_size
        )
        await self._audit(
            call, "pool.resize", request.pool, request.change, _sizes(before), _sizes(after)
        )
        return after

    async def set_state(self, request: SetPoolStateRequest, call: Call) -> PoolStatus:
        """Lets a pool serve, pauses it, or drains it."""
        state = STATES.get(request.state)
        if state is None:
            raise InvalidRequest(
                f"a pool cannot be set to {request.state!r}",
                subject=request.pool,
                remedy=f"Set it to {', '.join(STATES)}",
            )
        before = self._checked(request.pool, request.change)
        after = await self.pools.set_state(request.pool, state)
        was, is_ = {"state": before.state}, {"state": after.state}
        await self._audit(call, "pool.set_state", request.pool, request.change, was, is_)
        return after

    async def recycle(self, request: RecycleRequest, call: Call) -> PoolStatus:
        """Replaces one worker, or all."""
        self._checked(request.pool, request.change)
        after = await self.pools.recycle(request.pool, request.worker)
        what = {"worker": request.worker or "all"}
        await self._audit(call, "pool.recycle", request.pool, request.change, None, what)
        return after

    async def kill_worker(self, request: KillWorkerRequest, call: Call) -> PoolStatus:
        """Kills one worker's process."""
        self._checked(request.pool, request.change)
        cause = f"killed by {call.actor(request.change)}"
        after = await self.pools.kill(request.pool, request.worker, cause)
        subject, what = f"{request.pool}/{request.worker}", {"worker": request.worker}
        await self._audit(call, "pool.kill_worker", subject, request.change, None, what)
        return after

    async def set_variables(self, request: SetVariablesRequest, call: Call) -> SessionStatus:
        """Sets variables of a session. As arguments of commands are not, they are not audited."""
        del call
        _named(request.session)
        return self.pools.set_variables(
            request.pool, request.session, request.variables, request.revision
        )

    async def end_session(self, request: EndSessionRequest, call: Call) -> SessionStatus:
        """Ends a session."""
        _named(request.session)
        ended = self.pools.end_session(request.pool, request.session)
        subject, what = f"{request.pool}/{request.session}", {"commands": ended.commands}
        await self._audit(call, "pool.end_session", subject, request.change, what, None)
        return ended

    async def release_poison(self, request: ReleasePoisonRequest, call: Call) -> PoisonEntry:
        """Lets a command run again that had killed workers."""
        self._checked(request.pool, request.change)
        entry = self.pools.release_poison(request.pool, request.fingerprint)
        subject = f"{request.pool}/{request.fingerprint}"
        what = {"tool": entry.tool, "kills": entry.kills}
        await self._audit(call, "pool.release_poison", subject, request.change, what, None)
        return entry

    def _checked(self, pool: str, change: Change | None) -> PoolStatus:
        """The pool as it is, when the change was based on that."""
        self.pools.check_revision(pool, change.revision if change else 0)
        return next(status for status in self.pools.status() if status.name == pool)

    async def _audit(
        self,
        call: Call,
        action: str,
        subject: str,
        change: Change | None,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any] | None,
    ) -> None:
        await self.trail.append(call, action, subject, change=change, before=before, after=after)


def _sizes(status: PoolStatus) -> dict[str, int]:
    sizes = {"size": status.size}
    if status.max_size:
        sizes |= {"min_size": status.min_size, "max_size": status.max_size}
    return sizes


def _named(session: str) -> None:
    if not session:
        raise InvalidRequest("a session needs a key", subject="session")

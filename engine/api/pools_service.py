"""Service Pools: commands, and changes to pools. Loop thread only."""

from __future__ import annotations

from dataclasses import dataclass

from citadel.errors import InvalidRequest
from citadel.trace import new_span_id
from citadel.vocabulary import MISSION_CLASSES
from citadel.wire.messages import (
    CancelReply,
    CancelRequest,
    Command,
    CommandResult,
    KillWorkerRequest,
    ListPoolsRequest,
    PoolList,
    PoolStatus,
    RecycleRequest,
    ResizeRequest,
    ToolList,
    ToolsRequest,
)
from engine.api.dispatch import Call
from engine.api.trail import Trail
from engine.pool.pools import Pools
from engine.pool.settings import MAX_WORKERS, PoolCommand

REPLY_SECONDS = 0.05
"""Before a client's deadline a command gives up by this, so that the typed error still arrives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolsServicer:
    """Pools' RPCs."""

    pools: Pools
    trail: Trail

    async def list(self, request: ListPoolsRequest, call: Call) -> PoolList:
        """Every pool with its workers."""
        del request, call
        return PoolList(pools=self.pools.status())

    async def tools(self, request: ToolsRequest, call: Call) -> ToolList:
        """The tools of a pool's adapter."""
        del call
        return ToolList(tools=self.pools.tools(request.pool))

    async def run(self, request: Command, call: Call) -> CommandResult:
        """Runs a command to its end, or to the client's deadline."""
        if request.mission_class not in ("", *MISSION_CLASSES):
            raise InvalidRequest(
                f"{request.mission_class!r} is no mission class",
                subject=request.mission_class,
                remedy=f"Classes are {', '.join(MISSION_CLASSES)}",
            )
        if not 0.0 <= request.deadline_seconds < float("inf"):
            raise InvalidRequest(
                f"a deadline of {request.deadline_seconds} s makes no sense",
                subject="deadline_seconds",
                remedy="Give seconds, or 0 for the pool's default",
            )
        return await self.pools.submit(
            PoolCommand(
                id=request.id or f"{new_span_id():016x}",
                pool=request.pool,
                tool=request.tool,
                arguments=request.arguments,
                deadline_seconds=_earlier(request.deadline_seconds, call.seconds_left),
                mission=request.mission,
                mission_class=request.mission_class,
                parent=call.span,
            )
        )

    async def cancel(self, request: CancelRequest, call: Call) -> CancelReply:
        """Cancels a command by its id."""
        reason = request.reason or f"cancelled by {call.identity.name}"
        return CancelReply(was=self.pools.cancel(request.command_id, reason))

    async def resize(self, request: ResizeRequest, call: Call) -> PoolStatus:
        """Wants another number of workers."""
        if request.size > MAX_WORKERS:
            raise InvalidRequest(
                f"{request.size} workers are more than {MAX_WORKERS}", subject=request.pool
            )
        before = self._checked(request.pool, request.change.revision if request.change else 0)
        after = await self.pools.resize(request.pool, request.size)
        await self.trail.append(
            call,
            "pool.resize",
            request.pool,
            change=request.change,
            before={"size": before.size},
            after={"size": after.size},
        )
        return after

    async def recycle(self, request: RecycleRequest, call: Call) -> PoolStatus:
        """Replaces one worker, or all."""
        self._checked(request.pool, request.change.revision if request.change else 0)
        after = await self.pools.recycle(request.pool, request.worker)
        await self.trail.append(
            call,
            "pool.recycle",
            request.pool,
            change=request.change,
            after={"worker": request.worker or "all"},
        )
        return after

    async def kill_worker(self, request: KillWorkerRequest, call: Call) -> PoolStatus:
        """Kills one worker's process."""
        self._checked(request.pool, request.change.revision if request.change else 0)
        cause = f"killed by {call.actor(request.change)}"
        after = await self.pools.kill(request.pool, request.worker, cause)
        await self.trail.append(
            call,
            "pool.kill_worker",
            f"{request.pool}/{request.worker}",
            change=request.change,
            after={"worker": request.worker},
        )
        return after

    def _checked(self, pool: str, revision: int) -> PoolStatus:
        """The pool as it is, when the change was based on that."""
        self.pools.check_revision(pool, revision)
        return next(status for status in self.pools.status() if status.name == pool)


def _earlier(wanted: float, left: float | None) -> float:
    """The earlier of a command's deadline (0: none) and the client's own."""
    if left is None:
        return wanted
    left = max(left - REPLY_SECONDS, 0.001)
    return min(wanted, left) if wanted else left

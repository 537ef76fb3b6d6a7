"""Service Pools: commands, and changes to pools. Loop thread only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field

from citadel.errors import InvalidRequest
from citadel.wire.messages import (
    CancelReply,
    CancelRequest,
    Command,
    CommandBatch,
    CommandResult,
    KillWorkerRequest,
    ListPoolsRequest,
    OutcomeBatch,
    PoolList,
    PoolStatus,
    RecycleRequest,
    ResizeRequest,
    ToolList,
    ToolsRequest,
)
from engine.api.commands import pool_command
from engine.api.dispatch import Call
from engine.api.many import Many
from engine.api.trail import Trail
from engine.pool.pools import Pools
from engine.pool.settings import MAX_WORKERS


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolsServicer:
    """Pools' RPCs."""

    pools: Pools
    trail: Trail
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the engine stops: streams of commands take no more, answer, and end."""

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
        return await self.pools.submit(pool_command(request, call.span, call.seconds_left))

    async def run_many(
        self, requests: AsyncIterator[CommandBatch], call: Call
    ) -> AsyncGenerator[OutcomeBatch]:
        """Runs the commands of a stream; see engine.api.many."""
        async with aclosing(Many(self.pools, call, self.closing).run(requests)) as outcomes:
            async for batch in outcomes:
                yield batch

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

"""Service Pools: commands, what there is to see, and changes. Loop thread only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing
from dataclasses import dataclass, field

from citadel.errors import InvalidRequest
from citadel.wire.messages import (
    CancelReply,
    CancelRequest,
    Command,
    CommandBatch,
    CommandResult,
    InspectWorkerRequest,
    ListPoisonRequest,
    ListPoolsRequest,
    ListSessionsRequest,
    OutcomeBatch,
    PoisonList,
    PoolList,
    SessionList,
    StreamInput,
    StreamOutput,
    ToolList,
    ToolsRequest,
    WorkerDetail,
)
from engine.api.commands import pool_command
from engine.api.dispatch import Call
from engine.api.many import Many
from engine.api.pools_changes import PoolChanges


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolsServicer(PoolChanges):
    """Pools' RPCs."""

    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the engine stops: streams of commands take no more, answer, and end."""

    # ── commands ─────────────────────────────────────────────────────────────────────────────

    def run(self, request: Command, call: Call) -> Awaitable[CommandResult]:
        """Runs a command to its end, or to the client's deadline."""
        return self.pools.submit(pool_command(request, call.span, call.seconds_left))

    async def run_many(
        self, requests: AsyncIterator[CommandBatch], call: Call
    ) -> AsyncGenerator[OutcomeBatch]:
        """Runs the commands of a stream; see engine.api.many."""
        async with aclosing(Many(self.pools, call, self.closing).run(requests)) as outcomes:
            async for batch in outcomes:
                yield batch

    async def stream(
        self, requests: AsyncIterator[StreamInput], call: Call
    ) -> AsyncGenerator[StreamOutput]:
        """Runs a command whose tool takes or gives a stream; a slow side slows the other."""
        first = await anext(requests, None)
        if first is None or first.command is None:
            raise InvalidRequest("the first input of a stream names its command", subject="command")
        command = pool_command(first.command, call.span, call.seconds_left)
        async with aclosing(self.pools.stream(command, _items(requests))) as outputs:
            async for output in outputs:
                if isinstance(output, bytes):
                    yield StreamOutput(item=output)
                else:
                    yield StreamOutput(result=output)

    async def cancel(self, request: CancelRequest, call: Call) -> CancelReply:
        """Cancels a command by its id, in its pool or wherever there is one."""
        reason = request.reason or f"cancelled by {call.identity.name}"
        return CancelReply(was=self.pools.cancel(request.command_id, reason, request.pool))

    # ── what there is ────────────────────────────────────────────────────────────────────────

    async def list(self, request: ListPoolsRequest, call: Call) -> PoolList:
        """Every pool with its workers."""
        del request, call
        return PoolList(pools=self.pools.status())

    async def tools(self, request: ToolsRequest, call: Call) -> ToolList:
        """The tools of a pool's adapter."""
        del call
        return ToolList(tools=self.pools.tools(request.pool))

    async def inspect_worker(self, request: InspectWorkerRequest, call: Call) -> WorkerDetail:
        """One worker: its life, its memory, what it printed; also one that ended lately."""
        del call
        return self.pools.inspect_worker(request.pool, request.worker)

    async def list_sessions(self, request: ListSessionsRequest, call: Call) -> SessionList:
        """The open sessions of one pool, or of all."""
        del call
        return SessionList(sessions=self.pools.sessions(request.pool))

    async def list_poison(self, request: ListPoisonRequest, call: Call) -> PoisonList:
        """The commands that killed workers of one pool, or of all."""
        del call
        return PoisonList(entries=self.pools.poison(request.pool))


async def _items(requests: AsyncIterator[StreamInput]) -> AsyncGenerator[bytes]:
    async for each in requests:
        if each.command is not None:
            raise InvalidRequest("only the first input of a stream names a command")
        yield each.item

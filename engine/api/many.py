"""Many commands over one stream: begun as they come, answered as they end.

No command has a task: its outcome is written down by a callback, and what ended in one turn of the
loop leaves in one message. At most MAX_IN_FLIGHT commands are begun and not yet answered to gRPC;
beyond that nothing more is read, so a client that does not read is not served on. A client that
goes away cancels what it began. Loop thread only.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from functools import partial

from citadel.errors import Cancelled, CitadelError, InvalidRequest
from citadel.trace import parse_traceparent
from citadel.wire.failures import to_wire
from citadel.wire.messages import Command, CommandBatch, CommandResult, Outcome, OutcomeBatch
from engine.api.commands import pool_command
from engine.api.dispatch import Call
from engine.pool.pools import Pools

MAX_IN_FLIGHT = 1_024
"""Commands of one stream that are begun and not answered."""
BATCH_BYTES = 2**20
"""Bytes of values after which a message is full; one value may be larger."""


class Many:
    """One stream of commands."""

    def __init__(self, pools: Pools, call: Call, closing: asyncio.Event) -> None:
        self._pools = pools
        self._call = call
        self._closing = closing
        self._running: dict[str, str] = {}
        """The pools of the commands that have not ended, by id."""
        self._ended: list[Outcome] = []
        self._in_flight = 0
        self._read_all = False
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    async def run(self, requests: AsyncIterator[CommandBatch]) -> AsyncGenerator[OutcomeBatch]:
        """Outcomes, until the client has sent all and each is answered.

        Raises:
            InvalidRequest: a command has no id: its outcome could not be told from others.
        """
        loop = asyncio.get_running_loop()
        # Owned by this stream, and ended with it: a TaskGroup cannot be left by a yield.
        reader = loop.create_task(self._read(requests), name="commands of a stream")
        reader.add_done_callback(self._has_read)
        closer = loop.create_task(self._close(reader), name="end of a stream of commands")
        try:
            while self._in_flight or not self._read_all or self._news.is_set():
                await self._news.wait()
                self._news.clear()
                if reader.done() and not reader.cancelled():
                    reader.result()  # it may have ended by an error
                while batch := self._batch():
                    yield OutcomeBatch(outcomes=batch)
                    self._in_flight -= len(batch)
                    self._room.set()
        finally:
            for task in (closer, reader):
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task
            for command, pool in tuple(self._running.items()):
                self._pools.cancel(command, "its caller went away", pool)

    async def _read(self, requests: AsyncIterator[CommandBatch]) -> None:
        async for batch in requests:
            for command in batch.commands:
                while self._in_flight >= MAX_IN_FLIGHT:
                    self._room.clear()
                    await self._room.wait()
                self._begin(command)
            for command in batch.cancels:
                if (pool := self._running.get(command)) is not None:
                    self._pools.cancel(command, "its caller gave it up", pool)

    async def _close(self, reader: asyncio.Task[None]) -> None:
        """An engine that stops reads no more; what was begun is answered."""
        await self._closing.wait()
        reader.cancel()

    def _has_read(self, reader: asyncio.Task[None]) -> None:
        del reader
        self._read_all = True
        self._news.set()

    def _begin(self, request: Command) -> None:
        if not request.id:
            raise InvalidRequest("a command of a stream needs an id of its own", subject="id")
        self._in_flight += 1
        try:
            if request.id in self._running:
                text = f"command {request.id} of this stream has not ended"
                raise InvalidRequest(text, subject=request.id, remedy="Give each its own id")
            parent = parse_traceparent(request.traceparent, request.tracestate)
            future = self._pools.begin(pool_command(request, parent, None))
        except Exception as raised:  # noqa: BLE001 - it fails alone, whatever it was
            self._tell(Outcome(id=request.id, error=to_wire(self._call.error_of(raised))))
            return
        self._running[request.id] = request.pool
        future.add_done_callback(partial(self._end, request.id))

    def _end(self, command: str, future: asyncio.Future[CommandResult]) -> None:
        self._running.pop(command, None)
        if future.cancelled():
            error: CitadelError = Cancelled(f"command {command} was cancelled", subject=command)
        elif (raised := future.exception()) is None:
            self._tell(Outcome(id=command, result=future.result()))
            return
        else:
            error = self._call.error_of(raised)
        self._tell(Outcome(id=command, error=to_wire(error)))

    def _tell(self, outcome: Outcome) -> None:
        self._ended.append(outcome)
        self._news.set()

    def _batch(self) -> tuple[Outcome, ...]:
        """What has ended, as much as one message takes."""
        ended, size = self._ended, 0
        for number, outcome in enumerate(ended):
            value = outcome.result.value if outcome.result else b""
            if number and size + len(value) > BATCH_BYTES:
                self._ended = ended[number:]
                return tuple(ended[:number])
            size += len(value)
        self._ended = []
        return tuple(ended)

"""Many calls over one stream: what is asked in one turn of the loop leaves in one message.

The fast way to run many short commands. Each call has a future of its own and fails alone; a
broken connection fails those that wait, with `Unavailable`. At most MAX_IN_FLIGHT calls wait for
their answers; a further one waits for room. Belongs to the loop of its client.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from types import TracebackType
from typing import Any, Self

from citadel.client.bidi import Bidi
from citadel.client.commands import CommandOptions, unpacked
from citadel.client.connection import Connection
from citadel.errors import CitadelError, MessageTooLarge, NotReady, Unavailable, WireError
from citadel.trace import new_span_id
from citadel.wire import codec
from citadel.wire.failures import from_wire
from citadel.wire.messages import Command, CommandBatch, Outcome

MAX_IN_FLIGHT = 1_024
"""Calls of one batch that wait for their answers."""
BATCH_BYTES = 2**20
"""Bytes of arguments after which a message is full; one command may have more."""
MAX_ARGUMENT_BYTES = codec.MAX_MESSAGE_BYTES - 2**16


class Batch:
    """A stream of calls of one pool: `async with client.pools.batch("python") as batch`.

    Leaving the block waits for what was begun; leaving it by an exception cancels that.
    """

    def __init__(self, connection: Connection, pool: str, options: CommandOptions) -> None:
        self._connection = connection
        self._pool = pool
        self._options = options
        self._ids = map(f"{new_span_id():016x}-{{}}".format, count(1))
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._out: list[Command] = []
        self._cancels: list[str] = []
        self._room = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._news = asyncio.Event()
        self._leaving = False
        self._broken: CitadelError | None = None
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    async def call(self, tool: str, /, **arguments: Any) -> Any:
        """Runs a tool and returns its value.

        Raises:
            CitadelError: as `pools.call`.
        """
        id_, future = await self._begin(tool, arguments)
        try:
            return await future
        except asyncio.CancelledError:
            self._give_up(id_)
            raise

    async def begin(self, tool: str, /, **arguments: Any) -> asyncio.Future[Any]:
        """Sends a call, and returns the future of its value; cancelling it cancels the command."""
        id_, future = await self._begin(tool, arguments)
        future.add_done_callback(partial(self._look_after, id_))
        return future

    async def __aenter__(self) -> Self:
        """Opens the stream."""
        self._stream: Bidi = self._connection.bidi("Pools.RunMany", traced=False)
        await self._stream.__aenter__()
        loop = asyncio.get_running_loop()
        # Owned here, ended by __aexit__; a TaskGroup would cancel the caller for a broken stream.
        self._tasks = (
            loop.create_task(self._send(), name="calls of a batch"),
            loop.create_task(self._receive(), name="answers of a batch"),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Waits for what was begun, or cancels it."""
        self._leaving = True
        self._news.set()
        try:
            if kind is None:
                await asyncio.wait(self._tasks)
        finally:
            for task in self._tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await self._stream.__aexit__(kind, error, trace)
            self._fail(NotReady("the batch was closed", subject=self._pool))

    async def _begin(self, tool: str, arguments: dict[str, Any]) -> tuple[str, asyncio.Future[Any]]:
        id_ = next(self._ids)
        command = self._options.command(self._pool, tool, arguments, id_)
        if len(command.arguments) > MAX_ARGUMENT_BYTES:
            raise MessageTooLarge(
                f"{len(command.arguments)} bytes of arguments are more than {MAX_ARGUMENT_BYTES}",
                subject=tool,
            )
        await self._room.acquire()
        if self._broken or self._leaving or not self._tasks:
            self._room.release()
            raise self._broken or NotReady("the batch is not open", subject=self._pool)
        future = asyncio.get_running_loop().create_future()
        self._waiting[id_] = future
        self._out.append(command)
        self._news.set()
        return id_, future

    def _give_up(self, id_: str) -> None:
        """Nobody wants the answer; of what was sent one still comes, and makes room."""
        if id_ not in self._waiting:
            return
        unsent = [command for command in self._out if command.id != id_]
        if len(unsent) < len(self._out):
            self._out = unsent
            del self._waiting[id_]
            self._room.release()
        else:
            self._cancels.append(id_)
        self._news.set()

    def _look_after(self, id_: str, future: asyncio.Future[Any]) -> None:
        if future.cancelled():
            self._give_up(id_)
        else:
            future.exception()  # seen: it is no fault of ours when nobody awaits it

    # ── the stream ───────────────────────────────────────────────────────────────────────────

    async def _send(self) -> None:
        try:
            while self._waiting or not self._leaving:
                await self._news.wait()
                self._news.clear()
                while self._out or self._cancels:
                    commands, cancels = self._part(), tuple(self._cancels)
                    self._cancels.clear()
                    await self._send_part(commands, cancels)
            await self._stream.end()
        except CitadelError as error:
            self._break(error)

    async def _send_part(self, commands: Sequence[Command], cancels: tuple[str, ...]) -> None:
        try:
            await self._stream.send(CommandBatch(commands=tuple(commands), cancels=cancels))
        except (WireError, MessageTooLarge) as error:
            if len(commands) < 2:
                for command in commands:
                    self._answer(Outcome(id=command.id), error)
                return
            for command in commands:  # one of them cannot be sent: it fails alone
                await self._send_part((command,), cancels)

    def _part(self) -> list[Command]:
        """What is to be sent, as much as one message takes."""
        out, size = self._out, 0
        for number, command in enumerate(out):
            if number and size + len(command.arguments) > BATCH_BYTES:
                self._out = out[number:]
                return out[:number]
            size += len(command.arguments)
        self._out = []
        return out

    async def _receive(self) -> None:
        try:
            async for batch in self._stream.messages():
                for outcome in batch.outcomes:
                    self._answer(outcome)
            address = self._connection.address
            ended = Unavailable(f"the engine at {address} ended the stream", subject=address)
            self._break(ended)
        except CitadelError as error:
            self._break(error)

    def _answer(self, outcome: Outcome, error: CitadelError | None = None) -> None:
        future = self._waiting.pop(outcome.id, None)
        if future is None:
            return
        self._room.release()
        if self._leaving and not self._waiting:
            self._news.set()
        if future.done():
            return
        if outcome.result is None:
            future.set_exception(
                error or (from_wire(outcome.error) if outcome.error else _nothing(outcome.id))
            )
            return
        try:
            future.set_result(unpacked(outcome.result.value))
        except CitadelError as wrong:
            future.set_exception(wrong)

    def _break(self, error: CitadelError) -> None:
        """No more answers come; of what was never sent neither."""
        self._broken = error
        self._out.clear()
        self._fail(error)
        for task in self._tasks:
            task.cancel()

    def _fail(self, error: CitadelError) -> None:
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            self._room.release()
            if not future.done():
                future.set_exception(error)
                future.exception()  # seen: whoever awaits it gets it all the same


def _nothing(id_: str) -> CitadelError:
    return WireError(f"the outcome of {id_} has neither a result nor an error", subject=id_)

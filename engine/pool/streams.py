"""Streams of one pool's commands, in both directions, as far as either side has room.

Loop thread only. A command with a stream is a command like any other: queued, counted, cancelled
by its id. Items of its tool wait here, one window of them at most, until the caller takes them; an
item of its input is taken from the caller only when the worker has room for it. A reader that goes
away cancels the command.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from typing import Any

from citadel.errors import Cancelled, DeadlineExceeded, WireError
from citadel.values import Parcel
from citadel.wire.messages import CommandResult
from engine.pool import frames
from engine.pool.commands import Command, Commands
from engine.pool.credit import WINDOW_BYTES, WINDOW_ITEMS, Giver, Taker, size_of
from engine.pool.crew import Crew
from engine.pool.errands import Errands
from engine.pool.memory import Memory
from engine.pool.settings import PoolCommand
from engine.pool.worker import Worker
from engine.telemetry.counter import Counter


class Stream:
    """One command's items."""

    def __init__(self, call: Command) -> None:
        self.call = call
        self.given = Taker()
        """What the tool gave and the caller has not taken."""
        self.room = Giver()
        """What the tool takes; nothing before it has begun."""
        self.items_in = self.items_out = 0
        self.broken: BaseException | None = None
        """What the caller's own input raised."""
        self._changes: list[asyncio.Future[None]] = []
        call.future.add_done_callback(self.changed)

    def changed(self, _: object = None) -> None:
        """Something came, or the command has ended."""
        changes, self._changes = self._changes, []
        for change in changes:
            if not change.done():
                change.set_result(None)

    async def change(self) -> None:
        """Waits for the next one."""
        change: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._changes.append(change)
        await change

    @property
    def over(self) -> bool:
        """Whether the command has ended so that what waits is of no use: nobody wants it late."""
        future = self.call.future
        if not future.done() or future.cancelled():
            return False
        return isinstance(future.exception(), Cancelled | DeadlineExceeded)


class Streams:
    """All of one pool."""

    def __init__(
        self,
        commands: Commands,
        crew: Crew,
        memory: Memory,
        errands: Errands,
        items: Callable[[str], Counter],
    ) -> None:
        """Counts items by the counter that `items` has for a direction, `in` or `out`."""
        self.hears: dict[int, Callable[[Worker, list[Any]], None]] = {
            frames.YIELD: self._gave,
            frames.TAKEN: self._took,
        }
        self._commands = commands
        self._crew = crew
        self._memory = memory
        self._errands = errands
        self._open: dict[int, Stream] = {}
        self._items_in, self._items_out = items("in"), items("out")

    async def stream(
        self, command: PoolCommand, items: AsyncIterable[bytes | Parcel] | None
    ) -> AsyncGenerator[bytes | Parcel | CommandResult]:
        """Runs an admitted command: what its tool gives, as msgpack values; last, its result.

        A large item is a parcel of views when the command's caller takes parts.

        Raises:
            CitadelError: it was refused, or how it ended; after the items that did arrive, unless
                it was cancelled or late.
        """
        about: dict[str, Any] = {frames.WINDOW: [WINDOW_ITEMS, WINDOW_BYTES]}
        if items is not None:
            about[frames.INPUT] = True
        call = self._commands.begin(command, about)
        stream = self._open[call.number] = Stream(call)
        feeder = None
        try:
            if items is not None:
                feeder = self._errands.start(self._feed(stream, items), f"input of {call.name}")
            while True:
                while len(stream.given) and not stream.over:
                    yield self._take(stream)
                if call.future.done():
                    break
                await stream.change()
            if stream.broken is not None:
                raise stream.broken
            yield call.future.result()
        finally:
            del self._open[call.number]
            if not call.future.done():
                self._commands.give_up(call.number, "its reader went away")
            if call.future.done() and not call.future.cancelled():
                call.future.exception()  # it was told, or nobody is there to be told
            if feeder is not None:
                feeder.cancel()

    # ── what the tool gives ──────────────────────────────────────────────────────────────────

    def _gave(self, worker: Worker, item: list[Any]) -> None:
        """Takes [YIELD, number, value, sequence]; nobody wants those of a command given up."""
        stream, value = self._known(worker, item[1]), item[2]
        if stream is not None and item[3] <= stream.items_out:
            return  # told twice: it was on the slate and on the link
        try:
            if stream is None:
                if type(value) is not bytes:
                    self._memory.discard(worker, value)
                return
            found: bytes | Parcel = value
            if type(value) is not bytes:
                call = stream.call
                parts = call.command.parts
                found = self._memory.taken(worker, value, call, parts=parts, runs=True)
            stream.given.put(found, size_of(value))
        except WireError as error:
            worker.kill(f"it sent garbage: {error}")
            return
        stream.items_out += 1
        self._items_out.add()
        _count(stream, "out", stream.items_out)
        stream.changed()

    def _take(self, stream: Stream) -> bytes | Parcel:
        item: bytes | Parcel = stream.given.take()
        if (due := stream.given.due()) is not None and (worker := self._worker(stream.call)):
            self._memory.tell(worker)
            worker.send([frames.CREDIT, stream.call.number, *due])
        return item

    # ── what the tool takes ──────────────────────────────────────────────────────────────────

    def _took(self, worker: Worker, item: list[Any]) -> None:
        """Takes [TAKEN, number, items, bytes]."""
        stream = self._known(worker, item[1])
        if stream is not None:
            stream.room.more(item[2], item[3])
            stream.changed()

    async def _feed(self, stream: Stream, items: AsyncIterable[bytes | Parcel]) -> None:
        """Hands the caller's items on; what its iterator raises cancels the command."""
        call, source = stream.call, aiter(items)
        try:
            while (item := await self._next(stream, source)) is not None:
                large = isinstance(item, Parcel) or len(item) >= self._memory.threshold
                given = await self._memory.bring_value(item) if large else item
                worker = self._worker(call)
                if worker is None:
                    return
                value = self._memory.lend(worker, given, call) if large else given
                stream.room.gave(size_of(value))
                stream.items_in += 1
                self._items_in.add()
                _count(stream, "in", stream.items_in)
                worker.send([frames.ITEM, call.number, value])
            if (worker := self._worker(call)) is not None:
                worker.send([frames.END, call.number])
        except Exception as error:  # noqa: BLE001 - the caller's own: it gets it back
            stream.broken = error
            self._commands.give_up(call.number, f"its input failed: {error}")
        finally:
            if isinstance(source, AsyncGenerator):
                await source.aclose()

    async def _next(
        self, stream: Stream, source: AsyncIterator[bytes | Parcel]
    ) -> bytes | Parcel | None:
        """The caller's next item, once there is room for it; None: there is none."""
        while not stream.room.open():
            await stream.change()
        try:
            return await anext(source)
        except StopAsyncIteration:
            return None

    # ── inside ───────────────────────────────────────────────────────────────────────────────

    def _known(self, worker: Worker, number: int) -> Stream | None:
        stream = self._open.get(number)
        return stream if stream is not None and stream.call.worker == worker.id else None

    def _worker(self, call: Command) -> Worker | None:
        """Who runs the command; None: nobody any more."""
        return None if call.future.done() else self._crew.workers.get(call.worker)


def _count(stream: Stream, way: str, number: int) -> None:
    span = stream.call.span
    if span.sampled:
        span.set(f"citadel.stream.items_{way}", number)

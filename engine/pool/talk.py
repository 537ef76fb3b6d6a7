"""What a running command says to the engine, and what it waits for. Worker's process.

Its stream's items leave as far as the engine has room, those of its input are asked for as they are
taken; a callback is sent, and its reply waited for. All goes through the post of its lane.
"""

from __future__ import annotations

import inspect
import math
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

from citadel import telemetry
from citadel.adapter import Session
from citadel.errors import Cancelled, InvalidRequest
from citadel.tools import BoundTool
from citadel.values import Parcel
from engine.pool import frames
from engine.pool.credit import Giver, Taker, size_of
from engine.pool.hosting import error_from
from engine.pool.packing import Packing

if TYPE_CHECKING:
    from engine.pool.awaiting import Loop


QUICK_SECONDS = 0.0005
"""Items that took less to make wait for company."""


class Post(Protocol):
    """How a running command speaks with the engine."""

    def frame(self, item: list[Any]) -> bytes:
        """One frame."""
        ...

    def say(self, *items: list[Any]) -> None:
        """Sends frames at once, after what was said before."""

    def give(self, item: list[Any], *, quick: bool) -> bool:
        """Sends a frame of a stream; one that was made quickly may wait a moment for company.

        Returns whether it was sent.
        """
        ...

    def flush(self) -> None:
        """Sends what waits for company."""

    def poll(self) -> None:
        """Takes what has come, without waiting."""

    def wait(self, over: Callable[[], bool]) -> None:
        """Takes what comes until it is over."""

    def awaits(self, begins: bool) -> None:
        """The running async command begins, or ends, to wait for the engine."""

    def loop(self) -> Loop:
        """A loop for async tools, new."""
        ...


class Talk:
    """The running command's side of the link."""

    def __init__(self, post: Post, packing: Packing) -> None:
        self.number = 0
        """Of the command that runs; 0: none."""
        self.stopped = False
        """Whether it was cancelled."""
        self._post = post
        self._packing = packing
        self._deadline = math.inf
        self._session: Session | None = None
        self._window = Giver()
        self._inbox = Taker()
        self._input_ended = True
        self._asks = count(1)
        self._asking = threading.Lock()
        self._replies: dict[int, list[Any]] = {}
        self._loop: Loop | None = None
        self._given = 0
        """Items of its output stream so far."""
        self._parts = False
        """Whether the stream's reader takes large items where they lie."""
        self._worn = False
        """Whether the last command has left something of a session, a stream or a callback."""
        self._lent = False
        """Whether the engine put something in the slab for the command, besides its arguments."""

    def forget(self) -> None:
        """What the last command had is no more."""
        self._session = None
        self.let_go()
        self._window, self._inbox, self._input_ended = Giver(), Taker(), True

    def let_go(self) -> None:
        """What came and was not taken is no more: its memory is the engine's again."""
        self._lent = False
        while self._inbox:
            self._packing.skip(self._inbox.take())
        while self._replies:
            self._packing.skip(self._replies.popitem()[1][0])

    # ── streams ──────────────────────────────────────────────────────────────────────────────

    def _give(self, tool: str, source: Iterator[Any]) -> Any:
        """Gives what a generator yields, as far as there is room; what it returned.

        However that ends, the generator is closed: its finally blocks run.
        """
        sent = True
        try:
            while True:
                if sent:
                    self._post.poll()
                if not self._window.open():
                    self._wait(self._window.open)
                self.check()
                began = time.perf_counter()
                try:
                    item = next(source)
                except StopIteration as end:
                    return end.value
                quick = time.perf_counter() - began < QUICK_SECONDS
                sent = self._yield(tool, item, quick=quick)
        finally:
            if inspect.isgenerator(source):
                source.close()

    async def _give_async(self, tool: str, source: AsyncIterator[Any]) -> None:
        import asyncio  # noqa: PLC0415 - workers of plain tools need none

        due = False

        def flush() -> None:
            nonlocal due
            due = False
            self._post.flush()

        try:
            iterator = aiter(source)
            while True:
                if not self._window.open():
                    await self._wait_async(self._window.open)
                try:
                    item = await anext(iterator)
                except StopAsyncIteration:
                    return
                if not due:
                    due = True
                    asyncio.get_running_loop().call_soon(flush)  # when the producer pauses
                self._yield(tool, item, quick=True)
        finally:
            if inspect.isasyncgen(source):
                await source.aclose()

    def _yield(self, tool: str, item: Any, *, quick: bool) -> bool:
        """Gives an item: at once the first, a large one, and one that was not made quickly."""
        value = self._packing.value(item, tool, parts=self._parts, verb="gave an item of")
        self._window.gave(size_of(value))
        self._given += 1
        quick = quick and self._given > 1 and type(value) is bytes
        return self._post.give([frames.YIELD, self.number, value, self._given], quick=quick)

    def _items(self, tool: BoundTool) -> Iterator[Any]:
        """The input stream of the running command; waits for each item."""
        for number in count(1):
            self._wait(self._has_input)
            if not self._inbox:
                return
            yield self._taken(tool, number)

    async def _items_async(self, tool: BoundTool) -> AsyncIterator[Any]:
        for number in count(1):
            await self._wait_async(self._has_input)
            if not self._inbox:
                return
            yield self._taken(tool, number)

    def _has_input(self) -> bool:
        return len(self._inbox) > 0 or self._input_ended

    def _taken(self, tool: BoundTool, number: int) -> Any:
        data = self._inbox.take()
        if due := self._inbox.due():
            self._post.say([frames.TAKEN, self.number, *due])
        return tool.checked_item(self._packing.unpacked(data), number)

    # ── what tools ask for: see `citadel._running` ───────────────────────────────────────────

    def cancelled(self) -> bool:
        """Whether the running command was cancelled; a tool's own threads may ask too."""
        if not self.stopped:
            self._post.poll()
        return self.stopped

    def check(self) -> None:
        """Raises Cancelled when the running command was."""
        if self.stopped:
            raise Cancelled("the command was cancelled")

    def remaining(self) -> float:
        """Seconds until its deadline."""
        return max(0.0, self._deadline - time.monotonic())

    def session(self) -> Session | None:
        """Its session."""
        return self._session

    def ask(self, kind: str, *what: str | Parcel) -> Parcel:
        """Asks the engine and waits."""
        ask = self._ask(kind, what)
        self._wait(lambda: ask in self._replies)
        return self._reply(ask)

    async def ask_async(self, kind: str, *what: str | Parcel) -> Parcel:
        """Asks the engine; the loop goes on."""
        ask = self._ask(kind, what)
        await self._wait_async(lambda: ask in self._replies)
        return self._reply(ask)

    def _ask(self, kind: str, what: tuple[str | Parcel, ...]) -> int:
        if not self.number:
            raise InvalidRequest("the command has ended: nobody asks for it any more")
        with self._asking:
            ask = next(self._asks)
        context = telemetry.current()
        trace = b""
        if context is not None:
            trace = context.trace_id.to_bytes(16, "big") + context.span_id.to_bytes(8, "big")
        # Names are what a tool gave for them: the engine says which are none.
        told = [self._packing.question(each) if isinstance(each, Parcel) else each for each in what]
        self._worn = True
        self._post.say([frames.ASK, self.number, ask, trace, kind, *told])
        return ask

    def _reply(self, ask: int) -> Parcel:
        value, *error = self._replies.pop(ask)
        if error:
            raise error_from(*error)
        return self._packing.reply(value)

    # ── waiting ──────────────────────────────────────────────────────────────────────────────

    def _wait(self, ready: Callable[[], bool]) -> None:
        """Until it is so; a cancel ends it, and so does the end of the command that waits."""
        number = self.number
        self._post.wait(lambda: ready() or self.stopped or self.number != number)
        self._see(ready, number)

    async def _wait_async(self, ready: Callable[[], bool]) -> None:
        number = self.number
        assert self._loop is not None
        self._post.awaits(begins=True)
        try:
            # A cancel ends the task itself, wherever it waits.
            await self._loop.wait(lambda: ready() or self.number != number)
        finally:
            self._post.awaits(begins=False)
        self._see(ready, number)

    def _see(self, ready: Callable[[], bool], number: int) -> None:
        if self.number != number:
            raise Cancelled("the command has ended")
        if not ready():
            self.check()

    # ── what the engine sends ────────────────────────────────────────────────────────────────

    def hear(self, item: list[Any]) -> None:
        """Takes [CREDIT | ITEM | END | REPLY, number, ...] of the running command."""
        match item[0]:
            case frames.CREDIT:
                self._window.more(item[2], item[3])
            case frames.ITEM:
                self._inbox.put(item[2], size_of(item[2]))
                self._lent |= type(item[2]) is not bytes
            case frames.END:
                self._input_ended = True
            case _:
                self._replies[item[2]] = item[3:]
                self._lent |= isinstance(item[3], list)
        if self._loop is not None:
            self._loop.changed()

    def stop(self) -> None:
        """The running command was cancelled."""
        self.stopped = True
        if self._loop is not None:
            self._loop.cancel()
            self._loop.changed()

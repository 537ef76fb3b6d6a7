"""A command whose tool takes or gives a stream: an async iterator of what it gives.

A reader that stops stops the tool, by credit all the way; closing it cancels the command. Belongs
to the loop of its client.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Self

from citadel.client.bidi import Bidi
from citadel.client.commands import packed, unpacked
from citadel.client.connection import Connection
from citadel.errors import CitadelError, Unavailable
from citadel.wire.messages import Command, CommandResult, StreamInput

Items = AsyncIterable[Any] | Iterable[Any]
_END = object()


class ToolStream:
    """What a tool gives, item by item; when it has ended, `value` is what it returned."""

    def __init__(self, connection: Connection, command: Command, items: Items | None) -> None:
        self.result: CommandResult | None = None
        """Once it has ended: who ran it, for how long, and its trace."""
        self._connection = connection
        self._command = command
        self._items = items
        self._wrong: Exception | None = None
        self._each = self._run()

    @property
    def value(self) -> Any:
        """What the tool returned; None before it has ended."""
        return unpacked(self.result.value) if self.result else None

    async def finish(self) -> Any:
        """Passes over the items that are left, and returns what the tool returned."""
        async for _ in self:
            pass
        return self.value

    async def aclose(self) -> None:
        """Cancels the command, unless it has ended."""
        await self._each.aclose()

    def __aiter__(self) -> Self:
        """Itself: its items can be read once."""
        return self

    async def __anext__(self) -> Any:
        """The next item."""
        return await anext(self._each)

    async def __aenter__(self) -> Self:
        """Leaving the block closes it."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes it."""
        await self.aclose()

    async def _run(self) -> AsyncGenerator[Any]:
        async with self._connection.bidi("Pools.Stream", self._command) as stream:
            loop = asyncio.get_running_loop()
            # Owned by this generator and ended with it: a TaskGroup cannot be left by a yield.
            feeding = loop.create_task(self._feed(stream), name="input of a stream")
            try:
                async for output in stream.messages():
                    if output.result is None:
                        yield unpacked(output.item)
                    else:
                        self.result = output.result
            except (CitadelError, asyncio.CancelledError):
                # gRPC says "cancelled" for what the feeder has ended.
                if self._wrong is not None:
                    raise self._wrong from None
                raise
            finally:
                feeding.cancel()
                with suppress(asyncio.CancelledError):
                    await feeding
        if self.result is None:
            address = self._connection.address
            raise Unavailable(f"the engine at {address} ended the stream", subject=address)

    async def _feed(self, stream: Bidi) -> None:
        """Sends the command, then the items as fast as the tool takes them."""
        try:
            await stream.send(StreamInput(command=self._command))
            if self._items is not None:
                async for item in _each_of(self._items):
                    await stream.send(StreamInput(item=packed(item, "an item")))
            await stream.end()
        except Exception as error:  # noqa: BLE001 - the caller's items may raise anything
            # Where the stream itself has ended, the reader knows better why.
            self._wrong = error
            stream.cancel()


async def _each_of(items: Items) -> AsyncGenerator[Any]:
    """Items of either kind; an iterator that blocks does so in a thread."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    elif isinstance(items, Sequence):
        for item in items:
            yield item
    else:
        iterator = iter(items)
        while (item := await asyncio.to_thread(next, iterator, _END)) is not _END:
            yield item

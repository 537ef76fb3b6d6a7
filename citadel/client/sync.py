"""The blocking face of the client: the same methods, run on a loop in a thread of its own."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Self, TypeVar

from citadel.client.batch import Batch
from citadel.client.client import Client, connect
from citadel.client.connection import TLS
from citadel.client.group import Group
from citadel.client.loop_thread import LoopThread
from citadel.client.pools import Caller
from citadel.client.toolstream import ToolStream

T = TypeVar("T")


class SyncClient:
    """`with citadel.connect_sync(address) as client: client.pools.call("python", "add", a=1)`."""

    def __init__(self, address: str, *, token: str | None = None, tls: bool | TLS = False) -> None:
        self._thread = LoopThread("citadel client")

        async def make() -> Client:
            return await connect(address, token=token, tls=tls).__aenter__()

        try:
            self._client: Client = self._thread.run(make())
        except BaseException:
            self._thread.stop()
            raise

    def __getattr__(self, name: str) -> Any:
        """A group, a method or an attribute of the client."""
        return _blocking(self._thread, getattr(self._client, name))

    def run(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any, **kwargs: Any) -> T:
        """Runs a coroutine function of yours on the loop; its first argument is the client."""
        return self._thread.run(function(self._client, *args, **kwargs))

    def close(self) -> None:
        """Ends the connection and the thread."""
        try:
            self._thread.run(self._client.close())
        finally:
            self._thread.stop()

    def __enter__(self) -> Self:
        """The client itself; it is connected."""
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the connection."""
        self.close()


class _Face:
    """The blocking face of a group, a caller, a session, a batch or a stream of a tool."""

    def __init__(self, thread: LoopThread, behind: Any) -> None:
        self._thread = thread
        self._behind = behind

    def __getattr__(self, name: str) -> Any:
        """A method that blocks, or an attribute."""
        return _blocking(self._thread, getattr(self._behind, name))

    def __enter__(self) -> Self:
        """Opens what is behind it."""
        self._thread.run(self._behind.__aenter__())
        return self

    def __exit__(self, *raised: object) -> None:
        """Closes what is behind it."""
        self._thread.run(self._behind.__aexit__(*raised))

    def __iter__(self) -> Generator[Any]:
        """The items of a stream; closing the iterator ends it."""
        return _each(self._thread, self._behind)

    def close(self) -> None:
        """Ends a stream."""
        self._thread.run(self._behind.aclose())


def connect_sync(address: str, *, token: str | None = None, tls: bool | TLS = False) -> SyncClient:
    """A connected blocking client of the engine at HOST:PORT."""
    return SyncClient(address, token=token, tls=tls)


def _blocking(thread: LoopThread, found: Any) -> Any:
    """What blocks until `found` is there: methods, and what they give."""
    if not inspect.ismethod(found):
        return _told(thread, found)

    def call(*args: Any, **kwargs: Any) -> Any:
        result = found(*args, **kwargs)
        return _told(thread, thread.run(result) if inspect.iscoroutine(result) else result)

    return call


def _told(thread: LoopThread, found: Any) -> Any:
    """A thing of the loop as one for any thread."""
    if inspect.isasyncgen(found):
        return _each(thread, found)
    if isinstance(found, asyncio.Future):
        future: asyncio.Future[Any] = found
        return thread.start(_awaited(future))
    return _Face(thread, found) if isinstance(found, _FACED) else found


async def _awaited(future: asyncio.Future[Any]) -> Any:
    return await future


def _each(thread: LoopThread, stream: Any) -> Generator[Any]:
    """An async generator as a plain one; closing it ends the stream."""

    async def step() -> Any:
        return await anext(stream, _END)

    try:
        while (item := thread.run(step())) is not _END:
            yield item
    finally:
        thread.run(stream.aclose())


_FACED = (Group, Caller, Batch, ToolStream)
_END = object()

"""The blocking face of the client: the same methods, run on a loop in a thread of its own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Self, TypeVar

from citadel.client.client import Client, connect
from citadel.client.connection import TLS
from citadel.client.loop_thread import LoopThread

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


class _SyncGroup:
    def __init__(self, thread: LoopThread, group: Any) -> None:
        self._thread = thread
        self._group = group

    def __getattr__(self, name: str) -> Any:
        return _blocking(self._thread, getattr(self._group, name))


def connect_sync(address: str, *, token: str | None = None, tls: bool | TLS = False) -> SyncClient:
    """A connected blocking client of the engine at HOST:PORT."""
    return SyncClient(address, token=token, tls=tls)


def _blocking(thread: LoopThread, found: Any) -> Any:
    """What blocks until `found` is there: groups, coroutine methods and streams."""
    if inspect.iscoroutinefunction(found):
        return lambda *args, **kwargs: thread.run(found(*args, **kwargs))
    if inspect.ismethod(found):

        def call(*args: Any, **kwargs: Any) -> Any:
            result = found(*args, **kwargs)
            return _each(thread, result) if inspect.isasyncgen(result) else result

        return call
    return _SyncGroup(thread, found) if type(found).__name__.endswith("Group") else found


def _each(thread: LoopThread, stream: Any) -> Generator[Any]:
    """An async generator as a plain one; closing it ends the stream."""

    async def step() -> Any:
        return await anext(stream, _END)

    try:
        while (item := thread.run(step())) is not _END:
            yield item
    finally:
        thread.run(stream.aclose())


_END = object()

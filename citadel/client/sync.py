"""The blocking face of the client: the same methods, run on a loop in a thread of its own."""

from __future__ import annotations

import asyncio
import inspect
import threading
from typing import Any, Self

from citadel.client.client import Client, connect
from citadel.client.connection import TLS


class SyncClient:
    """`with citadel.connect_sync(address) as client: client.pools.call("python", "add", a=1)`."""

    def __init__(self, address: str, *, token: str | None = None, tls: bool | TLS = False) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="citadel client", daemon=True
        )
        self._thread.start()

        async def make() -> Client:
            return await connect(address, token=token, tls=tls).__aenter__()

        try:
            self._client: Client = self._run(make())
        except BaseException:
            self._stop()
            raise

    def __getattr__(self, name: str) -> Any:
        """A group, or a method of the client."""
        found = getattr(self._client, name)
        if inspect.ismethod(found):
            return lambda *args, **kwargs: self._run(found(*args, **kwargs))
        return _SyncGroup(self, found)

    def close(self) -> None:
        """Ends the connection and the thread."""
        self._run(self._client.close())
        self._stop()

    def __enter__(self) -> Self:
        """The client itself; it is connected."""
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the connection."""
        self.close()

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class _SyncGroup:
    def __init__(self, client: SyncClient, group: Any) -> None:
        self._client = client
        self._group = group

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._group, name)
        return lambda *args, **kwargs: self._client._run(method(*args, **kwargs))  # noqa: SLF001


def connect_sync(address: str, *, token: str | None = None, tls: bool | TLS = False) -> SyncClient:
    """A connected blocking client of the engine at HOST:PORT."""
    return SyncClient(address, token=token, tls=tls)

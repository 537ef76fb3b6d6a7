"""A call that streams both ways: messages out, messages in, our errors on either side.

Belongs to the loop of its connection. One task sends at a time; another one may read meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import grpc
import grpc.aio

from citadel.errors import CitadelError, Unavailable

if TYPE_CHECKING:
    from citadel.client.connection import Connection


class Bidi:
    """One such call. Use it as an async context manager: leaving it cancels what is not ended."""

    def __init__(self, connection: Connection, method: str, about: Any, *, traced: bool) -> None:
        self._connection = connection
        self._method = method
        self._about = about
        self._traced = traced
        self._scope = ExitStack()
        self._call: Any = None

    async def send(self, message: Any) -> None:
        """Sends a message; returns when gRPC has room for the next one.

        Raises:
            CitadelError: the call has ended, and why.
        """
        data = self._connection.encoded(self._method, message)
        if self._call.done():
            raise await self._why()
        try:
            await self._call.wait_for_connection()
            # Not `write`, nor an iterator of requests, which gRPC gives to it: when the engine has
            # just ended the call, that says "internal error" for good, and the status is lost.
            await self._call._cython_call.send_serialized_message(data)  # noqa: SLF001
        except asyncio.CancelledError:
            self._call.cancel()
            raise
        except Exception:  # noqa: BLE001 - whatever it is, the call has ended, and its status says why
            raise await self._why() from None

    async def end(self) -> None:
        """Says that nothing more is sent."""
        await self._call.done_writing()

    async def messages(self) -> AsyncGenerator[Any]:
        """What comes, until the engine has said all.

        Raises:
            CitadelError: what the engine raised, or what gRPC had to say.
        """
        decode = self._connection.decoder(self._method)
        try:
            async for data in self._call:
                yield decode(data)
        except grpc.RpcError as error:
            raise await self._connection.explained(error) from None

    def cancel(self) -> None:
        """Ends it at once; what it had begun is cancelled."""
        self._call.cancel()

    async def __aenter__(self) -> Self:
        """Begins it. That nobody answers is told by the first message that is sent or read."""
        self._connection.spans.attach()
        metadata = self._connection.metadata
        rpc = self._connection.rpc(self._method)
        if self._traced:
            span = self._scope.enter_context(self._connection.spans.span(rpc, self._about))
            metadata = [*metadata, *span.headers()]
        self._call = self._connection.bidi_stub(self._method)(metadata=metadata)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends it."""
        self._call.cancel()
        self._scope.__exit__(kind, error, trace)

    async def _why(self) -> CitadelError:
        """Why it has ended, for one who wanted to send."""
        code = await self._call.code()
        if code is grpc.StatusCode.OK:
            address = self._connection.address
            return Unavailable(f"the engine at {address} ended the stream", subject=address)
        error = grpc.aio.AioRpcError(
            code,
            await self._call.initial_metadata(),
            await self._call.trailing_metadata(),
            details=await self._call.details(),
        )
        return await self._connection.explained(cast("grpc.RpcError", error))

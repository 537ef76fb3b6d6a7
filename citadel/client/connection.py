"""One gRPC channel to an engine: calls by name, with token, wire version and trace context.

Belongs to the asyncio loop that it was made on.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from citadel.client.bidi import Bidi
from citadel.client.spans import ClientSpans
from citadel.errors import BadConfig, CitadelError, MessageTooLarge, TlsMismatch, Unavailable
from citadel.grpc_status import METADATA_BYTES, from_rpc
from citadel.wire import codec
from citadel.wire.codec import Method

DEFAULT_TIMEOUT_SECONDS = 30.0
PROBE_SECONDS = 3.0
_OPTIONS = (
    ("grpc.max_send_message_length", codec.MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", 4 * codec.MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", 2 * METADATA_BYTES),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TLS:
    """How to trust an engine, and how to be trusted by it. Files are PEM.

    With no `ca` the system's authorities count. `server_name` is checked instead of the host.
    """

    ca: str = ""
    cert: str = ""
    key: str = ""
    server_name: str = ""

    def credentials(self) -> grpc.ChannelCredentials:
        """Reads the files.

        Raises:
            BadConfig: a file cannot be read.
        """
        return grpc.ssl_channel_credentials(
            root_certificates=_read(self.ca),
            private_key=_read(self.key),
            certificate_chain=_read(self.cert),
        )


class Connection:
    """A channel and what goes with each call."""

    def __init__(self, address: str, *, token: str = "", tls: TLS | None = None) -> None:
        self.address = address
        self.spans = ClientSpans(self)
        self._tls = tls
        options: list[tuple[str, Any]] = list(_OPTIONS)
        if tls and tls.server_name:
            options.append(("grpc.ssl_target_name_override", tls.server_name))
        if tls:
            credentials = tls.credentials()
            self._channel = grpc.aio.secure_channel(address, credentials, options=options)
        else:
            self._channel = grpc.aio.insecure_channel(address, options=options)
        self.metadata: list[tuple[str, str]] = [("citadel-wire-version", str(codec.WIRE_VERSION))]
        self._unary: dict[str, tuple[Method, Any]] = {}
        if token:
            self.metadata.append(("authorization", f"Bearer {token}"))

    async def call(
        self,
        method: str,
        request: Any,
        *,
        timeout: float | None = DEFAULT_TIMEOUT_SECONDS,  # noqa: ASYNC109 - gRPC enforces it
        traced: bool = True,
    ) -> Any:
        """Calls a unary method by "Service.Method".

        Raises:
            CitadelError: what the engine raised, or what gRPC had to say.
        """
        data = self.encoded(method, request)
        found = self._unary.get(method)
        rpc, stub = self._open(method) if found is None else found
        try:
            if not traced:
                return await stub(data, metadata=self.metadata, timeout=timeout)
            with self.spans.span(rpc, request) as span:
                metadata = [*self.metadata, *span.headers()]
                try:
                    reply = await stub(data, metadata=metadata, timeout=timeout)
                except grpc.RpcError as error:
                    # Translated in here, so that the span has the name of our class.
                    raise await self.explained(error) from None
                span.answered(reply)
                return reply
        except grpc.RpcError as error:
            raise await self.explained(error) from None

    async def stream(self, method: str, request: Any) -> AsyncGenerator[Any]:
        """Calls a method that streams its answers."""
        stub = self._channel.unary_stream(
            self.rpc(method).path, response_deserializer=self.decoder(method)
        )
        call = stub(self.encoded(method, request), metadata=self.metadata)
        try:
            async for message in call:
                yield message
        except grpc.RpcError as error:
            raise await self.explained(error) from None
        finally:
            call.cancel()

    def bidi(self, method: str, about: Any = None, *, traced: bool = True) -> Bidi:
        """Calls a method that streams both ways: `async with connection.bidi(...) as stream`.

        Its span says of which mission and pool it is as `about` does.
        """
        return Bidi(self, method, about, traced=traced)

    def rpc(self, method: str) -> Method:
        """What the protos say of "Service.Method"."""
        return codec.methods()[method]

    def decoder(self, method: str) -> Callable[[bytes], Any]:
        """What reads the answers of a method."""
        return codec.decoder(self.rpc(method).response)

    def encoded(self, method: str, message: Any) -> bytes:
        """The bytes of a message that is to be sent.

        Raises:
            MessageTooLarge: the engine would not take so many.
        """
        data = codec.encode(message)
        if len(data) > codec.MAX_MESSAGE_BYTES:
            raise MessageTooLarge(
                f"{method} would send {len(data)} bytes, more than {codec.MAX_MESSAGE_BYTES}",
                subject=method,
            )
        return data

    def bidi_stub(self, method: str) -> Any:
        """What begins a call that streams both ways."""
        return self._channel.stream_stream(self.rpc(method).path)

    async def close(self) -> None:
        """Sends what spans are left, then closes the channel."""
        await self.spans.close()
        await self._channel.close()

    def _open(self, method: str) -> tuple[Method, Any]:
        rpc = self.rpc(method)
        stub = self._channel.unary_unary(rpc.path, response_deserializer=self.decoder(method))
        self._unary[method] = rpc, stub
        return rpc, stub

    async def explained(self, error: grpc.RpcError) -> CitadelError:
        """Our error; when nobody answers, finds out whether TLS is why."""
        found = from_rpc(error, self.address)
        if type(found) is not Unavailable:
            return found
        if await asyncio.to_thread(_listens, self.address) and await _speaks_tls(self.address) is (
            self._tls is None
        ):
            here, there = ("plain text", "TLS") if self._tls is None else ("TLS", "plain text")
            return TlsMismatch(
                f"{self.address} expects {there}, and this side speaks {here}",
                subject=self.address,
            )
        return found


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE_SECONDS):
            return True
    except (OSError, ValueError):
        return False


async def _speaks_tls(address: str) -> bool:
    """Whether a TLS handshake gets an answer that is TLS."""
    import ssl  # noqa: PLC0415 - only when a connection has failed

    host, _, port = address.rpartition(":")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port), ssl=context)
    except ssl.SSLError as error:
        # An alert (for instance: a client certificate is required) is TLS too.
        return "alert" in str(error).lower()
    except (OSError, TimeoutError, ValueError):
        return False
    writer.close()
    return True


def _read(path: str) -> bytes | None:
    if not path:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise BadConfig(
            f"{path} cannot be read: {error.strerror}", subject=path, remedy="Give a PEM file"
        ) from error

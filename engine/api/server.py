"""The gRPC listener: its port, its limits, health and reflection. Loop thread only.

Health and reflection answer without a token: they tell what any probe may know.
"""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterable

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from citadel.errors import AddressInUse, BadConfig
from citadel.wire import codec
from engine.api.dispatch import MAX_REPLY_BYTES
from engine.api.tls import Certificate

MAX_CALLS = 4_096
"""Calls at a time, watchers included; more are refused."""
_OPTIONS = (
    ("grpc.max_receive_message_length", codec.MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_REPLY_BYTES),
    ("grpc.so_reuseport", 0),  # or two engines share a port, and neither knows
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),  # clients ping each 20 s
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_ping_strikes", 0),
)


class Listener:
    """Serves handlers at one address."""

    def __init__(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        self._server = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=MAX_CALLS)
        self._server.add_generic_rpc_handlers(tuple(handlers))
        self._health = health.aio.HealthServicer()  # pyright: ignore[reportAttributeAccessIssue]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._services = codec.service_names()
        names = (*self._services, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)

    def bind(self, host: str, port: int, certificate: Certificate | None) -> str:
        """Takes the port; returns the address bound.

        Raises:
            AddressInUse: the port is taken.
            BadConfig: the host is not one of this machine's, or the port may not be had.
        """
        address = join_address(host, port)
        credentials = certificate.credentials() if certificate else None
        probe(host, port)
        try:
            bound = (
                self._server.add_secure_port(address, credentials)
                if credentials
                else self._server.add_insecure_port(address)
            )
        except RuntimeError as error:
            raise BadConfig(f"cannot listen on {address}: {error}", subject=address) from error
        return join_address(host, bound)

    async def start(self) -> None:
        """Serves, and says so to the health service."""
        await self._server.start()
        await self.serving(now=True)

    async def serving(self, *, now: bool) -> None:
        """Tells the health service."""
        status = health_pb2.HealthCheckResponse
        value = status.SERVING if now else status.NOT_SERVING
        for name in ("", *self._services):
            await self._health.set(name, value)

    async def stop(self, seconds: float) -> None:
        """Takes no more calls, and gives those that run this long to end."""
        await self._server.stop(seconds)


def join_address(host: str, port: int) -> str:
    """HOST:PORT, with brackets around an IPv6 host."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def probe(host: str, port: int) -> None:
    """Finds out why a port cannot be had, which gRPC does not say.

    Raises:
        AddressInUse: another program has it.
        BadConfig: the host is not one of this machine's, or the port may not be had.
    """
    address = join_address(host, port)
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as tried:
            if sys.platform != "win32":  # there it would let two programs share a port
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(where)
            tried.listen()
    except socket.gaierror as error:
        reason = f"{host!r} is no host of this machine ({error.strerror})"
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AddressInUse(
                f"{address} is in use by another program", subject=address
            ) from error
        reason = error.strerror or str(error)
    else:
        return
    raise BadConfig(
        f"cannot listen on {address}: {reason}",
        subject=address,
        remedy="Give an address of this machine: --listen HOST:PORT",
    )

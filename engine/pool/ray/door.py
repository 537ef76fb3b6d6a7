"""Where nodes come in: one listening socket a pool; who has no ticket stays out. Loop thread."""

from __future__ import annotations

import asyncio
from typing import cast

from citadel.errors import BadConfig, Unauthenticated
from engine.pool.ray import protocol
from engine.pool.ray.remote import Node

MAX_STRANGERS = 64
"""Connections at once that have not proved themselves; more are closed."""


class Door:
    """The listening socket, and the tickets that are out. A ticket is good for one node, once."""

    def __init__(self) -> None:
        self.host, self.port = "", 0
        """Where nodes find it."""
        self._server: asyncio.Server | None = None
        self._tickets: dict[bytes, tuple[protocol.Ticket, asyncio.Future[Node]]] = {}
        self.strangers = 0

    async def open(self, listen: str, address: str) -> None:
        """Listens: at `listen` (host:port), or anywhere free on this machine's `address`.

        Raises:
            BadConfig: `listen` is no host:port, or nothing can listen there.
        """
        if self._server is not None:
            return
        host, _, port = listen.rpartition(":")
        if listen and (not host or not port.isdecimal()):
            raise BadConfig(
                f"ray.listen is {listen!r}, which is no host:port", subject="ray.listen"
            )
        host = host.strip("[]") or address
        try:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(lambda: _Stranger(self), host, int(port or 0))
        except OSError as error:
            raise BadConfig(
                f"nodes cannot be listened for at {listen or address}: {error}",
                subject="ray.listen",
                remedy="Set ray.listen to an address of this machine and a free port",
            ) from error
        anywhere = host in {"0.0.0.0", "::"}  # noqa: S104 - what the operator chose is compared
        self.host = address if anywhere else host
        self.port = self._server.sockets[0].getsockname()[1]

    def expect(self, ticket: protocol.Ticket) -> asyncio.Future[Node]:
        """Lets the holder of a ticket in: done when it has proved that it is."""
        arrived: asyncio.Future[Node] = asyncio.get_running_loop().create_future()
        self._tickets[ticket.key] = ticket, arrived
        return arrived

    def forget(self, ticket: protocol.Ticket) -> None:
        """A ticket is good no more."""
        self._tickets.pop(ticket.key, None)

    def ticket(self, key: bytes) -> protocol.Ticket:
        """The ticket that is out with a key.

        Raises:
            Unauthenticated: there is none.
        """
        if key not in self._tickets:
            raise Unauthenticated("no ticket has this key")
        return self._tickets[key][0]

    def admit(self, ticket: protocol.Ticket, transport: asyncio.Transport, rest: bytes) -> None:
        """Lets a node in that has proved itself; its ticket is good no more.

        Raises:
            Unauthenticated: the ticket was used meanwhile.
        """
        _, arrived = self._tickets.pop(ticket.key, (None, None))
        if arrived is None or arrived.done():
            raise Unauthenticated("this ticket was used")
        node = Node()
        transport.set_protocol(node)
        node.connection_made(transport)
        if rest:
            node.data_received(rest)
        arrived.set_result(node)

    def close(self) -> None:
        """Listens no more; nodes that are in stay."""
        if self._server is not None:
            self._server.close()
            self._server = None


class _Stranger(asyncio.Protocol):
    """A connection that has not proved itself."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._said = b""
        self._ticket: protocol.Ticket | None = None
        self._theirs = self._ours = b""
        self._transport: asyncio.Transport | None = None
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody came."""
        self._transport = cast("asyncio.Transport", transport)
        self._door.strangers += 1
        if self._door.strangers > MAX_STRANGERS:
            self._transport.abort()
            return
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(protocol.HANDSHAKE_SECONDS, self._transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """It went, or was sent away."""
        del exc
        self._known()

    def data_received(self, data: bytes) -> None:
        """Its first words, then its proof."""
        assert self._transport is not None
        self._said += data
        try:
            if self._ticket is None and len(self._said) >= protocol.HELLO_BYTES:
                words, self._said = _cut(self._said, protocol.HELLO_BYTES)
                key, self._theirs = protocol.key_of(words)
                self._ticket = self._door.ticket(key)
                answer, self._ours = protocol.answer(self._ticket, self._theirs)
                self._transport.write(answer)
            elif self._ticket is not None and len(self._said) >= protocol.PROOF_BYTES:
                proof, rest = _cut(self._said, protocol.PROOF_BYTES)
                protocol.check(self._ticket, self._theirs, self._ours, proof)
                self._door.admit(self._ticket, self._transport, rest)
                self._known()
        except Unauthenticated:
            self._transport.abort()

    def _known(self) -> None:
        """It is a stranger no more."""
        self._door.strangers -= 1
        if self._patience:
            self._patience.cancel()


def _cut(data: bytes, size: int) -> tuple[bytes, bytes]:
    return data[:size], data[size:]

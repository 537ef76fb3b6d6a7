"""A listener of our own with servicers of the test's, over a real socket."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from citadel.client.connection import TLS, Connection
from engine.api.auth import Authenticator, Token
from engine.api.dispatch import Dispatcher
from engine.api.server import Listener
from engine.api.tls import Certificate
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder

Serve = Callable[..., Awaitable[Connection]]


@pytest.fixture
def hub() -> LiveHub:
    return LiveHub("instance")


@pytest.fixture
def recorder(hub: LiveHub) -> Recorder:
    return Recorder(publish=hub.publish)


@pytest.fixture
async def serve(recorder: Recorder) -> AsyncIterator[Serve]:
    """Serves some servicers; returns a connection to them."""
    listeners: list[Listener] = []
    connections: list[Connection] = []

    async def start(
        servicers: dict[str, Any],
        *,
        tokens: tuple[Token, ...] = (),
        token: str = "",
        certificate: Certificate | None = None,
        tls: TLS | None = None,
    ) -> Connection:
        dispatcher = Dispatcher(Authenticator(tokens), recorder)
        listener = Listener(dispatcher.handler(name, each) for name, each in servicers.items())
        address = listener.bind("127.0.0.1", 0, certificate)
        listeners.append(listener)
        await listener.start()
        connection = Connection(address, token=token, tls=tls)
        connections.append(connection)
        return connection

    yield start
    for connection in connections:
        await connection._channel.close()
    for listener in listeners:
        await listener.stop(0)

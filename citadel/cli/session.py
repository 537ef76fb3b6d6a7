"""Which engine a command talks to, and the options that all commands share."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from citadel.client.client import Client

DEFAULT_ADDRESS = "127.0.0.1:7431"
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What the shared options say."""

    connect: str = ""
    token: str = ""
    tls: bool = False
    ca: str = ""
    cert: str = ""
    key: str = ""
    server_name: str = ""
    json: bool = False
    recording: str = ""

    def ask(self, question: Callable[[Client], Awaitable[T]]) -> T:
        """What a question to the engine gives; runs a loop for it."""

        async def run() -> T:
            async with self.client() as client:
                return await question(client)

        return asyncio.run(run())

    @asynccontextmanager
    async def client(self) -> AsyncGenerator[Client]:
        """A connected client of the engine that was named, or of the usual one.

        With a recording, of one that serves it, for as long as this.
        """
        if self.recording:
            async with self._replayed(self.recording) as client:
                yield client
            return
        from citadel.client.client import connect  # noqa: PLC0415 - gRPC is slow to import
        from citadel.client.connection import TLS  # noqa: PLC0415 - as above

        wants_tls = self.tls or bool(self.ca or self.cert or self.server_name)
        tls = TLS(ca=self.ca, cert=self.cert, key=self.key, server_name=self.server_name)
        async with connect(
            self.connect or DEFAULT_ADDRESS, token=self.token, tls=tls if wants_tls else False
        ) as client:
            yield client

    @asynccontextmanager
    async def _replayed(self, file: str) -> AsyncGenerator[Client]:
        from citadel.client.local import LocalEngine  # noqa: PLC0415 - gRPC is slow to import

        async with LocalEngine(["--recording", file]) as engine:
            local = Session(connect=engine.address, token=engine.token, json=self.json)
            async with local.client() as client:
                yield client

    @asynccontextmanager
    async def client_or_local(self, config: str = "") -> AsyncGenerator[Client]:
        """A client of the engine that was named; with none, of one that lives as long as this."""
        if self.connect:
            async with self.client() as client:
                yield client
            return
        from citadel.client.local import LocalEngine  # noqa: PLC0415 - gRPC is slow to import

        arguments = ["--config", config] if config else []
        # gRPC is imported while the engine starts.
        loading = asyncio.to_thread(import_module, "citadel.client.client")
        engine, _ = await asyncio.gather(LocalEngine(arguments).start(), loading)
        async with engine:
            local = replace(self, connect=engine.address, token=engine.token)
            async with replace(local, tls=False, ca="", cert="", key="").client() as client:
                yield client


_SHARED: tuple[Callable[[Any], Any], ...] = (
    click.option("--connect", metavar="HOST:PORT", help=f"The engine; else {DEFAULT_ADDRESS}."),
    click.option("--token", help="Its token; better given as CITADEL_TOKEN."),
    click.option("--tls", is_flag=True, default=None, help="Encrypt the connection."),
    click.option("--ca", metavar="FILE", help="Trust this authority (PEM); implies --tls."),
    click.option("--cert", metavar="FILE", help="This side's certificate (PEM)."),
    click.option("--key", metavar="FILE", help="Its private key (PEM)."),
    click.option("--server-name", metavar="NAME", help="The name in the engine's certificate."),
    click.option("--recording", metavar="FILE", help="Read a .citadel file, instead of an engine."),
    click.option("--json", is_flag=True, default=None, help="JSON on standard output."),
)
_NAMES = ("connect", "token", "tls", "ca", "cert", "key", "server_name", "recording", "json")
_ENVIRONMENT = {"connect": "CITADEL_CONNECT", "token": "CITADEL_TOKEN"}


def shared(function: F) -> F:
    """Gives a command the shared options, and a `Session` made of them as first argument."""

    @functools.wraps(function)
    def run(**values: Any) -> Any:
        context = click.get_current_context()
        session = context.find_root().ensure_object(_Held).session
        given = {name: values.pop(name) for name in _NAMES}
        session = replace(session, **{k: v for k, v in given.items() if v is not None})
        return function(session, **values)

    made: Any = run
    for option in reversed(_SHARED):
        made = option(made)
    return made


def remember(values: dict[str, Any]) -> None:
    """Keeps the shared options that were given before the verb."""
    import os  # noqa: PLC0415 - read where it is used, and nowhere else

    for name, variable in _ENVIRONMENT.items():
        values[name] = values[name] if values[name] is not None else os.environ.get(variable)
    given = {name: value for name, value in values.items() if value is not None}
    click.get_current_context().ensure_object(_Held).session = Session(**given)


def options(function: F) -> F:
    """The shared options alone, for the root."""
    made: Any = function
    for option in reversed(_SHARED):
        made = option(made)
    return made


class _Held:
    def __init__(self) -> None:
        self.session = Session()

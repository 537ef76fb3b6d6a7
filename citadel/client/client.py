"""The async client of an engine.

async with citadel.connect("127.0.0.1:7431") as client:
    value = await client.pools.call("python", "survey_file", path="setup.py")
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractContextManager
from importlib.metadata import PackageNotFoundError, version
from typing import Self

from citadel.client.connection import TLS, Connection
from citadel.client.exporters import ExportersGroup
from citadel.client.groups import (
    DefenseGroup,
    MissionsGroup,
    SamplingGroup,
    SentinelsGroup,
)
from citadel.client.pools import PoolsGroup
from citadel.client.recordings import RecordingsGroup
from citadel.client.traces import TracesGroup
from citadel.client.watch import Update, watch
from citadel.errors import InvalidRequest, WrongWireVersion
from citadel.telemetry import LocalSpan
from citadel.trace import parse_traceparent
from citadel.wire import codec
from citadel.wire.columns import Table, unpack
from citadel.wire.messages import AuditRequest, EngineInfo, InfoRequest

CONNECT_SECONDS = 10.0


class Client:
    """An engine, from outside. Use it as an async context manager."""

    def __init__(self, address: str, *, token: str = "", tls: TLS | None = None) -> None:
        self.address = checked_address(address)
        self.connection = Connection(self.address, token=token, tls=tls)
        self.pools = PoolsGroup(self.connection, self.watch)
        self.sentinels = SentinelsGroup(self.connection)
        self.missions = MissionsGroup(self.connection)
        self.traces = TracesGroup(self.connection)
        self.sampling = SamplingGroup(self.connection)
        self.defense = DefenseGroup(self.connection)
        self.recordings = RecordingsGroup(self.connection)
        self.exporters = ExportersGroup(self.connection)

    async def info(self) -> EngineInfo:
        """What the engine is.

        Raises:
            WrongWireVersion: it speaks another version of the wire.
        """
        request = InfoRequest(client_version=own_version(), wire_version=codec.WIRE_VERSION)
        found: EngineInfo = await self.connection.call(
            "Engine.Info", request, timeout=CONNECT_SECONDS, traced=False
        )
        if found.wire_version != codec.WIRE_VERSION:
            raise WrongWireVersion(
                f"the engine at {self.address} speaks wire version {found.wire_version},"
                f" this side {codec.WIRE_VERSION}",
                subject=self.address,
            )
        return found

    def watch(
        self, topics: Sequence[str] = (), *, instance_id: str = "", since_seq: int = 0
    ) -> AsyncGenerator[Update]:
        """What happens in the engine, for good: see citadel.client.watch."""
        return watch(self, topics, instance_id=instance_id, since_seq=since_seq)

    def trace(
        self,
        name: str,
        *,
        mission: str = "",
        mission_class: str = "",
        traceparent: str = "",
        tracestate: str = "",
    ) -> AbstractContextManager[LocalSpan | None]:
        """A span of your own around calls: `with client.trace("nightly"): ...`. One trace.

        `traceparent` and `tracestate` are W3C headers that came in from somebody: then it goes on
        with that trace. Malformed ones are as none.
        """
        parent = parse_traceparent(traceparent, tracestate)
        return self.connection.spans.trace(name, mission, mission_class, parent)

    async def audit(self, *, after: int = 0, limit: int = 500) -> tuple[Table, bool]:
        """Entries of the audit trail (topic `audit`), and whether its hash chain holds."""
        request = AuditRequest(after=after, limit=limit)
        reply = await self.connection.call("Engine.Audit", request, traced=False)
        return unpack(reply.entries), reply.chain_intact

    async def close(self) -> None:
        """Ends the connection."""
        await self.connection.close()

    async def __aenter__(self) -> Self:
        """Checks that an engine answers, and speaks our wire."""
        try:
            await self.info()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ends the connection."""
        await self.close()


def connect(address: str, *, token: str | None = None, tls: bool | TLS = False) -> Client:
    """A client of the engine at HOST:PORT; without a token, CITADEL_TOKEN's."""
    found = os.environ.get("CITADEL_TOKEN", "") if token is None else token
    return Client(address, token=found, tls=TLS() if tls is True else tls or None)


def checked_address(address: str) -> str:
    """HOST:PORT.

    Raises:
        InvalidRequest: it is not.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise InvalidRequest(f"{address!r} is no address", subject=address, remedy="Give HOST:PORT")
    return address


def own_version() -> str:
    """The version of this package."""
    try:
        return version("citadel-command")
    except PackageNotFoundError:
        return "0+checkout"

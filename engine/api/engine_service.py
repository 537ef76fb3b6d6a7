"""Service Engine: what the engine is, what it holds, what happens in it. Loop thread only."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import socket
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version

from citadel.wire import codec
from citadel.wire.columns import pack
from citadel.wire.messages import (
    AuditReply,
    AuditRequest,
    EngineInfo,
    InfoRequest,
    ProviderInfo,
    SnapshotReply,
    SnapshotRequest,
    WatchBatch,
    WatchRequest,
)
from engine.api.dispatch import Call, check_wire_version
from engine.storage.store import OperationalStore
from engine.telemetry.hub import LiveHub


def describe(
    instance_id: str, providers: tuple[ProviderInfo, ...], metrics_address: str
) -> EngineInfo:
    """This process, as the wire has it; the role is filled in for each caller."""
    try:
        own = version("citadel-command")
    except PackageNotFoundError:
        own = "0+checkout"
    return EngineInfo(
        instance_id=instance_id,
        version=own,
        wire_version=codec.WIRE_VERSION,
        started_unix_nanos=time.time_ns(),
        hostname=socket.gethostname(),
        pid=os.getpid(),
        os=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        providers=providers,
        metrics_address=metrics_address,
    )


def announce(address: str, about: EngineInfo) -> None:
    """Tells whoever started it, in a line of JSON; a reader that is gone is no reason to end."""
    said = {
        "address": address,
        "instance_id": about.instance_id,
        "metrics_address": about.metrics_address,
        "pid": os.getpid(),
        "wire_version": codec.WIRE_VERSION,
    }
    with contextlib.suppress(OSError):
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineServicer:
    """Engine's RPCs."""

    about: EngineInfo
    hub: LiveHub
    store: OperationalStore

    async def info(self, request: InfoRequest, call: Call) -> EngineInfo:
        """What the engine is, and the caller's role."""
        check_wire_version(str(request.wire_version or ""))
        return replace(self.about, role=call.identity.role)

    async def snapshot(self, request: SnapshotRequest, call: Call) -> SnapshotReply:
        """The present state, and where to watch from."""
        del call
        seq, batches = self.hub.snapshot(request.topics)
        return SnapshotReply(
            instance_id=self.hub.instance_id,
            seq=seq,
            time_unix_nanos=time.time_ns(),
            batches=tuple(batches),
        )

    async def watch(self, request: WatchRequest, call: Call) -> AsyncGenerator[WatchBatch]:
        """What happens from there on."""
        del call
        batches = self.hub.watch(request.topics, request.since_seq, request.instance_id)
        async with aclosing(batches) as stream:
            async for batch in stream:
                yield batch

    async def audit(self, request: AuditRequest, call: Call) -> AuditReply:
        """Entries of the audit trail, and whether its chain holds."""
        del call
        entries = await self.store.audit(request.after, request.limit, request.before)
        return AuditReply(
            entries=pack("audit", [entry.row() for entry in entries]),
            chain_intact=await self.store.audit_intact(),
        )

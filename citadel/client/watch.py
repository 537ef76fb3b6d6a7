"""Watching an engine for good: a snapshot, then batches; resumes by sequence number after a break.

What is yielded: `Snapshot` first, and again whenever continuity was lost; `Batch` in sequence;
`Lost` when the connection broke, with the wait before the next try. A gap is in the batch that has
it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from citadel.errors import (
    CitadelError,
    Forbidden,
    InvalidRequest,
    Unauthenticated,
    Unavailable,
    WrongWireVersion,
)
from citadel.wire.columns import Table, unpack
from citadel.wire.messages import (
    EngineInfo,
    Gap,
    SnapshotReply,
    SnapshotRequest,
    WatchBatch,
    WatchRequest,
)
from citadel.wire.topics import STREAMED

if TYPE_CHECKING:
    from citadel.client.client import Client

BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Waits between tries; the last one repeats."""
_FINAL = (Unauthenticated, Forbidden, WrongWireVersion, InvalidRequest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The present state of an engine instance, as of `seq`."""

    info: EngineInfo
    seq: int
    time_ns: int
    tables: Mapping[str, Table]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What came next."""

    seq: int
    time_ns: int
    tables: Mapping[str, Table]
    gap: Gap | None
    coalesced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The connection broke."""

    error: CitadelError
    retry_seconds: float


Update = Snapshot | Batch | Lost


async def watch(
    client: Client, topics: Sequence[str] = (), *, instance_id: str = "", since_seq: int = 0
) -> AsyncGenerator[Update]:
    """Yields for as long as the caller listens.

    With the instance and the sequence number of an earlier watch it goes on from there, when it is
    the same instance still.

    Raises:
        CitadelError: it makes no sense to try again (token, role, wire version, topics).
    """
    wanted = tuple(topics) or STREAMED
    instance, seq, failures = instance_id, since_seq, 0
    while True:
        try:
            info = await client.info()
            if info.instance_id != instance:
                snapshot = await _snapshot(client, info, wanted)
                instance, seq = info.instance_id, snapshot.seq
                yield snapshot
            request = WatchRequest(topics=wanted, since_seq=seq, instance_id=instance)
            async with aclosing(client.connection.stream("Engine.Watch", request)) as messages:
                async for message in messages:
                    failures = 0
                    batch = _batch(message)
                    seq = batch.seq
                    yield batch
                    if batch.gap is not None:
                        # State rows were lost too: only a new snapshot makes it whole.
                        snapshot = await _snapshot(client, info, wanted)
                        instance, seq = info.instance_id, snapshot.seq
                        yield snapshot
                        break
                else:
                    raise Unavailable(
                        f"the engine at {client.address} ended the stream", subject=client.address
                    )
        except _FINAL:
            raise
        except CitadelError as error:
            wait = BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)]
            failures += 1
            yield Lost(error=error, retry_seconds=wait)
            await asyncio.sleep(wait)


async def _snapshot(client: Client, info: EngineInfo, topics: Sequence[str]) -> Snapshot:
    reply: SnapshotReply = await client.connection.call(
        "Engine.Snapshot", SnapshotRequest(topics=tuple(topics)), traced=False
    )
    return Snapshot(
        info=info,
        seq=reply.seq,
        time_ns=reply.time_unix_nanos,
        tables={batch.topic: unpack(batch) for batch in reply.batches},
    )


def _batch(message: WatchBatch) -> Batch:
    return Batch(
        seq=message.last_seq,
        time_ns=message.time_unix_nanos,
        tables={batch.topic: unpack(batch) for batch in message.batches},
        gap=message.gap,
        coalesced=message.coalesced,
    )

"""Watching: resume, gaps, restarts and broken connections, against a scripted server.

The server is real gRPC on a real socket, made of the wire's own methods; what it streams is written
in each test. The real engine's half is in tests/integration.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
import pytest

import citadel
from citadel.client.watch import Batch, Lost, Snapshot, Update
from citadel.errors import CitadelError, Forbidden, InvalidRequest, Unavailable, WrongWireVersion
from citadel.grpc_status import to_rpc
from citadel.wire import codec
from citadel.wire.columns import pack
from citadel.wire.messages import (
    EngineInfo,
    Gap,
    InfoRequest,
    SnapshotReply,
    SnapshotRequest,
    WatchBatch,
    WatchRequest,
)

PATIENCE = 20.0


@dataclass
class Script:
    """An engine that streams what it is told to."""

    instance: str = "one"
    seq: int = 10
    wire_version: int = codec.WIRE_VERSION
    streams: list[list[Any]] = field(default_factory=list[list[Any]])
    watched: list[WatchRequest] = field(default_factory=list[WatchRequest])
    snapshots: int = 0

    async def info(self, request: InfoRequest) -> EngineInfo:
        assert request.wire_version == codec.WIRE_VERSION
        return EngineInfo(instance_id=self.instance, wire_version=self.wire_version)

    async def snapshot(self, request: SnapshotRequest) -> SnapshotReply:
        self.snapshots += 1
        rows = [("hits", "{}", float(self.seq), 1)]
        return SnapshotReply(
            instance_id=self.instance, seq=self.seq, batches=(pack("counter", rows),)
        )

    async def watch(self, request: WatchRequest) -> AsyncIterator[WatchBatch]:
        """The next stream of the script; an error in it aborts; after its end it just waits."""
        self.watched.append(request)
        for step in self.streams.pop(0) if self.streams else []:
            if step == "end":
                return
            if isinstance(step, CitadelError):
                raise step
            self.seq = step.last_seq
            yield step
        await asyncio.Event().wait()


def handlers(script: Script) -> grpc.GenericRpcHandler:
    def unary(answer: Callable[[Any], Awaitable[Any]], request: type[Any]) -> Any:
        async def handle(data: bytes, context: Any) -> bytes:
            return codec.encode(await answer(codec.decode(request, data)))

        return grpc.unary_unary_rpc_method_handler(handle)

    async def stream(data: bytes, context: Any) -> AsyncGenerator[bytes]:
        try:
            async for message in script.watch(codec.decode(WatchRequest, data)):
                yield codec.encode(message)
        except CitadelError as error:
            status = to_rpc(error)
            await context.abort(status.code, status.details, status.trailing_metadata)

    return grpc.method_handlers_generic_handler(
        "citadel.wire.v1.Engine",
        {
            "Info": unary(script.info, InfoRequest),
            "Snapshot": unary(script.snapshot, SnapshotRequest),
            "Watch": grpc.unary_stream_rpc_method_handler(stream),
        },
    )


@asynccontextmanager
async def served(script: Script, port: int = 0) -> AsyncIterator[int]:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers([handlers(script)])
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


def batch(first: int, last: int, **values: Any) -> WatchBatch:
    rows = [("hits", "{}", float(seq), seq) for seq in range(first, last + 1)]
    return WatchBatch(first_seq=first, last_seq=last, batches=(pack("counter", rows),), **values)


async def collect(port: int, wanted: int) -> list[Update]:
    found: list[Update] = []
    async with (
        asyncio.timeout(PATIENCE),
        citadel.connect(f"127.0.0.1:{port}", token="") as client,
        aclosing(client.watch(["counter"])) as updates,
    ):
        async for update in updates:
            found.append(update)
            if len(found) == wanted:
                break
    return found


async def test_a_snapshot_comes_first_then_batches_from_its_number() -> None:
    script = Script(streams=[[batch(11, 12), batch(13, 13)]])
    async with served(script) as port:
        first, second, third = await collect(port, 3)
    assert isinstance(first, Snapshot)
    assert (first.seq, first.tables["counter"]["value"].tolist()) == (10, [10.0])
    assert isinstance(second, Batch)
    assert isinstance(third, Batch)
    assert second.tables["counter"]["value"].tolist() == [11.0, 12.0]
    assert script.watched == [WatchRequest(topics=("counter",), since_seq=10, instance_id="one")]


async def test_after_a_break_it_resumes_where_it_was_without_a_snapshot() -> None:
    script = Script(streams=[[batch(11, 14), Unavailable("cut")], [batch(15, 15)]])
    async with served(script) as port:
        updates = await collect(port, 4)
    assert [type(update) for update in updates] == [Snapshot, Batch, Lost, Batch]
    assert isinstance(updates[2], Lost)
    assert updates[2].error.message == "cut"
    assert [request.since_seq for request in script.watched] == [10, 14]
    assert script.snapshots == 1


async def test_a_stream_that_just_ends_is_a_break_too() -> None:
    script = Script(streams=[["end"], ["end"], [batch(11, 11)]])
    async with served(script) as port:
        updates = await collect(port, 4)
    assert [type(update) for update in updates] == [Snapshot, Lost, Lost, Batch]
    waits = [update.retry_seconds for update in updates if isinstance(update, Lost)]
    assert waits == sorted(set(waits)), "each try in a row waits longer"


async def test_after_a_gap_state_is_made_whole_by_a_snapshot() -> None:
    gap = Gap(from_seq=11, to_seq=500, cause="slow_client")
    script = Script(streams=[[batch(501, 502, gap=gap, coalesced=True)], [batch(503, 503)]])
    async with served(script) as port:
        updates = await collect(port, 4)
    assert [type(update) for update in updates] == [Snapshot, Batch, Snapshot, Batch]
    assert isinstance(updates[1], Batch)
    assert updates[1].gap == gap
    assert updates[1].coalesced
    assert [request.since_seq for request in script.watched] == [10, 502]


async def test_another_instance_begins_with_a_snapshot() -> None:
    script = Script(streams=[[batch(11, 11), Unavailable("killed")], [batch(4, 4)]])
    found: list[Update] = []
    async with (
        asyncio.timeout(PATIENCE),
        served(script) as port,
        citadel.connect(f"127.0.0.1:{port}", token="") as client,
        aclosing(client.watch(["counter"])) as updates,
    ):
        async for update in updates:
            found.append(update)
            if isinstance(update, Lost):
                script.instance, script.seq = "two", 3
            if len(found) == 5:
                break
    assert [type(update) for update in found] == [Snapshot, Batch, Lost, Snapshot, Batch]
    assert script.watched[-1] == WatchRequest(topics=("counter",), since_seq=3, instance_id="two")


async def test_an_engine_that_goes_away_and_comes_back_is_found_again() -> None:
    script = Script()
    found: list[Update] = []
    async with asyncio.timeout(PATIENCE), served(script) as port:
        pass
    async with asyncio.timeout(PATIENCE):
        client = citadel.connect(f"127.0.0.1:{port}", token="")
        async with aclosing(client.watch(["counter"])) as updates:
            found.append(await anext(updates))
            async with served(script, port):
                async for update in updates:
                    found.append(update)
                    if isinstance(update, Snapshot):
                        break
        await client.close()
    assert isinstance(found[0], Lost)
    assert isinstance(found[0].error, Unavailable)
    assert isinstance(found[-1], Snapshot)


@pytest.mark.parametrize("error", [Forbidden("no"), InvalidRequest("no such topic")])
async def test_what_cannot_get_better_is_raised(error: CitadelError) -> None:
    script = Script(streams=[[error]])
    async with served(script) as port:
        with pytest.raises(type(error), match=error.message):
            await collect(port, 2)


async def test_another_wire_version_is_refused_by_name() -> None:
    script = Script(wire_version=codec.WIRE_VERSION + 1)
    async with served(script) as port:
        with pytest.raises(WrongWireVersion, match="speaks wire version 2"):
            await collect(port, 1)

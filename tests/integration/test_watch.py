"""Watching: what happens is seen, in sequence; breaks and losses are explicit."""

import asyncio
import time
from typing import Any

import pytest

from citadel.client.client import Client
from citadel.client.watch import Batch, Lost, Snapshot, Update
from citadel.errors import InvalidRequest
from citadel.testing import EngineUnderTest
from citadel.wire.columns import rows, unpack
from citadel.wire.messages import SnapshotRequest, WatchBatch, WatchRequest


async def test_a_snapshot_then_batches_without_a_hole(client: Client) -> None:
    seen: list[Update] = []
    async for update in client.watch(("event", "pool", "span")):
        seen.append(update)
        if isinstance(update, Snapshot):
            assert {row["name"] for row in rows(update.tables["pool"])} == {"workshop", "python"}
            await client.pools.call("workshop", "add", a=1, b=2)
        elif any(
            row["name"] == "run add"
            for row in rows(update.tables.get("span", {}))  # type: ignore[union-attr]
        ):
            break
    assert isinstance(seen[0], Snapshot)
    batches = [update for update in seen[1:] if isinstance(update, Batch)]
    assert len(batches) == len(seen) - 1
    assert all(batch.gap is None for batch in batches)
    assert [batch.seq for batch in batches] == sorted(batch.seq for batch in batches)


async def test_resume_by_sequence_number_loses_nothing(client: Client) -> None:
    snapshot = await client.connection.call("Engine.Snapshot", SnapshotRequest(topics=("span",)))
    for number in range(50):
        await client.pools.call("workshop", "add", a=number, b=0)
    request = WatchRequest(
        topics=("span",), since_seq=snapshot.seq, instance_id=snapshot.instance_id
    )
    next_seq, runs = snapshot.seq + 1, 0
    async with asyncio.timeout(30):
        async for batch in client.connection.stream("Engine.Watch", request):
            assert batch.gap is None
            assert batch.first_seq == next_seq
            next_seq = batch.last_seq + 1
            for table in batch.batches:
                runs += sum(row["name"] == "run add" for row in rows(unpack(table)))
            if runs >= 50:
                break
    assert runs == 50


async def test_another_instances_numbers_are_an_explicit_gap(client: Client) -> None:
    request = WatchRequest(topics=("event",), since_seq=5, instance_id="the one before")
    async with asyncio.timeout(30):
        async for batch in client.connection.stream("Engine.Watch", request):
            first: WatchBatch = batch
            break
    assert first.gap is not None
    assert first.gap.cause == "restarted"


async def test_an_unknown_topic_is_told(client: Client) -> None:
    with pytest.raises(InvalidRequest, match="weather"):
        async for _ in client.connection.stream("Engine.Watch", WatchRequest(topics=("weather",))):
            pass


async def test_a_slow_client_gets_coalesced_batches_or_an_explicit_gap(
    engine: EngineUnderTest, client: Client
) -> None:
    """One that reads nothing while much happens: what it lost is said, nothing else is lost."""
    async with engine.client() as slow:
        snapshot = await slow.connection.call("Engine.Snapshot", SnapshotRequest(topics=("pool",)))
        request = WatchRequest(since_seq=snapshot.seq, instance_id=snapshot.instance_id)
        stream = slow.connection.stream("Engine.Watch", request)
        await anext(stream)
        before = await client.connection.call("Engine.Snapshot", SnapshotRequest(topics=("pool",)))
        for number in range(80):  # each span is a row: more than the ring holds
            assert await client.traces.ingest(_spans(number, 1_000)) == 1_000
        after = await client.connection.call("Engine.Snapshot", SnapshotRequest(topics=("pool",)))
        assert after.seq > before.seq + 70_000
        gaps, coalesced, expected = 0, 0, None
        async with asyncio.timeout(60):
            async for batch in stream:
                if expected is not None:
                    start = batch.gap.from_seq if batch.gap else batch.first_seq
                    assert start == expected
                expected = batch.last_seq + 1
                gaps += batch.gap is not None
                coalesced += batch.coalesced
                if batch.last_seq >= after.seq:
                    break
        assert gaps or coalesced
        await stream.aclose()


def _spans(trace: int, count: int) -> list[tuple[Any, ...]]:
    now = time.time_ns()
    text = ("step", "client", "client", "", "", "", "", "{}", "[]", "[]", "", "", 0)
    return [
        (1, trace + 1, span, 0 if span == 1 else 1, now - 1_000, now, 1, 0, *text)
        for span in range(1, count + 1)
    ]


async def test_an_engine_killed_and_started_again(headless: Any) -> None:
    first = await headless()
    seen: list[Update] = []
    from citadel.client.client import connect

    async with connect(first.address) as client, asyncio.timeout(60):
        async for update in client.watch(("pool", "event")):
            seen.append(update)
            match update:
                case Snapshot() if len(seen) == 1:
                    await first.end(9)
                case Lost() if not any(isinstance(each, Lost) for each in seen[:-1]):
                    second = await headless("--listen", first.address)
                case Snapshot():
                    break
                case _:
                    pass
        last = seen[-1]
        assert isinstance(last, Snapshot)
        assert last.info.instance_id == second.said["instance_id"]
        # the old instance's numbers are refused openly, never taken for the new one's
        request = WatchRequest(
            topics=("pool",), since_seq=seen[0].seq, instance_id=first.said["instance_id"]
        )
        async for batch in client.connection.stream("Engine.Watch", request):
            assert batch.gap is not None
            assert batch.gap.cause == "restarted"
            break

"""A span database that was damaged while the engine was off: told, set aside, and served on."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from citadel import connect
from citadel.client.client import Client
from citadel.wire.columns import rows, unpack
from citadel.wire.messages import SnapshotRequest

WORKSHOP = 'pools=[{name="workshop", adapter="workshop:Workshop", size=1}]'
PAGE = 4096


async def told(client: Client) -> set[str]:
    """Events, and counters that are not 0."""
    request = SnapshotRequest(topics=("event", "counter"))
    reply = await client.connection.call("Engine.Snapshot", request)
    found = [row for batch in reply.batches for row in rows(unpack(batch))]
    return {row["name"] for row in found if row.get("value", 1)}


@pytest.mark.emits("store.failed", "store.set_aside", "citadel.store.lost")
async def test_damage_is_told_counted_and_set_aside(
    headless: Any, until: Any, saw: Any, tmp_path: Path
) -> None:
    engine = await headless("--set", WORKSHOP)
    async with connect(engine.address) as client:
        for number in range(150):
            await client.pools.call("workshop", "add", a=number, b=1)
    await engine.end(signal.SIGTERM)
    days = sorted((tmp_path / "data" / "spans").glob("*.db"))
    for day in days:
        content = await asyncio.to_thread(day.read_bytes)
        assert len(content) > 2 * PAGE
        day.write_bytes(content[:PAGE] + b"\xff" * (len(content) - PAGE))
    engine = await headless("--set", WORKSHOP)
    async with connect(engine.address) as client:

        async def news() -> set[str]:
            await client.pools.call("workshop", "add", a=1, b=1)
            names = await told(client)
            wanted = {"store.failed", "store.set_aside", "citadel.store.lost"}
            return names if wanted <= names else set()

        for name in await until(news):
            saw(name)
        assert (await client.traces.ledger()).residual == 0

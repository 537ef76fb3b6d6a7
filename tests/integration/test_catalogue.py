"""What a working engine emits, seen from outside: entries of the catalogue, and nothing else.

A scenario of ordinary use and ordinary trouble; rarer faults are provoked where their part is
tested.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from citadel.client.client import Client
from citadel.errors import CitadelError
from citadel.testing import start_engine
from citadel.wire.columns import rows, unpack
from citadel.wire.messages import SamplingRule, SnapshotRequest
from engine.telemetry.catalogue import COUNTERS, DURATIONS, EVENTS, GAUGES

ADAPTERS = Path(__file__).parent / "adapters"
SHOP = "workshop"
PATIENCE = 40.0

WANTED_EVENTS = {
    "action",
    "command.cancelled",
    "command.failed",
    "defense.changed",
    "engine.started",
    "mission.ended",
    "mission.started",
    "pool.resized",
    "pool.state",
    "sampling.changed",
    "sentinel.spawned",
    "sentinel.stopped",
    "session.ended",
    "worker.lost",
    "worker.output",
    "worker.ready",
    "worker.recycled",
    "worker.replaced",
    "worker.started",
    "worker.stopped",
}
WANTED_COUNTERS = {
    "citadel.commands",
    "citadel.guard.requests",
    "citadel.guard.verdicts",
    "citadel.mission.units",
    "citadel.missions",
    "citadel.process.gc",
    "citadel.provider.requests",
    "citadel.provider.tokens",
    "citadel.rpc.requests",
    "citadel.sampler.decisions",
    "citadel.sentinel.signals",
    "citadel.session.ended",
    "citadel.session.started",
    "citadel.spans.dropped",
    "citadel.spans.kept",
    "citadel.spans.started",
    "citadel.store.written",
    "citadel.stream.items",
    "citadel.worker.lost",
    "citadel.worker.starts",
}
WANTED_GAUGES = set(GAUGES) - {"citadel.exporter.queued"}  # there is no exporter here
WANTED = WANTED_EVENTS | WANTED_COUNTERS | WANTED_GAUGES | set(DURATIONS)


class Seen:
    """What was emitted, by name."""

    def __init__(self) -> None:
        self.events: dict[str, list[dict[str, Any]]] = {}
        self.metrics: dict[str, float] = {}

    async def look(self, client: Client) -> None:
        reply = await client.connection.call(
            "Engine.Snapshot",
            SnapshotRequest(topics=("event", "counter", "latency")),
            traced=False,
        )
        for batch in reply.batches:
            for row in rows(unpack(batch)):
                if batch.topic == "event":
                    self.events.setdefault(row["name"], []).append(row)
                elif batch.topic == "counter":
                    value = self.metrics.get(row["name"], 0.0)
                    self.metrics[row["name"]] = max(value, abs(row["value"]))
                else:
                    self.metrics[row["name"]] = 1.0


async def trouble(client: Client) -> None:
    shop = client.pools.on(SHOP)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(shop.call("work", seconds=PATIENCE), 0.5)
    for tool in ("fail", "die"):
        with pytest.raises(CitadelError):
            await shop.call(tool)


async def use(client: Client, folder: Path) -> None:
    """One of each thing that people do."""
    shop = client.pools.on(SHOP)
    assert await shop.call("add", a=1, b=2) == 3
    await shop.call("say", lines=2)
    assert [item async for item in shop.stream("count", up_to=3)] == [0, 1, 2]
    session = client.pools.session(SHOP, "a key")
    await session.call("remember", name="a", value=1)
    await session.end()
    await trouble(client)
    await client.pools.set_state(SHOP, "paused")
    await client.pools.set_state(SHOP, "serving")
    await client.pools.resize(SHOP, 3)
    await client.pools.resize(SHOP, 2)
    (folder / "a.py").write_text("x = 1\n")
    status = await client.missions.start("survey", path=str(folder))
    async with asyncio.timeout(PATIENCE):
        while (await client.missions.get(status.id)).state == "running":
            await asyncio.sleep(0.05)
    await client.pools.recycle(SHOP)
    defense = await client.defense.get()
    await client.defense.apply(strict=not defense.strict, layers=defense.layers)
    await client.sampling.apply((SamplingRule(id="none", rate=0.0),), keep=())
    await shop.call("add", a=1, b=2)


def complete(seen: Seen) -> set[str]:
    """What is wanted and was not seen yet."""
    counted = {name for name, value in seen.metrics.items() if value}
    return WANTED - set(seen.events) - (set(seen.metrics) & set(GAUGES)) - counted


async def test_ordinary_use_emits_what_the_catalogue_says(tmp_path: Path) -> None:
    seen = Seen()
    adapters = {
        SHOP: "workshop:Workshop",
        "python": "engine.sentinels.survey.adapter:SurveyAdapter",
    }
    with start_engine(pools=adapters, workers=2, python_path=[ADAPTERS]) as engine:
        async with engine.client() as client:
            await use(client, tmp_path)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    while complete(seen):
                        await seen.look(client)
                        await asyncio.sleep(0.2)
    assert complete(seen) == set()
    assert set(seen.metrics) <= {*COUNTERS, *GAUGES, *DURATIONS}
    for name, found in seen.events.items():
        entry = EVENTS[name]
        assert {row["severity"] for row in found} <= set(entry.severities), name
        told = {key for row in found for key in json.loads(row["attributes"] or "{}")}
        assert told <= set(entry.attributes), name

"""A minute of an ordinary engine with an unruly pool: everything Fleet has to show, for real.

`python docs/demo/traffic.py` starts an engine with the pools `python` and `works` and keeps them
busy until Ctrl+C; it prints the address and token for `citadel-desktop --connect`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncGenerator
from pathlib import Path

import msgpack

from citadel.client.client import Client
from citadel.errors import CitadelError
from citadel.testing import EngineUnderTest, start_engine
from citadel.wire.messages import Command

HERE = Path(__file__).parent
SURVEY = "engine.sentinels.survey.adapter:SurveyAdapter"
POOL = "works"
SETTINGS = f"""
[[pools]]
name = "python"
adapter = "{SURVEY}"
size = 2

[[pools]]
name = "{POOL}"
adapter = "works:Works"
size = 3
queue_limit = 64
scale = {{min_size = 2, max_size = 6, wait_seconds = 2.0}}
recycle = {{rss_bytes = 402653184}}
"""
PRIORITIES = ("urgent", "normal", "normal", "later")
CRASH_EVERY_SECONDS = 6.0
BUSY = 18
"""Commands of the pool that are under way or wait, most of the time."""


def start() -> contextlib.AbstractContextManager[EngineUnderTest]:
    """The engine."""
    return start_engine(settings=SETTINGS, python_path=[HERE])


async def run(client: Client) -> None:
    """Sends commands until cancelled."""
    mission = await client.missions.start("survey", loop=True, rate=20)
    assert mission.id
    numbers = random.Random(7)  # noqa: S311 - the same traffic each time
    async with asyncio.TaskGroup() as group:
        for _ in range(BUSY):
            group.create_task(_caller(client, numbers), name="caller")
        for key in ("ada", "grace"):
            group.create_task(_talker(client, key), name=f"session {key}")
        group.create_task(_grower(client), name="a leak")
        group.create_task(_crasher(client), name="a crash now and then")


async def send(
    client: Client,
    tool: str,
    arguments: dict[str, object],
    *,
    priority: str = "",
    session: str = "",
) -> None:
    """One command; what it comes to does not matter here."""
    packed = msgpack.packb(arguments) or b""
    command = Command(pool=POOL, tool=tool, arguments=packed, priority=priority, session=session)
    with contextlib.suppress(CitadelError):
        await client.pools.run(command)


async def _caller(client: Client, numbers: random.Random) -> None:
    while True:
        name = f"part-{numbers.randrange(1000):03}"
        priority = numbers.choice(PRIORITIES)
        if numbers.random() < 0.5:
            await send(client, "digest", {"name": name}, priority=priority)
        else:
            seconds = numbers.uniform(0.1, 0.5)
            await send(client, "fetch", {"name": name, "seconds": seconds}, priority=priority)


async def _talker(client: Client, key: str) -> None:
    step = 0
    while True:
        step += 1
        await send(client, "note", {"step": step}, session=key, priority="urgent")
        await asyncio.sleep(1.0)


async def _grower(client: Client) -> None:
    while True:
        await send(client, "cache", {"name": "thumbnails", "mebibytes": 4}, priority="urgent")
        await asyncio.sleep(0.4)


async def _crasher(client: Client) -> None:
    while True:
        await asyncio.sleep(CRASH_EVERY_SECONDS)
        await send(client, "decode", {"header": "JFIF", "offset": 0}, priority="urgent")


@contextlib.asynccontextmanager
async def running(engine: EngineUnderTest) -> AsyncGenerator[Client]:
    """Traffic for as long as the block lasts."""
    async with engine.client() as client, asyncio.TaskGroup() as group:
        task = group.create_task(run(client), name="traffic")
        try:
            yield client
        finally:
            task.cancel()


async def _until_interrupted(engine: EngineUnderTest) -> None:
    async with running(engine):
        told = {"address": engine.address, "token": engine.token}
        print(json.dumps(told), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with start() as started, contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_until_interrupted(started))

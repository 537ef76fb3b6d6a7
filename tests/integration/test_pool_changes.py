"""What operators change of pools over the wire: states, bounds, sessions, poison; audited."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from citadel.client.client import Client
from citadel.errors import (
    Conflict,
    Forbidden,
    InvalidRequest,
    NotFound,
    NotReady,
    Quarantined,
    UnknownSession,
    WorkerLost,
)
from citadel.testing import EngineUnderTest, start_engine
from citadel.wire.columns import rows
from citadel.wire.messages import PoolStatus
from engine.api.auth import sha256_of

POOL = "shop"
VIEWER = "only looks"


@pytest.fixture(scope="module")
def engine(adapters: Path) -> Iterator[EngineUnderTest]:
    """One of its own: these tests change its pool."""
    token = f'[[auth.tokens]]\nname = "vera"\nrole = "viewer"\nsha256 = "{sha256_of(VIEWER)}"\n'
    with start_engine(
        pools={POOL: "workshop:Workshop"}, workers=2, python_path=[adapters], settings=token
    ) as engine:
        yield engine


@pytest.fixture
async def client(engine: EngineUnderTest) -> AsyncIterator[Client]:
    async with engine.client() as client:
        yield client


async def status(client: Client) -> PoolStatus:
    return next(each for each in await client.pools.list() if each.name == POOL)


async def audited(client: Client, action: str) -> dict[str, Any]:
    """The last entry of that kind."""
    entries = rows((await client.audit())[0])
    return next(each for each in reversed(entries) if each["action"] == action)


async def test_a_paused_pool_lets_commands_wait(client: Client, until: Any) -> None:
    paused = await client.pools.set_state(POOL, "paused", actor="a test", reason="lunch")
    assert paused.state == "paused"
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(client.pools.call(POOL, "add", a=1, b=2))

        async def queued() -> bool:
            return (await status(client)).queued == 1

        await until(queued)
        assert not waiting.done()
        await client.pools.set_state(POOL, "serving", revision=paused.revision)
        with pytest.raises(Conflict):
            await client.pools.set_state(POOL, "paused", revision=paused.revision)
    assert waiting.result() == 3
    entry = await audited(client, "pool.set_state")
    assert json.loads(entry["before"]) == {"state": "paused"}
    assert json.loads(entry["after"]) == {"state": "serving"}


async def test_a_draining_pool_refuses_until_it_is_resumed(client: Client) -> None:
    await client.pools.set_state(POOL, "draining")
    with pytest.raises(NotReady, match="draining"):
        await client.pools.call(POOL, "add", a=1, b=2)
    await client.pools.set_state(POOL, "serving")
    assert await client.pools.call(POOL, "add", a=1, b=2) == 3
    with pytest.raises(InvalidRequest, match="cannot be set to 'failed'"):
        await client.pools.set_state(POOL, "failed")


async def test_a_pool_is_told_to_size_itself(client: Client) -> None:
    within = await client.pools.resize(POOL, 1, min_size=1, max_size=3, actor="a test")
    assert (within.min_size, within.max_size, within.size) == (1, 3, 1)
    entry = await audited(client, "pool.resize")
    assert json.loads(entry["after"]) == {"size": 1, "min_size": 1, "max_size": 3}
    fixed = await client.pools.resize(POOL, 2)
    assert (fixed.min_size, fixed.max_size, fixed.size) == (0, 0, 2)
    with pytest.raises(InvalidRequest, match="less than"):
        await client.pools.resize(POOL, 1, min_size=5, max_size=3)
    with pytest.raises(InvalidRequest, match="5000 workers are more than 1024"):
        await client.pools.resize(POOL, 1, min_size=5_000)
    with pytest.raises(InvalidRequest, match="more than"):
        await client.pools.resize(POOL, 1, max_size=100_000)


async def test_a_worker_is_looked_into(client: Client) -> None:
    await client.pools.call(POOL, "say", lines=3)
    workers = (await status(client)).workers
    details = [await client.pools.inspect_worker(POOL, each.id) for each in workers]
    assert {each.status.id for each in details} == {each.id for each in workers}
    for each in details:
        assert each.pool == POOL
        assert each.history[0].state == "starting"
        assert each.ended == ""
    assert any("000002 xxx" in line for each in details for line in each.output)
    with pytest.raises(NotFound, match="nobody"):
        await client.pools.inspect_worker(POOL, "nobody")


async def test_a_session_keeps_variables_that_both_sides_set(client: Client) -> None:
    alice = client.pools.session(POOL, "alice")
    with pytest.raises(UnknownSession, match="alice"):
        await alice.status()
    with pytest.raises(UnknownSession, match="alice"):
        await alice.set(colour="red")
    assert await alice.call("recall") == {}
    set_ = await alice.set(colour="red", number=[1, 2])
    assert set_.key == "alice"
    assert await alice.call("recall") == {"colour": "red", "number": [1, 2]}
    assert (await alice.call("remember", name="tool", value="saw"))["tool"] == "saw"
    assert await alice.variables() == {"colour": "red", "number": [1, 2], "tool": "saw"}
    async with alice.batch() as batch:
        assert (await batch.call("recall"))["tool"] == "saw"
    now = await alice.set((await alice.status()).revision, number=None)
    assert "number" not in await alice.call("recall")
    with pytest.raises(Conflict):
        await alice.set(now.revision + 7, colour="blue")
    (listed,) = await client.pools.sessions(POOL)
    assert listed.key == "alice"
    assert listed.commands >= 4
    await alice.end(actor="a test", reason="done")
    assert await client.pools.sessions(POOL) == ()
    entry = await audited(client, "pool.end_session")
    assert (entry["subject"], entry["actor"]) == (f"{POOL}/alice", "a test")
    with pytest.raises(UnknownSession):
        await alice.end()
    assert await client.pools.call(POOL, "recall") == {}


async def test_a_session_is_watched_until_it_ends(client: Client) -> None:
    bob = client.pools.session(POOL, "bob")
    await bob.call("remember", name="step", value=1)
    async with aclosing(bob.watch()) as seen:
        assert await anext(seen) == {"step": 1}
        await bob.call("remember", name="step", value=2)
        assert await anext(seen) == {"step": 2}
        await bob.end()
        with pytest.raises(StopAsyncIteration):
            await anext(seen)


async def test_a_command_that_kills_workers_is_kept_and_let_go(client: Client) -> None:
    for _ in range(3):
        with pytest.raises(WorkerLost):
            await client.pools.call(POOL, "die_for", reason="art")
    with pytest.raises(Quarantined) as refused:
        await client.pools.call(POOL, "die_for", reason="art")
    (entry,) = [each for each in await client.pools.poison(POOL) if each.tool == "die_for"]
    assert entry.quarantined
    assert entry.kills == 3
    assert b"art" in entry.arguments
    assert refused.value.details["fingerprint"] == entry.fingerprint
    await client.pools.release_poison(POOL, entry.fingerprint, actor="a test", reason="mended")
    assert (await audited(client, "pool.release_poison"))["reason"] == "mended"
    with pytest.raises(WorkerLost):
        await client.pools.call(POOL, "die_for", reason="art")
    with pytest.raises(NotFound):
        await client.pools.release_poison(POOL, "0" * 16)


async def test_a_viewer_looks_and_changes_nothing(engine: EngineUnderTest) -> None:
    async with Client(engine.address, token=VIEWER) as viewer:
        (shop,) = await viewer.pools.list()
        await viewer.pools.sessions()
        await viewer.pools.inspect_worker(POOL, shop.workers[0].id)
        session = viewer.pools.session(POOL, "eve")
        for change in (
            viewer.pools.set_state(POOL, "paused"),
            viewer.pools.poison(POOL),
            viewer.pools.release_poison(POOL, "x"),
            session.set(a=1),
            session.end(),
            batched(viewer),
        ):
            with pytest.raises(Forbidden, match="needs the role operator"):
                await change


async def batched(client: Client) -> None:
    async with client.pools.batch(POOL) as batch:
        await batch.call("add", a=1, b=2)


async def test_arrays_cross_the_wire(client: Client) -> None:
    half = await client.pools.call(POOL, "halve", values=np.arange(1000.0))
    assert np.array_equal(half, np.arange(1000.0) / 2)
    async with client.pools.batch(POOL) as batch:
        assert np.array_equal(await batch.call("halve", values=np.ones(3)), np.ones(3) / 2)

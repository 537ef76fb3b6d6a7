"""Queues of real pools: policies, priorities, pause and drain."""

import asyncio
from pathlib import Path
from typing import Any

import msgpack
import pytest

from citadel.errors import (
    Cancelled,
    DeadlineExceeded,
    InvalidRequest,
    NotFound,
    NotReady,
    QueueFull,
    Shed,
)
from engine.pool.options import QueueOptions
from engine.pool.settings import PoolCommand

ADAPTER = "lasting_adapters:Lasting"


async def blocked(bench, tmp_path: Path) -> tuple[asyncio.Task[Any], Path]:
    """The only worker is busy until a file is there."""
    until = tmp_path / "until"
    task = bench.start("holds", started=str(tmp_path / "started"), until=str(until))
    await bench.until("the start", (tmp_path / "started").exists)
    return task, until


async def test_a_full_queue_rejects(make, tmp_path):
    bench = await make(ADAPTER, queue_limit=1)
    first, until = await blocked(bench, tmp_path)
    second = bench.start("noop")
    await bench.until("the queue", lambda: bench.status.queued == 1)
    with pytest.raises(QueueFull, match="is full: 1 commands wait"):
        await bench.call("noop")
    until.touch()
    await asyncio.gather(first, second)
    bench.exact()
    assert bench.pools.counts("p").rejected == 1


async def test_a_full_queue_sheds_the_oldest_but_none_that_is_more_urgent(make, tmp_path):
    bench = await make(ADAPTER, queue_limit=1, queue=QueueOptions(policy="shed_oldest"))
    first, until = await blocked(bench, tmp_path)
    oldest = bench.start("noop")
    await bench.until("the queue", lambda: bench.status.queued_normal == 1)
    urgent = bench.start("noop", about={"priority": "urgent"})
    with pytest.raises(Shed, match="made room"):
        await oldest
    assert bench.status.queued_urgent == 1
    with pytest.raises(QueueFull):
        await bench.call("noop", about={"priority": "later"})
    until.touch()
    await asyncio.gather(first, urgent)
    bench.exact()
    assert bench.pools.counts("p").shed == 1
    assert bench.status.queue_policy == "shed_oldest"


async def test_a_full_queue_lets_wait_until_there_is_room_or_the_deadline(make, tmp_path):
    bench = await make(ADAPTER, queue_limit=1, queue=QueueOptions(policy="wait"))
    first, until = await blocked(bench, tmp_path)
    others = [bench.start("noop") for _ in range(3)]
    await bench.until("the queue", lambda: bench.status.queued == 3)
    with pytest.raises(DeadlineExceeded):
        await bench.call("noop", deadline=0.05)
    others[1].cancel()
    until.touch()
    await asyncio.gather(first, others[0], others[2])
    bench.exact()
    assert (bench.pools.counts("p").cancelled, bench.pools.counts("p").failed) == (1, 1)


async def test_a_paused_pool_lets_wait_and_goes_on(make):
    bench = await make(ADAPTER)
    await bench.pools.set_state("p", "paused")
    task = bench.start("noop")
    await bench.until("the queue", lambda: bench.status.queued == 1)
    assert bench.status.state == "paused"
    status = await bench.pools.set_state("p", "serving")
    assert status.state == "serving"
    await task
    assert [row["message"] for row in bench.events("pool.state")] == [
        "serving → paused",
        "paused → serving",
    ]


async def test_a_draining_pool_refuses_ends_what_it_has_and_can_serve_again(make, tmp_path):
    bench = await make(ADAPTER)
    first, until = await blocked(bench, tmp_path)
    second = bench.start("noop")
    await bench.until("the queue", lambda: bench.status.queued == 1)
    await bench.pools.set_state("p", "draining")
    with pytest.raises(NotReady, match="draining"):
        await bench.call("noop")
    until.touch()
    await asyncio.gather(first, second)
    await bench.pools.set_state("p", "serving")
    await bench.call("noop")
    with pytest.raises(InvalidRequest, match="no state"):
        await bench.pools.set_state("p", "failed")


async def test_the_urgent_go_first(make):
    bench = await make(ADAPTER)
    await bench.pools.set_state("p", "paused")
    order: list[str] = []

    async def one(priority: str) -> None:
        await bench.call("noop", about={"priority": priority})
        order.append(priority)

    tasks = [
        asyncio.get_running_loop().create_task(one(each)) for each in ("later", "normal", "urgent")
    ]
    await bench.until("the queue", lambda: bench.status.queued == 3)
    status = bench.status
    assert (status.queued_urgent, status.queued_normal, status.queued_later) == (1, 1, 1)
    await bench.pools.set_state("p", "serving")
    await asyncio.gather(*tasks)
    assert order == ["urgent", "normal", "later"]


async def test_a_mission_has_at_most_its_limit_and_others_pass_it_by(make, tmp_path):
    bench = await make(ADAPTER, size=2, queue=QueueOptions(mission_limit=1))
    until = tmp_path / "until"
    flood = [
        bench.start(
            "holds",
            about={"mission": "flood"},
            started=str(tmp_path / f"started{number}"),
            until=str(until),
        )
        for number in range(2)
    ]
    await bench.until("the first", (tmp_path / "started0").exists)
    await bench.call("noop", about={"mission": "other"})
    assert not (tmp_path / "started1").exists()
    assert bench.status.queued == 1
    until.touch()
    await asyncio.gather(*flood)


async def test_how_long_commands_waited_is_shown(make, tmp_path):
    bench = await make(ADAPTER)
    first, until = await blocked(bench, tmp_path)
    others = [bench.start("noop") for _ in range(5)]
    await bench.until("the queue", lambda: bench.status.queued == 5)
    until.touch()
    await asyncio.gather(first, *others)
    assert bench.status.queue_wait_seconds > 0.0


async def test_a_cancel_is_for_its_pool_or_for_all_that_have_the_id(make_more, tmp_path):
    bench = await make_more(*({"name": name, "adapter": ADAPTER, "size": 1} for name in "pqr"))
    until = str(tmp_path / "until")

    def start(pool: str) -> asyncio.Task[Any]:
        arguments = {"started": str(tmp_path / pool), "until": until}
        command = PoolCommand(
            id="same", pool=pool, tool="holds", arguments=msgpack.packb(arguments)
        )
        return asyncio.get_running_loop().create_task(bench.pools.submit(command))

    running = {pool: start(pool) for pool in "pqr"}
    await bench.until("the starts", lambda: all((tmp_path / each).exists() for each in "pqr"))
    assert bench.pools.cancel("same", pool="q") == "running"
    with pytest.raises(Cancelled):
        await running["q"]
    assert [bench.pools.counts(each).cancelled for each in "pqr"] == [0, 1, 0]
    assert bench.pools.cancel("same") == "running"
    for pool in "pr":
        with pytest.raises(Cancelled):
            await running[pool]
    assert bench.pools.cancel("same") == "unknown"
    with pytest.raises(NotFound):
        bench.pools.cancel("same", pool="nowhere")

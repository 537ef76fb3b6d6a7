"""Commands over the wire: results, errors, cancels, deadlines, lost workers, changes of pools."""

import asyncio
from typing import Any

import msgpack
import pytest

from citadel.client.client import Client
from citadel.client.commands import packed_arguments
from citadel.errors import (
    BadArguments,
    Cancelled,
    CommandFailed,
    Conflict,
    DeadlineExceeded,
    InvalidRequest,
    MessageTooLarge,
    NotFound,
    UnknownTool,
    WorkerLost,
)
from citadel.testing import assert_whole, find_spans, recorded
from citadel.wire.columns import rows
from citadel.wire.messages import Change, Command, KillWorkerRequest, PoolStatus

POOL = "workshop"


async def pool(client: Client) -> PoolStatus:
    return next(each for each in await client.pools.list() if each.name == POOL)


def command(tool: str, id_: str = "", deadline: float = 0.0, **arguments: Any) -> Command:
    return Command(
        id=id_,
        pool=POOL,
        tool=tool,
        arguments=packed_arguments(arguments),
        deadline_seconds=deadline,
    )


async def test_a_result_and_its_trace(client: Client) -> None:
    with client.trace("outside") as span:
        result = await client.pools.run(command("add", a=2, b=3))
    assert msgpack.unpackb(result.value) == 5
    assert result.run_seconds >= 0
    spans = await recorded(client, span, name="outside")
    assert result.trace_id == span.context.trace_hex
    assert [each["source"] for each in sorted(spans, key=lambda each: each["start_ns"])][:3] == [
        "user" if spans[0]["source"] == "user" else "client", "client", "api",
    ]  # fmt: skip
    assert find_spans(spans, source="pool", name="command add", pool=POOL)
    assert find_spans(spans, source="worker", name="run add")
    assert_whole(spans)


async def test_a_tool_calls_another_in_the_same_trace(client: Client) -> None:
    with client.trace("outside") as span:
        assert await client.pools.call(POOL, "delegate", a=2, b=3) == 5
    spans = await recorded(client, span, name="run add")
    (inner,) = find_spans(spans, name="command add")
    (outer,) = find_spans(spans, name="run delegate")
    assert inner["parent_id"] == outer["span_id"]


async def test_a_tool_sends_a_signal(client: Client) -> None:
    with pytest.raises(NotFound, match="nobody"):
        await client.pools.call(POOL, "greet", sentinel="nobody")
    options = {"mission": "none", "pool": POOL}
    await client.sentinels.spawn("critic", sentinel="greeted", options=options)
    try:
        assert await client.pools.call(POOL, "greet", sentinel="greeted") >= 0
    finally:
        await client.sentinels.stop("greeted")


async def test_many_at_a_time_each_get_their_own(client: Client) -> None:
    async with asyncio.TaskGroup() as tasks:
        calls = [
            tasks.create_task(client.pools.call(POOL, "add", a=number, b=1))
            for number in range(200)
        ]
    assert [call.result() for call in calls] == [number + 1 for number in range(200)]


async def test_what_cannot_run_is_told_and_disturbs_nothing(client: Client) -> None:
    with pytest.raises(UnknownTool, match="subtract") as unknown:
        await client.pools.call(POOL, "subtract", a=1)
    assert "add" in unknown.value.message
    with pytest.raises(BadArguments, match="b"):
        await client.pools.call(POOL, "add", a=1, b="two")
    with pytest.raises(BadArguments, match="c"):
        await client.pools.call(POOL, "add", a=1, b=2, c=3)
    with pytest.raises(NotFound, match="nowhere"):
        await client.pools.call("nowhere", "add", a=1, b=2)
    with pytest.raises(CommandFailed, match="the tool's own fault") as failed:
        await client.pools.call(POOL, "fail")
    assert "RuntimeError" in str(failed.value.details)
    with pytest.raises(InvalidRequest, match="deadline"):
        await client.pools.run(command("add", deadline=-1, a=1, b=2))
    with pytest.raises(InvalidRequest, match="no command id"):
        await client.pools.run(command("add", "not an id!", a=1, b=2))
    for garbage in (b"\xc1", msgpack.packb([1, 2]), b"\x81"):
        with pytest.raises(BadArguments, match="add"):
            await client.pools.run(Command(pool=POOL, tool="add", arguments=garbage))
    assert await client.pools.call(POOL, "add", a=1, b=2) == 3


async def test_too_large_both_ways(client: Client) -> None:
    with pytest.raises(MessageTooLarge):
        await client.pools.call(POOL, "echo", text="x" * (17 * 2**20))
    with pytest.raises(MessageTooLarge):
        await client.pools.call(POOL, "inflate", size=80 * 2**20)
    assert len(await client.pools.call(POOL, "inflate", size=2**20)) == 2**20


async def test_cancel_by_id(client: Client, until: Any) -> None:
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(gathered(client.pools.run(command("work", "c1", seconds=50))))

        async def runs() -> bool:
            return any(worker.command_id == "c1" for worker in (await pool(client)).workers)

        await until(runs)
        with pytest.raises(NotFound):
            await client.pools.cancel("c1", pool="nowhere")
        assert await client.pools.cancel("c1", pool=POOL, reason="changed my mind") == "running"
    error = running.result()
    assert isinstance(error, Cancelled)
    assert "changed my mind" in error.message
    assert await client.pools.cancel("c1") == "unknown"


async def test_a_client_that_goes_away_cancels_its_command(client: Client, until: Any) -> None:
    async with asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.pools.run(command("work", "c2", seconds=50)))

        async def runs() -> bool:
            return any(worker.command_id == "c2" for worker in (await pool(client)).workers)

        await until(runs)
        call.cancel()

    async def idle() -> bool:
        return (await pool(client)).running == 0

    await until(idle)


@pytest.mark.parametrize("whose", ["command", "client"])
async def test_a_deadline_stops_the_work(client: Client, until: Any, whose: str) -> None:
    request = command("work", deadline=0.3 if whose == "command" else 0.0, seconds=50)
    with pytest.raises(DeadlineExceeded):
        await client.connection.call(
            "Pools.Run", request, timeout=0.5 if whose == "client" else 30.0
        )

    async def idle() -> bool:
        return (await pool(client)).running == 0

    await until(idle)


async def test_a_worker_that_dies_is_replaced_and_told_of(client: Client, until: Any) -> None:
    with pytest.raises(WorkerLost, match="SIGKILL") as lost:
        await client.pools.call(POOL, "die")
    assert lost.value.remedy

    async def whole() -> bool:
        now = await pool(client)
        return [worker.state for worker in now.workers] == ["ready"] * now.size

    await until(whole)
    assert await client.pools.call(POOL, "add", a=1, b=2) == 3


async def test_a_worker_killed_by_an_operator(client: Client, until: Any) -> None:
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(gathered(client.pools.run(command("work", "k1", seconds=50))))
        found: list[Any] = []

        async def runs() -> bool:
            found[:] = [each for each in (await pool(client)).workers if each.command_id == "k1"]
            return bool(found)

        await until(runs)
        victim = found[0]
        await client.pools.kill_worker(POOL, victim.id, actor="a test", reason="to see")
    error = running.result()
    assert isinstance(error, WorkerLost)
    assert "a test" in error.message

    async def replaced() -> bool:
        now = await pool(client)
        states = [worker.state for worker in now.workers]
        return states == ["ready"] * now.size and victim.id not in [w.id for w in now.workers]

    await until(replaced)
    entries = rows((await client.audit())[0])
    entry = next(each for each in reversed(entries) if each["action"] == "pool.kill_worker")
    assert (entry["actor"], entry["subject"]) == ("a test", f"{POOL}/{victim.id}")
    assert entry["reason"] == "to see"
    with pytest.raises(NotFound, match=victim.id):
        await client.pools.kill_worker(POOL, victim.id)


async def test_resize_and_recycle_are_audited_and_refuse_a_stale_revision(
    client: Client, until: Any
) -> None:
    before = await pool(client)
    grown = await client.pools.resize(POOL, before.size + 1, revision=before.revision)
    assert (grown.size, grown.revision) == (before.size + 1, before.revision + 1)
    with pytest.raises(Conflict) as caught:
        await client.pools.resize(POOL, 1, revision=before.revision)
    assert caught.value.details["current"] == str(grown.revision)
    with pytest.raises(Conflict):
        await client.connection.call(
            "Pools.KillWorker",
            KillWorkerRequest(
                pool=POOL, worker=grown.workers[0].id, change=Change(revision=before.revision)
            ),
        )
    old = {worker.id for worker in grown.workers}
    await client.pools.resize(POOL, before.size)
    await client.pools.recycle(POOL, actor="a test")

    async def fresh() -> bool:
        now = (await pool(client)).workers
        states = [worker.state for worker in now]
        return states == ["ready"] * before.size and not old & {worker.id for worker in now}

    await until(fresh)
    with pytest.raises(InvalidRequest, match="more than"):
        await client.pools.resize(POOL, 100_000)
    actions = (await client.audit())[0]["action"].tolist()
    assert actions[-3:] == ["pool.resize", "pool.resize", "pool.recycle"]


async def test_tools_have_schemas(client: Client) -> None:
    tools = {tool.name: tool for tool in await client.pools.tools(POOL)}
    assert tools["add"].description == "Adds."
    assert '"integer"' in tools["add"].input_schema
    with pytest.raises(NotFound):
        await client.pools.tools("nowhere")


async def gathered(work: Any) -> Any:
    """What work ends with: its value, or its error."""
    try:
        return await work
    except Exception as error:  # noqa: BLE001 - looked at by the caller
        return error

"""Commands on a real pool: results, typed errors, deadlines, cancels."""

import asyncio
from pathlib import Path

import pytest

from citadel.errors import (
    AdapterFailed,
    BadArguments,
    Cancelled,
    CommandFailed,
    DeadlineExceeded,
    InvalidRequest,
    NotFound,
    QueueFull,
    UnknownTool,
)
from engine.pool.admission import admit
from engine.pool.settings import PoolCommand

# The fixture `make` gives a pool; see conftest.py.


async def test_returns_what_the_tool_returned(make):
    bench = await make()
    assert await bench.call("add", a=2, b=3) == 5
    assert await bench.call("add", a=2) == 2
    assert await bench.call("point") == {"x": 1, "y": 2}


async def test_tools_have_schemas_and_descriptions(make):
    bench = await make()
    tools = {tool.name: tool for tool in bench.pools.tools("p")}
    assert tools["add"].description == "Adds two numbers."
    assert '"required": ["a"]' in tools["add"].input_schema
    assert '"integer"' in tools["add"].output_schema


async def test_workers_are_light(make):
    modules = set(await (await make()).call("modules"))
    assert not modules & {"grpc", "PySide6", "numpy", "sqlalchemy", "asyncio"}


@pytest.mark.parametrize(
    ("arguments", "named"), [({"a": "x"}, "a:"), ({}, "a:"), ({"a": 1, "c": 2}, "c:")]
)
async def test_bad_arguments_name_the_argument(make, arguments, named):
    bench = await make()
    with pytest.raises(BadArguments, match=named):
        await bench.call("add", **arguments)
    assert await bench.call("add", a=1) == 1


async def test_a_tool_that_raises(make):
    bench = await make()
    with pytest.raises(CommandFailed, match="this tool is broken") as caught:
        await bench.call("raises")
    assert caught.value.details["type"] == "RuntimeError"
    assert "in raises" in caught.value.details["traceback"]
    assert bench.workers("ready") == bench.workers(), "the worker lives on"


async def test_an_unsendable_result_names_its_type(make):
    bench = await make()
    with pytest.raises(CommandFailed, match=r"builtins\.object"):
        await bench.call("unsendable")


async def test_unknown_names_say_what_there_is(make):
    bench = await make()
    with pytest.raises(UnknownTool, match="noop"):
        await bench.call("nope")
    with pytest.raises(NotFound, match="no pool 'other'"):
        await bench.pools.submit(PoolCommand(id="x", pool="other", tool="add", arguments=b"\x80"))
    with pytest.raises(InvalidRequest, match="no command id"):
        await bench.call("noop", id_="a b")


async def test_cancel_while_queued_and_while_running(make, tmp_path: Path):
    bench = await make()
    started = tmp_path / "started"
    running = bench.start(
        "touch_and_wait", id_="running", started=str(started), until=str(tmp_path / "never")
    )
    await bench.until("the start", started.exists)
    queued = bench.start("noop", id_="queued")
    await bench.until("the queue", lambda: bench.status.queued + bench.status.running == 2)
    assert bench.pools.cancel("queued", "not needed") == "queued"
    with pytest.raises(Cancelled, match="not needed"):
        await queued
    worker = bench.workers()
    assert bench.pools.cancel("running") == "running"
    with pytest.raises(Cancelled):
        await running
    assert await bench.call("add", a=1) == 1
    assert bench.workers() == worker, "a tool that looks is stopped without a kill"
    assert bench.pools.cancel("nobody") == "unknown"


async def test_a_stubborn_tool_costs_its_worker_and_nothing_else(make, tmp_path: Path):
    bench = await make(grace_seconds=0.1)
    started = tmp_path / "started"
    running = bench.start("stubborn", id_="stubborn", started=str(started))
    await bench.until("the start", started.exists)
    waiting = bench.start("add", a=4)
    before = bench.workers()
    bench.pools.cancel("stubborn")
    with pytest.raises(Cancelled):
        await running
    assert await waiting == 4
    assert not bench.workers() & before


async def test_deadlines_count_from_the_queue_on(make, tmp_path: Path):
    bench = await make(grace_seconds=0.1)
    started = tmp_path / "started"
    with pytest.raises(DeadlineExceeded, match="while it ran"):
        await bench.call("stubborn", started=str(started), deadline=0.5)
    await bench.until("a new worker", lambda: bool(bench.workers("ready")))
    blocking = bench.start("stubborn", started=str(tmp_path / "again"), deadline=20.0, id_="b")
    await bench.until("the start", (tmp_path / "again").exists)
    with pytest.raises(DeadlineExceeded, match="in the queue"):
        await bench.call("add", a=1, deadline=0.2)
    bench.pools.cancel("b")
    await asyncio.gather(blocking, return_exceptions=True)


async def test_a_caller_that_goes_away_cancels(make, tmp_path: Path):
    bench = await make()
    started = tmp_path / "started"
    running = bench.start("touch_and_wait", started=str(started), until=str(tmp_path / "never"))
    await bench.until("the start", started.exists)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await bench.call("add", a=1) == 1


async def test_a_full_queue_refuses(make, tmp_path: Path):
    bench = await make(queue_limit=2)
    started, until = tmp_path / "started", tmp_path / "until"
    first = bench.start("touch_and_wait", started=str(started), until=str(until))
    await bench.until("the start", started.exists)
    others = [bench.start("noop") for _ in range(2)]
    await bench.until("a full queue", lambda: bench.status.queued == 2)
    with pytest.raises(QueueFull, match="2 commands wait"):
        await bench.call("noop")
    until.write_text("")
    assert await first == "done"
    assert await asyncio.gather(*others) == [None] * 2


async def test_spans_of_pool_worker_and_user_are_one_trace(make):
    bench = await make()
    seen: list[tuple] = []
    bench.recorder.sinks.append(lambda batch: (seen.extend(batch), 0)[1])
    with bench.recorder.span("caller") as caller:
        await bench.call("spans", parent=caller)
    bench.recorder.drain()
    names = {row[8]: row for row in seen}
    assert set(names) == {"caller", "command spans", "run spans", "inner"}
    assert {(row[0] << 64) | row[1] for row in seen} == {caller.context.trace_id}
    assert names["command spans"][3] == caller.context.span_id
    assert names["run spans"][3] == names["command spans"][2]
    assert names["inner"][3] == names["run spans"][2]
    assert [names[n][9] for n in ("command spans", "run spans", "inner")] == [
        "pool",
        "worker",
        "user",
    ]


@pytest.mark.parametrize(
    ("adapter", "says"),
    [
        ("adapters:Broken", "no licence found"),
        ("nowhere:Adapter", "No module named 'nowhere'"),
        ("adapters:Missing", "Missing"),
        ("adapters:NoTools", "no tools"),
    ],
)
async def test_an_adapter_that_cannot_be_hosted(make, adapter, says):
    bench = await make(adapter)
    await bench.until("the failure", lambda: bench.status.state == "failed")
    assert says in bench.status.error
    with pytest.raises(AdapterFailed, match="p is failed"):
        await bench.call("noop")


async def test_an_adapter_that_hangs_in_setup(make):
    bench = await make("adapters:Hangs", start_timeout_seconds=0.2)
    await bench.until("the failure", lambda: bench.status.state == "failed")
    assert "did not set up within 0.2 s" in bench.status.error


@pytest.mark.parametrize("tools", [(), ("add",)])
def test_a_tool_that_cannot_be_sent_is_refused_even_when_nobody_knows_the_tools(tools):
    command = PoolCommand(id="c", pool="p", tool="lone \ud800", arguments=b"")
    with pytest.raises(InvalidRequest, match=r"the tool .* is no text"):
        admit(command, state="serving", error="", tools=tools)


@pytest.mark.parametrize("what", ["mission", "session", "sentinel"])
async def test_a_name_that_cannot_be_sent_is_refused_and_takes_no_place(make, what):
    bench = await make()
    with pytest.raises(InvalidRequest, match=f"the {what} .* is no text"):
        await bench.call("add", a=1, b=2, about={what: "lone \ud800"})
    assert bench.status.running == bench.status.queued == bench.status.sessions == 0
    assert await bench.call("add", a=1, b=2, about={what: "lone"}, deadline=20.0) == 3

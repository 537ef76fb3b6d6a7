"""Bridges on real pools with real worker processes."""

import asyncio
import random
from collections.abc import Callable
from contextlib import aclosing
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from citadel import values
from citadel.errors import AdapterFailed, BadArguments, QuotaExceeded, UnknownReference, UnknownTool
from engine.pool.settings import PoolCommand
from tests.engine.pool.conftest import PATIENCE, Bench, Make

MANIFEST = """
version: 1
limits: {objects: 20, ttl_seconds: 600}
libraries:
  - {module: numpy.linalg, name: la, functions: ["*"]}
  - {module: statistics, functions: [mean, {name: median, idempotent: true}]}
  - module: sqlite3
    functions: [connect]
    classes:
      - {name: Connection, methods: ["*"], exclude: [backup]}
      - {name: Cursor, methods: ["*"], attributes: [rowcount]}
  - module: collections
    classes: [{name: Counter, construct: true, methods: ["*"]}]
  - module: random
    classes: [{name: Random, construct: true, methods: [random, getstate, seed]}]
  - module: re
    functions: [{name: finditer, rename: matches, stream: true}, finditer]
    classes: [{name: Match, methods: [group]}]
  - module: functools
    functions: [{name: reduce, callbacks: [function]}]
  - {module: operator, functions: [add]}
  - module: itertools
    classes: [{name: count, construct: true}]
"""
_numbers = count(1)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "bridge.yaml"
    path.write_text(MANIFEST, encoding="utf-8")
    return path


@pytest.fixture
def bridged(make: Make, manifest: Path) -> Callable[..., Any]:
    return lambda **settings: make(adapter="", bridge=str(manifest), **settings)


def rewritten(manifest: Path, old: str, new: str) -> Path:
    manifest.write_text(MANIFEST.replace(old, new), encoding="utf-8")
    return manifest


def locked(manifest: Path, text: str) -> None:
    manifest.with_name("bridge.lock").write_text(text, encoding="utf-8")


async def call(bench: Bench, tool: str, /, session: str = "", **arguments: Any) -> Any:
    command = PoolCommand(
        id=f"b{next(_numbers)}",
        pool="p",
        tool=tool,
        arguments=values.pack(arguments),
        session=session,
        affinity="strict_queue" if session else "hint",
    )
    result = await asyncio.wait_for(bench.pools.submit(command), PATIENCE)
    return values.unpack(result.value)


async def test_numpy_through_a_pool(bridged: Callable[..., Any]) -> None:
    bench = await bridged(size=2)
    matrix = np.arange(9.0).reshape(3, 3) + np.eye(3)
    assert await call(bench, "la.det", a=matrix) == pytest.approx(float(np.linalg.det(matrix)))
    inverse = await call(bench, "la.inv", a=matrix.tolist())
    assert np.allclose(inverse @ matrix, np.eye(3))
    u, s, vh = await call(bench, "la.svd", a=matrix)
    assert np.allclose(u * s @ vh, matrix)
    assert await call(bench, "statistics.mean", data=[1, 2, 3.5]) == pytest.approx(6.5 / 3)


async def test_the_pool_says_what_it_hosts(bridged: Callable[..., Any], manifest: Path) -> None:
    bench = await bridged()
    await call(bench, "statistics.mean", data=[1])
    assert bench.status.adapter == f"bridge:{manifest}"
    tools = {each.name: each for each in bench.pools.tools("p")}
    assert tools["statistics.median"].idempotent
    assert tools["re.matches"].streams_out
    assert "[stub]" in tools["la.norm"].description


@pytest.mark.parametrize("tool", ["os.system", "statistics.mode", "la.__class__", "re.Match.re"])
async def test_what_is_not_listed_is_an_unknown_tool(
    bridged: Callable[..., Any], tool: str
) -> None:
    bench = await bridged()
    with pytest.raises(UnknownTool):
        await call(bench, tool, args=["true"])


async def test_without_a_session_nothing_stays(bridged: Callable[..., Any]) -> None:
    bench = await bridged()
    with pytest.raises(BadArguments, match="it needs a session"):
        await call(bench, "collections.Counter", iterable="aab")


async def test_a_manifest_that_is_wrong_fails_the_pool_with_its_line(
    make: Make, manifest: Path
) -> None:
    wrong = rewritten(manifest, "[mean,", "[meen,")
    bench = await make(adapter="", bridge=str(wrong))
    assert bench.status.state == "failed"
    assert (
        "bridge.yaml:6: libraries[1].functions[0]: statistics has no 'meen'" in bench.status.error
    )
    assert "did you mean 'mean'?" in bench.status.error
    with pytest.raises(AdapterFailed):
        await call(bench, "statistics.mean", data=[1])


async def test_a_lock_that_differs_is_an_event(bridged: Callable[..., Any], manifest: Path) -> None:
    lock = '{"version": 1, "libraries": {"statistics": "python 2.7"}, "tools": {}}'
    locked(manifest, lock)
    bench = await bridged()
    said = "statistics: python 2.7 is locked"
    await bench.until(
        "the event", lambda: any(said in row["message"] for row in bench.events("worker.output"))
    )
    assert await call(bench, "statistics.mean", data=[1]) == 1


# ── objects that stay ────────────────────────────────────────────────────────────────────────────


async def test_objects_keep_their_state_in_the_worker_of_their_session(
    bridged: Callable[..., Any],
) -> None:
    bench = await bridged(size=2)
    counter = await call(bench, "collections.Counter", "s", iterable="aab")
    database = await call(bench, "sqlite3.connect", "s", args=[":memory:"])
    dice = await call(bench, "random.Random", "s", x=7)
    rolled = [await call(bench, "random.Random.random", "s", self=dice) for _ in range(3)]
    again = random.Random(7)
    assert rolled == [again.random() for _ in range(3)]
    await call(bench, "collections.Counter.update", "s", self=counter, iterable="bbb")
    assert await call(bench, "collections.Counter.most_common", "s", self=counter) == [
        ["b", 4],
        ["a", 2],
    ]
    done = await call(
        bench,
        "bridge.bulk",
        "s",
        ref=database,
        calls=[
            ["execute", ["create table t (a)"]],
            ["executemany", ["insert into t values (?)", [[n] for n in range(300)]]],
        ],
    )
    assert done["failed"] == []
    found = await call(
        bench, "sqlite3.Connection.execute", "s", self=database, sql="select a from t"
    )
    taken = await call(bench, "bridge.take", "s", ref=found, count=299)
    assert (taken["items"][-1], taken["done"]) == ([298], False)
    assert await call(bench, "bridge.take", "s", ref=found) == {"items": [[299]], "done": True}


async def test_sessions_do_not_see_each_other(bridged: Callable[..., Any]) -> None:
    bench = await bridged(size=1)
    counter = await call(bench, "collections.Counter", "mine", iterable="aab")
    with pytest.raises(UnknownReference, match="session theirs has no reference"):
        await call(bench, "collections.Counter.total", "theirs", self=counter)
    assert await call(bench, "bridge.objects", "theirs") == []
    assert await call(bench, "collections.Counter.total", "mine", self=counter) == 3


async def test_a_quota_is_a_sessions(bridged: Callable[..., Any]) -> None:
    bench = await bridged(size=1)
    for _ in range(20):
        await call(bench, "collections.Counter", "s")
    with pytest.raises(QuotaExceeded, match="session s holds 20 objects"):
        await call(bench, "collections.Counter", "s")
    await call(bench, "collections.Counter", "other")


async def test_an_object_that_nobody_uses_is_let_go(
    bridged: Callable[..., Any], manifest: Path
) -> None:
    rewritten(manifest, "ttl_seconds: 600", "ttl_seconds: 0.05")
    bench = await bridged(size=1)
    counter = await call(bench, "collections.Counter", "s")

    async def gone() -> str:
        while True:
            try:
                await call(bench, "bridge.value", "s", ref=counter)
            except UnknownReference as error:
                return error.message
            await asyncio.sleep(0.1)  # longer than it lives: what is used lives on

    assert "it was unused for 0.05 s" in await asyncio.wait_for(gone(), PATIENCE)


async def test_a_session_that_ends_takes_its_objects_along(bridged: Callable[..., Any]) -> None:
    bench = await bridged(size=1)
    counter = await call(bench, "collections.Counter", "s")
    bench.pools.end_session("p", "s")
    with pytest.raises(UnknownReference, match="is gone: its session ended"):
        await call(bench, "collections.Counter.total", "s", self=counter)


async def test_objects_die_with_their_worker_and_the_text_says_so(
    bridged: Callable[..., Any],
) -> None:
    bench = await bridged(size=1)
    counter = await call(bench, "collections.Counter", "s")
    (worker,) = bench.workers()
    await bench.pools.kill("p", worker)
    await bench.until("another worker", lambda: bool(bench.workers("ready") - {worker}))
    with pytest.raises(UnknownReference) as caught:
        await call(bench, "collections.Counter.total", "s", self=counter)
    assert "is of another worker process: it died with its objects" in caught.value.message
    assert "Make the object again" in caught.value.remedy


# ── streams and callbacks ────────────────────────────────────────────────────────────────────────


async def streamed(bench: Bench, tool: str, /, session: str, **arguments: Any) -> list[Any]:
    command = PoolCommand(
        id=f"b{next(_numbers)}",
        pool="p",
        tool=tool,
        arguments=values.pack(arguments),
        session=session,
        affinity="strict_queue",
    )
    async with aclosing(bench.pools.stream(command)) as stream, asyncio.timeout(PATIENCE):
        return [values.unpack(each) async for each in stream if isinstance(each, bytes)]


async def test_iterators_are_streams(bridged: Callable[..., Any]) -> None:
    bench = await bridged(size=1)
    found = await streamed(bench, "re.matches", "s", pattern="a.", string="abacad")
    assert [each["type"] for each in found] == ["re.Match"] * 3
    assert await call(bench, "re.Match.group", "s", self=found[1]) == "ac"
    database = await call(bench, "sqlite3.connect", "s", args=[":memory:"])
    sql = "with recursive n(i) as (select 0 union all select i + 1 from n where i < 2000)"
    rows = await call(
        bench, "sqlite3.Connection.execute", "s", self=database, sql=f"{sql} select i from n"
    )
    items = await streamed(bench, "bridge.iterate", "s", ref=rows)
    assert items == [[number] for number in range(2001)]


async def test_a_reader_that_stops_stops_the_library(bridged: Callable[..., Any]) -> None:
    bench = await bridged(size=1)
    endless = await call(bench, "itertools.count", "s", start=5)
    command = PoolCommand(
        id="endless",
        pool="p",
        tool="bridge.iterate",
        arguments=values.pack({"ref": endless}),
        session="s",
        affinity="strict_queue",
    )
    async with aclosing(bench.pools.stream(command)) as stream, asyncio.timeout(PATIENCE):
        first = await anext(stream)
    assert isinstance(first, bytes)
    assert values.unpack(first) == 5
    # It was held back: what it was ahead by is bounded by credit, not by how long we waited.
    (following,) = (await call(bench, "bridge.take", "s", ref=endless, count=1))["items"]
    assert 5 < following < 10_000


async def test_a_library_calls_a_tool_of_a_pool_back(bridged: Callable[..., Any]) -> None:
    bench = await bridged(size=2)
    back = {"$tool": "p/operator.add", "arguments": ["a", "b"]}
    assert await call(bench, "functools.reduce", function=back, iterable=[1, 2, 3, 4]) == 10
    nothing = {"$tool": "p/nothing", "arguments": ["a", "b"]}
    with pytest.raises(UnknownTool):
        await call(bench, "functools.reduce", function=nothing, iterable=[1, 2])
    with pytest.raises(BadArguments, match="no callback is allowed here"):
        await call(bench, "operator.add", a=back, b=1)

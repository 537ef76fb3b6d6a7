"""Bridges on real pools with real worker processes."""

import asyncio
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from citadel import values
from citadel.errors import AdapterFailed, BadArguments, UnknownTool
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

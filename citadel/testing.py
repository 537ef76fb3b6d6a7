"""For your own tests: a real engine as a pytest fixture, and assertions on what it recorded.

    from citadel.testing import start_engine

    @pytest.fixture(scope="session")
    def engine():
        with start_engine(pools={"tools": "mypackage.tools:Tools"}) as engine:
            yield engine

    async def test_add(engine):
        async with engine.client() as client:
            with client.trace("test") as span:
                assert await client.pools.call("tools", "add", a=1, b=2) == 3
            spans = await recorded(client, span, name="run add")
            assert_whole(spans)

Nothing is faked: the engine is a child process with its own workers, port and data folder. It runs
on a loop in a thread of its own, so that one engine serves tests on any loop, or none.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from citadel.client.client import Client, connect
from citadel.client.local import LocalEngine
from citadel.client.loop_thread import LoopThread
from citadel.client.sync import SyncClient, connect_sync
from citadel.errors import NotFound
from citadel.telemetry import LocalSpan
from citadel.trace import SpanContext
from citadel.vocabulary import STATUS_ERROR
from citadel.wire.columns import rows, unpack
from citadel.wire.messages import SnapshotRequest

RECORDED_SECONDS = 15.0
"""How long `recorded` and `counted` wait for what is expected."""
_POLL_SECONDS = 0.05

SpanRow = dict[str, Any]
"""A row of topic `span`, with `attributes` and `events` decoded."""


class EngineUnderTest:
    """A running engine."""

    def __init__(self, engine: LocalEngine, thread: LoopThread, folder: Path) -> None:
        self._engine = engine
        self._thread = thread
        self.folder = folder
        """Its own temporary folder: settings and data."""

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return self._engine.address

    @property
    def token(self) -> str:
        """Its one-time token; the role is admin."""
        return self._engine.token

    @property
    def metrics_address(self) -> str:
        """HOST:PORT of /metrics."""
        return self._engine.metrics_address

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._engine.pid

    @property
    def stderr(self) -> str:
        """The last lines that it logged."""
        return "\n".join(self._engine.stderr)

    def client(self) -> Client:
        """A client that is not yet connected: `async with engine.client() as client`."""
        return connect(self.address, token=self.token)

    def sync_client(self) -> SyncClient:
        """A connected blocking client."""
        return connect_sync(self.address, token=self.token)

    def kill(self) -> int:
        """Kills its process, as a crash would, and returns the exit code once it is gone."""
        self._engine.kill()
        return self._thread.run(self._engine.wait())


@contextmanager
def start_engine(
    *,
    pools: Mapping[str, str] | None = None,
    workers: int = 1,
    settings: str = "",
    arguments: Sequence[str] = (),
    python_path: Sequence[Path] = (),
    environment: Mapping[str, str] | None = None,
) -> Generator[EngineUnderTest]:
    """An engine for as long as the block lasts.

    Args:
        pools: adapters ("module:Class") by the name of their pool; none: the engine's default pool.
        workers: the size of each pool.
        settings: more settings, as TOML.
        arguments: more flags of `citadel engine`.
        python_path: folders that the workers import adapters from.
        environment: more environment variables.

    Raises:
        Unavailable: the engine did not start; the text says why.
    """
    thread = LoopThread("engine under test")
    with tempfile.TemporaryDirectory(
        prefix="citadel-test-", ignore_cleanup_errors=os.name == "nt"
    ) as name:
        folder = Path(name)
        file = folder / "engine.toml"
        file.write_text(settings + "\n" + _pools(pools or {}, workers), encoding="utf-8")
        paths = [str(path) for path in python_path] + [os.environ.get("PYTHONPATH", "")]
        engine = LocalEngine(
            ["--config", str(file), *arguments],
            data_dir=folder / "data",
            environment={
                "PYTHONPATH": os.pathsep.join(path for path in paths if path),
                **(environment or {}),
            },
        )
        try:
            thread.run(engine.start())
            yield EngineUnderTest(engine, thread, folder)
        finally:
            thread.run(engine.stop())
            thread.stop()


async def recorded(
    client: Client,
    trace: SpanContext | LocalSpan | str | None,
    *,
    timeout: float = RECORDED_SECONDS,  # noqa: ASYNC109 - a bound for a test, with its own message
    **wanted: Any,
) -> list[SpanRow]:
    """The spans of a trace, once one is among them that matches `wanted` (see `find_spans`).

    Raises:
        AssertionError: none came in time; the text lists what did.
    """
    assert trace is not None, "the trace was not sampled"
    context = trace.context if isinstance(trace, LocalSpan) else trace
    trace_id = context if isinstance(context, str) else context.trace_hex
    found: list[SpanRow] = []

    async def come() -> bool:
        nonlocal found
        with suppress(NotFound):
            found = [_decoded(row) for row in rows(await client.traces.get(trace_id))]
        return bool(find_spans(found, **wanted)) if wanted else bool(found)

    if not await _until(come, timeout):
        raise AssertionError(f"no span with {wanted} in {timeout} s; there are:\n{outline(found)}")
    return found


async def counted(
    client: Client,
    name: str,
    at_least: float = 1.0,
    *,
    timeout: float = RECORDED_SECONDS,  # noqa: ASYNC109 - a bound for a test, with its own message
    **labels: str,
) -> float:
    """The value of a counter (summed over the labels not named), once it is `at_least`.

    Raises:
        AssertionError: it was not in time.
    """
    value = 0.0

    async def come() -> bool:
        nonlocal value
        reply = await client.connection.call(
            "Engine.Snapshot", SnapshotRequest(topics=("counter",)), traced=False
        )
        value = sum(
            row["value"]
            for batch in reply.batches
            for row in rows(unpack(batch))
            if row["name"] == name and labels.items() <= json.loads(row["labels"] or "{}").items()
        )
        return value >= at_least

    if not await _until(come, timeout):
        raise AssertionError(f"{name}{labels or ''} is {value:g}, not {at_least:g} or more")
    return value


def find_spans(spans: Sequence[SpanRow], **wanted: Any) -> list[SpanRow]:
    """Spans whose columns match: texts are globs; `attributes` a part of theirs."""
    return [span for span in spans if all(_fits(span, key, wanted[key]) for key in wanted)]


def assert_span(spans: Sequence[SpanRow], **wanted: Any) -> SpanRow:
    """The one span that matches (see `find_spans`).

    Raises:
        AssertionError: there is none, or more than one.
    """
    found = find_spans(spans, **wanted)
    assert len(found) == 1, f"{len(found)} spans match {wanted}, of:\n{outline(spans)}"
    return found[0]


def assert_whole(spans: Sequence[SpanRow]) -> SpanRow:
    """The root of a trace that is one tree: one root, each other parent there, no child first.

    Raises:
        AssertionError: it is no such tree.
    """
    by_id = {span["span_id"]: span for span in spans}
    assert len(by_id) == len(spans), f"a span is there twice:\n{outline(spans)}"
    roots = [span for span in spans if not span["parent_id"]]
    assert len(roots) == 1, f"{len(roots)} roots in:\n{outline(spans)}"
    for span in spans:
        if span["parent_id"]:
            assert span["parent_id"] in by_id, f"{span['name']} has no parent in:\n{outline(spans)}"
    return roots[0]


def assert_no_errors(spans: Sequence[SpanRow]) -> None:
    """No span ended with an error.

    Raises:
        AssertionError: one did.
    """
    failed = [span for span in spans if span["status"] == STATUS_ERROR]
    assert not failed, f"spans ended with an error:\n{outline(failed)}"


def outline(spans: Sequence[SpanRow]) -> str:
    """One line a span, for messages."""
    lines = [
        f"  {span['source']:<9}{span['service']:<14}{span['name']}  {span['attributes']}"
        for span in sorted(spans, key=lambda span: span["start_ns"])
    ]
    return "\n".join(lines) or "  none"


def _fits(span: SpanRow, key: str, wanted: Any) -> bool:
    value = span[key]
    if isinstance(wanted, Mapping):
        return wanted.items() <= value.items()
    return fnmatchcase(value, wanted) if isinstance(wanted, str) else value == wanted


def _decoded(row: dict[str, Any]) -> SpanRow:
    return {
        **row,
        "attributes": json.loads(row["attributes"] or "{}"),
        "events": json.loads(row["events"] or "[]"),
    }


async def _until(come: Callable[[], Any], seconds: float) -> bool:
    """Asks again and again, at most for so long."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not await come():
        if loop.time() > end:
            return False
        await asyncio.sleep(_POLL_SECONDS)
    return True


def _pools(pools: Mapping[str, str], workers: int) -> str:
    return "\n".join(
        f"[[pools]]\nname = {json.dumps(name)}\nadapter = {json.dumps(adapter)}\nsize = {workers}"
        for name, adapter in pools.items()
    )

"""Spans of OpenTelemetry-instrumented code in workers: in the trace, whoever's provider it is."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from citadel.client.client import Client
from citadel.errors import CitadelError
from citadel.testing import EngineUnderTest, find_spans, recorded, start_engine
from citadel.trace import parse_traceparent
from citadel.wire.messages import SamplingRule

pytest.importorskip("opentelemetry.sdk")


@pytest.fixture(scope="module")
def instrumented(adapters: Any) -> Iterator[EngineUnderTest]:
    with start_engine(
        pools={"none": "instrumented:Instrumented", "own": "instrumented:Provided"},
        workers=1,
        python_path=[adapters],
    ) as engine:
        yield engine


@pytest.fixture
async def client(instrumented: EngineUnderTest) -> AsyncIterator[Client]:
    async with instrumented.client() as client:
        yield client


@pytest.mark.parametrize("pool", ["none", "own"])
@pytest.mark.parametrize("tool", ["nest", "nest_async", "in_thread"])
async def test_library_spans_are_between_ours(client: Client, pool: str, tool: str) -> None:
    with client.trace("job") as span:
        said = await client.pools.call(pool, tool)
    spans = await recorded(client, span, name="inner")
    (library,) = find_spans(spans, name="library")
    by_id = {each["span_id"]: each for each in spans}
    inner = find_spans(spans, name="inner")[0]
    assert inner["parent_id"] == library["span_id"]
    outer = by_id[library["parent_id"]]
    assert (outer["name"], by_id[outer["parent_id"]]["source"]) == ("outer", "worker")
    assert (library["source"], library["kind"]) == ("user", 1)
    assert library["attributes"] == {"sizes": [1, 2], "otel.scope.name": "a library"}
    assert [event["name"] for event in library["events"]] == ["halfway"]
    if said:
        told = parse_traceparent(said)
        assert told is not None
        assert told.span_id == inner["span_id"]


async def test_items_of_a_stream_and_errors(client: Client) -> None:
    with client.trace("job") as span:
        assert [item async for item in client.pools.on("none").stream("stream")] == [0, 1, 2]
    spans = await recorded(client, span, name="item 2")
    assert len(find_spans(spans, source="user")) == 3
    with client.trace("job") as span, pytest.raises(CitadelError):
        await client.pools.call("none", "fail")
    spans = await recorded(client, span, name="library")
    (library,) = find_spans(spans, name="library")
    assert library["status"] == 2
    assert "nothing there" in library["status_message"]


async def test_a_users_provider_stays_and_goes_on_exporting(client: Client) -> None:
    with client.trace("job"):
        await client.pools.call("own", "nest")
    assert await client.pools.call("own", "is_own")
    assert "library" in await client.pools.call("own", "exported")


async def test_spans_of_dropped_traces_are_not_recorded(client: Client) -> None:
    before = await client.sampling.get()
    await client.sampling.apply((SamplingRule(id="none", rate=0.0),), keep=())
    ledger = await client.traces.ledger()
    assert await client.pools.call("none", "nest") == ""
    after = await client.traces.ledger()
    assert after.kept == ledger.kept
    await client.sampling.apply(before.rules, keep=before.keep)


async def test_a_span_that_nobody_ends_is_ended_and_says_so(client: Client) -> None:
    with client.trace("job") as span:
        await client.pools.call("none", "unended")
        # The next command of that worker is not below what the last one left open.
        assert await client.pools.call("none", "nest")
    spans = await recorded(client, span, name="never ended")
    (left,) = find_spans(spans, name="never ended")
    assert left["attributes"] == {"size": "(9 bytes)", "citadel.unfinished": True}
    outer = find_spans(spans, name="outer")[0]
    by_id = {each["span_id"]: each for each in spans}
    assert by_id[outer["parent_id"]]["source"] == "worker"

"""Arize Phoenix, a real receiver that others made: what we send is found there, whole."""

import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from citadel.client.client import Client
from citadel.errors import NotFound
from citadel.otlp.config import configured
from citadel.wire.columns import rows
from tests.phoenix import Phoenix, phoenix, ready

pytestmark = [pytest.mark.peers, pytest.mark.timeout(400)]

Until = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]
PROGRAM = """
import sys
from citadel import telemetry
telemetry.export("phoenix", endpoint=sys.argv[1], protocol=sys.argv[2], service="shop")
with telemetry.span("sell", **{"gen_ai.request.model": "m"}) as outer:
    with telemetry.span("pay"):
        telemetry.event("counted", coins=3)
print(outer.context.trace_hex)
"""


@pytest.fixture(scope="module")
def there() -> Iterator[Phoenix]:
    if why := ready():
        pytest.skip(why)
    with phoenix() as made:
        yield made


def links(spans: list[dict[str, object]]) -> dict[str, str | None]:
    """Each span's name, and its parent's."""
    by_id = {span["context"]["span_id"]: span["name"] for span in spans}  # type: ignore[index]
    return {str(span["name"]): by_id.get(span["parent_id"]) for span in spans}  # type: ignore[misc]


async def whole(client: Client, until: Until, trace_id: str) -> dict[str, str | None]:
    """Each span of a trace in the engine's own store, with its parent: those of the client too."""

    async def look() -> dict[str, str | None] | None:
        try:
            found = rows(await client.traces.get(trace_id))
        except NotFound:
            return None
        names = {row["name"] for row in found}
        if "nightly" not in names or not any(row["source"] == "worker" for row in found):
            return None
        return {
            f"{row['span_id']:016x}": f"{row['parent_id']:016x}" if row["parent_id"] else None
            for row in found
        }

    return await until(look)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
async def test_a_trace_of_the_engine_comes_back_with_its_parents(
    client: Client, there: Phoenix, until: Until, protocol: str
) -> None:
    config = configured(
        "phoenix", name="phoenix", endpoint=there.endpoint(protocol), protocol=protocol
    )
    await client.exporters.apply(config)
    try:
        with client.trace("nightly") as span:
            assert await client.pools.call("workshop", "add", a=1, b=2) == 3
        assert span
        ours = await whole(client, until, span.context.trace_hex)
        theirs = there.spans(span.context.trace_hex, len(ours))
        assert {each["context"]["span_id"]: each["parent_id"] for each in theirs} == ours
        assert links(theirs)["nightly"] is None
    finally:
        await client.exporters.remove("phoenix")


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_trace_of_a_program_comes_back_with_its_parents(there: Phoenix, protocol: str) -> None:
    command = [sys.executable, "-c", PROGRAM, there.endpoint(protocol), protocol]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    spans = there.spans(done.stdout.strip(), 2)
    assert links(spans) == {"sell": None, "pay": "sell"}
    [pay] = [span for span in spans if span["name"] == "pay"]
    assert pay["events"][0]["name"] == "counted"


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
async def test_a_test_says_that_it_arrived(client: Client, there: Phoenix, protocol: str) -> None:
    config = configured("phoenix", endpoint=there.endpoint(protocol), protocol=protocol)
    said = await client.exporters.test(config)
    assert said.ok, said
    assert there.spans(said.trace_id, 1)[0]["name"] == "citadel exporter test"

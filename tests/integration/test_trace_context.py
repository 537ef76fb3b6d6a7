"""W3C trace context over processes: a program, the engine, a worker, and an HTTP service."""

import http.server
import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from citadel.client.client import Client
from citadel.testing import EngineUnderTest, recorded
from citadel.trace import parse_traceparent
from citadel.wire.messages import SamplingRule

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
VENDORS = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
UNSAMPLED = "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


class Service(http.server.BaseHTTPRequestHandler):
    """Somebody else's service: it remembers the headers that it got."""

    seen: ClassVar[list[dict[str, str]]] = []

    def do_GET(self) -> None:
        self.seen.append({name.lower(): value for name, value in self.headers.items()})
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def service() -> Iterator[tuple[str, list[dict[str, str]]]]:
    Service.seen = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", Service.seen
    server.shutdown()
    thread.join()
    server.server_close()


def program(engine: EngineUnderTest, body: str) -> dict[str, Any]:
    """Runs a user's program in a process of its own; what it printed."""
    script = "import asyncio, json, citadel\nasync def main():\n"
    script += f"    async with citadel.connect({engine.address!r}) as client:\n"
    script += textwrap.indent(textwrap.dedent(body), " " * 8) + "\nasyncio.run(main())"
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "CITADEL_TOKEN": engine.token},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


async def test_it_goes_all_the_way_and_vendors_entries_stay(
    engine: EngineUnderTest, client: Client, service: tuple[str, list[dict[str, str]]]
) -> None:
    url, seen = service
    said = program(
        engine,
        f"""
        with client.trace("job", traceparent={CALLER!r}, tracestate={VENDORS!r}) as span:
            sent = await client.pools.call("workshop", "fetch", url={url!r})
        print(json.dumps({{"sent": sent, "span": f"{{span.context.span_id:016x}}"}}))
        """,
    )
    (got,) = seen
    assert got["traceparent"] == said["sent"]["traceparent"]
    there = parse_traceparent(got["traceparent"], got["tracestate"])
    assert there is not None
    assert there.trace_hex == TRACE_ID
    assert there.sampled
    assert got["tracestate"] == f"ot=th:0,{VENDORS}"
    spans = await recorded(client, TRACE_ID, source="client", name="job")
    by_id = {span["span_id"]: span for span in spans}
    fetching = by_id[there.span_id]
    assert (fetching["source"], fetching["name"]) == ("user", "fetching")
    lineage = [fetching]
    while lineage[-1]["parent_id"] in by_id:
        lineage.append(by_id[lineage[-1]["parent_id"]])
    assert [span["source"] for span in lineage] == [
        "user",
        "worker",
        "pool",
        "api",
        "client",
        "client",
    ]
    assert f"{lineage[-1]['span_id']:016x}" == said["span"]
    assert f"{lineage[-1]['parent_id']:016x}" == "b7ad6b7169203331"
    assert {VENDORS in span["trace_state"] for span in spans} == {True}


async def test_a_caller_that_does_not_sample_is_heeded_everywhere(
    engine: EngineUnderTest, client: Client, service: tuple[str, list[dict[str, str]]]
) -> None:
    url, seen = service
    program(
        engine,
        f"""
        with client.trace("job", traceparent={UNSAMPLED!r}) as span:
            sent = await client.pools.call("workshop", "fetch", url={url!r})
        print(json.dumps(sent))
        """,
    )
    assert "traceparent" not in seen[0], "the worker has no trace to hand on"


async def test_a_malformed_tracestate_is_dropped_and_the_trace_goes_on(
    engine: EngineUnderTest, service: tuple[str, list[dict[str, str]]]
) -> None:
    url, seen = service
    program(
        engine,
        f"""
        with client.trace("job", traceparent={CALLER!r}, tracestate="a=1,a=2"):
            sent = await client.pools.call("workshop", "fetch", url={url!r})
        print(json.dumps(sent))
        """,
    )
    assert seen[0]["traceparent"].startswith(f"00-{TRACE_ID}-")
    assert seen[0]["tracestate"] == "ot=th:0"


async def test_what_is_held_is_not_promised_to_others(
    engine: EngineUnderTest, client: Client, service: tuple[str, list[dict[str, str]]]
) -> None:
    url, seen = service
    before = await client.sampling.get()
    await client.sampling.apply((SamplingRule(id="none", rate=0.0),), keep=before.keep)
    try:
        said = program(
            engine,
            f"""
            with client.trace("job") as span:
                sent = await client.pools.call("workshop", "fetch", url={url!r})
            print(json.dumps(sent))
            """,
        )
    finally:
        await client.sampling.apply(before.rules, keep=before.keep)
    assert seen[0]["traceparent"] == said["traceparent"]
    assert said["traceparent"].endswith("-02")
    assert "tracestate" not in seen[0]

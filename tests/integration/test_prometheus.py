"""A real Prometheus, from Debian's package, scrapes a real engine that works."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from citadel.client.client import Client
from citadel.errors import CitadelError, NotFound
from citadel.testing import EngineUnderTest, start_engine
from citadel.wire.columns import rows, unpack
from citadel.wire.messages import SnapshotRequest
from engine.telemetry.catalogue import COUNTERS
from engine.telemetry.families import page_name

pytestmark = pytest.mark.peers
ADAPTERS = Path(__file__).parent / "adapters"
PATIENCE = 30.0
CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: citadel
    static_configs: [{{targets: ["{target}"]}}]
"""
Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Prometheus:
    """A running one."""

    def __init__(self, address: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.address = address
        self.process = process
        self.log = log

    def ask(self, path: str, **arguments: str) -> Any:
        """What its HTTP API answers; None while it does not."""
        query = urllib.parse.urlencode(arguments)
        try:
            with urllib.request.urlopen(
                f"http://{self.address}/api/v1/{path}?{query}", timeout=10
            ) as reply:
                return json.load(reply)["data"]
        except (OSError, urllib.error.URLError):
            assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
            return None

    async def until(self, path: str, fits: Any, **arguments: str) -> Any:
        """Its answer, once it fits."""
        answer: Any = None
        try:
            async with asyncio.timeout(PATIENCE):
                while (answer := await asyncio.to_thread(self.ask, path, **arguments)) is None or (
                    not fits(answer)
                ):
                    await asyncio.sleep(0.2)
        except TimeoutError:
            pytest.fail(f"{path} {arguments} says {answer}")
        return answer


@pytest.fixture(scope="module")
def working() -> Iterator[EngineUnderTest]:
    with start_engine(
        pools={"workshop": "workshop:Workshop"}, workers=2, python_path=[ADAPTERS]
    ) as engine:
        yield engine


@pytest.fixture(scope="module")
def prometheus(
    prometheus_programs: Path,
    working: EngineUnderTest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    config, log = folder / "prometheus.yml", folder / "log"
    config.write_text(CONFIG.format(target=working.metrics_address), encoding="utf-8")
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with (
        log.open("wb") as said,
        subprocess.Popen(
            [
                prometheus_programs / "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
                "--enable-feature=exemplar-storage",
            ],
            stdout=said,
            stderr=said,
        ) as process,
    ):
        try:
            yield Prometheus(address, process, log)
        finally:
            process.terminate()


async def load(client: Client) -> None:
    """Commands that end well and badly, for as long as some scrapes take."""
    for _ in range(4):
        calls = [client.pools.call("workshop", "add", a=n, b=n) for n in range(50)]
        calls += [client.pools.call("workshop", "greet", sentinel="nobody") for _ in range(3)]
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(each, CitadelError) for each in ended) >= 3
        await asyncio.gather(
            *(client.pools.call("workshop", "work", seconds=0.2) for _ in range(4))
        )


async def counted(client: Client) -> Series:
    """The engine's own counters, but for those that asking or waiting changes."""
    reply = await client.connection.call(
        "Engine.Snapshot", SnapshotRequest(topics=("counter",)), traced=False
    )
    found: Series = {}
    for row in (row for batch in reply.batches for row in rows(unpack(batch))):
        labels = json.loads(row["labels"] or "{}")
        if row["name"] in COUNTERS and not moves(row["name"], labels):
            name = page_name(row["name"], COUNTERS[row["name"]]) + "_total"
            found[name, tuple(sorted(labels.items()))] = row["value"]
    return found


def moves(name: str, labels: dict[str, str]) -> bool:
    return name == "citadel.process.gc" or labels.get("method") == "Engine.Snapshot"


def shown(answer: Any) -> Series:
    found: Series = {}
    for each in answer["result"]:
        labels = dict(each["metric"])
        name = labels.pop("__name__")
        del labels["job"], labels["instance"]
        found[name, tuple(sorted(labels.items()))] = float(each["value"][1])
    return found


async def test_its_sums_are_the_engines_own_counters(
    working: EngineUnderTest, prometheus: Prometheus
) -> None:
    async with working.client() as client:
        await prometheus.until(
            "targets",
            lambda found: [each["health"] for each in found["activeTargets"]] == ["up"],
        )
        await load(client)
        own: Series = {}

        async def quiet() -> Series:
            """The counters, once a beat of the engine's pulse has changed none."""
            nonlocal own
            before, own = own, await counted(client)
            return own if own == before else {}

        async with asyncio.timeout(PATIENCE):
            while not await quiet():
                await asyncio.sleep(0.6)
        assert own["citadel_commands_total", (("outcome", "done"), ("pool", "workshop"))] >= 200
        assert own["citadel_commands_total", (("outcome", "failed"), ("pool", "workshop"))] >= 4

        def equal(answer: Any) -> bool:
            theirs = shown(answer)
            return all(theirs.get(key) == value for key, value in own.items())

        await prometheus.until("query", equal, query='{__name__=~"citadel_.+_total"}')
        total = sum(value for (name, _), value in own.items() if name == "citadel_commands_total")
        answer = prometheus.ask("query", query="sum(citadel_commands_total)")
        assert float(answer["result"][0]["value"][1]) == total


async def test_the_ledger_adds_up_there_at_each_scrape(
    working: EngineUnderTest, prometheus: Prometheus
) -> None:
    law = (
        "citadel_spans_started_total - citadel_spans_kept_total"
        " - ignoring (cause) sum without (cause) (citadel_spans_dropped_total)"
        " - citadel_spans_in_flight"
    )
    async with working.client() as client:
        await load(client)
    answer = await prometheus.until(
        "query", lambda found: len(found["result"]) == 1, query=f"({law})[5m:1s]"
    )
    values = {float(value) for _, value in answer["result"][0]["values"]}
    assert values == {0.0}
    answer = prometheus.ask("query", query="max_over_time(citadel_spans_residual[5m])")
    assert [each["value"][1] for each in answer["result"]] == ["0"]


@pytest.mark.parametrize(
    "series",
    [
        "citadel_command_duration_seconds_bucket",
        'citadel_commands_total{outcome="failed"}',
    ],
)
async def test_exemplars_name_traces_that_the_engine_has(
    working: EngineUnderTest, prometheus: Prometheus, series: str
) -> None:
    async with working.client() as client:
        await load(client)
        answer = await prometheus.until(
            "query_exemplars", bool, query=series, start="0", end="9999999999"
        )
        traces = {
            exemplar["labels"]["trace_id"] for each in answer for exemplar in each["exemplars"]
        }
        assert traces
        for trace in sorted(traces)[:5]:
            try:
                assert list(rows(await client.traces.get(trace)))
            except NotFound:
                pytest.fail(f"the trace {trace} of an exemplar is not kept")


async def test_promtool_finds_nothing_to_say(
    working: EngineUnderTest, prometheus_programs: Path
) -> None:
    async with working.client() as client:
        await load(client)
    done = await asyncio.to_thread(check, prometheus_programs, working.metrics_address)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def check(programs: Path, address: str) -> subprocess.CompletedProcess[bytes]:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as reply:
        page = reply.read()
    return subprocess.run(
        [programs / "promtool", "check", "metrics"], input=page, capture_output=True, check=False
    )

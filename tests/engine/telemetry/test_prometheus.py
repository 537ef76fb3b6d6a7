from __future__ import annotations

import gzip
import math
import random
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from citadel.errors import AddressInUse, BadConfig
from citadel.wire.messages import SamplingRule
from engine.telemetry.exemplars import Exemplars
from engine.telemetry.exposition import Page
from engine.telemetry.families import Families
from engine.telemetry.hub import LiveHub
from engine.telemetry.prometheus import EngineCollector, MetricsServer
from engine.telemetry.pulse import Pulse
from engine.telemetry.recorder import Recorder
from engine.telemetry.sampling import Sampler

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


class Metered:
    """A recorder with its page."""

    def __init__(self, recorder: Recorder | None = None) -> None:
        self.recorder = recorder or Recorder()
        self.pulse = Pulse(
            self.recorder, LiveHub("i"), lambda: [("citadel.pool.queued", {"pool": "p"}, 3.0)]
        )
        self.exemplars = Exemplars()
        self.recorder.sinks.append(self.exemplars.write)
        about = {"service_instance_id": "i"}
        self.families = Families(self.recorder, self.pulse, self.exemplars, about)
        self.collector = EngineCollector(self.families)
        self.page = Page(self.families)
        self.pulse.beat()

    def text(self, *, openmetrics: bool = False) -> str:
        return self.page.render(openmetrics=openmetrics).decode()

    def latest(self, *, om: bool = False) -> str:
        registry = CollectorRegistry()
        registry.register(self.collector)
        disable_created_metrics()
        return (openmetrics.generate_latest if om else generate_latest)(registry).decode()


@pytest.fixture
def metered() -> Metered:
    return Metered()


@pytest.fixture
def server(metered: Metered) -> Iterator[MetricsServer]:
    server = MetricsServer(metered.page)
    yield server
    server.stop()


def get(address: str, method: str = "GET", **headers: str) -> tuple[HTTPResponse, bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"http://{address}/metrics", headers=named, method=method)
    with urllib.request.urlopen(request, timeout=10) as reply:
        return reply, reply.read()


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def fill(recorder: Recorder, seed: int = 7) -> None:
    """All kinds of metrics, odd labels, many values; spans of which some fail."""
    rng = random.Random(seed)
    for pool in ('with "quotes"', "back\\slash", "new\nline", "50 % ü", "plain"):
        recorder.count("citadel.commands", rng.randrange(1000), pool=pool, outcome="done")
        recorder.count("citadel.commands", 2, pool=pool, outcome="failed")
        recorder.count("citadel.provider.tokens", rng.random(), provider=pool, direction="input")
        for _ in range(200):
            seconds = 2 ** rng.uniform(-18, 8)
            recorder.observe("citadel.command.duration", seconds, pool)
        for number in range(20):
            took = 2 ** rng.uniform(-18, 9)
            start = recorder.clock()
            span = recorder.span(
                f"run {number}", root=True, source="worker", pool=pool, start_ns=start
            )
            span.end(start + int(took * 1e9))
            recorder.observe("citadel.command.duration", took, pool)
            failed = recorder.span("command x", root=True, source="pool", pool=pool)
            failed.error("no")
            failed.end()
    recorder.drain()


def test_a_scrape_has_the_exact_counts(metered: Metered, server: MetricsServer) -> None:
    address = server.start("127.0.0.1", 0)
    for _ in range(3):
        metered.recorder.count("citadel.commands", pool="p", outcome="done")
        metered.recorder.span("s", root=True).end()
    metered.pulse.beat()
    reply, body = get(address)
    assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert b"_created" not in body
    page = samples(body.decode())
    assert page["citadel_commands_total", (("outcome", "done"), ("pool", "p"))] == 3
    assert page["citadel_pool_queued", (("pool", "p"),)] == 3
    assert page["citadel_spans_started_total", ()] == 3
    assert page["citadel_process_rss_bytes", ()] > 1_000_000
    assert page["citadel_process_threads", ()] >= 1
    assert page["citadel_process_fds", ()] > 3
    info = (("service_instance_id", "i"), ("service_name", "citadel-engine"))
    assert page["target_info", info] == 1


def test_the_ledger_on_the_page_is_of_one_moment(metered: Metered) -> None:
    recorder = metered.recorder
    left = recorder.span("open", root=True)
    for _ in range(5):
        recorder.span("ended", root=True).end()
    metered.pulse.beat()
    left.end()
    recorder.drain()
    page = samples(metered.text())
    dropped = sum(n for (name, _), n in page.items() if name == "citadel_spans_dropped_total")
    accounted = page["citadel_spans_kept_total", ()] + dropped + page["citadel_spans_in_flight", ()]
    assert page["citadel_spans_started_total", ()] == accounted == 6
    assert page["citadel_spans_residual", ()] == 0


@pytest.mark.parametrize("om", [False, True], ids=["text", "openmetrics"])
def test_the_page_is_what_prometheus_client_writes(metered: Metered, om: bool) -> None:
    fill(metered.recorder)
    metered.pulse.beat()
    # Large numbers are written in another way; the next test compares their values.
    ours, theirs = (
        [line for line in text.splitlines() if "bytes" not in line]
        for text in (metered.text(openmetrics=om), metered.latest(om=om))
    )
    assert ours == theirs
    assert ("# {" in "\n".join(ours)) is om, "exemplars are OpenMetrics' alone"


@pytest.mark.parametrize("value", [1e6, 123_456_789.0, 1e21, 0.5, 1e-9, math.inf, -math.inf, -3.0])
def test_any_number_is_read_back(metered: Metered, value: float) -> None:
    metered.recorder.count("citadel.commands", value, pool="p", outcome="done")
    key = "citadel_commands_total", (("outcome", "done"), ("pool", "p"))
    assert samples(metered.text())[key] == samples(metered.latest())[key] == value


def test_openmetrics_reads_back_whole(metered: Metered) -> None:
    fill(metered.recorder)
    metered.pulse.beat()
    text = metered.text(openmetrics=True)
    families = list(openmetrics_families(text))
    assert families == list(openmetrics_families(metered.latest(om=True)))
    by_name = {family.name: family for family in families}
    assert by_name["citadel_process_rss_bytes"].unit == "bytes"
    assert by_name["citadel_command_duration_seconds"].unit == "seconds"
    assert text.endswith("# EOF\n")


def exemplars(metered: Metered) -> dict[tuple[str, str], Any]:
    return {
        (sample.name, sample.labels.get("le", "")): sample.exemplar
        for family in openmetrics_families(metered.text(openmetrics=True))
        for sample in family.samples
        if sample.exemplar
    }


def test_an_exemplar_is_of_its_bucket_and_of_a_kept_trace() -> None:
    rules = [SamplingRule(id="half", rate=0.5)]
    metered = Metered(Recorder(Sampler(rules)))
    kept: set[str] = set()
    for number in range(200):
        span = metered.recorder.span("run x", root=True, source="worker", pool="p", start_ns=1000)
        seconds = 2.0 ** (number % 12 - 8)
        metered.recorder.observe("citadel.command.duration", seconds, "p")
        if span.sampled:
            kept.add(f"{span.trace_id:032x}")
        span.end(1000 + int(seconds * 1e9))
    metered.recorder.drain()
    found = exemplars(metered)
    assert len(found) == 12
    assert 0 < len(kept) < 200
    for (_, edge), exemplar in found.items():
        assert exemplar.labels["trace_id"] in kept
        assert float(edge) / 2 < exemplar.value <= float(edge)


def test_an_error_counter_has_an_exemplar(metered: Metered) -> None:
    recorder = metered.recorder
    recorder.count("citadel.commands", pool="p", outcome="failed")
    recorder.count("citadel.commands", pool="p", outcome="done")
    span = recorder.span("command x", root=True, source="pool", pool="p")
    span.error("no")
    span.end()
    recorder.drain()
    ((name, _), exemplar) = next(iter(exemplars(metered).items()))
    assert name == "citadel_commands_total"
    assert exemplar.labels["trace_id"] == f"{span.trace_id:032x}"
    assert len(exemplars(metered)) == 1


def test_what_is_too_much_is_other(metered: Metered) -> None:
    for number in range(1_010):
        metered.recorder.count("citadel.commands", pool=f"p{number}", outcome="done")
    page = samples(metered.text())
    shown = [labels for name, labels in page if name == "citadel_commands_total"]
    assert len(shown) == 1_001
    assert page["citadel_commands_total", (("outcome", "other"), ("pool", "other"))] == 10


@pytest.mark.emits("citadel.scrape.errors")
def test_a_part_that_fails_fails_alone(
    metered: Metered, caplog: pytest.LogCaptureFixture, saw: Any
) -> None:
    def fails() -> list[Any]:
        raise RuntimeError("no durations today")

    metered.recorder.count("citadel.commands", pool="p", outcome="done")
    metered.families.parts["durations"] = fails
    for turn in (1, 2):
        page = samples(metered.text())
        assert page["citadel_scrape_errors_total", (("part", "durations"),)] == turn
        saw("citadel.scrape.errors")
        assert page["citadel_commands_total", (("outcome", "done"), ("pool", "p"))] == 1
    assert [record.message for record in caplog.records] == ["part durations of /metrics failed"]
    assert "citadel_scrape_errors_total" in metered.latest()


def test_a_family_that_cannot_be_written_fails_alone(
    metered: Metered, caplog: pytest.LogCaptureFixture
) -> None:
    metered.recorder.counters["citadel.missions", (("kind", "k"), ("state", "s"))] = "broken"  # type: ignore[assignment]
    metered.recorder.count("citadel.commands", pool="p", outcome="done")
    page = samples(metered.text())
    assert page["citadel_scrape_errors_total", (("part", "citadel_missions"),)] == 1
    assert page["citadel_commands_total", (("outcome", "done"), ("pool", "p"))] == 1
    assert "citadel_missions" in caplog.text


def test_buckets_are_exact_cumulative_and_never_fall(metered: Metered) -> None:
    recorder = metered.recorder
    seconds = [2.0**-10, 2.0**-10 * 1.01, 0.3, 0.5, 0.51, 100.0]
    earlier: dict[str, float] = {}
    name = "citadel_command_duration_seconds"
    page: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for value in seconds:
        recorder.observe("citadel.command.duration", value, "p")
        page = samples(metered.text())
        shown = {
            dict(labels)["le"]: count
            for (sample, labels), count in page.items()
            if sample == f"{name}_bucket"
        }
        assert all(shown[edge] >= count for edge, count in earlier.items())
        earlier = shown
        recorder.durations["citadel.command.duration", "p"].take_fresh()
    for edge, count in earlier.items():
        assert count == sum(value <= float(edge) for value in seconds), edge
    assert page[f"{name}_count", (("pool", "p"),)] == len(seconds)
    assert page[f"{name}_sum", (("pool", "p"),)] == pytest.approx(sum(seconds))


def test_the_scraper_says_what_it_takes(metered: Metered, server: MetricsServer) -> None:
    address = server.start("127.0.0.1", 0)
    reply, body = get(address, Accept=OPENMETRICS, Accept_Encoding="gzip;q=1.0, identity")
    assert reply.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert reply.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body).endswith(b"# EOF\n")
    reply, body = get(address, Accept_Encoding="gzip;q=0")
    assert "Content-Encoding" not in reply.headers
    assert body.startswith(b"# HELP")
    reply, body = get(address, "HEAD")
    assert (int(reply.headers["Content-Length"]) > 100, body) == (True, b"")
    with pytest.raises(urllib.error.HTTPError, match="405"):
        get(address, "POST")


def test_a_port_in_use_is_named(server: MetricsServer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AddressInUse, match=f"127.0.0.1:{port}"):
            server.start("127.0.0.1", port)


def test_a_host_of_another_machine_is_refused(server: MetricsServer) -> None:
    with pytest.raises(BadConfig, match=r"192\.0\.2\.1"):
        server.start("192.0.2.1", 0)

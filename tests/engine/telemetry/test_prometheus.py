from __future__ import annotations

import socket
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from citadel.errors import AddressInUse, BadConfig
from engine.telemetry.hub import LiveHub
from engine.telemetry.prometheus import EngineCollector, MetricsServer
from engine.telemetry.pulse import Pulse
from engine.telemetry.recorder import Recorder


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def server(recorder: Recorder) -> Iterator[MetricsServer]:
    hub = LiveHub("i")
    pulse = Pulse(recorder, hub, lambda: [("citadel.pool.queued", {"pool": "p"}, 3.0)])
    pulse.beat()
    server = MetricsServer(EngineCollector(recorder, pulse))
    yield server
    server.stop()


def scrape(address: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as reply:
        text = reply.read().decode()
    assert "_created" not in text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_scrape_has_the_exact_counts(recorder: Recorder, server: MetricsServer) -> None:
    address = server.start("127.0.0.1", 0)
    for _ in range(3):
        recorder.count("citadel.commands", pool="p", outcome="done")
        recorder.span("s", root=True).end()
    page = scrape(address)
    assert page["citadel_commands_total", (("outcome", "done"), ("pool", "p"))] == 3
    assert page["citadel_pool_queued", (("pool", "p"),)] == 3
    assert page["citadel_spans_started_total", ()] == 3
    assert page["citadel_process_rss", ()] > 1_000_000


def test_buckets_are_exact_cumulative_and_never_fall(
    recorder: Recorder, server: MetricsServer
) -> None:
    address = server.start("127.0.0.1", 0)
    seconds = [2.0**-10, 2.0**-10 * 1.01, 0.3, 0.5, 0.51, 100.0]
    earlier: dict[str, float] = {}
    for value in seconds:
        recorder.observe("citadel.command.duration", value, "p")
        page = scrape(address)
        name = "citadel_command_duration_seconds"
        shown = {
            dict(labels)["le"]: count
            for (sample, labels), count in page.items()
            if sample == f"{name}_bucket"
        }
        assert all(shown[edge] >= count for edge, count in earlier.items())
        earlier = shown
        recorder.durations["citadel.command.duration", "p"].take_fresh()
    for edge, count in earlier.items():
        bound = float(edge)
        assert count == sum(value <= bound for value in seconds), edge
    assert page[f"{name}_count", (("pool", "p"),)] == len(seconds)
    assert page[f"{name}_sum", (("pool", "p"),)] == pytest.approx(sum(seconds))


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

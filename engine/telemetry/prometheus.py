"""Serves /metrics: the same exact counters and durations that the window shows.

A custom collector over the recorder, read at each scrape, in prometheus-client's own HTTP server
and thread. Reading copies the dicts first; the loop thread goes on counting. One failing part never
fails the page: prometheus-client is given complete families only.
"""

from __future__ import annotations

import errno
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, disable_created_metrics, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from citadel.errors import AddressInUse, BadConfig
from engine.telemetry.catalogue import COUNTERS, DURATIONS, GAUGES, Entry
from engine.telemetry.histogram import PER_OCTAVE, Histogram
from engine.telemetry.pulse import Pulse
from engine.telemetry.recorder import Recorder

Labelled = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]
OCTAVES = range(-14, 7)
"""Upper bounds of the buckets on the page, as powers of two of seconds: 61 µs to 64 s. They are
bounds of our own buckets too, so the page's counts are exact."""


def prometheus_name(name: str) -> str:
    """The field's spelling: underscores, no suffix."""
    return name.replace(".", "_")


class EngineCollector(Collector):
    """Families of everything in the catalogue that has a value."""

    def __init__(self, recorder: Recorder, pulse: Pulse) -> None:
        self._recorder = recorder
        self._pulse = pulse

    def collect(self) -> Iterator[Metric]:
        """Yields each family once; called in the scrape's thread."""
        yield from self._ledger()
        counters = dict(self._recorder.counters)
        for name, samples in _by_name(counters).items():
            yield _filled(CounterMetricFamily, name, COUNTERS[name], samples)
        for name, samples in _by_name(dict(self._pulse.gauges)).items():
            yield _filled(GaugeMetricFamily, name, GAUGES[name], samples)
        durations: dict[str, list[tuple[str, Histogram]]] = defaultdict(list)
        for (name, subject), histogram in list(self._recorder.durations.items()):
            durations[name].append((subject, histogram))
        for name, subjects in durations.items():
            yield _histogram(name, DURATIONS[name], subjects)

    def _ledger(self) -> Iterator[Metric]:
        ledger = self._recorder.ledger()
        for name, value in (("started", ledger.started), ("kept", ledger.kept)):
            full = f"citadel.spans.{name}"
            yield _filled(CounterMetricFamily, full, COUNTERS[full], [({}, float(value))])
        dropped = [({"cause": cause}, float(n)) for cause, n in ledger.dropped.items()]
        name = "citadel.spans.dropped"
        yield _filled(CounterMetricFamily, name, COUNTERS[name], dropped)


class MetricsServer:
    """The listener of /metrics."""

    def __init__(self, collector: EngineCollector) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(collector)
        self._server: WSGIServer | None = None
        self._thread: Thread | None = None

    def start(self, host: str, port: int) -> str:
        """Listens; returns the address bound.

        Raises:
            AddressInUse: the port is taken.
            BadConfig: the host is not one of this machine's.
        """
        disable_created_metrics()
        try:
            self._server, self._thread = start_http_server(port, addr=host, registry=self._registry)
        except OSError as error:
            kind = AddressInUse if error.errno == errno.EADDRINUSE else BadConfig
            raise kind(
                f"/metrics cannot listen on {host}:{port}: {error.strerror or error}",
                subject=f"{host}:{port}",
                remedy="Give another [metrics] listen address, or an empty one for none",
            ) from error
        return f"{host}:{self._server.server_port}"

    def stop(self) -> None:
        """Ends the listener."""
        if self._server and self._thread:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()


def _by_name(values: Labelled) -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = defaultdict(list)
    for (name, labels), value in values.items():
        found[name].append((dict(labels), value))
    return found


def _filled(
    family: type[CounterMetricFamily | GaugeMetricFamily],
    name: str,
    entry: Entry,
    samples: Iterable[tuple[dict[str, str], float]],
) -> Metric:
    metric = family(prometheus_name(name), entry.help, labels=entry.labels)
    for labels, value in samples:
        metric.add_metric([labels.get(label, "") for label in entry.labels], value)
    return metric


def _histogram(name: str, entry: Entry, subjects: Iterable[tuple[str, Histogram]]) -> Metric:
    metric = HistogramMetricFamily(
        f"{prometheus_name(name)}_seconds", entry.help, labels=entry.labels
    )
    for subject, histogram in subjects:
        counts = dict(histogram.counts)
        edges = [
            (
                str(2.0**octave),
                float(sum(n for bucket, n in counts.items() if bucket < octave * PER_OCTAVE)),
            )
            for octave in OCTAVES
        ]
        edges.append(("+Inf", float(sum(counts.values()))))
        metric.add_metric([subject] if entry.labels else [], edges, histogram.sum)
    return metric

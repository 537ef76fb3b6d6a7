"""Serves /metrics: the same exact counters and durations that the window shows.

A custom collector of prometheus-client, for whoever has a registry, and a listener of our own that
writes the same page faster (engine/telemetry/exposition.py). Both read at each scrape, in the
scrape's thread; the loop thread goes on counting.
"""

from __future__ import annotations

import errno
import gzip
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar as ClientExemplar

from citadel.errors import AddressInUse, BadConfig
from engine.telemetry.exemplars import OCTAVES, Exemplar, Exemplars
from engine.telemetry.exposition import Page, cumulative, exemplar_labels
from engine.telemetry.families import Families, Family
from engine.telemetry.pulse import Pulse
from engine.telemetry.recorder import Recorder

IDLE_SECONDS = 30
"""A client that says nothing for so long is let go."""
GZIP_LEVEL = 1
"""What comes after costs more time than it saves bytes."""


class EngineCollector(Collector):
    """Families of everything in the catalogue that has a value."""

    def __init__(self, families: Families) -> None:
        self._families = families
        self.page = Page(families)
        """The same, written faster."""

    def collect(self) -> Iterator[Metric]:
        """Yields each family once; called in the scrape's thread."""
        for family in self._families.read():
            try:
                metric = self._metric(family)
            except Exception as error:  # noqa: BLE001 - one family's fault is not the others'
                self._families.failed(family.name, error)
            else:
                yield metric

    def _metric(self, family: Family) -> Metric:
        labels = [name for name, _ in (family.values or family.histograms)[0][0]]
        exemplars = self._families.exemplars
        if family.kind == "info":
            return InfoMetricFamily(family.name, family.help, dict(family.values[0][0]))
        if family.kind == "gauge":
            gauge = GaugeMetricFamily(family.name, family.help, labels=labels, unit=family.unit)
            for values, value in family.values:
                gauge.add_metric([text for _, text in values], value)
            return gauge
        if family.kind == "counter":
            counter = CounterMetricFamily(family.name, family.help, labels=labels, unit=family.unit)
            for values, value in family.values:
                found = exemplars.errors.get((family.source, values))
                texts = [text for _, text in values]
                counter.add_metric(texts, value, exemplar=_client(found))
            return counter
        shown = HistogramMetricFamily(family.name, family.help, labels=labels, unit=family.unit)
        for values, histogram in family.histograms:
            subject = values[0][1] if values else ""
            found_buckets = exemplars.buckets.get((family.source, subject), {})
            counts, total = cumulative(histogram)
            buckets: list[Any] = []
            below = 0
            edges = [*((octave, str(2.0**octave)) for octave in OCTAVES), (OCTAVES.stop, "+Inf")]
            for (octave, edge), count in zip(edges, counts, strict=True):
                example = _client(found_buckets.get(octave)) if count > below else None
                buckets.append((edge, float(count), example) if example else (edge, float(count)))
                below = count
            shown.add_metric([text for _, text in values], buckets, total)
        return shown


def _client(exemplar: Exemplar | None) -> ClientExemplar | None:
    if exemplar is None:
        return None
    return ClientExemplar(exemplar_labels(exemplar), exemplar.value, exemplar.seconds)


class MetricsServer:
    """The listener of /metrics."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._server: WSGIServer | None = None
        self._thread: Thread | None = None

    def start(self, host: str, port: int) -> str:
        """Listens; returns the address bound.

        Raises:
            AddressInUse: the port is taken.
            BadConfig: the host is not one of this machine's.
        """
        try:
            family, *_, found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            server = type("_Server", (_Server,), {"address_family": family})
            self._server = make_server(str(found[0]), port, self.serve, server, _Handler)
        except OSError as error:
            kind = AddressInUse if error.errno == errno.EADDRINUSE else BadConfig
            raise kind(
                f"/metrics cannot listen on {host}:{port}: {error.strerror or error}",
                subject=f"{host}:{port}",
                remedy="Give another [metrics] listen address, or an empty one for none",
            ) from error
        self._thread = Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()
        return f"{host}:{self._server.server_port}"

    def stop(self) -> None:
        """Ends the listener."""
        if self._server and self._thread:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def serve(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """One request, in a thread of its own: any path but the browser's icon is the page."""
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            start("405 Method Not Allowed", [("Allow", "GET, HEAD")])
            return [b"use GET\n"]
        if environ.get("PATH_INFO") == "/favicon.ico":
            start("404 Not Found", [])
            return [b""]
        # prometheus-client knows what a scraper's Accept header asks for.
        _, content_type = choose_encoder(environ.get("HTTP_ACCEPT", ""))
        body = self._page.render(openmetrics=content_type.startswith("application/openmetrics"))
        headers = [("Content-Type", content_type)]
        if _takes_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
            body = gzip.compress(body, GZIP_LEVEL)
            headers.append(("Content-Encoding", "gzip"))
        headers.append(("Content-Length", str(len(body))))
        start("200 OK", headers)
        return [b""] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def metrics_server(recorder: Recorder, pulse: Pulse, instance_id: str) -> MetricsServer:
    """The listener of an engine's page, with exemplars of the spans that the recorder keeps."""
    exemplars = Exemplars()
    recorder.sinks.append(exemplars.write)
    about = {"service_instance_id": instance_id}
    with suppress(PackageNotFoundError):
        about["service_version"] = version("citadel-command")
    return MetricsServer(Page(Families(recorder, pulse, exemplars, about)))


def _takes_gzip(header: str) -> bool:
    offers = (each.partition(";") for each in header.split(","))
    return any(
        name.strip() == "gzip" and weight.replace(" ", "") not in ("q=0", "q=0.0")
        for name, _, weight in offers
    )


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = IDLE_SECONDS

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its base's name
        """Says nothing."""

"""The regular beat of telemetry: drains the recorder, publishes counters and fresh durations.

One task, owned by the engine's main. Drains often, so that spans are seen at once; publishes
counters and durations a few times a second, and only those that changed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable

import psutil

from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder

DRAIN_SECONDS = 0.016
PULSE_SECONDS = 0.25
PROCESS_EVERY = 4
"""Pulses between two looks at the process itself."""

Gauge = tuple[str, dict[str, str], float]
"""A name of the catalogue, labels, value."""


class Pulse:
    """Beats until cancelled; `gauges` gives the values that are sampled."""

    def __init__(
        self, recorder: Recorder, hub: LiveHub, gauges: Callable[[], Iterable[Gauge]] | None = None
    ) -> None:
        self._recorder = recorder
        self._hub = hub
        self._gauges = gauges
        self._process = psutil.Process()
        self._published: dict[tuple[str, str], float] = {}
        self.gauges: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        self._beats = self._lost = 0

    async def run(self) -> None:
        """Drains and publishes; what is left is drained at the end."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        try:
            while True:
                self._recorder.drain()
                if loop.time() >= due:
                    due = loop.time() + PULSE_SECONDS
                    self.beat()
                await asyncio.sleep(DRAIN_SECONDS)
        finally:
            self._recorder.drain()
            self.beat()

    def beat(self) -> None:
        """Publishes what changed since the last beat."""
        now = self._recorder.clock()
        self._sample()
        self._publish_ledger(now)
        for (name, labels), value in [*self._recorder.counters.items(), *self.gauges.items()]:
            self._publish_counter(name, dict(labels), value, now)
        for (name, subject), histogram in self._recorder.durations.items():
            self._hub.publish_many(
                "latency",
                (
                    (now, name, subject, bucket, count)
                    for bucket, count in sorted(histogram.take_fresh().items())
                ),
            )
        self._beats += 1

    def _sample(self) -> None:
        for name, labels, value in self._gauges() if self._gauges else ():
            self.gauges[name, tuple(sorted(labels.items()))] = value
        if self._beats % PROCESS_EVERY == 0:
            with self._process.oneshot():
                self.gauges["citadel.process.rss", ()] = self._process.memory_info().rss
                self.gauges["citadel.process.cpu", ()] = self._process.cpu_percent() / 100
        if lost := self._hub.lost - self._lost:
            self._recorder.count("citadel.events.dropped", lost)
            self._lost += lost
        self.gauges["citadel.spans.in_flight", ()] = self._recorder.ledger().in_flight

    def _publish_ledger(self, now: int) -> None:
        ledger = self._recorder.ledger()
        self._publish_counter("citadel.spans.started", {}, ledger.started, now)
        self._publish_counter("citadel.spans.kept", {}, ledger.kept, now)
        for cause, count in ledger.dropped.items():
            self._publish_counter("citadel.spans.dropped", {"cause": cause}, count, now)

    def _publish_counter(self, name: str, labels: dict[str, str], value: float, now: int) -> None:
        key = (name, json.dumps(labels, sort_keys=True))
        if self._published.get(key) != value:
            self._published[key] = value
            self._hub.publish("counter", (*key, value, now))

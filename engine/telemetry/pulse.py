"""The regular beat of telemetry: drains the recorder, publishes counters and fresh durations.

One task, owned by the engine's main. Drains often, so that spans are seen at once; publishes
counters and durations a few times a second, and only those that changed. What it read at the last
beat it keeps for /metrics: the ledger's parts are of one moment, so that they add up.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable

from engine.telemetry.catalogue import GAUGES
from engine.telemetry.counter import CounterKey
from engine.telemetry.hub import LiveHub
from engine.telemetry.process import ProcessMeter
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
        self._process = ProcessMeter()
        self._published: dict[tuple[str, str], float] = {}
        self.gauges: dict[CounterKey, float] = {}
        """As of the last beat."""
        self.totals: dict[CounterKey, float] = {}
        """Counters that others keep, as of the last beat: the ledger's, the store's, Python's."""
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
                wakes = loop.time() + DRAIN_SECONDS
                await asyncio.sleep(DRAIN_SECONDS)
                self._process.late(loop.time() - wakes)
        finally:
            self._recorder.drain()
            self.beat()

    def beat(self) -> None:
        """Publishes what changed since the last beat."""
        now = self._recorder.clock()
        self._sample()
        counters = [*self._recorder.counters.items(), *self.totals.items(), *self.gauges.items()]
        for (name, labels), value in counters:
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
        # Made anew each time: what is no more has no value, and a reader has one moment's values.
        gauges = {key: value for key, value in self.gauges.items() if key[0] in _OF_PROCESS}
        for name, labels, value in self._gauges() if self._gauges else ():
            assert name in GAUGES, f"{name} is not in the catalogue of gauges"
            assert labels.keys() == set(GAUGES[name].labels), f"{name} has other labels"
            gauges[name, tuple(sorted(labels.items()))] = value
        totals = {key: value for key, value in self.totals.items() if key[0] in _OF_PROCESS}
        if self._beats % PROCESS_EVERY == 0:
            gauges.update(((name, ()), value) for name, value in self._process.gauges())
            totals.update(((name, of), value) for name, of, value in self._process.counters())
        if lost := self._hub.lost - self._lost:
            self._recorder.count("citadel.events.dropped", lost)
            self._lost += lost
        gauges["citadel.watchers", ()] = self._hub.watchers
        gauges["citadel.sampler.revision", ()] = self._recorder.sampler.revision
        ledger, keeper = self._recorder.ledger(), self._recorder.books.keeper
        gauges["citadel.spans.in_flight", ()] = ledger.in_flight
        gauges["citadel.spans.held", ()] = ledger.held
        gauges["citadel.spans.residual", ()] = ledger.residual
        totals["citadel.spans.started", ()] = ledger.started
        totals["citadel.spans.kept", ()] = ledger.kept
        for cause, count in ledger.dropped.items():
            totals["citadel.spans.dropped", (("cause", cause),)] = count
        if keeper is not None:
            totals["citadel.store.written", ()] = keeper.written
            totals["citadel.store.lost", ()] = keeper.lost
        self.gauges, self.totals = gauges, totals

    def _publish_counter(self, name: str, labels: dict[str, str], value: float, now: int) -> None:
        key = (name, json.dumps(labels, sort_keys=True))
        if self._published.get(key) != value:
            self._published[key] = value
            self._hub.publish("counter", (*key, value, now))


_OF_PROCESS = frozenset(
    f"citadel.process.{what}" for what in ("rss", "cpu", "fds", "threads", "loop_lag", "gc")
)
"""What is looked at more rarely than the rest."""

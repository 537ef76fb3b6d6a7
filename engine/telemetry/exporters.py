"""The engine's exporters: a sink of the recorder for spans; metrics and events on their own beat.

Loop thread. Each exporter is a `citadel.otlp.sender.Sender` with a thread of its own: whether its
receiver is quick, slow, deaf or dead, the loop only appends to a bounded queue. What is dropped is
counted by cause, and named to whoever explains lost traces.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from citadel.otlp.account import Cause, Figures
from citadel.otlp.config import masked
from citadel.otlp.metrics import Durations, Help, Number, Point
from citadel.otlp.resource import Resource
from citadel.otlp.sender import Sender
from citadel.otlp.waiting import Reading
from citadel.vocabulary import GONE, DropCause
from citadel.wire.messages import ExporterConfig, ExporterStatus
from engine.telemetry.catalogue import COUNTERS, DURATIONS, GAUGES
from engine.telemetry.encode import Row
from engine.telemetry.histogram import Histogram
from engine.telemetry.recorder import Recorder

MAX_EXPORTERS = 32
BEAT_SECONDS = 0.5
METRICS_SECONDS = 10.0
"""Between two readings of all metrics."""
CLOSE_SECONDS = 5.0
"""What exporters get to send what waits when the engine ends, or when one is removed."""
TELL_SECONDS = 5.0
"""Between two events that tell of drops."""
_UNITS = {"seconds": "s", "bytes": "By"}
"""UCUM, as OTLP wants it."""

Labels = tuple[tuple[str, str], ...]
Gauges = Callable[[], Mapping[tuple[str, Labels], float]]


class TellsLosses(Protocol):
    """Remembers which traces lost spans, and who lost them; from any thread."""

    def __call__(self, trace_ids: Iterable[int], cause: DropCause, by: str) -> object:
        """Takes trace ids."""
        ...


class Exporters:
    """All exporters of an engine, by name."""

    def __init__(
        self,
        recorder: Recorder,
        publish: Callable[[str, Row], object],
        resource: Resource,
        *,
        lost: TellsLosses | None = None,
        gauges: Gauges | None = None,
    ) -> None:
        self._recorder = recorder
        self._publish = publish
        self._resource = resource
        self._lost = lost
        self.gauges_now = gauges
        """The sampled values, for metrics; set by whoever wires."""
        self.revision = 0
        self._senders: dict[str, Sender] = {}
        self._leaving: list[tuple[str, Sender]] = []
        self._counted: dict[tuple[str, str, str], int] = {}
        self._shown: dict[str, tuple[Any, ...]] = {}
        self._down: set[str] = set()
        self._told: dict[str, dict[str, int]] = {}
        self._tell_after = self._read_after = 0.0
        self._started_ns = time.time_ns()
        self._helps = _helps()

    def put(self, configs: Sequence[ExporterConfig], revision: int) -> None:
        """From now on there are these exporters; they must have been checked.

        Raises:
            NotReady: what a protocol needs is not installed.
        """
        wanted = {config.name: config for config in configs}
        for name in set(self._senders) - set(wanted):
            self._leaving.append((name, self._senders.pop(name)))
            # At once: one of that name that comes soon has a state of its own to tell.
            self._down.discard(name)
            self._told.pop(name, None)
        for name, config in wanted.items():
            sender = self._senders.get(name)
            if sender is None:
                self._senders[name] = Sender(
                    config, self._resource, lost=self._losses(name), helps=self._helps
                )
                self._read_after = 0.0
            elif sender.config != config:
                sender.configure(config)
        self.revision = revision
        self.show()

    def write(self, rows: Sequence[Row]) -> int:
        """Gives rows to all; none is lost to the other sinks by what these cannot take."""
        for sender in self._senders.values():
            sender.spans(rows)
        return 0

    def event(self, row: Row) -> None:
        """Gives an event to all."""
        for sender in self._senders.values():
            sender.logs((row,))

    def statuses(self) -> tuple[ExporterStatus, ...]:
        """How each stands, secrets masked."""
        return tuple(self.status(name) for name in sorted(self._senders))

    def status(self, name: str) -> ExporterStatus:
        """How one stands."""
        sender = self._senders[name]
        figures = sender.figures()
        return ExporterStatus(
            config=masked(sender.config),
            state=figures.state,
            revision=self.revision,
            queued=figures.queued,
            sent=figures.sent,
            dropped=figures.dropped,
            retries=figures.retries,
            bytes=figures.bytes,
            error=figures.error,
            last_success_unix_nanos=figures.last_success_ns,
            last_failure_unix_nanos=figures.last_failure_ns,
        )

    def gauges(self) -> list[tuple[str, dict[str, str], float]]:
        """What waits, for the pulse."""
        return [
            ("citadel.exporter.queued", {"exporter": name}, sender.figures().queued)
            for name, sender in self._senders.items()
        ]

    async def run(self) -> None:
        """Counts, shows, reads metrics; until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            ending: asyncio.Task[None] | None = None
            while True:
                await asyncio.sleep(BEAT_SECONDS)
                if time.monotonic() >= self._read_after:
                    self._read_after = time.monotonic() + METRICS_SECONDS
                    self._read()
                self.show()
                if self._leaving and (ending is None or ending.done()):
                    # Beside this: what leaves may take seconds, and the others go on meanwhile.
                    ending = tasks.create_task(self._end_leaving(), name="exporters that leave")

    async def close(self) -> None:
        """Sends what waits, for CLOSE_SECONDS; the rest is dropped as `shutdown`."""
        self._read()
        self._leaving += self._senders.items()
        senders = [sender for _, sender in self._leaving]
        stops = (asyncio.to_thread(sender.stop, CLOSE_SECONDS) for sender in senders)
        await asyncio.gather(*stops)
        for name, sender in self._leaving:
            self._count(name, sender.figures())
        self._senders.clear()
        self._leaving.clear()

    def show(self) -> None:
        """Counts what is new and publishes what has changed."""
        now = time.time_ns()
        for name, sender in self._senders.items():
            figures = sender.figures()
            self._count(name, figures)
            self._tell_state(name, figures)
            row = _row(masked(sender.config), figures, self.revision)
            if self._shown.get(name) != row:
                self._shown[name] = row
                self._publish("exporter", (*row, now))
        for name in set(self._shown) - set(self._senders):
            gone = self._shown.pop(name)
            self._publish("exporter", (name, GONE, *gone[2:], now))
        if time.monotonic() >= self._tell_after:
            self._tell_after = time.monotonic() + TELL_SECONDS
            self._tell_drops()

    async def _end_leaving(self) -> None:
        """Ends those that were removed; their counts stay."""
        while self._leaving:
            name, sender = self._leaving[0]
            self._count(name, await asyncio.to_thread(sender.stop, CLOSE_SECONDS))
            self._leaving.pop(0)
            if name not in self._senders:
                for key in [key for key in self._counted if key[1] == name]:
                    del self._counted[key]

    def _losses(self, name: str) -> Callable[[set[int], Cause], None]:
        def tell(trace_ids: set[int], cause: Cause) -> None:
            del cause  # the exporter's own counts have it
            if self._lost is not None:
                self._lost(trace_ids, "exporter_error", name)

        return tell

    def _count(self, name: str, figures: Figures) -> None:
        """Adds to the exact counters what is new since the last look."""
        for signal, sent in figures.sent.items():
            if more := self._more(("sent", name, signal), sent):
                self._recorder.count("citadel.exporter.sent", more, exporter=name, signal=signal)
        for cause, dropped in figures.dropped.items():
            if more := self._more(("dropped", name, cause), dropped):
                self._recorder.count("citadel.exporter.dropped", more, exporter=name, cause=cause)
        if more := self._more(("retries", name, ""), figures.retries):
            self._recorder.count("citadel.exporter.retries", more, exporter=name)
        if more := self._more(("bytes", name, ""), figures.bytes):
            self._recorder.count("citadel.exporter.bytes", more, exporter=name)

    def _more(self, key: tuple[str, str, str], value: int) -> int:
        before = self._counted.get(key, 0)
        self._counted[key] = value
        return value - before

    def _tell_state(self, name: str, figures: Figures) -> None:
        """An event when a receiver is lost, and when it is found again."""
        down = figures.state in {"failed", "retrying"}
        if down == (name in self._down) or figures.state == "paused":
            return
        if down:
            self._down.add(name)
            self._recorder.event(
                "exporter.failed", subject=name, severity="warning", message=figures.error
            )
        else:
            self._down.discard(name)
            self._recorder.event("exporter.recovered", subject=name)

    def _tell_drops(self) -> None:
        """One event a while for all that was dropped meanwhile."""
        for name, sender in self._senders.items():
            dropped, before = sender.figures().dropped, self._told.get(name, {})
            fresh = {cause: n - before.get(cause, 0) for cause, n in dropped.items()}
            fresh = {cause: n for cause, n in fresh.items() if n}
            if fresh:
                self._told[name] = dict(dropped)
                text = ", ".join(f"{n} {cause}" for cause, n in fresh.items())
                self._recorder.event(
                    "exporter.dropped", subject=name, severity="warning", message=text
                )

    def _read(self) -> None:
        """Takes a reading of all metrics, if anybody wants it."""
        wanting = [each for each in self._senders.values() if "metrics" in each.config.signals]
        if not wanting:
            return
        reading = Reading(
            points=self._points(), start_ns=self._started_ns, time_ns=self._recorder.clock()
        )
        for sender in wanting:
            sender.metrics(reading)

    def _points(self) -> list[Point]:
        recorder, ledger = self._recorder, self._recorder.ledger()
        counted: dict[tuple[str, Labels], float] = {
            **recorder.counters,
            ("citadel.spans.started", ()): ledger.started,
            ("citadel.spans.kept", ()): ledger.kept,
        }
        for cause, number in ledger.dropped.items():
            counted["citadel.spans.dropped", (("cause", cause),)] = number
        points: list[Point] = [
            Number(name=name, labels=labels, value=value, monotonic=True)
            for (name, labels), value in counted.items()
        ]
        points += [
            Number(name=name, labels=labels, value=value, monotonic=False)
            for (name, labels), value in (self.gauges_now() if self.gauges_now else {}).items()
        ]
        for (name, subject), histogram in recorder.durations.items():
            points.append(_durations(name, subject, histogram))
        return points


def _durations(name: str, subject: str, histogram: Histogram) -> Durations:
    label = DURATIONS[name].labels[0]
    counts = dict(histogram.counts)
    return Durations(name=name, labels=((label, subject),), counts=counts, sum=histogram.sum)


def _row(config: ExporterConfig, figures: Figures, revision: int) -> tuple[Any, ...]:
    """The columns of topic `exporter`, but for the last."""
    return (
        config.name,
        figures.state,
        config.preset,
        config.endpoint,
        config.protocol,
        config.compression,
        json.dumps(config.signals),
        revision,
        figures.queued,
        sum(figures.sent.values()),
        json.dumps(figures.dropped, sort_keys=True),
        figures.retries,
        figures.bytes,
        figures.error,
        figures.last_success_ns,
        figures.last_failure_ns,
    )


def _helps() -> dict[str, Help]:
    """What the catalogue says of each metric, with its unit in OTLP's spelling."""
    entries = (*COUNTERS.items(), *GAUGES.items(), *DURATIONS.items())
    return {
        name: Help(text=entry.help, unit=_UNITS.get(entry.unit, entry.unit))
        for name, entry in entries
    }

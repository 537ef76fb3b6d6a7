"""What /metrics shows at one moment, part by part: families with samples. Called in any thread.

A part that fails is left out and counted; the others are shown all the same.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from engine.telemetry.catalogue import COUNTERS, DURATIONS, GAUGES, Entry
from engine.telemetry.counter import CounterKey
from engine.telemetry.exemplars import Exemplars
from engine.telemetry.histogram import Histogram
from engine.telemetry.pulse import Pulse
from engine.telemetry.recorder import Recorder

SERVICE = "citadel-engine"
Kind = Literal["counter", "gauge", "histogram", "info"]
Labels = tuple[tuple[str, str], ...]
"""Names and values, sorted by name."""
_log = logging.getLogger("citadel.telemetry")


@dataclass(slots=True)
class Family:
    """One metric with all its samples."""

    name: str
    """As the page has it, without `_total` and the like."""
    kind: Kind
    help: str
    unit: str = ""
    values: list[tuple[Labels, float]] = field(default_factory=list[tuple[Labels, float]])
    histograms: list[tuple[Labels, Histogram]] = field(
        default_factory=list[tuple[Labels, Histogram]]
    )
    source: str = ""
    """Its name in the catalogue."""


def page_name(name: str, entry: Entry) -> str:
    """The field's spelling: underscores, and the unit at the end."""
    spelt = name.replace(".", "_")
    if entry.unit and not spelt.endswith(f"_{entry.unit}"):
        spelt = f"{spelt}_{entry.unit}"
    return spelt


class Families:
    """Reads the recorder and the pulse."""

    def __init__(
        self,
        recorder: Recorder,
        pulse: Pulse,
        exemplars: Exemplars | None = None,
        about: Mapping[str, str] | None = None,
    ) -> None:
        """`about` are further labels of `target_info`."""
        self._recorder = recorder
        self._pulse = pulse
        self._about = tuple(sorted({"service_name": SERVICE, **(about or {})}.items()))
        self._errors: dict[str, int] = {}
        self._lock = threading.Lock()
        self.exemplars = exemplars or Exemplars()
        self.parts: dict[str, Callable[[], list[Family]]] = {
            "target": self._target,
            "counters": self._counters,
            "totals": self._totals,
            "gauges": self._gauges,
            "durations": self._durations,
        }
        """Each makes its families whole, or fails alone."""

    def read(self) -> Iterator[Family]:
        """Every family that has a value; last, how often a part failed so far."""
        for part, make in self.parts.items():
            try:
                families = make()
            except Exception as error:  # noqa: BLE001 - one part's fault is not the others'
                self.failed(part, error)
            else:
                yield from families
        with self._lock:
            errors = [((("part", part),), float(n)) for part, n in sorted(self._errors.items())]
        name = "citadel.scrape.errors"
        yield from _grouped("counter", COUNTERS, {(name, of): value for of, value in errors})

    def failed(self, part: str, error: Exception) -> None:
        """Counts a part that is not shown; its first failure is logged whole."""
        with self._lock:
            before = self._errors.get(part, 0)
            self._errors[part] = before + 1
        if not before:
            _log.error("part %s of /metrics failed", part, exc_info=error)

    def _target(self) -> list[Family]:
        family = Family("target", "info", "What is measured")
        family.values.append((self._about, 1.0))
        return [family]

    def _counters(self) -> list[Family]:
        return _grouped("counter", COUNTERS, dict(self._recorder.counters))

    def _totals(self) -> list[Family]:
        return _grouped("counter", COUNTERS, self._pulse.totals)

    def _gauges(self) -> list[Family]:
        return _grouped("gauge", GAUGES, self._pulse.gauges)

    def _durations(self) -> list[Family]:
        found: dict[str, Family] = {}
        for (name, subject), histogram in list(self._recorder.durations.items()):
            family = found.get(name)
            if family is None:
                family = found[name] = _family(name, "histogram", DURATIONS[name])
            labels = DURATIONS[name].labels
            family.histograms.append((((labels[0], subject),) if labels else (), histogram))
        return list(found.values())


def _grouped(
    kind: Kind, table: Mapping[str, Entry], values: Mapping[CounterKey, float]
) -> list[Family]:
    found: defaultdict[str, list[tuple[Labels, float]]] = defaultdict(list)
    for (name, labels), value in values.items():
        found[name].append((labels, value))
    families: list[Family] = []
    for name, samples in found.items():
        families.append(_family(name, kind, table[name]))
        families[-1].values = samples
    return families


def _family(name: str, kind: Kind, entry: Entry) -> Family:
    return Family(page_name(name, entry), kind, entry.help, entry.unit, source=name)

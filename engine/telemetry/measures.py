"""Exact counters and durations, taken before any sampling. Loop thread; scrapes only read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter

from engine.telemetry.catalogue import COUNTERS, DURATIONS
from engine.telemetry.counter import Counter, CounterKey
from engine.telemetry.decided import Decision
from engine.telemetry.histogram import Histogram

_KEPT = itemgetter(3)
MAX_SERIES = 1_000
"""Label sets a counter, and subjects a duration; what comes beyond counts as `other`."""
OTHER = "other"


class Measures:
    """What is counted and timed, by the names of the catalogue."""

    def __init__(self) -> None:
        self.counters: dict[CounterKey, float] = {}
        self.durations: dict[tuple[str, str], Histogram] = {}
        self._series: dict[str, int] = {}

    def count(self, name: str, amount: float = 1.0, **labels: str) -> None:
        """Adds to an exact counter of the catalogue."""
        self.counter(name, **labels).add(amount)

    def counter(self, name: str, **labels: str) -> Counter:
        """An exact counter of the catalogue, for those who count often."""
        key = (name, tuple(sorted(labels.items())))
        if key not in self.counters:
            assert name in COUNTERS, f"{name} is not in the catalogue of counters"
            assert labels.keys() == set(COUNTERS[name].labels), f"{name} has other labels"
            if not self._room(name):
                key = (name, tuple((label, OTHER) for label in sorted(labels)))
            self.counters.setdefault(key, 0.0)
        return Counter(self.counters, key)

    def observe(self, name: str, seconds: float, subject: str = "") -> None:
        """Adds to an exact histogram of durations of the catalogue."""
        self.duration(name, subject).record(seconds)

    def duration(self, name: str, subject: str = "") -> Histogram:
        """An exact histogram of durations of the catalogue, for those who observe often."""
        histogram = self.durations.get((name, subject))
        if histogram is None:
            assert name in DURATIONS, f"{name} is not in the catalogue of durations"
            subject = subject if self._room(name) else OTHER
            histogram = self.durations.setdefault((name, subject), Histogram())
        return histogram

    def count_decisions(self, chunks: Iterable[Sequence[Decision]]) -> None:
        """Counts traces as decided."""
        for chunk in chunks:
            kept = sum(map(_KEPT, chunk))
            self.count("citadel.sampler.decisions", kept, fate="kept")
            self.count("citadel.sampler.decisions", len(chunk) - kept, fate="dropped")

    def _room(self, name: str) -> bool:
        """Whether the name may have one more label set; takes it."""
        series = self._series.get(name, 0)
        self._series[name] = series + 1
        return series < MAX_SERIES

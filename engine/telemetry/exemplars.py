"""Which kept trace to look at for a number on /metrics: the newest one of each bucket and outcome.

A sink of the recorder: what comes here is kept. It looks at the newest rows of a batch only, so its
cost has a bound; an exemplar is one example, any will do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from citadel.vocabulary import STATUS_ERROR
from engine.telemetry.encode import Row
from engine.telemetry.histogram import PER_OCTAVE, bucket_of

OCTAVES = range(-14, 7)
"""Upper bounds of the buckets on the page, as powers of two of seconds: 61 µs to 64 s. They are
bounds of our own buckets too, so the page's counts are exact."""
LOOKED_AT = 128
"""Rows of a batch, the newest ones."""
MAX_EXEMPLARS = 4_096
"""More are not taken: there are not so many buckets that somebody looks at."""
_START, _END, _STATUS, _NAME, _SOURCE, _SERVICE, _POOL = 4, 5, 7, 8, 9, 10, 14


class Exemplar(NamedTuple):
    """One trace that was counted in a number."""

    trace_id: int
    span_id: int
    value: float
    seconds: float
    """When, since 1970."""


def octave_of(seconds: float) -> int:
    """The page's bucket that a duration is in: at most 2 to this power in seconds, or endless."""
    octave = bucket_of(seconds) // PER_OCTAVE + 1
    return min(max(octave, OCTAVES.start), OCTAVES.stop)


class Exemplars:
    """The newest exemplar of each number."""

    def __init__(self) -> None:
        self.buckets: dict[tuple[str, str], dict[int, Exemplar]] = {}
        """By duration and subject, as in the recorder; then by octave."""
        self.errors: dict[tuple[str, tuple[tuple[str, str], ...]], Exemplar] = {}
        """By counter."""
        self._number = 0

    def write(self, rows: Sequence[Row]) -> int:
        """Takes rows of topic `span`; drops none."""
        for row in rows[-LOOKED_AT:]:
            found = _DURATIONS.get(row[_SOURCE])
            if found is not None:
                self._take(row, *found(row))
        return 0

    def _take(self, row: Row, duration: str, subject: str, counter: Counter) -> None:
        seconds = (row[_END] - row[_START]) / 1e9
        made = Exemplar(row[0] << 64 | row[1], row[2], seconds, row[_END] / 1e9)
        if duration and subject:
            octaves = self.buckets.get((duration, subject))
            if octaves is None:
                if self._number >= MAX_EXEMPLARS:
                    return
                octaves = self.buckets[duration, subject] = {}
            octave = octave_of(seconds)
            self._number += octave not in octaves
            octaves[octave] = made
        if counter is not None and row[_STATUS] == STATUS_ERROR:
            if counter not in self.errors and len(self.errors) >= MAX_EXEMPLARS:
                return
            self.errors[counter] = made._replace(value=1.0)


Counter = tuple[str, tuple[tuple[str, str], ...]] | None
_Found = tuple[str, str, Counter]
"""The duration that the span is one of, its subject, and the counter of such that fail."""


def _command(row: Row) -> _Found:
    labels = (("outcome", "failed"), ("pool", row[_POOL]))
    return "", "", ("citadel.commands", labels)


def _run(row: Row) -> _Found:
    if not row[_NAME].startswith("run "):
        return "", "", None  # a tool's own
    return "citadel.command.duration", row[_POOL], None


def _guard(row: Row) -> _Found:
    return "citadel.guard.duration", row[_SERVICE], None


def _chat(row: Row) -> _Found:
    labels = (("outcome", "failed"), ("provider", row[_SERVICE]))
    return "citadel.provider.duration", row[_SERVICE], ("citadel.provider.requests", labels)


def _turn(row: Row) -> _Found:
    behaviour = row[_NAME].partition(" ")[0]
    labels = (("behaviour", behaviour), ("outcome", "failed"))
    return "citadel.sentinel.handle", behaviour, ("citadel.sentinel.signals", labels)


_DURATIONS: dict[str, Callable[[Row], _Found]] = {
    "pool": _command,
    "worker": _run,
    "guard": _guard,
    "provider": _chat,
    "sentinel": _turn,
}

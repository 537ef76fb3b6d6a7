"""Counters, gauges and durations to the bytes of an OTLP ExportMetricsServiceRequest. Pure.

Temporality is cumulative, since a start time that stays the same. Durations are exponential
histograms of scale 4, with the very buckets that they were counted in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from citadel.otlp import wire
from citadel.otlp.attributes import encoded
from citadel.otlp.resource import Resource, scope_field

SCALE = 4
SOURCE = "engine"
CUMULATIVE = 2
MAX_BUCKETS = 1_600
"""From the first to the last that counted something; engine/telemetry/histogram.py has 800."""
_POINT_ATTRIBUTE, _HISTOGRAM_ATTRIBUTE = b"\x3a", b"\x0a"

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """One value of a counter or a gauge."""

    name: str
    labels: Labels
    value: float
    monotonic: bool
    """A counter, that only grows; else a gauge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """One exponential histogram of scale 4: index i counts 2^(i/16) < seconds <= 2^((i+1)/16)."""

    name: str
    labels: Labels
    counts: Mapping[int, int]
    sum: float


Point = Number | Durations


@dataclass(frozen=True, slots=True, kw_only=True)
class Help:
    """What a metric says, and its unit in UCUM ("s", "By"); for all points of its name."""

    text: str = ""
    unit: str = ""


def request(
    resource: Resource,
    points: Iterable[Point],
    *,
    start_ns: int,
    time_ns: int,
    helps: Mapping[str, Help] | None = None,
) -> bytes:
    """The request; points of one name become one metric."""
    by_name: dict[str, list[Point]] = {}
    for point in points:
        by_name.setdefault(point.name, []).append(point)
    known = helps or {}
    metrics = (
        _metric(name, found, known.get(name, Help()), start_ns, time_ns)
        for name, found in by_name.items()
    )
    scope = scope_field(SOURCE) + b"".join(wire.message(2, metric) for metric in metrics)
    return wire.message(1, resource.field() + wire.message(2, scope))


def _metric(name: str, points: list[Point], help_: Help, start_ns: int, time_ns: int) -> bytes:
    head = wire.text(1, name) + wire.text(2, help_.text) + wire.text(3, help_.unit)
    first = points[0]
    if isinstance(first, Durations):
        data = b"".join(
            wire.message(1, _histogram(point, start_ns, time_ns))
            for point in points
            if isinstance(point, Durations)
        )
        return head + wire.message(10, data + wire.number(2, CUMULATIVE))
    data = b"".join(
        wire.message(1, _number(point, start_ns if first.monotonic else 0, time_ns))
        for point in points
        if isinstance(point, Number)
    )
    if first.monotonic:
        return head + wire.message(7, data + wire.number(2, CUMULATIVE) + wire.number(3, 1))
    return head + wire.message(5, data)


def _number(point: Number, start_ns: int, time_ns: int) -> bytes:
    begun = wire.fixed64(2, start_ns) if start_ns else b""
    return (
        encoded(dict(point.labels), _POINT_ATTRIBUTE)
        + begun
        + wire.fixed64(3, time_ns)
        + wire.double(4, point.value)
    )


def _histogram(point: Durations, start_ns: int, time_ns: int) -> bytes:
    counts = {index: count for index, count in point.counts.items() if count > 0}
    body = (
        encoded(dict(point.labels), _HISTOGRAM_ATTRIBUTE)
        + wire.fixed64(2, start_ns)
        + wire.fixed64(3, time_ns)
        + wire.fixed64(4, sum(counts.values()))
        + wire.double(5, point.sum)
        + wire.zigzag(6, SCALE)
    )
    if not counts:
        return body
    first, last = min(counts), max(counts)
    if last - first >= MAX_BUCKETS:
        raise ValueError(f"{point.name} has {last - first + 1} buckets, more than {MAX_BUCKETS}")
    packed = b"".join(wire.varint(counts.get(index, 0)) for index in range(first, last + 1))
    return body + wire.message(8, wire.zigzag(1, first) + wire.message(2, packed))

"""Writes /metrics in the text format and in OpenMetrics; what prometheus-client would, much faster.

Names and labels are encoded once and kept, a histogram's lines are one template that is filled in.
The page is the same, line for line, as that of prometheus-client's `generate_latest` for the same
collector; numbers from a million on are written out, where it writes exponents.
"""

from __future__ import annotations

import math
import threading
from itertools import accumulate

from engine.telemetry.exemplars import OCTAVES, Exemplar
from engine.telemetry.families import Families, Family, Labels
from engine.telemetry.histogram import PER_OCTAVE, Histogram

MAX_CACHED = 100_000
"""Encoded series that are kept; there are that many label sets only when pools come and go."""
_SHIFT = PER_OCTAVE.bit_length() - 1
_EDGES = [str(2.0**octave) for octave in OCTAVES] + ["+Inf"]
_SUFFIXES = {"counter": "_total", "gauge": "", "info": "_info"}


class Page:
    """Renders families; one render at a time."""

    def __init__(self, families: Families) -> None:
        self._families = families
        self._series: dict[tuple[str, Labels], str] = {}
        self._templates: dict[tuple[str, Labels], str] = {}
        self._lock = threading.Lock()

    def render(self, *, openmetrics: bool = False) -> bytes:
        """The page; a family that cannot be written is left out, and counted in the next one."""
        lines: list[str] = []
        with self._lock:
            for family in self._families.read():
                written: list[str] = []
                try:
                    self._write(written, family, openmetrics=openmetrics)
                except Exception as error:  # noqa: BLE001 - one family's fault is not the others'
                    self._families.failed(family.name, error)
                else:
                    lines += written
        if openmetrics:
            lines.append("# EOF\n")
        return "".join(lines).encode()

    def _write(self, lines: list[str], family: Family, *, openmetrics: bool) -> None:
        name, kind = family.name, str(family.kind)
        suffix = _SUFFIXES.get(family.kind, "")
        if openmetrics:
            lines.append(f"# HELP {name} {_escaped(family.help)}\n# TYPE {name} {kind}\n")
            if family.unit:
                lines.append(f"# UNIT {name} {family.unit}\n")
        else:
            kind = "gauge" if kind == "info" else kind
            shown = name + suffix
            lines.append(f"# HELP {shown} {_escaped_help(family.help)}\n# TYPE {shown} {kind}\n")
        if family.kind == "histogram":
            self._write_histograms(lines, family, openmetrics=openmetrics)
            return
        if openmetrics and family.kind == "counter" and self._families.exemplars.errors:
            self._write_counters(lines, family)
            return
        series, full = self._series, name + suffix
        for labels, value in family.values:
            said = series.get((full, labels)) or self._encoded(full, labels)
            lines.append(f"{said} {number(value)}\n")

    def _write_counters(self, lines: list[str], family: Family) -> None:
        """With exemplars."""
        full, errors = f"{family.name}_total", self._families.exemplars.errors
        for labels, value in family.values:
            said = self._series.get((full, labels)) or self._encoded(full, labels)
            exemplar = errors.get((family.source, labels))
            lines.append(f"{said} {number(value)}{_exemplar(exemplar) if exemplar else ''}\n")

    def _write_histograms(self, lines: list[str], family: Family, *, openmetrics: bool) -> None:
        exemplars = self._families.exemplars.buckets
        for labels, histogram in family.histograms:
            key = family.name, labels
            template = self._templates.get(key) or self._template(key)
            counts, total = cumulative(histogram)
            filled = template % (*counts, counts[-1], number(total))
            if openmetrics:
                subject = labels[0][1] if labels else ""
                found = exemplars.get((family.source, subject))
                if found:
                    filled = _with_exemplars(filled, dict(found), counts)
            lines.append(filled)

    def _encoded(self, full: str, labels: Labels) -> str:
        if len(self._series) >= MAX_CACHED:
            self._series.clear()
        said = self._series[full, labels] = full + _braces(labels)
        return said

    def _template(self, key: tuple[str, Labels]) -> str:
        if len(self._templates) >= MAX_CACHED:
            self._templates.clear()
        name, labels = key
        plain = _braces(labels).replace("%", "%%")
        parts = [
            f"{name}_bucket{_braces(tuple(sorted((*labels, ('le', edge))))).replace('%', '%%')}"
            " %d.0\n"
            for edge in _EDGES
        ]
        parts += [f"{name}_count{plain} %d.0\n", f"{name}_sum{plain} %s\n"]
        made = self._templates[key] = "".join(parts)
        return made


def cumulative(histogram: Histogram) -> tuple[list[int], float]:
    """How many durations were at most as long as each edge, the last one endless; and their sum."""
    counts, total = histogram.reading()
    slots = [0] * len(_EDGES)
    first, last = OCTAVES.start, len(OCTAVES)
    for bucket, count in counts.items():
        slot = (bucket >> _SHIFT) + 1 - first
        slots[0 if slot < 0 else min(slot, last)] += count
    return list(accumulate(slots)), total


def number(value: float) -> str:
    """A value as the formats have it."""
    value = float(value)
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def _with_exemplars(filled: str, found: dict[int, Exemplar], counts: list[int]) -> str:
    """The lines of a histogram, each bucket with its exemplar; an empty bucket has none."""
    lines = filled.splitlines()
    for octave, exemplar in found.items():
        slot = octave - OCTAVES.start
        if counts[slot] > (counts[slot - 1] if slot else 0):
            lines[slot] += _exemplar(exemplar)
    return "\n".join(lines) + "\n"


def exemplar_labels(exemplar: Exemplar) -> dict[str, str]:
    """By the names that Grafana and OpenTelemetry look for."""
    return {"span_id": f"{exemplar.span_id:016x}", "trace_id": f"{exemplar.trace_id:032x}"}


def _exemplar(exemplar: Exemplar) -> str:
    labels = _braces(tuple(exemplar_labels(exemplar).items()))
    return f" # {labels} {number(exemplar.value)} {exemplar.seconds}"


def _braces(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(text: str) -> str:
    return _escaped_help(text).replace('"', r"\"")


def _escaped_help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")

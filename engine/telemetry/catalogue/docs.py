"""Writes docs/reference/telemetry.md from the catalogue: `poe catalogue`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from engine.telemetry.catalogue import COUNTERS, DURATIONS, EVENTS, GAUGES, Entry
from engine.telemetry.families import page_name

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "telemetry.md"
_HEAD = """# Metrics and events

Made from `engine/telemetry/catalogue/` by `poe catalogue`: change it there. Nothing else is
emitted.

Counters and durations are exact: they are taken before sampling. Label sets are bounded: what
comes beyond 1,000 of one metric counts as `other`. No Sentinel, command, session, worker or trace
is ever a label. In OTLP and in the window a metric has its own name, on /metrics the one in the
second column.
"""


def page() -> str:
    """The whole document."""
    parts = [_HEAD]
    for title, table, suffix in (
        ("Counters", COUNTERS, "_total"),
        ("Durations", DURATIONS, ""),
        ("Gauges", GAUGES, ""),
    ):
        parts.append(f"## {title}\n\n" + _table(_metrics(table, suffix), _METRIC_COLUMNS))
    told = (
        "Durations are histograms on /metrics (`_bucket`, `_count`, `_sum`), exponential in OTLP.\n"
    )
    parts.insert(3, told)
    rows = (
        (f"`{name}`", event.help, ", ".join(event.severities), _codes(event.attributes))
        for name, event in EVENTS.items()
    )
    columns = ("event", "what it says", "severity", "attributes")
    parts.append("## Events\n\n" + _table(rows, columns))
    return "\n".join(parts)


_DURATIONS = "They are histograms on /metrics (`_bucket`, `_count`, `_sum`), exponential in OTLP.\n"
_METRIC_COLUMNS = ("metric", "on /metrics", "what it says", "labels", "unit")


def _metrics(table: Mapping[str, Entry], suffix: str) -> Iterable[tuple[str, ...]]:
    for name, entry in table.items():
        shown = f"`{page_name(name, entry)}{suffix}`"
        yield f"`{name}`", shown, entry.help, _codes(entry.labels), entry.unit


def _table(rows: Iterable[tuple[str, ...]], columns: tuple[str, ...]) -> str:
    lines = [columns, ("---",) * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")

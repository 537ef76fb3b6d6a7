"""`citadel trace latency` and `stats`: figures of many spans."""

from __future__ import annotations

import math
import time
from typing import Any

import click

from citadel import query
from citadel.cli import show
from citadel.cli.session import Session, shared
from citadel.cli.text import count, duration
from citadel.errors import CitadelError, InvalidRequest
from citadel.histogram import added, percentile
from citadel.wire.columns import rows
from citadel.wire.messages import Estimated

SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


@click.command()
@click.option("--mission", default="", metavar="GLOB", help="Just of these missions.")
@click.option("--name", default="", metavar="GLOB", help="Just spans of these names.")
@click.option("--last", default="", metavar="TIME", help="Just of the last 10m, 2h, …")
@shared
def latency(session: Session, mission: str, name: str, last: str) -> None:
    """How long spans took, by mission and name, slowest first.

    From histograms that are kept ready. p50, p90 and p99 are weighted by how many spans each kept
    one stands for, and right to within 4.4 %. "kept" counts what is stored, "stands for" what there
    was.
    """
    since = since_ns(last)
    table = session.ask(lambda client: client.traces.histogram(mission, name, since_ns=since))
    figures = _latencies(rows(table))
    if session.json:
        show.as_json(figures)
        return
    show.table(
        ["mission", "span", "kept:", "stands for:", "p50:", "p90:", "p99:"],
        (
            (
                each["mission"],
                each["name"],
                count(each["count"]),
                count(each["weight"]),
                *(_duration(each[share]) for share in SHARES),
            )
            for each in figures
        ),
        empty="no spans are stored",
    )


@click.command()
@click.argument("filter_", metavar="[FILTER]", default="")
@click.option("--last", default="", metavar="TIME", help="Just of the last 10m, 2h, …")
@shared
def stats(session: Session, filter_: str, last: str) -> None:
    """How many spans match, how many failed and how long they took, before sampling.

    Told from what was kept. The truth is between "low" and "high" in 19 cases of 20; they are the
    same where everything was kept.
    """
    query.parse(filter_)
    since = since_ns(last)
    found = session.ask(lambda client: client.traces.estimate(filter_, since_ns=since))
    if session.json:
        show.as_json(_plain(found))
        return
    counts = {"traces": found.traces, "spans": found.spans, "errors": found.errors}
    show.table(
        ["of", "about:", "low:", "high:"],
        [
            *((name, *map(count, _ends(each))) for name, each in counts.items()),
            *((name, *map(_duration, _ends(getattr(found, name)))) for name in SHARES),
        ],
    )
    show.note(f"from {count(found.kept_spans)} spans of {count(found.kept_traces)} traces")


def since_ns(last: str) -> int:
    """Unix nanoseconds of that long ago; 0 for no bound."""
    if not last:
        return 0
    try:
        parsed: Any = query.parse(f"dur<{last}")
    except CitadelError:
        parsed = None
    if not isinstance(parsed, query.Compare) or not isinstance(parsed.value, int):
        raise InvalidRequest(
            f"{last!r} is no time", subject="--last", remedy="For instance 30s or 10m"
        )
    return time.time_ns() - parsed.value


def _latencies(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each mission and name, the slowest p99 first."""
    series: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in found:
        series.setdefault((row["mission"], row["name"]), []).append(row)
    made: list[dict[str, Any]] = []
    for (mission, name), parts in series.items():
        weight = math.fsum(each["weight"] for each in parts)
        # Where only keep-rules kept spans they stand for none: then it is told of those.
        column = "weight" if weight else "count"
        counts = added((each["bucket"], each[column]) for each in parts)
        made.append(
            {
                "mission": mission,
                "name": name,
                "count": sum(each["count"] for each in parts),
                "weight": weight,
                **{key: percentile(counts, share) for key, share in SHARES.items()},
            }
        )
    return sorted(made, key=lambda each: -each["p99"])


def _ends(each: Estimated | None) -> tuple[float, float, float]:
    assert each is not None
    return each.value, each.low, each.high


def _duration(seconds: float) -> str:
    return "–" if math.isnan(seconds) else duration(seconds * 1e9)


def _plain(found: Any) -> dict[str, Any]:
    """For JSON, which has no NaN."""
    made: dict[str, Any] = {"kept_traces": found.kept_traces, "kept_spans": found.kept_spans}
    for name in ("traces", "spans", "errors", *SHARES):
        ends = (None if math.isnan(each) else each for each in _ends(getattr(found, name)))
        made[name] = dict(zip(("value", "low", "high"), ends, strict=True))
    return made

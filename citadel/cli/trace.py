"""`citadel trace`: search, show, ledger; figures of many are in trace_figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from citadel import query, semconv
from citadel.cli import show, trace_figures
from citadel.cli.session import Session, shared
from citadel.cli.text import clock, count, duration
from citadel.cli.trace_export import export_parquet
from citadel.cli.trace_figures import since_ns
from citadel.errors import InvalidRequest
from citadel.vocabulary import STATUS_ERROR
from citadel.wire.columns import rows

SHOWN_SPANS = 2_000
"""Spans that a table shows; --json has all."""
BAR = 24


@click.group()
def trace() -> None:
    """Search and read traces."""


trace.add_command(trace_figures.latency)
trace.add_command(trace_figures.stats)
trace.add_command(export_parquet)


@trace.command()
@click.argument("filter_", metavar="[FILTER]", default="")
@click.option("--limit", default=30, show_default=True, type=click.IntRange(1, 1000))
@click.option("--last", default="", metavar="TIME", help="Just of the last 10m, 30s, …")
@shared
def search(session: Session, filter_: str, limit: int, last: str) -> None:
    """The newest traces with a span that matches.

    For instance: status=error and dur>5ms and name~"survey*". Fields are name, mission, class,
    sentinel, pool, source, service, trace, span, parent, message, event, status, kind, dur and
    attr.KEY; flags are error and flagged, and attr.KEY alone asks whether it is there.
    """
    query.parse(filter_)
    since = since_ns(last)
    table = session.ask(lambda client: client.traces.search(filter_, limit=limit, since_ns=since))
    found = [show.row_plain(row) for row in rows(table)]
    if session.json:
        show.as_json(found)
        return
    show.table(
        ["trace", "began", "took:", "spans:", "errors:", "flags:", "mission", "name"],
        (
            (
                row["trace_id"],
                clock(row["start_ns"]),
                duration(row["end_ns"] - row["start_ns"]),
                count(row["spans"]),
                row["errors"] or "",
                row["flags"] or "",
                row["mission"],
                row["name"],
            )
            for row in found
        ),
        empty="no trace matches",
    )


@trace.command("show")
@click.argument("trace_id")
@shared
def show_(session: Session, trace_id: str) -> None:
    """The spans of a trace, as a tree."""
    digits = trace_id.lower().replace("-", "")
    if len(digits) != 32 or set(digits) - set("0123456789abcdef"):
        raise InvalidRequest(
            f"{trace_id!r} is no trace id",
            subject=trace_id,
            remedy="Give its 32 hex digits: citadel trace search",
        )
    found = rows(session.ask(lambda client: client.traces.get(digits)))
    if session.json:
        show.as_json([show.row_plain(row) for row in found])
        return
    _show_tree(found)


@trace.command()
@shared
def ledger(session: Session) -> None:
    """What became of all spans: started = kept + dropped + in flight."""
    found = session.ask(lambda client: client.traces.ledger())
    if session.json:
        show.as_json(found)
        return
    show.table(
        ["spans", "number:"],
        [
            ("started", count(found.started)),
            ("kept", count(found.kept)),
            *((f"dropped: {cause}", count(n)) for cause, n in sorted(found.dropped.items())),
            ("in flight", count(found.in_flight)),
        ],
    )


def _show_tree(spans: Sequence[dict[str, Any]]) -> None:
    ordered = tree(spans)
    began = min(span["start_ns"] for span in spans)
    whole = max(1, max(span["end_ns"] for span in spans) - began)
    show.table(
        ["after:", "took:", "", "source", "where", "span"],
        (
            (
                duration(span["start_ns"] - began),
                duration(span["end_ns"] - span["start_ns"]),
                bar(span["start_ns"] - began, span["end_ns"] - began, whole),
                span["source"],
                span["service"],
                "  " * depth + span["name"] + _failure(span),
            )
            for depth, span in ordered[:SHOWN_SPANS]
        ),
    )
    if len(ordered) > SHOWN_SPANS:
        show.note(f"{count(SHOWN_SPANS)} of {count(len(ordered))} spans; --json has all")


def tree(spans: Sequence[dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    """Depth and span in the order of a tree, children by start; those without a parent on top."""
    ids = {span["span_id"] for span in spans}
    children: dict[int, list[dict[str, Any]]] = {}
    for span in sorted(spans, key=lambda span: span["start_ns"], reverse=True):
        parent = span["parent_id"] if span["parent_id"] in ids else 0
        children.setdefault(parent, []).append(span)
    found: list[tuple[int, dict[str, Any]]] = []
    # No recursion: a chain may be thousands deep.
    stack = [(0, span) for span in children.pop(0, [])]
    while stack:
        depth, span = stack.pop()
        found.append((depth, span))
        stack += [(depth + 1, child) for child in children.pop(span["span_id"], [])]
    return found


def bar(start: int, end: int, whole: int) -> str:
    """Where in a whole a stretch lies, in BAR characters; never invisible."""
    first = min(BAR - 1, start * BAR // whole)
    last = max(first + 1, min(BAR, -(-end * BAR // whole)))
    return "·" * first + "━" * (last - first) + "·" * (BAR - last)


def _failure(span: dict[str, Any]) -> str:
    if span["status"] != STATUS_ERROR:
        return ""
    try:
        kind = json.loads(span["attributes"] or "{}").get(semconv.ERROR_TYPE, "")
    except ValueError:
        kind = ""
    return f"  ✕ {kind or 'error'}"

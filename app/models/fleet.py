"""The columns of Sentinels, missions, logs and results: declared as data.

Those of pools, workers, sessions and poison are in app/models/pools.py. Pure but for the model's
file. Main thread only.
"""

from __future__ import annotations

import json
from typing import Any

from app import figures
from app.models.columns import count_column, since_column, state_column
from app.models.table import ColumnSpec, column
from app.store import Row

SENTINELS = (
    column("Sentinel", "id", width=160),
    column("Behaviour", "behaviour", width=88),
    state_column(),
    count_column("Mailbox", "mailbox"),
    count_column("Handled", "handled"),
    count_column("Restarts", "restarts"),
    column("Mission", "mission_id", width=128),
    column("Supervisor", "supervisor", width=96),
    since_column("since_ns", "In state"),
    column("Cause", "cause", width=200),
)


def _progress(row: Row) -> float:
    return min(row["done"] / row["total"], 1.0) if row["total"] else 0.0


MISSIONS = (
    column("Mission", "name", width=112, tip=lambda row, _now: f"{row['name']} · {row['id']}"),
    column("Kind", "kind", width=72),
    column("Class", "mission_class", width=72),
    state_column(96),
    ColumnSpec(
        title="Progress",
        text=lambda row, _now: f"{row['done']:,} / {row['total']:,}",
        sort=_progress,
        right=True,
        width=128,
        bar=_progress,
    ),
    count_column("Failed", "failed"),
    count_column("Passes", "passes"),
    ColumnSpec(
        title="Rate",
        text=lambda row, _now: figures.rate(row["rate"]) if row["rate"] else "flat out",
        sort=lambda row: row["rate"],
        right=True,
        width=72,
    ),
    since_column("started_ns", "Started"),
    column("Error", "error", width=200),
)

EVENTS = (
    ColumnSpec(
        title="Time",
        text=lambda row, _now: figures.time_of_day(row["time_ns"]),
        sort=lambda row: row["time_ns"],
        tip=lambda row, _now: figures.moment(row["time_ns"]),
        width=104,
    ),
    column("Severity", "severity", state=lambda row: row["severity"], width=88),
    column("Event", "name", width=152),
    column("Subject", "subject", width=152),
    column("Message", "message", width=420),
)


def changes(row: Row) -> list[tuple[str, Any, Any]]:
    """What an audit entry changed: the path of each leaf that differs, before and after."""
    before, after = _leaves(row["before"]), _leaves(row["after"])
    return [
        (key, before.get(key), after.get(key))
        for key in {**before, **after}
        if before.get(key) != after.get(key) and not key.endswith("revision")
    ]


def _change(row: Row) -> str:
    """The same in short, on one line."""
    parts = (f"{key}: {_short(was)} → {_short(now)}" for key, was, now in changes(row))
    return "; ".join(parts)


def _leaves(text: str) -> Row:
    """The values of a JSON document by their path: "rules.training.rate"."""
    found: Row = {}
    waiting: list[tuple[str, Any]] = [("", json.loads(text) if text else {})]
    while waiting:
        path, value = waiting.pop(0)
        items: list[tuple[str, Any]] = []
        if isinstance(value, dict):
            items = [(str(key), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            items = [(_named(inner, at), inner) for at, inner in enumerate(value)]
        else:
            found[path or "value"] = value
        waiting += [(f"{path}.{key}".lstrip("."), inner) for key, inner in items]
    return found


def _named(item: Any, at: int) -> str:
    """An entry of a list by its id or name, so that what moved is not taken for what changed."""
    name = (item.get("id") or item.get("name")) if isinstance(item, dict) else None
    return str(name or at)


def _short(value: object) -> str:
    if value is None:
        return "–"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 48 else text[:47] + "…"


AUDIT = (
    column("#", "seq", right=True, width=48),
    EVENTS[0],
    column("Who", "actor", width=112),
    column("Action", "action", width=136),
    column("On what", "subject", width=136),
    ColumnSpec(
        title="Change",
        text=lambda row, _now: _change(row),
        sort=_change,
        tip=lambda row, _now: f"before: {row['before'] or '–'}\nafter: {row['after'] or '–'}",
        width=320,
    ),
    column("Why", "reason", width=176),
    column("Hash", "hash", text=lambda row, _now: row["hash"][:12], width=96),
)

SURVEY = (
    column("File", "path", width=240),
    column("Status", "status", width=72),
    count_column("Lines", "lines"),
    count_column("Tokens", "code_tokens"),
    count_column("Functions", "functions", 88),
    count_column("Classes", "classes"),
    count_column("Complexity, max", "complexity_max", 128),
    count_column("Duplicated lines", "duplicated_lines", 128),
    column(
        "Size", "bytes", text=lambda row, _now: figures.bytes_(row["bytes"]), right=True, width=80
    ),
    column("Verified", "verified", width=72),
    column("Summary", "summary", width=320),
    column("Summary by", "summary_source", width=96),
    column("SHA-256", "sha256", text=lambda row, _now: row["sha256"][:12], width=104),
    column("Error", "error", width=200),
)

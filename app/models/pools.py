"""The columns of pools, workers, sessions and poison: declared as data.

Pure but for the model's file. Main thread only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from app import figures
from app.models.columns import count_column, since_column, state_column
from app.models.table import ColumnSpec, Part, column
from app.store import Row
from citadel.vocabulary import PRIORITIES

PRIORITY_MARKS = {"urgent": "▲", "normal": "●", "later": "▼"}
LEAST_BAR = 0.15
"""The least share of a queue's bar: a short queue is to be seen too."""
NEARLY_FULL = 0.8
TRAIL_POINTS = 60
SHOWN_VARIABLES = 120
"""Letters of a session's variables that its row shows."""


# ── pools ───────────────────────────────────────────────────────────────────────────────────────
def workers_text(row: Row) -> str:
    """How many there are, and the range where the pool sizes itself: "3 of 2…8"."""
    if not row["max_size"]:
        return f"{row['size']:,}"
    return f"{row['size']:,} of {row['min_size']:,}…{row['max_size']:,}"


def workers_tip(row: Row) -> str:
    """The same in words, and who decides it."""
    if not row["max_size"]:
        return f"{row['size']:,} workers are wanted; the pool keeps its size"
    return (
        f"{row['size']:,} workers are wanted now; the pool sizes itself between "
        f"{row['min_size']:,} and {row['max_size']:,} by how long commands wait"
    )


def queue_by_priority(row: Row) -> dict[str, int]:
    """How many commands of each priority wait."""
    return {name: row[f"queued_{name}"] for name in PRIORITIES}


def queue_text(row: Row) -> str:
    """By priority, then all: "▲5 ●20 ▼9  34"."""
    return "".join(part.text for part in queue_parts(row))


def queue_parts(row: Row) -> tuple[Part, ...]:
    """The same in the colours of the priorities, with their shares of the bar."""
    total, by_priority = row["queued"], queue_by_priority(row)
    tone = "severity.warning" if _fullness(row) >= NEARLY_FULL else "text.primary"
    plain = Part(f"{total:,}", tone if total else "text.muted")
    known = sum(by_priority.values())
    if not total or not known:
        return (plain,)
    length = min(max(_fullness(row), LEAST_BAR), 1.0)
    return (
        *(
            Part(f"{PRIORITY_MARKS[name]}{count:,} ", f"priority.{name}", length * count / known)
            for name, count in by_priority.items()
            if count
        ),
        Part(f" {total:,}", tone),
    )


def queue_tip(row: Row) -> str:
    """Everything about a pool's queue, in words."""
    parts = ", ".join(f"{count:,} {name}" for name, count in queue_by_priority(row).items())
    policy = {
        "reject": "new commands are rejected",
        "wait": "new commands wait for room",
        "shed_oldest": "the oldest command makes room",
    }.get(row["queue_policy"], "new commands are rejected")
    return f"{row['queued']:,} of {row['queue_limit']:,} wait: {parts}\nWhen it is full, {policy}"


def _fullness(row: Row) -> float:
    return row["queued"] / max(row["queue_limit"], 1)


def breaker_text(row: Row) -> str:
    """The breaker's state in words."""
    return str(row["breaker"]).replace("_", "-") or "–"


_BREAKER_TIPS = {
    "closed": "Commands are taken",
    "open": "Too many commands were lost or late: new ones are refused for now",
    "half_open": "One command is tried; if it succeeds, the breaker closes",
}


def _slab_text(row: Row) -> str:
    if not row["slab_bytes"]:
        return "–"
    return figures.bytes_(row["slab_used_bytes"])


def slab_tip(row: Row) -> str:
    """Its shared memory, in words."""
    if not row["slab_bytes"]:
        return "This pool has no shared memory: large values go through the link"
    used, whole = figures.bytes_(row["slab_used_bytes"]), figures.bytes_(row["slab_bytes"])
    return f"{used} of {whole}, {row['leases']:,} leases out"


def profile_text(row: Row) -> str:
    """The profile, and the backend where it is not here: "thread · ray"."""
    profile = str(row["profile"] or "process").replace("_", "-")
    return profile if row["backend"] in {"", "local"} else f"{profile} · {row['backend']}"


def _warn_above_zero(key: str) -> Callable[[Row], str]:
    return lambda row: "severity.warning" if row[key] else "text.muted"


POOLS = (
    column("Pool", "name", width=104, tip=lambda row, _now: row["error"] or row["name"]),
    state_column(96),
    ColumnSpec(
        title="Workers",
        text=lambda row, _now: workers_text(row),
        sort=lambda row: row["size"],
        tip=lambda row, _now: workers_tip(row),
        right=True,
        width=88,
    ),
    count_column("Running", "running", 64),
    ColumnSpec(
        title="Queued",
        text=lambda row, _now: queue_text(row),
        sort=lambda row: row["queued"],
        tip=lambda row, _now: queue_tip(row),
        right=True,
        width=152,
        parts=queue_parts,
    ),
    ColumnSpec(
        title="Wait",
        text=lambda row, _now: figures.seconds(row["queue_wait"]) if row["queue_wait"] else "–",
        sort=lambda row: row["queue_wait"],
        tip=lambda row, _now: (
            "Commands that began in the last seconds had waited "
            f"{figures.seconds(row['queue_wait'])} in the queue: the median"
        ),
        right=True,
        width=64,
    ),
    ColumnSpec(
        title="Breaker",
        text=lambda row, _now: breaker_text(row),
        sort=lambda row: row["breaker"],
        tip=lambda row, _now: _BREAKER_TIPS.get(row["breaker"], "This pool has no breaker"),
        state=lambda row: f"breaker_{row['breaker']}" if row["breaker"] else "",
        width=88,
    ),
    count_column("Sessions", "sessions", 64),
    column(
        "Poison",
        "poisoned",
        text=lambda row, _now: figures.count(row["poisoned"]),
        tip=lambda row, _now: f"{row['poisoned']:,} commands are refused for having killed workers",
        tone=_warn_above_zero("poisoned"),
        right=True,
        width=56,
    ),
    ColumnSpec(
        title="Shared",
        text=lambda row, _now: _slab_text(row),
        sort=lambda row: row["slab_used_bytes"],
        tip=lambda row, _now: slab_tip(row),
        right=True,
        width=80,
        bar=lambda row: row["slab_used_bytes"] / row["slab_bytes"] if row["slab_bytes"] else None,
    ),
    count_column("Done", "done", 72),
    count_column("Failed", "failed", 56),
    count_column("Cancelled", "cancelled", 72),
    count_column("Rejected", "rejected", 64),
    count_column("Shed", "shed", 56),
    count_column("Retried", "retried", 64),
    count_column("Hedged", "hedged", 64),
    ColumnSpec(
        title="Profile",
        text=lambda row, _now: profile_text(row),
        sort=profile_text,
        width=96,
    ),
    column("Adapter", "adapter", width=240),
)


# ── workers ─────────────────────────────────────────────────────────────────────────────────────
def runs_text(row: Row) -> str:
    """What a worker runs: "parse", "parse +2", or nothing."""
    more = row["running"] - 1
    return f"{row['tool']} +{more:,}" if row["tool"] and more > 0 else str(row["tool"])


_WORKER_FACTS = (
    count_column("Done", "done", 64),
    count_column("Failed", "failed", 56),
    column(
        "Missed",
        "missed",
        text=lambda row, _now: figures.count(row["missed"]),
        tip=lambda row, _now: f"{row['missed']:,} heartbeats in a row did not come",
        tone=_warn_above_zero("missed"),
        right=True,
        width=56,
    ),
    since_column("started_ns", "Up"),
    column("PID", "pid", right=True, width=64),
    column(
        "Taint",
        "taint",
        state=lambda row: "degraded" if row["taint"] else "",
        tip=lambda row, _now: f"To be replaced: {row['taint']}" if row["taint"] else "",
        width=144,
    ),
    column("Node", "node", text=lambda row, _now: row["node"] or "here", width=72),
    column("Cause", "cause", width=200),
)


def worker_columns(trail: Callable[[Row], Sequence[float]] | None = None) -> tuple[ColumnSpec, ...]:
    """The columns of workers; `trail` gives the newest resident sizes of one."""
    return (
        column("Worker", "id", width=104),
        column("Pool", "pool", width=80),
        state_column(96),
        ColumnSpec(
            title="Runs",
            text=lambda row, _now: runs_text(row),
            sort=lambda row: (row["running"], row["tool"]),
            tip=lambda row, _now: row["command_id"],
            width=104,
        ),
        ColumnSpec(
            title="CPU",
            text=lambda row, _now: figures.share(row["cpu"]),
            sort=lambda row: row["cpu"],
            right=True,
            width=72,
            bar=lambda row: min(row["cpu"], 1.0),
        ),
        ColumnSpec(
            title="Memory",
            text=lambda row, _now: figures.bytes_(row["rss_bytes"]) if row["rss_bytes"] else "–",
            sort=lambda row: row["rss_bytes"],
            tip=lambda row, _now: memory_tip(row),
            right=True,
            width=152,
            trail=trail,
        ),
        *_WORKER_FACTS,
    )


def memory_tip(row: Row) -> str:
    """A worker's memory, in words."""
    resident = f"{figures.bytes_(row['rss_bytes'])} resident"
    if not row["pss_bytes"]:
        return resident
    return f"{resident}, {figures.bytes_(row['pss_bytes'])} its share"


WORKERS = worker_columns()


# ── sessions and poison ─────────────────────────────────────────────────────────────────────────
def variables_text(row: Row) -> str:
    """A session's variables, in short: "user ada · step 3"."""
    try:
        found = json.loads(row["variables"] or "{}")
    except ValueError:
        return str(row["variables"])[:SHOWN_VARIABLES]
    if not isinstance(found, dict):
        return str(found)[:SHOWN_VARIABLES]
    pairs: dict[str, Any] = found
    parts = (f"{key} {_plain(value)}" for key, value in pairs.items())
    return " · ".join(parts)[:SHOWN_VARIABLES]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _left(row: Row, now: int) -> str:
    """How long until it ends: the inverse of how long ago."""
    if not row["expires_ns"]:
        return "–"
    return figures.ago(2 * now - row["expires_ns"], now) if row["expires_ns"] > now else "now"


SESSIONS = (
    column("Session", "key", width=152),
    column("Pool", "pool", width=88),
    column("Worker", "worker", text=lambda row, _now: row["worker"] or "none now", width=104),
    count_column("Commands", "commands", 80),
    ColumnSpec(
        title="Variables",
        text=lambda row, _now: variables_text(row),
        sort=lambda row: row["variables"],
        tip=lambda row, _now: str(row["variables"])[:2000],
        width=288,
    ),
    count_column("Revision", "revision", 72),
    since_column("created_ns", "Open for"),
    ColumnSpec(
        title="Ends in",
        text=_left,
        sort=lambda row: row["expires_ns"],
        tip=lambda row, _now: figures.moment(row["expires_ns"]),
        right=True,
        width=72,
        moves=True,
    ),
)

POISON = (
    column("Tool", "tool", width=128),
    column("Pool", "pool", width=88),
    state_column(112),
    count_column("Kills", "kills", 56),
    column(
        "Input",
        "arguments_bytes",
        text=lambda row, _now: figures.bytes_(row["arguments_bytes"]),
        right=True,
        width=80,
    ),
    since_column("first_ns", "First"),
    since_column("last_ns", "Last"),
    column("What it did", "error", width=360),
    column("Fingerprint", "fingerprint", width=128),
)

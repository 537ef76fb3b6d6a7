"""Tables of exporters and recordings, and headers as lines of text. Pure."""

from __future__ import annotations

import json

from app import figures
from app.models.columns import count_column, since_column, state_column
from app.models.table import ColumnSpec, column
from app.store import Row


def drops(row: Row) -> dict[str, int]:
    """What an exporter dropped, by cause."""
    found: dict[str, int] = json.loads(row["dropped"] or "{}")
    return {cause: int(number) for cause, number in found.items() if number}


def _drops_text(row: Row) -> str:
    return ", ".join(f"{number:,} {cause}" for cause, number in drops(row).items()) or "0"


def signals(row: Row) -> list[str]:
    """The signals that an exporter sends."""
    found: list[str] = json.loads(row["signals"] or "[]")
    return found or ["traces"]


EXPORTERS = (
    column("Exporter", "name", width=128),
    state_column(104),
    ColumnSpec(
        title="To",
        text=lambda row, _now: row["endpoint"] or row["preset"],
        sort=lambda row: row["endpoint"],
        tip=lambda row, _now: f"{row['endpoint']}\n{row['protocol']}, {row['compression']}".strip(),
        width=232,
    ),
    ColumnSpec(
        title="Signals",
        text=lambda row, _now: ", ".join(signals(row)),
        sort=lambda row: row["signals"],
        width=136,
    ),
    count_column("Queued", "queued"),
    count_column("Sent", "sent", 88),
    ColumnSpec(
        title="Dropped",
        text=lambda row, _now: _drops_text(row),
        sort=lambda row: sum(drops(row).values()),
        tone=lambda row: "severity.warning" if drops(row) else "",
        width=144,
    ),
    count_column("Retries", "retries", 72),
    since_column("last_success_ns", "Success"),
    ColumnSpec(
        title="Last error",
        text=lambda row, _now: row["error"],
        sort=lambda row: row["last_failure_ns"],
        tip=lambda row, _now: f"{row['error']}\n{figures.moment(row['last_failure_ns'])}".strip(),
        tone=lambda row: "severity.error" if row["state"] in {"failed", "retrying"} else "",
        width=320,
    ),
)


def _stretch(row: Row, now_ns: int) -> str:
    until = row["until_ns"] or now_ns
    return figures.seconds(max(until - row["since_ns"], 0) / 1e9)


RECORDINGS = (
    ColumnSpec(
        title="When",
        text=lambda row, _now: figures.time_of_day(row["since_ns"])[:8],
        sort=lambda row: row["since_ns"],
        tip=lambda row, _now: (
            f"{figures.moment(row['since_ns'])} – {figures.moment(row['until_ns']) or 'now'}"
        ),
        width=80,
    ),
    state_column(112),
    column("Kind", "kind", width=88),
    column("Name", "name", width=200, tip=lambda row, _now: row["path"]),
    column("Trigger", "trigger", width=112),
    column("Cause", "cause", width=280),
    ColumnSpec(
        title="Stretch",
        text=_stretch,
        sort=lambda row: row["until_ns"] - row["since_ns"],
        right=True,
        width=88,
        moves=True,
    ),
    count_column("Rows", "rows", 88),
    column(
        "Size", "bytes", text=lambda row, _now: figures.bytes_(row["bytes"]), right=True, width=80
    ),
    ColumnSpec(
        title="Dropped",
        text=lambda row, _now: f"{row['dropped']:,}",
        sort=lambda row: row["dropped"],
        tone=lambda row: "severity.warning" if row["dropped"] else "",
        right=True,
        width=80,
    ),
    column("Error", "error", width=240),
)


def headers_of(text: str) -> dict[str, str]:
    """Headers from lines "name: value".

    Raises:
        ValueError: a line has no colon, or no name; the message says which.
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise ValueError(f"“{line}” is not name: value")
        found[name.strip().lower()] = value.strip()
    return found

"""A span in words: ids in hex, times relative to its trace, attributes and events opened. Pure."""

from __future__ import annotations

import json
from typing import Any

from app import figures
from app.store import Row

_KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}
_STATUSES = {0: "unset", 1: "ok", 2: "error"}


def described(row: dict[str, Any], begin_ns: int) -> Row:
    """The fields that the inspector shows, in order; empty ones are left out by it."""
    ended = bool(row["end_ns"])
    took = figures.seconds((row["end_ns"] - row["start_ns"]) / 1e9) if ended else "still open"
    begins = row["start_ns"] - begin_ns
    what: Row = {
        "name": row["name"],
        "status": _STATUSES.get(row["status"], str(row["status"])),
        "duration": took,
        "begins": f"+{figures.seconds(begins / 1e9)}" if begins else "with the trace",
        "start_ns": row["start_ns"],
        "service": row["service"],
        "source": row["source"],
        "kind": _KINDS.get(row["kind"], str(row["kind"])),
        "mission": row["mission"],
        "class": row["mission_class"],
        "sentinel": row["sentinel"],
        "pool": row["pool"],
    }
    ids: Row = {
        "trace_id": f"{row['trace_hi']:016x}{row['trace_lo']:016x}",
        "span_id": f"{row['span_id']:016x}",
        "parent_id": f"{row['parent_id']:016x}" if row["parent_id"] else "",
    }
    own = {
        f"attr.{key}" if key in what or key in ids else key: value
        for key, value in _attributes(row["attributes"]).items()
    }
    return {**what, **own, "events": _events(row["events"], row["start_ns"]), **ids}


def _attributes(text: str) -> dict[str, Any]:
    """Attributes as fields of their own; as they came when they are no JSON object."""
    try:
        read = json.loads(text or "{}")
    except ValueError:
        return {"attributes": text}
    return read if isinstance(read, dict) else {"attributes": read}


def _events(text: str, start_ns: int) -> list[Any] | str:
    """Events in order, each with its time since the span began."""
    try:
        read = json.loads(text or "[]")
    except ValueError:
        return text
    if not isinstance(read, list):
        return text
    return [_event(event, start_ns) for event in read] or ""


def _event(event: Any, start_ns: int) -> Any:
    if not isinstance(event, dict) or not isinstance(event.get("time_ns"), int):
        return event
    after = figures.seconds((event["time_ns"] - start_ns) / 1e9)
    return {"after": after} | {key: value for key, value in event.items() if key != "time_ns"}

"""Rows of topic `span` for tests, and a clock that is told the day."""

from __future__ import annotations

from typing import Any

from citadel.query import parse
from engine.telemetry.store import SpanStore

MS = 1_000_000
BIG = 2**64 - 1
DAY = 86_400 * 1_000 * MS


def span(trace: int, **changes: Any) -> tuple[Any, ...]:
    values: dict[str, Any] = {
        "trace_hi": trace,
        "trace_lo": BIG - trace,
        "span_id": BIG,
        "parent_id": 0,
        "start_ns": trace * 1_000 * MS,
        "end_ns": trace * 1_000 * MS + 5 * MS,
        "kind": 1,
        "status": 0,
        "name": "root",
        "source": "engine",
        "service": "",
        "mission": "",
        "mission_class": "",
        "sentinel": "",
        "pool": "",
        "attributes": "{}",
        "events": "[]",
        "links": "[]",
        "status_message": "",
        "trace_state": "",
        "threshold": 0,
    }
    return tuple((values | changes).values())


def trace_id(trace: int) -> int:
    return trace << 64 | BIG - trace


async def found(store: SpanStore, text: str, **options: Any) -> list[int]:
    return [row[0] for row in await store.search(parse(text), **options)]


class Days:
    """A clock that is told the day."""

    def __init__(self) -> None:
        self.day = 20_000

    def __call__(self) -> int:
        return self.day * DAY + DAY // 2


def at(day: int, trace: int, **changes: Any) -> tuple[Any, ...]:
    """A span of a day, some seconds after it began."""
    start = day * DAY + trace * 1_000 * MS
    return span(trace, **({"start_ns": start, "end_ns": start + 5 * MS} | changes))

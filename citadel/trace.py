"""Trace ids and their W3C form, shared by clients, the engine and workers.

Source: W3C Trace Context, level 2. Only bit 0 of the flags (sampled) is read; bit 1 (random) is
written, since our ids are random.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

_TRACEPARENT = re.compile(r"^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$")
_random = random.Random()  # noqa: S311 - ids are no secrets; seeded by the system


@dataclass(frozen=True, slots=True)
class SpanContext:
    """A span's place in a trace: 128-bit trace id, 64-bit span id, and whether it is kept."""

    trace_id: int
    span_id: int
    sampled: bool = True
    trace_state: str = ""
    """What other vendors sent along, in W3C's form; handed on as it came."""

    @property
    def trace_hex(self) -> str:
        """The trace id as 32 hex digits."""
        return f"{self.trace_id:032x}"

    def traceparent(self) -> str:
        """The W3C header."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{'03' if self.sampled else '02'}"


def parse_traceparent(text: str | None) -> SpanContext | None:
    """The context of a W3C header, or None when there is none or it is malformed (as W3C asks)."""
    found = _TRACEPARENT.match(text.strip()) if text else None
    if found is None or (text and text.startswith("00") and found[4]):
        return None
    trace_id, span_id = int(found[1], 16), int(found[2], 16)
    if not trace_id or not span_id:
        return None
    return SpanContext(trace_id, span_id, bool(int(found[3], 16) & 1))


def seed_ids(source: random.Random) -> None:
    """Replaces the source of ids: for tests, and for workers, which need no system call an id."""
    global _random  # noqa: PLW0603 - one source a process
    _random = source


def new_trace_id() -> int:
    """A random 128-bit id, never 0."""
    return _random.getrandbits(128) or 1


def new_span_id() -> int:
    """A random 64-bit id, never 0."""
    return _random.getrandbits(64) or 1

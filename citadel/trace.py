"""Trace ids and their W3C form, shared by clients, the engine and workers.

Sources: W3C Trace Context, level 2; OpenTelemetry, probability sampling in tracestate. Of the flags
only bit 0 (sampled) is read; bit 1 (random) is written, since our ids are random. Of a tracestate
only OpenTelemetry's own entry, `ot`, is ever read or changed; other vendors' are handed on as they
came.
"""

from __future__ import annotations

import os
import random
import re
from dataclasses import dataclass

MAX_TRACE_STATE = 512
"""Characters of a tracestate; a longer one is not handed on, as W3C allows."""
MAX_MEMBERS = 32
RANDOM_BITS = 56
"""Of a trace id, the lowest ones: what sampling compares."""

_TRACEPARENT = re.compile(r"^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$")
_TRACE_ID = re.compile(r"[0-9a-fA-F]{32}")
_MEMBER = re.compile(
    r"(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
    r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
_THRESHOLD = re.compile(r"[0-9a-f]{1,14}")
_RANDOMNESS = re.compile(r"[0-9a-f]{14}")
_HEX_DIGITS = RANDOM_BITS // 4
_random = random.Random()  # noqa: S311 - ids are no secrets; seeded by the system


@dataclass(frozen=True, slots=True)
class SpanContext:
    """A span's place in a trace: 128-bit trace id, 64-bit span id, and whether it is recorded."""

    trace_id: int
    span_id: int
    sampled: bool = True
    trace_state: str = ""
    """What came along in W3C's tracestate, well-formed; "" when there was none."""

    @property
    def trace_hex(self) -> str:
        """The trace id as 32 hex digits."""
        return f"{self.trace_id:032x}"

    def traceparent(self) -> str:
        """The W3C header."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{'03' if self.sampled else '02'}"


def parse_traceparent(text: str | None, trace_state: str | None = None) -> SpanContext | None:
    """The context of W3C headers, or None when there is none or it is malformed (as W3C asks)."""
    found = _TRACEPARENT.match(text.strip()) if text else None
    if found is None or (text and text.startswith("00") and found[4]):
        return None
    trace_id, span_id = int(found[1], 16), int(found[2], 16)
    if not trace_id or not span_id:
        return None
    state = parse_tracestate(trace_state) if trace_state else ""
    return SpanContext(trace_id, span_id, bool(int(found[3], 16) & 1), state)


def parse_trace_id(text: str) -> int | None:
    """The id of 32 hex digits; None when it is none."""
    return int(text, 16) if _TRACE_ID.fullmatch(text) else None


def parse_tracestate(text: str) -> str:
    """A tracestate without needless spaces; "" when it is malformed: then W3C drops all of it."""
    members = [member.strip(" \t") for member in text.split(",")]
    members = [member for member in members if member]
    keys = {member.partition("=")[0] for member in members}
    whole = ",".join(members)
    if len(members) > MAX_MEMBERS or len(keys) < len(members) or len(whole) > MAX_TRACE_STATE:
        return ""
    return whole if all(map(_MEMBER.fullmatch, members)) else ""


def sampling_of(trace_state: str) -> tuple[int | None, int | None]:
    """Rejection threshold (th) and randomness (rv) of the `ot` entry, 56 bits each."""
    if "ot=" not in trace_state:
        return None, None
    fields = {part[:3]: part[3:] for part in _split(trace_state)[0]}
    th, rv = fields.get("th:", ""), fields.get("rv:", "")
    return (
        int(th.ljust(_HEX_DIGITS, "0"), 16) if _THRESHOLD.fullmatch(th) else None,
        int(rv, 16) if _RANDOMNESS.fullmatch(rv) else None,
    )


def with_threshold(trace_state: str, threshold: int | None) -> str:
    """The tracestate with our own threshold in its `ot` entry, which comes first; None: with none.

    2^56 and more is none: what only a keep-rule kept has no adjusted count.
    """
    ours, others = _split(trace_state)
    fields = [part for part in ours if not part.startswith("th:")]
    if threshold is not None and threshold < 2**RANDOM_BITS:
        digits = f"{threshold:0{_HEX_DIGITS}x}".rstrip("0") or "0"
        fields.insert(0, f"th:{digits}")
    members = [*([f"ot={';'.join(fields)}"] if fields else []), *others]
    while len(members) > MAX_MEMBERS or len(",".join(members)) > MAX_TRACE_STATE:
        members.pop()  # the oldest, as W3C says
    return ",".join(members)


def seed_ids(source: random.Random) -> None:
    """Replaces the source of ids: for tests, and for workers, which need no system call an id."""
    global _random  # noqa: PLW0603 - one source a process
    _random = source


def _seed_child() -> None:
    """A forked process must not give the ids that its parent, or its siblings, give."""
    seed_ids(random.Random())  # noqa: S311 - ids are no secrets


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_seed_child)


def new_trace_id() -> int:
    """A random 128-bit id, never 0."""
    return _random.getrandbits(128) or 1


def new_span_id() -> int:
    """A random 64-bit id, never 0."""
    return _random.getrandbits(64) or 1


def _split(trace_state: str) -> tuple[list[str], list[str]]:
    """The parts of the `ot` entry, and the other entries."""
    ours: list[str] = []
    others: list[str] = []
    for member in trace_state.split(","):
        if member.startswith("ot="):
            ours = [part for part in member[3:].split(";") if part]
        elif member:
            others.append(member)
    return ours, others

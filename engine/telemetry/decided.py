"""What the sampler hands out: what the policy says of a root, decisions, traces on record."""

from __future__ import annotations

from typing import Any

from citadel.trace import sampling_of
from citadel.wire.messages import KeepRule
from engine.telemetry.ceiling import Ceiling
from engine.telemetry.policy import KEEP_ALL, RootTuple


class Match:
    """What the policy says of all traces with such a root, until the policy changes."""

    __slots__ = (
        "cause",
        "ceiling",
        "keep",
        "number",
        "plain",
        "revision",
        "root",
        "rule_id",
        "threshold",
    )

    def __init__(
        self,
        root: RootTuple,
        *,
        cause: str,
        rule_id: str = "",
        limit: int = KEEP_ALL,
        revision: int = 0,
        ceiling: Ceiling | None = None,
        keep: tuple[KeepRule, ...] = (),
    ) -> None:
        self.root = root
        self.cause = cause
        """A word of DropCause or KeepCause: what decides."""
        self.rule_id = rule_id
        self.threshold = limit
        """Traces whose random bits are below it are dropped."""
        self.revision = revision
        self.ceiling = ceiling
        self.keep = keep
        """Keep-rules that may keep such a trace all the same."""
        self.plain = ceiling is None and not keep
        """Whether the random bits alone decide."""
        self.number = -1
        """In the log of decisions; it gives it."""


Decision = tuple[int, int, Match, bool]
"""Of which trace, when it was made, by what, and whether the trace is kept."""


class Trace:
    """A trace that is recorded: kept, or held until its fate is known."""

    __slots__ = (
        "began_ns",
        "bytes",
        "errors",
        "flags",
        "held",
        "kept",
        "last_ns",
        "match",
        "open",
        "remote",
        "root_ns",
        "spans",
        "threshold",
        "trace_id",
    )

    def __init__(self, trace_id: int, began_ns: int, found: Match, *, kept: bool) -> None:
        self.trace_id = trace_id
        self.began_ns = self.last_ns = began_ns
        self.match = found
        self.kept = kept
        self.threshold = found.threshold
        """What its spans carry, for adjusted counts."""
        self.held: list[Any] | None = None
        """What waits until it is decided; None: it is."""
        self.open = 0
        """Spans of this process that have not ended."""
        self.remote = False
        """Whether somebody else began it, and may still have spans to send."""
        self.root_ns = 0
        """How long its longest root here took."""
        self.spans = self.bytes = self.errors = self.flags = 0

    @property
    def undecided(self) -> bool:
        """Whether it is held."""
        return self.held is not None

    @property
    def recording(self) -> bool:
        """Whether its spans are still recorded: it is kept, or may be."""
        return self.kept or self.held is not None

    def sampled_before(self, trace_state: str) -> None:
        """Takes over the threshold of who had sampled it before it was sent here."""
        self.threshold = max(self.threshold, sampling_of(trace_state)[0] or 0)

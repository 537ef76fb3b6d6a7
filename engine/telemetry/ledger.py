"""The books of spans: each one that was started is kept, dropped by a cause, or in flight.

Loop thread only. `ended` and `sampled_out` are counted where spans end, the rest where it is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from citadel.wire.messages import LedgerReply

SAMPLED_OUT = ("rule", "override", "ceiling", "parent", "decided_incomplete")
"""What the policy drops."""
LOST = ("queue_full", "store_full", "store_failed", "invalid")
"""What could not be taken."""


class SpanKeeper(Protocol):
    """A sink that writes later, and says what became of the rows that it took."""

    written: int
    lost: int

    def write(self, rows: Sequence[Any]) -> int:
        """Takes rows; returns how many it had to drop at once."""
        ...


class Ledger:
    """Counts since the start."""

    __slots__ = ("ended", "handed", "keeper", "lost", "sampled_out", "started")

    def __init__(self) -> None:
        self.started = 0
        self.ended = 0
        """Recorded spans that ended, whatever became of them; those of `sampled_out` not."""
        self.handed = 0
        """Spans that all sinks took."""
        self.sampled_out: dict[str, int] = dict.fromkeys(SAMPLED_OUT, 0)
        self.lost: dict[str, int] = dict.fromkeys(LOST, 0)
        self.keeper: SpanKeeper | None = None
        """Who says what of the handed ones is written; without one, they are kept."""

    def reply(self, *, queued: int, held: int) -> LedgerReply:
        """The books as they are; `queued` waits for a sink, `held` until its trace is decided."""
        written, failed = self.handed, 0
        if self.keeper is not None:
            failed, written = self.keeper.lost, self.keeper.written
        sampled_out = sum(self.sampled_out.values())
        open_ = self.started - self.ended - sampled_out
        on_the_way = self.handed - written - failed
        dropped = {**self.sampled_out, **self.lost}
        dropped["store_failed"] += failed
        return LedgerReply(
            started=self.started,
            kept=written,
            in_flight=open_ + queued + held + on_the_way,
            dropped=dropped,
            held=held,
            # Each recorded span that ended is in one of these places, each counted on its own.
            residual=self.ended - queued - held - self.handed - sum(self.lost.values()),
        )

"""What a panel was sent, keeps, dropped, merged for drawing, and missed: its ledger. Pure.

Every figure is the panel's own, counted where it happens. `received = kept + dropped` by cause;
what is merged for drawing is kept, and drawn together with its neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app import figures
from app.models.spans import SpanColumns
from app.store import FleetStore, RowLog


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The figures of one panel."""

    what: str
    """What is counted: "rows", "spans"."""
    received: int
    kept: int
    dropped: Mapping[str, int] = field(default_factory=dict[str, int])
    """By cause."""
    decimated: int = 0
    """How many are drawn together with others, because the pixels are fewer."""
    missed: int = 0
    """Rows of the stream that never came here: gaps."""
    note: str = ""

    @property
    def lost(self) -> int:
        """What the panel does not have."""
        return sum(self.dropped.values()) + self.missed

    def short(self) -> str:
        """One line: "1,204 in · 1,000 kept · 204 dropped"."""
        parts = [f"{figures.count(self.received)} in", f"{figures.count(self.kept)} kept"]
        gone = sum(self.dropped.values())
        parts += [f"{figures.count(gone)} dropped"] if gone else []
        parts += [f"{figures.count(self.decimated)} merged"] if self.decimated else []
        parts += [f"{figures.count(self.missed)} missed"] if self.missed else []
        return " · ".join(parts)

    def full(self) -> str:
        """All of it, a line each."""
        lines = [f"Received: {self.received:,} {self.what}", f"Kept here: {self.kept:,}"]
        lines += [f"Dropped, {cause}: {n:,}" for cause, n in self.dropped.items() if n]
        if self.decimated:
            lines.append(f"Drawn together with others: {self.decimated:,}")
        if self.missed:
            lines.append(f"Missed in gaps of the stream: {self.missed:,} rows of any kind")
        return "\n".join([*lines, self.note] if self.note else lines)


def missed(store: FleetStore) -> int:
    """Rows that gaps of the stream swallowed."""
    return sum(note.gap.to_seq - note.gap.from_seq + 1 for note in store.connection.gaps)


def of_log(store: FleetStore, log: RowLog, shown: int) -> Ledger:
    """A log's: bounded in the store, and again in its table."""
    return Ledger(
        what="rows",
        received=log.total,
        kept=len(log),
        dropped={"older than the newest that are kept": log.dropped},
        decimated=0,
        missed=missed(store),
        note=f"The filter shows {shown:,} of them.",
    )


def of_state(store: FleetStore, topic: str, present: int) -> Ledger:
    """A table's of present state: each row replaces the one before of its key."""
    received = store.received[topic]
    return Ledger(
        what="rows",
        received=received,
        kept=present,
        dropped={},
        decimated=0,
        missed=missed(store),
        note=f"{max(received - present, 0):,} were replaced by later ones of the same key.",
    )


def of_spans(store: FleetStore, spans: SpanColumns, note: str = "") -> Ledger:
    """The streamed spans'."""
    return Ledger(
        what="spans",
        received=spans.received,
        kept=spans.count,
        dropped={"older than the newest that are kept": spans.forgotten},
        missed=missed(store),
        note=note or "The engine's sampling comes before: see the Bridge's ledger.",
    )


def engine_text(store: FleetStore) -> str:
    """The engine's ledger of spans, in a line: started = kept + dropped by cause + in flight."""
    started, kept = store.counter("citadel.spans.started"), store.counter("citadel.spans.kept")
    dropped = store.counter("citadel.spans.dropped")
    gone = missed(store)
    words = [
        f"{figures.count(started)} spans",
        f"{figures.count(kept)} kept",
        f"{figures.count(dropped)} dropped",
        f"{figures.count(max(started - kept - dropped, 0))} in flight",
        f"{store.received_rows:,} rows received",
        *([f"{gone:,} missed"] if gone else []),
    ]
    return "  ·  ".join(words)


def engine_tip(store: FleetStore) -> str:
    """The same with its causes and its residual."""
    started, kept = store.counter("citadel.spans.started"), store.counter("citadel.spans.kept")
    causes = {c: n for c, n in store.counters_by("citadel.spans.dropped", "cause").items() if n}
    dropped = sum(causes.values())
    rest = started - kept - dropped
    lines = [
        f"Started: {started:,.0f}",
        f"Kept: {kept:,.0f}",
        *(f"Dropped, {cause or 'no cause'}: {number:,.0f}" for cause, number in causes.items()),
        f"In flight: {max(rest, 0):,.0f}",
        f"Residual: {min(rest, 0):,.0f} (0, or the engine lost count)",
    ]
    return "\n".join(lines)

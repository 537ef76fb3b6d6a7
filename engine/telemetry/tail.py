"""Holds spans of traces that a rule drops and a keep-rule may still keep, until they are decided.

A trace is decided when its root has ended and nothing of it is open here; when somebody else began
it, a moment later, since more may come. Traces that last too long, or of which too much would have
to be held, are decided on what was seen so far, and their fate says so: `decided_incomplete`. Loop
thread only; time comes from the caller.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any

from citadel.wire.messages import KeepRule
from engine.telemetry.decided import Decision, Match, Trace
from engine.telemetry.histogram import bucket_of, quantile
from engine.telemetry.policy import DROP_ALL

MAX_HELD = 65_536
"""Spans that are held, of all traces together."""
MAX_HELD_OF_TRACE = 8_192
MAX_SECONDS = 60.0
"""A trace is held no longer than this since it began."""
QUIET_SECONDS = 0.5
"""A trace that somebody else began is decided when nothing of it was open for so long."""
KIND_SECONDS = 300.0
"""Durations that the p99 of a kind rests on are of this stretch and the one before."""
KIND_LEAST = 100
"""With fewer durations of a kind there is no p99 to be slower than."""
MAX_KINDS = 1_000

Told = Callable[[Trace, list[Any]], None]
"""Takes a decided trace, and what was held of it."""


class Kinds:
    """Durations of roots by their names, for the p99 of each kind."""

    def __init__(self) -> None:
        self._now: dict[str, dict[int, int]] = {}
        self._before: dict[str, dict[int, int]] = {}
        self._turn_ns = 0

    def add(self, name: str, seconds: float, now_ns: int) -> None:
        """Takes the duration of a root."""
        if now_ns >= self._turn_ns:
            self._before, self._now = self._now, {}
            self._turn_ns = now_ns + round(KIND_SECONDS * 1e9)
        counts = self._now.get(name)
        if counts is None:
            if len(self._now) >= MAX_KINDS:
                return
            counts = self._now[name] = {}
        bucket = bucket_of(seconds)
        counts[bucket] = counts.get(bucket, 0) + 1

    def p99s(self) -> dict[str, float]:
        """Of all kinds that have one."""
        return {name: self.p99(name) for name in {**self._before, **self._now}}

    def p99(self, name: str) -> float:
        """In seconds; infinite while there are too few to tell."""
        merged: dict[int, int] = {}
        for counts in (self._before.get(name, {}), self._now.get(name, {})):
            for bucket, count in counts.items():
                merged[bucket] = merged.get(bucket, 0) + count
        return quantile(merged, 0.99) if sum(merged.values()) >= KIND_LEAST else math.inf


def keeps(rule: KeepRule, trace: Trace, p99: Callable[[str], float]) -> bool:
    """Whether a keep-rule keeps a trace, by what was seen of it."""
    match rule.when:
        case "error":
            return trace.errors > 0
        case "guard":
            return trace.flags > 0
        case "slower_than":
            return trace.root_ns > rule.seconds * 1e9
        case _:
            return trace.root_ns > p99(trace.match.root[5]) * 1e9


class Tail:
    """Traces that are held, and what decides them."""

    def __init__(self, remember: Callable[[Decision], None], release: Told, drop: Told) -> None:
        """Starts with nothing held.

        Args:
            remember: takes each decision, so that it can be explained.
            release: takes what was held of a trace that is kept after all.
            drop: takes what was held of a trace that is dropped.
        """
        self.held = 0
        self.kinds = Kinds()
        self._remember = remember
        self._release = release
        self._drop = drop
        self._traces: dict[int, Trace] = {}  # the oldest first
        self._quiet: deque[tuple[int, Trace]] = deque()
        self._fates: dict[tuple[str, str, Match], Match] = {}

    def root_ended(self, trace: Trace, took_ns: int, now_ns: int) -> None:
        """Takes how long a root of a recorded trace took."""
        trace.root_ns = max(trace.root_ns, took_ns)
        if trace.match.keep:
            self.kinds.add(trace.match.root[5], took_ns / 1e9, now_ns)

    def hold(self, trace: Trace, item: Any, now_ns: int) -> None:
        """Holds an ended span; the trace is decided at once when there is no room for it."""
        held = trace.held
        assert held is not None
        if not held:
            self._traces[trace.trace_id] = trace
        held.append(item)
        self.held += 1
        if self.held > MAX_HELD or len(held) > MAX_HELD_OF_TRACE:
            self.decide(self._oldest() if self.held > MAX_HELD else trace, now_ns, complete=False)

    def quiet(self, trace: Trace, now_ns: int) -> None:
        """Nothing of the trace is open here any more."""
        if trace.remote:
            self._quiet.append((now_ns, trace))
        else:
            self.decide(trace, now_ns)

    def look(self, now_ns: int) -> None:
        """Decides what was quiet, or held, for long enough."""
        while self._quiet and not 0 <= now_ns - self._quiet[0][0] < QUIET_SECONDS * 1e9:
            since, trace = self._quiet.popleft()
            if trace.held is not None and not trace.open and trace.last_ns <= since:
                self.decide(trace, now_ns)
        while self._traces:
            oldest = self._oldest()
            if abs(now_ns - oldest.began_ns) < MAX_SECONDS * 1e9:  # or the clock has jumped
                return
            self.decide(oldest, now_ns, complete=False)

    def decide(self, trace: Trace, now_ns: int, *, complete: bool = True) -> None:
        """Keeps or drops a held trace, for good."""
        held = trace.held or []
        trace.held = None
        self.held -= len(held)
        self._traces.pop(trace.trace_id, None)
        found = trace.match
        rule = next((each for each in found.keep if keeps(each, trace, self.kinds.p99)), None)
        if rule is not None:
            trace.kept, trace.threshold = True, DROP_ALL
            trace.match = self._fate(found, "keep_rule", rule.id)
        elif not complete:
            trace.match = self._fate(found, "decided_incomplete", found.rule_id)
        self._remember((trace.trace_id, now_ns, trace.match, trace.kept))
        (self._release if trace.kept else self._drop)(trace, held)

    def decide_all(self, now_ns: int) -> None:
        """Decides what is held, at the end."""
        for trace in [*self._traces.values()]:
            self.decide(trace, now_ns, complete=not trace.open)

    def _oldest(self) -> Trace:
        return next(iter(self._traces.values()))

    def _fate(self, found: Match, cause: str, rule_id: str) -> Match:
        """What the log says of traces that were decided so; one object for all of a root."""
        key = (cause, rule_id, found)
        known = self._fates.get(key)
        if known is None:
            if len(self._fates) >= MAX_KINDS:
                self._fates.clear()
            known = self._fates[key] = Match(
                found.root,
                cause=cause,
                rule_id=rule_id,
                limit=found.threshold,
                revision=found.revision,
            )
        return known

"""Which traces are kept: a pure function of (trace id, the root's attributes, the policy).

Consistent probability sampling (OpenTelemetry: 56 random bits of the trace id against a 56-bit
rejection threshold), so a trace is kept or dropped whole wherever the decision is made, and 0 and 1
are exact. The first rule that matches decides; when none does, the trace is kept.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator

from citadel.wire.messages import SamplingPreview, SamplingRule
from engine.telemetry.policy import (
    DEFAULT_RULES,
    KEEP_ALL,
    RANDOM_MASK,
    Policy,
    Root,
    RootTuple,
    match,
    threshold,
    validated,
)

REMEMBERED_ROOTS = 65_536
"""Decisions that are remembered, at least: for spans still to come, and for previews. At most it is
four times as many: they are forgotten many at a time, which costs nothing a trace."""
_MATCHES_REMEMBERED = 4_096
Decision = tuple[int, int, RootTuple, bool]
"""Of which trace, when it was made, about what, and whether the trace is kept."""


class Sampler:
    """The rules in force, and the decisions of the last traces."""

    def __init__(self, rules: Iterable[SamplingRule] = DEFAULT_RULES) -> None:
        self.rules = validated(rules)
        # Most traces are never asked for again: their decisions are looked up by nobody, so they
        # are put in order only when somebody asks.
        self._newest: deque[Decision] = deque(maxlen=REMEMBERED_ROOTS)
        self.remember: Callable[[Decision], None] = self._newest.append
        """Takes the decision for a trace that has just been named."""
        self._recent: dict[int, Decision] = {}
        self._older: dict[int, Decision] = {}
        self._flagged: set[int] = set()
        self._thresholds: dict[RootTuple, int] = {}
        self.caches: list[dict[str, tuple[RootTuple, int]]] = []
        """Where others keep thresholds that they asked for; emptied when the rules change."""

    def put(self, policy: Policy) -> None:
        """Puts another policy in force, for traces that begin from now on."""
        validated(policy.rules)
        self.rules = tuple(rule for rule, _ in policy.ordered())
        for cache in (self._thresholds, *self.caches):
            cache.clear()

    def kept(
        self, trace_id: int, root: RootTuple, now_ns: int, *, sampled_by_caller: bool = True
    ) -> bool:
        """The decision for a trace: made once, then remembered for its later spans.

        The traces that were asked for longest ago are forgotten first.
        """
        self._order()
        known = self._recent.get(trace_id)
        if known is not None:
            return known[3]
        known = self._older.pop(trace_id, None)
        if known is None:
            return self.begun(trace_id, root, now_ns, sampled_by_caller=sampled_by_caller)
        self.remember(known)
        return known[3]

    def begun(
        self, trace_id: int, root: RootTuple, now_ns: int, *, sampled_by_caller: bool = True
    ) -> bool:
        """The decision for a trace that was never asked for before: it has just been named."""
        kept = sampled_by_caller and (trace_id & RANDOM_MASK) >= self.threshold(root)
        self.remember((trace_id, now_ns, root, kept))
        return kept

    def threshold(self, root: RootTuple) -> int:
        """Traces with such a root whose random bits are below it are dropped."""
        limit = self._thresholds.get(root)
        if limit is None:  # found once for all roots that look the same
            rule = match(self.rules, Root(*root))
            limit = KEEP_ALL if rule is None else threshold(rule.rate)
            if len(self._thresholds) >= _MATCHES_REMEMBERED:
                self._thresholds.clear()
            self._thresholds[root] = limit
        return limit

    def flag(self, trace_id: int) -> None:
        """Marks a trace as one with an error or a guard's flag, for previews."""
        self._order()
        if trace_id in self._recent or trace_id in self._older:
            self._flagged.add(trace_id)

    def preview(self, rules: Iterable[SamplingRule], since_ns: int) -> SamplingPreview:
        """What the rules would have kept of the remembered traces since then: exact."""
        checked = validated(rules)
        past = [known for known in self._remembered() if known[1] >= since_ns]
        matched: Counter[str] = Counter()
        kept_now = kept_then = flagged_lost = 0
        for trace_id, _, root, kept in past:
            rule = match(checked, Root(*root))
            matched[rule.id if rule else "default"] += 1
            then = rule is None or (trace_id & RANDOM_MASK) >= threshold(rule.rate)
            kept_now += kept
            kept_then += then
            flagged_lost += trace_id in self._flagged and kept and not then
        return SamplingPreview(
            traces=len(past),
            kept_now=kept_now,
            kept_then=kept_then,
            flagged_lost=flagged_lost,
            matched=dict(matched),
        )

    def _remembered(self) -> Iterator[Decision]:
        self._order()
        yield from self._older.values()
        yield from self._recent.values()

    def _order(self) -> None:
        """Puts what was decided since it was last done where it is found by its trace."""
        newest = self._newest
        if not newest:
            return
        if len(newest) == newest.maxlen:  # it may have dropped some that are newer than these
            self._recent, self._older = {}, {}
            self._flagged.intersection_update(known[0] for known in newest)
        for known in newest:
            self._recent[known[0]] = known
        newest.clear()
        if len(self._recent) > REMEMBERED_ROOTS:
            self._older, self._recent = self._recent, {}
            self._flagged.intersection_update(self._older)

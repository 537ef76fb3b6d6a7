"""Which traces are kept: a pure function of (trace id, the root's attributes, the policy).

Consistent probability sampling (OpenTelemetry: 56 random bits of the trace id against a 56-bit
rejection threshold), so a trace is kept or dropped whole wherever the decision is made, and 0 and 1
are exact. A trace that a rule drops and a keep-rule might still keep is *held*: it is recorded, and
decided when its root has ended (engine/telemetry/tail.py). Loop thread only; does no I/O.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

from citadel.trace import sampling_of
from citadel.wire.messages import KeepRule, SamplingRule
from engine.telemetry.ceiling import Ceiling
from engine.telemetry.decided import Decision, Match, Trace
from engine.telemetry.policy import (
    DEFAULT_RULES,
    DROP_ALL,
    RANDOM_MASK,
    Policy,
    Root,
    RootTuple,
    fits,
    match,
    threshold,
    validated,
)

REMEMBERED_TRACES = 65_536
"""Decisions that are remembered, at least: for spans still to come, and for previews. At most it is
four times as many: they are forgotten many at a time, which costs nothing a trace."""
MATCHES_REMEMBERED = 4_096
"""Roots whose rule was looked up, and which need not look it up again."""


class Sampler:
    """The policy in force, and the decisions of the last traces."""

    def __init__(
        self,
        rules: Iterable[SamplingRule] = DEFAULT_RULES,
        keep: Iterable[KeepRule] = (),
        *,
        remembered: int = REMEMBERED_TRACES,
    ) -> None:
        """Puts a first policy in force.

        Args:
            rules: its rules.
            keep: its keep-rules.
            remembered: decisions that are remembered, at least; recorded traces beside them.
        """
        self.revision = 0
        self._remembered = remembered
        self.policy = Policy(rules=validated(rules), keep=tuple(keep))
        self.ceilings: dict[tuple[str, str], Ceiling] = {}
        """By "rule" or "override", and its id."""
        # Most traces are never asked for again: their decisions are looked up by nobody, so they
        # are put in order only when somebody asks.
        self._newest: deque[Decision] = deque(maxlen=2 * remembered)
        self.remember: Callable[[Decision], None] = self._newest.append
        """Takes the decision for a trace that has just been named."""
        self._unordered: list[list[Decision]] = []
        self._unlogged: list[list[Decision]] = []
        self.logging = False
        """Whether somebody calls `take_new`."""
        self.overflowed = 0
        """Decisions that may be missing in the log: more came in at once than are remembered."""
        self._recent: dict[int, Decision] = {}
        self._older: dict[int, Decision] = {}
        self.traces: dict[int, Trace] = {}
        """The traces that are recorded; the ones before are in `past`."""
        self.past: dict[int, Trace] = {}
        self._age_at = remembered
        self.flagged: set[int] = set()
        """Traces with an error or a guard's flag that are not recorded."""
        self._matches: dict[RootTuple, Match] = {}
        self.roots: dict[RootTuple, None] = {}
        """The roots that were seen, up to MATCHES_REMEMBERED, whatever the policy was."""
        self._parent = Match(Root(), cause="parent")
        self.caches: list[dict[str, Match]] = []
        """Where others keep matches that they asked for; emptied when the rules change."""
        self._order_of_rules = self.policy.ordered()
        self.event_rules = [rule for rule, _ in self._order_of_rules if rule.event]
        """Rules for events, in the order in which they are asked."""

    def put(self, policy: Policy, revision: int = 0) -> None:
        """Puts another policy in force, for traces that begin from now on."""
        validated(policy.rules)
        self.policy, self.revision = policy, revision
        self._order_of_rules = policy.ordered()
        self.event_rules = [rule for rule, _ in self._order_of_rules if rule.event]
        limits = {(kind, rule.id): rule.spans_per_second for rule, kind in self._order_of_rules}
        self.ceilings = {
            name: ceiling
            for name, ceiling in self.ceilings.items()
            if limits.get(name) == ceiling.limit
        }
        self._forget_matches()

    def found(self, root: RootTuple, now_ns: int) -> Match:
        """What the policy says of a root: looked up once for all roots that look the same."""
        known = self._matches.get(root)
        if known is None:
            known = self._look_up(root, now_ns)
            if len(self._matches) >= MATCHES_REMEMBERED:
                self._matches.clear()
            self._matches[root] = known
        return known

    def begun(
        self,
        trace_id: int,
        found: Match,
        now_ns: int,
        *,
        by_caller: bool = True,
        trace_state: str = "",
    ) -> Trace | None:
        """The decision for a trace that was never asked for before: None when it is dropped."""
        if not by_caller:
            # The caller's no holds for the whole trace; it has no rule of ours to blame.
            self.remember((trace_id, now_ns, self._parent, False))
            return None
        limit, random_bits = found.threshold, trace_id & RANDOM_MASK
        if trace_state:
            theirs, given = sampling_of(trace_state)
            limit = max(limit, theirs or 0)
            random_bits = random_bits if given is None else given
        ceiling = found.ceiling
        if ceiling is not None:
            ceiling.traces += 1
        kept = random_bits >= limit
        if not kept and not found.keep:
            # Where our rule would have kept it, the caller's own threshold did not.
            cause = found if random_bits < found.threshold else self._parent
            self.remember((trace_id, now_ns, cause, False))
            return None
        trace = Trace(trace_id, now_ns, found, kept=kept)
        trace.threshold = limit
        self.traces[trace_id] = trace
        if kept:
            self.remember((trace_id, now_ns, found, True))
            if ceiling is not None:
                ceiling.kept += 1
        else:
            trace.held = []
        if len(self.traces) > self._age_at:
            self._age_traces()
        return trace

    def recorded(self, trace_id: int) -> Trace | None:
        """A trace that is, or lately was, recorded."""
        return self.traces.get(trace_id) or self.past.get(trace_id)

    def of(
        self,
        trace_id: int,
        root: RootTuple,
        now_ns: int,
        *,
        by_caller: bool = True,
        trace_state: str = "",
    ) -> Trace | None:
        """The trace that a span from elsewhere belongs to; decided now, when it is the first seen.

        None: it is dropped. The traces that were asked for longest ago are forgotten first.
        """
        trace = self.recorded(trace_id)
        if trace is not None:
            self.traces[trace_id] = trace  # in use: not forgotten with the others
            return trace
        known = self.decided(trace_id)
        if known is not None:
            return self._resumed(known, now_ns) if known[3] else None
        found = self.found(root, now_ns)
        trace = self.begun(trace_id, found, now_ns, by_caller=by_caller, trace_state=trace_state)
        if trace is not None:
            trace.remote = True
        return trace

    def _resumed(self, known: Decision, now_ns: int) -> Trace:
        """A kept trace that was forgotten, and goes on."""
        trace = self.traces[known[0]] = Trace(known[0], now_ns, known[2], kept=True)
        trace.remote = True
        if known[2].cause == "keep_rule":
            trace.threshold = DROP_ALL
        return trace

    def dropped_by(self, trace_id: int) -> Match:
        """What dropped a trace, as far as it is remembered."""
        known = self.decided(trace_id)
        return known[2] if known else self._parent

    def decided(self, trace_id: int) -> Decision | None:
        """What was last decided of a trace, while it is remembered."""
        self._order()
        known = self._recent.get(trace_id)
        if known is None:
            known = self._older.pop(trace_id, None)
            if known is not None:
                self._recent[trace_id] = known
        return known

    def event_rule(self, name: str, mission: str) -> SamplingRule | None:
        """The first rule for events that fits; the root of the trace is not known of an event."""
        root = Root(mission=mission)
        return next(
            (
                rule
                for rule in self.event_rules
                if fnmatchcase(name, rule.event) and fits(rule, root)
            ),
            None,
        )

    def drops_event(self, name: str, mission: str, random_bits: int) -> bool:
        """Whether a rule for events drops it, by the random bits of its trace, or by any."""
        rule = self.event_rule(name, mission) if self.event_rules else None
        return rule is not None and random_bits & RANDOM_MASK < threshold(rule.rate)

    def flag(self, trace_id: int) -> None:
        """Marks a trace that is not recorded as one with an error or a guard's flag."""
        if len(self.flagged) < self._remembered:
            self.flagged.add(trace_id)

    def look(self, now_ns: int) -> None:
        """Lets ceilings move with what came in; a few times a second."""
        moved = [each for each in self.ceilings.values() if each.look(now_ns)]
        if moved:
            self._forget_matches()

    def take_new(self) -> list[list[Decision]]:
        """What was decided since the last call, for the log; the sampler remembers it, too."""
        self._collect()
        if sum(map(len, self._unordered)) > 2 * self._remembered:
            self._order()
        taken, self._unlogged = self._unlogged, []
        return taken

    def remembered(self) -> list[Decision]:
        """The last decisions, the oldest first."""
        self._order()
        return [*self._older.values(), *self._recent.values()]

    def _look_up(self, root: RootTuple, now_ns: int) -> Match:
        if len(self.roots) < MATCHES_REMEMBERED:
            self.roots[root] = None
        keep = tuple(rule for rule in self.policy.keep if fits(rule, root))
        for rule, cause in self._order_of_rules:
            if match((rule,), root) is None:
                continue
            ceiling = self._ceiling(rule, cause, now_ns)
            limit = ceiling.threshold if ceiling else threshold(rule.rate)
            return Match(
                root,
                cause="ceiling" if ceiling else cause,
                rule_id=rule.id,
                limit=limit,
                revision=self.revision,
                ceiling=ceiling,
                keep=keep if limit else (),
            )
        return Match(root, cause="default", revision=self.revision)

    def _ceiling(self, rule: SamplingRule, kind: str, now_ns: int) -> Ceiling | None:
        if not rule.spans_per_second:
            return None
        key = (kind, rule.id)
        if key not in self.ceilings:
            self.ceilings[key] = Ceiling(rule.spans_per_second, now_ns)
        return self.ceilings[key]

    def _forget_matches(self) -> None:
        for cache in (self._matches, *self.caches):
            cache.clear()

    def _age_traces(self) -> None:
        """Forgets recorded traces that are over, many at a time."""
        alive = {
            trace_id: trace
            for trace_id, trace in self.traces.items()
            if trace.open or trace.undecided
        }
        self.past, self.traces = self.traces, alive
        self._age_at = max(self._remembered, 2 * len(alive))

    def _collect(self) -> None:
        newest = self._newest
        if not newest:
            return
        if len(newest) == newest.maxlen:
            self.overflowed += 1
        fresh = list(newest)
        newest.clear()
        self._unordered.append(fresh)
        if self.logging:
            self._unlogged.append(fresh)

    def _order(self) -> None:
        """Puts what was decided since it was last done where it is found by its trace."""
        self._collect()
        if not self._unordered:
            return
        for fresh in self._unordered:
            for known in fresh:
                self._recent[known[0]] = known
        self._unordered.clear()
        if len(self._recent) > self._remembered:
            self._older, self._recent = self._recent, {}
            self.flagged.intersection_update(self._older)

"""What another policy would have done to the last traces: exact where rates alone decide.

Runs on a copy of what the sampler remembers, in a thread: nothing here touches the sampler. What
cannot be known is estimated, with a 95 % interval: spans and bytes of traces that were not recorded
are taken from recorded ones of the same kind; a ceiling's share from what came in; what a keep-rule
would have kept of traces that were not recorded is anything from none to all.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from citadel.wire.messages import KeepRule, PreviewExample, SamplingPreview
from engine.telemetry.decided import Decision, Match, Trace
from engine.telemetry.policy import RANDOM_MASK, Policy, Root, RootTuple, fits, match, threshold
from engine.telemetry.sampling import Sampler
from engine.telemetry.tail import keeps

MAX_EXAMPLES = 20
Z95 = 1.959964
DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A copy of what the sampler remembers, and the stretch that is of interest."""

    decisions: list[Decision]
    recorded: Mapping[int, Trace]
    flagged: frozenset[int]
    p99: Mapping[str, float]
    since_ns: int
    now_ns: int

    def within(self) -> Past:
        """Without the decisions before the stretch."""
        return replace(self, decisions=[d for d in self.decisions if d[1] >= self.since_ns])

    @property
    def seconds(self) -> float:
        """From the first decision until now."""
        begun = min((known[1] for known in self.decisions), default=self.now_ns)
        return max((self.now_ns - begun) / 1e9, 1e-9)


def past_of(sampler: Sampler, p99: Mapping[str, float], since_ns: int, now_ns: int) -> Past:
    """Copies what is remembered; on the loop's thread, and quick about it."""
    return Past(
        decisions=sampler.remembered(),
        recorded={**sampler.past, **sampler.traces},
        flagged=frozenset(sampler.flagged),
        p99=p99,
        since_ns=since_ns,
        now_ns=now_ns,
    )


class _Kind:
    """Sizes of recorded traces of one name: mean and spread, by Welford."""

    __slots__ = ("bytes", "count", "mean", "square")

    def __init__(self) -> None:
        self.count = 0
        self.mean = self.square = self.bytes = 0.0

    def add(self, spans: int, size: int) -> None:
        self.count += 1
        off = spans - self.mean
        self.mean += off / self.count
        self.square += off * (spans - self.mean)
        self.bytes += (size - self.bytes) / self.count

    @property
    def variance(self) -> float:
        return self.square / (self.count - 1) if self.count > 1 else self.mean


@dataclass(slots=True)
class _Sum:
    """Traces, spans and bytes that are kept, with what is not certain of them."""

    traces: float = 0.0
    spans: float = 0.0
    bytes: float = 0.0
    variance: float = 0.0
    spans_variance: float = 0.0
    maybe: int = 0
    """Traces that a keep-rule may have kept; nobody can know."""
    maybe_spans: float = 0.0

    def interval(self) -> tuple[int, int]:
        """Of the traces."""
        off = Z95 * math.sqrt(self.variance)
        return max(0, round(self.traces - off)), round(self.traces + off) + self.maybe

    def spans_interval(self) -> tuple[int, int]:
        off = Z95 * math.sqrt(self.spans_variance)
        top = round(self.spans + off + self.maybe_spans)
        return max(0, round(self.spans - off)), top


@dataclass(slots=True)
class _Found:
    """What the other policy says of a root."""

    rule_id: str
    limit: int
    share: float
    """Of a ceiling: the share that it would keep; otherwise -1."""
    keep: tuple[KeepRule, ...] = field(default=())


def preview(past: Past, policy: Policy) -> SamplingPreview:
    """What the policy would have kept of these traces, and what is kept now."""
    past = past.within()
    kinds, overall = _kinds(past)
    roots = _found(past, policy)
    matched: Counter[str] = Counter()
    now, then = _Sum(), _Sum()
    flagged_lost, examples = 0, list[PreviewExample]()
    for trace_id, time_ns, decided, kept in past.decisions:
        found = roots[decided.root]
        matched[found.rule_id] += 1
        seen = past.recorded.get(trace_id)
        flagged = trace_id in past.flagged or bool(seen and (seen.errors or seen.flags))
        kind = kinds.get(decided.root[5], overall)
        if kept:
            _add(now, seen, kind, 1.0)
        share = 0.0 if decided.cause == "parent" else _share(trace_id, found, past, seen, flagged)
        if share < 0:  # only a keep-rule could tell, and it was not recorded
            then.maybe += 1
            then.maybe_spans += kind.mean
            share = 0.0
        if share:
            _add(then, seen, kind, share)
        flagged_lost += flagged and kept and not share
        if share in (0.0, 1.0) and kept != bool(share) and len(examples) < MAX_EXAMPLES:
            flipped = _example(trace_id, decided, found.rule_id, kept_now=kept)
            examples.append(replace(flipped, time_unix_nanos=time_ns, flagged=flagged))
    reply = _reply(now, then)
    return replace(
        reply,
        traces=len(past.decisions),
        flagged_lost=flagged_lost,
        matched=dict(matched),
        examples=tuple(examples),
        unmatched=tuple(
            rule.id for rule, _ in policy.ordered() if not rule.event and not matched[rule.id]
        ),
    )


def _example(trace_id: int, decided: Match, rule_id: str, *, kept_now: bool) -> PreviewExample:
    root = Root(*decided.root)
    return PreviewExample(
        trace_id=f"{trace_id:032x}",
        name=root.name,
        mission=root.mission,
        kept_now=kept_now,
        kept_then=not kept_now,
        rule_id=rule_id,
    )


def _reply(now: _Sum, then: _Sum) -> SamplingPreview:
    low, high = then.interval()
    spans_low, spans_high = then.spans_interval()
    return SamplingPreview(
        kept_now=round(now.traces),
        kept_then=round(then.traces),
        spans_now=round(now.spans),
        spans_then=round(then.spans),
        bytes_now=round(now.bytes),
        bytes_then=round(then.bytes),
        kept_then_low=low,
        kept_then_high=high,
        spans_then_low=spans_low,
        spans_then_high=spans_high,
    )


def _kinds(past: Past) -> tuple[dict[str, _Kind], _Kind]:
    kinds: dict[str, _Kind] = {}
    overall = _Kind()
    overall.mean = overall.bytes = 1.0
    for trace_id, _, decided, _ in past.decisions:
        seen = past.recorded.get(trace_id)
        if seen is None or not seen.spans or seen.open:
            continue
        for kind in (kinds.setdefault(decided.root[5], _Kind()), overall):
            kind.add(seen.spans, seen.bytes)
    return kinds, overall


def _found(past: Past, policy: Policy) -> dict[RootTuple, _Found]:
    """What the policy says of each root, with the shares that its ceilings leave."""
    counts = Counter(decided.root for _, _, decided, _ in past.decisions)
    spans: Counter[RootTuple] = Counter()
    recorded: Counter[RootTuple] = Counter()
    for trace_id, _, decided, _ in past.decisions:
        if seen := past.recorded.get(trace_id):
            spans[decided.root] += seen.spans
            recorded[decided.root] += 1
    seconds = past.seconds
    found: dict[RootTuple, _Found] = {}
    under: dict[str, list[RootTuple]] = {}
    limits: dict[str, float] = {}
    rules = [rule for rule, _ in policy.ordered()]
    for root in counts:
        rule = match(rules, root)
        keep = tuple(each for each in policy.keep if fits(each, root))
        if rule is None:
            found[root] = _Found(DEFAULT, 0, -1.0)
        else:
            found[root] = _Found(rule.id, threshold(rule.rate), -1.0, keep)
            if rule.spans_per_second:
                under.setdefault(rule.id, []).append(root)
                limits[rule.id] = rule.spans_per_second
    for rule_id, those in under.items():
        expected = sum(counts[root] * _size(spans[root], recorded[root]) for root in those)
        share = min(1.0, limits[rule_id] * seconds / expected) if expected else 1.0
        for root in those:
            found[root].share = share
    return found


def _size(spans: int, traces: int) -> float:
    return max(1.0, spans / traces) if traces else 1.0


def _share(trace_id: int, found: _Found, past: Past, seen: Trace | None, flagged: bool) -> float:
    """1 kept, 0 dropped, between: of a ceiling; -1: only a keep-rule could tell."""
    head = float((trace_id & RANDOM_MASK) >= found.limit) if found.share < 0 else found.share
    if head >= 1 or not found.keep:
        return head
    if seen is not None:
        certain = any(
            keeps(rule, seen, lambda name: past.p99.get(name, math.inf)) for rule in found.keep
        )
        return 1.0 if certain else head
    whens = {rule.when for rule in found.keep}
    if flagged and whens & {"error", "guard"}:
        return 1.0
    return -1.0 if not head and whens & {"slower_than", "slower_than_p99"} else head


def _add(total: _Sum, seen: Trace | None, kind: _Kind, share: float) -> None:
    total.traces += share
    total.variance += share * (1 - share)
    if seen is not None and seen.spans:
        total.spans += share * seen.spans
        total.bytes += share * seen.bytes
        total.spans_variance += share * (1 - share) * seen.spans**2
        return
    total.spans += share * kind.mean
    total.bytes += share * kind.bytes
    total.spans_variance += share * (1 - share) * kind.mean**2 + share * kind.variance

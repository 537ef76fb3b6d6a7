"""Which traces are kept: a pure function of (trace id, the root's attributes, the policy).

Consistent probability sampling (OpenTelemetry: 56 random bits of the trace id against a 56-bit
rejection threshold), so a trace is kept or dropped whole wherever the decision is made, and 0 and 1
are exact. The first rule that matches decides; when none does, the trace is kept.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

from citadel.errors import InvalidRequest
from citadel.wire.messages import SamplingPreview, SamplingRule

RANDOM_BITS = 56
REMEMBERED_ROOTS = 65_536
"""Decisions that are remembered: for spans of the trace still to come, and for previews."""
MAX_RULES = 256
_MATCHES_REMEMBERED = 4_096
_KEEP_ALL = 0
DEFAULT_RULES = (
    SamplingRule(id="critical", mission_class="critical", rate=1.0),
    SamplingRule(id="training", mission_class="training", rate=0.1),
)
_MASK = 2**RANDOM_BITS - 1


class Root(NamedTuple):
    """What rules match: the attributes of the first span that was seen of a trace."""

    mission_class: str = ""
    mission: str = ""
    sentinel: str = ""
    pool: str = ""
    source: str = ""
    name: str = ""


@dataclass(slots=True)
class RootDecision:
    """A decision that was made, kept for previews."""

    time_ns: int
    trace_id: int
    root: Root
    kept: bool
    flagged: bool = False


def threshold(rate: float) -> int:
    """Traces whose 56 random bits are below it are dropped: 0 for rate 1, 2^56 for rate 0."""
    return round((1.0 - rate) * 2**RANDOM_BITS)


def validated(rules: Iterable[SamplingRule]) -> tuple[SamplingRule, ...]:
    """The rules, when each has an id of its own and a rate from 0 to 1.

    Raises:
        InvalidRequest: names the rule and what is wrong with it.
    """
    checked = tuple(rules)
    if len(checked) > MAX_RULES:
        raise InvalidRequest(f"{len(checked)} sampling rules are more than {MAX_RULES}")
    seen: set[str] = set()
    for number, rule in enumerate(checked, 1):
        name = rule.id or f"number {number}"
        if not rule.id or rule.id in seen:
            raise InvalidRequest(
                f"sampling rule {name} has {'no' if not rule.id else 'a repeated'} id",
                subject=name,
                remedy="Give each rule an id of its own",
            )
        if not 0.0 <= rule.rate <= 1.0:
            raise InvalidRequest(
                f"the rate of sampling rule {name} is {rule.rate}, not from 0 to 1", subject=name
            )
        seen.add(rule.id)
    return checked


def match(rules: Sequence[SamplingRule], root: Root) -> SamplingRule | None:
    """The first rule whose globs all fit."""
    for rule in rules:
        if (
            (not rule.mission_class or fnmatchcase(root.mission_class, rule.mission_class))
            and (not rule.mission or fnmatchcase(root.mission, rule.mission))
            and (not rule.sentinel or fnmatchcase(root.sentinel, rule.sentinel))
            and (not rule.pool or fnmatchcase(root.pool, rule.pool))
            and (not rule.source or fnmatchcase(root.source, rule.source))
            and (not rule.name or fnmatchcase(root.name, rule.name))
        ):
            return rule
    return None


def decide(rules: Sequence[SamplingRule], trace_id: int, root: Root) -> bool:
    """Whether the trace is kept."""
    rule = match(rules, root)
    return rule is None or (trace_id & _MASK) >= threshold(rule.rate)


class Sampler:
    """The rules in force, and the decisions of the last traces."""

    def __init__(self, rules: Iterable[SamplingRule] = DEFAULT_RULES) -> None:
        self.rules = validated(rules)
        self._roots: OrderedDict[int, RootDecision] = OrderedDict()
        self._thresholds: dict[Root, int] = {}

    def replace(self, rules: Iterable[SamplingRule]) -> None:
        """Puts other rules in force, for traces that begin from now on."""
        self.rules = validated(rules)
        self._thresholds.clear()

    def kept(
        self, trace_id: int, root: Root, now_ns: int, *, sampled_by_caller: bool = True
    ) -> bool:
        """The decision for a trace: made once, then remembered for its later spans.

        The traces that were asked for longest ago are forgotten first.
        """
        known = self._roots.get(trace_id)
        if known is not None:
            self._roots.move_to_end(trace_id)
            return known.kept
        limit = self._thresholds.get(root)
        if limit is None:
            limit = self._threshold(root)
        kept = sampled_by_caller and (trace_id & _MASK) >= limit
        self._roots[trace_id] = RootDecision(now_ns, trace_id, root, kept)
        if len(self._roots) > REMEMBERED_ROOTS:
            self._roots.popitem(last=False)
        return kept

    def flag(self, trace_id: int) -> None:
        """Marks a trace as one with an error or a guard's flag, for previews."""
        if known := self._roots.get(trace_id):
            known.flagged = True

    def preview(self, rules: Iterable[SamplingRule], since_ns: int) -> SamplingPreview:
        """What the rules would have kept of the remembered traces since then: exact."""
        checked = validated(rules)
        past = [known for known in self._roots.values() if known.time_ns >= since_ns]
        matched: Counter[str] = Counter()
        kept_now = kept_then = flagged_lost = 0
        for known in past:
            rule = match(checked, known.root)
            matched[rule.id if rule else "default"] += 1
            then = rule is None or (known.trace_id & _MASK) >= threshold(rule.rate)
            kept_now += known.kept
            kept_then += then
            flagged_lost += known.flagged and known.kept and not then
        return SamplingPreview(
            traces=len(past),
            kept_now=kept_now,
            kept_then=kept_then,
            flagged_lost=flagged_lost,
            matched=dict(matched),
        )

    def _threshold(self, root: Root) -> int:
        """Finds it once for all roots that look the same."""
        rule = match(self.rules, root)
        limit = _KEEP_ALL if rule is None else threshold(rule.rate)
        if len(self._thresholds) >= _MATCHES_REMEMBERED:
            self._thresholds.clear()
        self._thresholds[root] = limit
        return limit

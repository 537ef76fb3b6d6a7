"""What a sampling policy is: rules, keep-rules and overrides, checked, and as JSON. Pure.

Overrides are asked first (the newest before the others), then rules in their order; the first whose
globs all fit the root of a trace decides, and where none does the trace is kept. A rule with an
`event` glob is for events instead, and is never asked about a trace.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from citadel.errors import InvalidRequest
from citadel.trace import RANDOM_BITS
from citadel.wire.messages import KeepRule, SamplingOverride, SamplingRule

MAX_RULES = 256
MAX_KEEP_RULES = 64
MAX_OVERRIDES = 64
MAX_OVERRIDE_SECONDS = 30 * 86_400.0
MAX_GLOB = 256
LEAST_CEILING = 1e-3
"""Spans a second."""
RANDOM_MASK = 2**RANDOM_BITS - 1
KEEP_ALL = 0
"""The threshold of rate 1."""
DROP_ALL = 2**RANDOM_BITS
"""The threshold of rate 0."""

DEFAULT_RULES = (
    SamplingRule(id="critical", mission_class="critical", rate=1.0),
    SamplingRule(id="training", mission_class="training", rate=0.1),
)
DEFAULT_KEEP = (KeepRule(id="errors", when="error"), KeepRule(id="guards", when="guard"))
WHENS = ("error", "guard", "slower_than", "slower_than_p99")
ROOT_GLOBS = ("mission_class", "mission", "sentinel", "pool", "source", "name")


class Root(NamedTuple):
    """What rules match: the attributes of the first span that was seen of a trace."""

    mission_class: str = ""
    mission: str = ""
    sentinel: str = ""
    pool: str = ""
    source: str = ""
    name: str = ""


RootTuple = tuple[str, str, str, str, str, str]
"""A Root, or a plain tuple of the same texts, which is made faster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Which traces and events are kept."""

    rules: tuple[SamplingRule, ...] = DEFAULT_RULES
    keep: tuple[KeepRule, ...] = DEFAULT_KEEP
    overrides: tuple[SamplingOverride, ...] = ()

    def ordered(self) -> list[tuple[SamplingRule, str]]:
        """Rules in the order in which they are asked, each with "override" or "rule"."""
        newest = sorted(self.overrides, key=lambda each: each.since_unix_nanos, reverse=True)
        before = [(each.rule, "override") for each in newest if each.rule is not None]
        return [*before, *((rule, "rule") for rule in self.rules)]


def threshold(rate: float) -> int:
    """Traces whose 56 random bits are below it are dropped: 0 for rate 1, 2^56 for rate 0."""
    return round((1.0 - rate) * 2**RANDOM_BITS)


def adjusted_count(limit: int) -> float:
    """How many traces one that was kept at this threshold stands for.

    0 for one that only a keep-rule kept: it is evidence, and no part of the sample.

    Source: OpenTelemetry, probability sampling in tracestate.
    """
    return 2**RANDOM_BITS / (2**RANDOM_BITS - limit) if limit < DROP_ALL else 0.0


def fits(rule: SamplingRule | KeepRule, root: RootTuple) -> bool:
    """Whether a rule's globs over the root all fit."""
    given = root if isinstance(root, Root) else Root(*root)
    return all(
        not (glob := getattr(rule, name, "")) or fnmatchcase(getattr(given, name), glob)
        for name in ROOT_GLOBS
    )


def match(rules: Iterable[SamplingRule], root: RootTuple) -> SamplingRule | None:
    """The first rule for traces whose globs all fit."""
    return next((rule for rule in rules if not rule.event and fits(rule, root)), None)


def decide(rules: Iterable[SamplingRule], trace_id: int, root: RootTuple) -> bool:
    """Whether rules without a ceiling keep the trace."""
    rule = match(rules, root)
    return rule is None or (trace_id & RANDOM_MASK) >= threshold(rule.rate)


def validated(rules: Iterable[SamplingRule]) -> tuple[SamplingRule, ...]:
    """The rules, when each has an id of its own, readable globs, and a rate or a ceiling.

    Raises:
        InvalidRequest: names the rule and what is wrong with it.
    """
    checked = tuple(rules)
    if len(checked) > MAX_RULES:
        raise InvalidRequest(f"{len(checked)} sampling rules are more than {MAX_RULES}")
    _check_ids(checked, "sampling rule")
    for rule in checked:
        if not 0.0 <= rule.rate <= 1.0:
            raise InvalidRequest(
                f"the rate of sampling rule {rule.id} is {rule.rate}, not from 0 to 1",
                subject=rule.id,
            )
        if rule.spans_per_second and not LEAST_CEILING <= rule.spans_per_second < math.inf:
            raise InvalidRequest(
                f"the ceiling of sampling rule {rule.id} is {rule.spans_per_second} spans a second",
                subject=rule.id,
                remedy=f"Give {LEAST_CEILING} or more, or 0 for none",
            )
        if rule.event and rule.spans_per_second:
            raise InvalidRequest(
                f"sampling rule {rule.id} is for events, and has a ceiling of spans",
                subject=rule.id,
                remedy="Give it a rate",
            )
        _check_globs(rule, "sampling rule")
    return checked


def validated_keep(rules: Iterable[KeepRule]) -> tuple[KeepRule, ...]:
    """The keep-rules, when each has an id of its own and says when.

    Raises:
        InvalidRequest: names the rule and what is wrong with it.
    """
    checked = tuple(rules)
    if len(checked) > MAX_KEEP_RULES:
        raise InvalidRequest(f"{len(checked)} keep-rules are more than {MAX_KEEP_RULES}")
    _check_ids(checked, "keep-rule")
    for rule in checked:
        if rule.when not in WHENS:
            raise InvalidRequest(
                f"keep-rule {rule.id} does not know {rule.when!r}",
                subject=rule.id,
                remedy=f"One of {', '.join(WHENS)}",
            )
        if rule.when == "slower_than" and not 0 < rule.seconds < math.inf:
            raise InvalidRequest(
                f"keep-rule {rule.id} keeps what is slower than {rule.seconds} s",
                subject=rule.id,
                remedy="Give seconds above 0",
            )
        _check_globs(rule, "keep-rule")
    return checked


def warnings(policy: Policy, roots: Iterable[RootTuple]) -> list[str]:
    """What is odd about a policy: rules that nothing reaches, globs that fitted no trace so far."""
    known = list(roots)
    said: list[str] = []
    catch_all = ""
    for rule, _ in policy.ordered():
        if rule.event:
            continue
        if catch_all:
            said.append(f"Rule {rule.id} is never asked: {catch_all} before it takes all traces")
        elif known and not any(fits(rule, root) for root in known):
            said.append(f"Rule {rule.id} fits none of the {len(known)} kinds of traces so far")
        if not any(getattr(rule, name) for name in ROOT_GLOBS):
            catch_all = catch_all or rule.id
    said += [
        f"Keep-rule {keep.id} fits none of the {len(known)} kinds of traces so far"
        for keep in policy.keep
        if known and not any(fits(keep, root) for root in known)
    ]
    return said


def encode(policy: Policy) -> dict[str, Any]:
    """A policy as JSON values."""
    return asdict(policy)


def decode(value: Any) -> Policy:
    """A policy from JSON values; a bare list is the rules of an earlier version."""
    if isinstance(value, list):
        return Policy(rules=rules_of(value))
    fields: Mapping[str, Any] = value
    return Policy(
        rules=rules_of(fields["rules"]),
        keep=tuple(KeepRule(**each) for each in fields["keep"]),
        overrides=tuple(_override(**each) for each in fields["overrides"]),
    )


def _override(rule: Mapping[str, Any], **rest: Any) -> SamplingOverride:
    return SamplingOverride(rule=SamplingRule(**rule), **rest)


def rules_of(values: Sequence[Mapping[str, Any]]) -> tuple[SamplingRule, ...]:
    """Rules from JSON values."""
    return tuple(SamplingRule(**value) for value in values)


def _check_ids(rules: Sequence[SamplingRule | KeepRule], kind: str) -> None:
    seen: set[str] = set()
    for number, rule in enumerate(rules, 1):
        name = rule.id or f"number {number}"
        if not rule.id or rule.id in seen:
            raise InvalidRequest(
                f"{kind} {name} has {'no' if not rule.id else 'a repeated'} id",
                subject=name,
                remedy="Give each rule an id of its own",
            )
        seen.add(rule.id)


def _check_globs(rule: SamplingRule | KeepRule, kind: str) -> None:
    for name in (*ROOT_GLOBS, "event"):
        glob = getattr(rule, name, "")
        if len(glob) > MAX_GLOB:
            raise InvalidRequest(
                f"{kind} {rule.id} has a glob of {len(glob)} characters for {name}",
                subject=rule.id,
                remedy=f"At most {MAX_GLOB}",
            )
        if _is_open(glob):
            raise InvalidRequest(
                f"{kind} {rule.id} has a glob for {name} that cannot be read: {glob}",
                subject=rule.id,
                remedy="Close the bracket, or write [[] for a bracket itself",
            )


def _is_open(glob: str) -> bool:
    """Whether a bracket is not closed; one that comes first in brackets is itself meant."""
    at = glob.find("[")
    while at >= 0:
        at += 1
        at += glob.startswith("!", at)
        at += glob.startswith("]", at)
        closed = glob.find("]", at)
        if closed < 0:
            return True
        at = glob.find("[", closed)
    return False

"""A sampling policy as the dock edits it: matches as a line of text, order, rates. Pure."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from app import figures
from citadel.wire.messages import KeepRule, SamplingPreview, SamplingRule

MATCHED_BY = {
    "class": "mission_class",
    "mission": "mission",
    "sentinel": "sentinel",
    "pool": "pool",
    "source": "source",
    "name": "name",
    "event": "event",
}
"""What a rule can match, as the dock says it, and the field of the wire."""

KEEP_MATCHED_BY = {"class": "mission_class", "mission": "mission", "name": "name"}
"""The same for keep-rules."""

KEPT_WHEN = {
    "error": "it has an error",
    "guard": "a guard flagged, redacted or blocked",
    "slower_than": "its root took longer than",
    "slower_than_p99": "its root is slower than the p99 of its kind",
}
"""When a keep-rule keeps a trace, in words."""

_FINE = (0.0, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.007)
RATES = (*_FINE, *(percent / 100 for percent in range(1, 101)))
"""The stops of the slider: 0 and 100 % exactly, whole per cents, and fine steps below 1 %."""

_PART = re.compile(r'(\w+)=(?:"([^"]*)"|(\S+))(?:\s+|$)')

Rules = tuple[SamplingRule, ...]
Keeps = tuple[KeepRule, ...]
AnyRule = SamplingRule | KeepRule
R = TypeVar("R", SamplingRule, KeepRule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What one change sets: rules in their order, and what is kept whatever they say."""

    rules: Rules = ()
    keep: Keeps = ()


class BadMatch(ValueError):
    """The text of a match cannot be read; the message says why."""


def stop_of(rate: float) -> int:
    """The slider's stop next to a rate; only 0 and 1 are at its ends."""
    if not 0 < rate < 1:
        return 0 if rate <= 0 else len(RATES) - 1
    after = bisect_left(RATES, rate)
    nearest = after if RATES[after] - rate <= rate - RATES[after - 1] else after - 1
    return min(max(nearest, 1), len(RATES) - 2)


def fields_of(rule: AnyRule) -> Mapping[str, str]:
    """What a rule can match."""
    return MATCHED_BY if isinstance(rule, SamplingRule) else KEEP_MATCHED_BY


def match_text(rule: AnyRule) -> str:
    """A rule's match: "class=training name=survey*"; "" matches all."""
    parts: list[str] = []
    for word, field in fields_of(rule).items():
        glob: str = getattr(rule, field)
        if glob:
            parts.append(f'{word}="{glob}"' if re.search(r"\s", glob) else f"{word}={glob}")
    return " ".join(parts)


def with_match(rule: R, text: str) -> R:
    """The rule with another match.

    Raises:
        BadMatch: the text is not of the form field=glob, or the field is unknown.
    """
    known = fields_of(rule)
    values = dict.fromkeys(known.values(), "")
    rest = text.strip()
    while rest:
        found = _PART.match(rest)
        if found is None:
            raise BadMatch(f"“{rest}” is not field=glob; fields are {', '.join(known)}")
        if found[1] not in known:
            raise BadMatch(f"there is no field “{found[1]}”; fields are {', '.join(known)}")
        values[known[found[1]]] = found[2] or found[3] or ""
        rest = rest[found.end() :]
    return replace(rule, **values)


def problem_of(rule: SamplingRule) -> str:
    """What the engine would refuse about a rule, or ""."""
    if rule.event and rule.spans_per_second:
        return "A rule for events keeps a share of them; a ceiling is for spans."
    return ""


def fresh_id(items: Sequence[AnyRule], stem: str) -> str:
    """An id that none of them has: "rule-1"."""
    known = {item.id for item in items}
    return next(f"{stem}-{n}" for n in range(1, len(known) + 2) if f"{stem}-{n}" not in known)


def added(rules: Rules) -> Rules:
    """The rules and a new one at the end: it matches all and keeps all."""
    return (*rules, SamplingRule(id=fresh_id(rules, "rule"), rate=1.0))


def keep_added(keep: Keeps) -> Keeps:
    """The keep-rules and a new one: what is slower than the p99 of its kind."""
    return (*keep, KeepRule(id=fresh_id(keep, "keep"), when="slower_than_p99"))


def removed(rules: tuple[R, ...], index: int) -> tuple[R, ...]:
    """The rules without one."""
    return rules[:index] + rules[index + 1 :]


def moved(rules: tuple[R, ...], index: int, step: int) -> tuple[R, ...]:
    """The rules with one moved up (-1) or down (1); at the end it stays."""
    target = index + step
    if not 0 <= target < len(rules):
        return rules
    changed = list(rules)
    changed.insert(target, changed.pop(index))
    return tuple(changed)


def replaced(rules: tuple[R, ...], index: int, rule: R) -> tuple[R, ...]:
    """The rules with one replaced."""
    return (*rules[:index], rule, *rules[index + 1 :])


def preview_text(preview: SamplingPreview, minutes: int) -> str:
    """What a preview found, in a sentence."""
    if not preview.traces:
        return f"No traces in the last {minutes} minutes to try these rules on."
    low, high = preview.kept_then_low, preview.kept_then_high
    about = f" ({low:,} to {high:,}, 95 %)" if high > low else ""
    return (
        f"Of the last {preview.traces:,} traces these rules would have kept "
        f"{preview.kept_then:,}{about}; now {preview.kept_now:,} are kept."
    )


def kept_text(preview: SamplingPreview, minutes: int) -> str:
    """What the policy in force keeps, in a sentence."""
    if not preview.traces:
        return f"No traces in the last {minutes} minutes."
    return f"These rules keep {preview.kept_now:,} of the last {preview.traces:,} traces."


def difference(mine: Policy, theirs: Policy) -> list[str]:
    """How two policies differ, a line a rule."""
    lines = _differing(mine.rules, theirs.rules) + _differing(mine.keep, theirs.keep)
    if not lines and mine != theirs:
        lines.append("the same rules in another order")
    return lines


def _differing(mine: Sequence[AnyRule], theirs: Sequence[AnyRule]) -> list[str]:
    ours, others = {rule.id: rule for rule in mine}, {rule.id: rule for rule in theirs}
    return [
        f"{name}: mine {brief(ours.get(name))}, theirs {brief(others.get(name))}"
        for name in {**ours, **others}
        if ours.get(name) != others.get(name)
    ]


def brief(rule: AnyRule | None) -> str:
    """A rule in a few words: "class=training at 10 %"."""
    match rule:
        case None:
            return "none"
        case SamplingRule():
            return f"{match_text(rule) or 'all'} {amount(rule)}"
        case KeepRule():
            after = f" {figures.seconds(rule.seconds)}" if rule.when == "slower_than" else ""
            where = f" ({match_text(rule)})" if match_text(rule) else ""
            return f"when {KEPT_WHEN.get(rule.when, rule.when)}{after}{where}"


def amount(rule: SamplingRule) -> str:
    """How much a rule keeps: "at 10 %", "at most 200 spans/s"."""
    if rule.spans_per_second:
        return f"at most {rule.spans_per_second:g} spans/s"
    return f"at {rule.rate * 100:g} %"

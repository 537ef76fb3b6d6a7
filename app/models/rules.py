"""Sampling rules as the dock edits them: matches as a line of text, order, rates. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from citadel.wire.messages import SamplingPreview, SamplingRule

MATCHED_BY = {
    "class": "mission_class",
    "mission": "mission",
    "sentinel": "sentinel",
    "pool": "pool",
    "source": "source",
    "name": "name",
}
"""What a rule can match, as the dock says it, and the field of the wire."""

_PART = re.compile(r'(\w+)=(?:"([^"]*)"|(\S+))(?:\s+|$)')

Rules = tuple[SamplingRule, ...]


class BadMatch(ValueError):
    """The text of a match cannot be read; the message says why."""


def match_text(rule: SamplingRule) -> str:
    """A rule's match: "class=training name=survey*"; "" matches all."""
    parts: list[str] = []
    for word, field in MATCHED_BY.items():
        glob: str = getattr(rule, field)
        if glob:
            parts.append(f'{word}="{glob}"' if re.search(r"\s", glob) else f"{word}={glob}")
    return " ".join(parts)


def with_match(rule: SamplingRule, text: str) -> SamplingRule:
    """The rule with another match.

    Raises:
        BadMatch: the text is not of the form field=glob, or the field is unknown.
    """
    values = dict.fromkeys(MATCHED_BY.values(), "")
    rest = text.strip()
    while rest:
        found = _PART.match(rest)
        if found is None:
            raise BadMatch(f"“{rest}” is not field=glob; fields are {', '.join(MATCHED_BY)}")
        if found[1] not in MATCHED_BY:
            raise BadMatch(f"there is no field “{found[1]}”; fields are {', '.join(MATCHED_BY)}")
        values[MATCHED_BY[found[1]]] = found[2] or found[3] or ""
        rest = rest[found.end() :]
    return replace(rule, **values)


def added(rules: Rules) -> Rules:
    """The rules and a new one at the end: it matches all and keeps all."""
    known = {rule.id for rule in rules}
    number = next(n for n in range(1, len(rules) + 2) if f"rule-{n}" not in known)
    return (*rules, SamplingRule(id=f"rule-{number}", rate=1.0))


def removed(rules: Rules, index: int) -> Rules:
    """The rules without one."""
    return rules[:index] + rules[index + 1 :]


def moved(rules: Rules, index: int, step: int) -> Rules:
    """The rules with one moved up (-1) or down (1); at the end it stays."""
    target = index + step
    if not 0 <= target < len(rules):
        return rules
    changed = list(rules)
    changed[index], changed[target] = changed[target], changed[index]
    return tuple(changed)


def replaced(rules: Rules, index: int, rule: SamplingRule) -> Rules:
    """The rules with one replaced."""
    return (*rules[:index], rule, *rules[index + 1 :])


def preview_text(preview: SamplingPreview, minutes: int) -> str:
    """What a preview found, in a sentence."""
    if not preview.traces:
        return f"No traces in the last {minutes} minutes to try these rules on."
    text = (
        f"Of the last {preview.traces:,} traces these rules would have kept "
        f"{preview.kept_then:,}; now {preview.kept_now:,} are kept."
    )
    if preview.flagged_lost:
        text += f" {preview.flagged_lost:,} with an error or flag would be lost."
    return text


def difference(mine: Sequence[SamplingRule], theirs: Sequence[SamplingRule]) -> list[str]:
    """How two policies differ, a line a rule."""
    ours, others = {rule.id: rule for rule in mine}, {rule.id: rule for rule in theirs}
    lines: list[str] = []
    for name in {**ours, **others}:
        mine_rule, their_rule = ours.get(name), others.get(name)
        if mine_rule != their_rule:
            lines.append(f"{name}: mine {_brief(mine_rule)}, theirs {_brief(their_rule)}")
    if not lines and list(ours) != list(others):
        lines.append("the same rules in another order")
    return lines


def _brief(rule: SamplingRule | None) -> str:
    if rule is None:
        return "none"
    return f"{match_text(rule) or 'all'} at {rule.rate * 100:g} %"

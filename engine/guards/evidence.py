"""What a verdict shows of the text that it rests on: an excerpt, with secrets masked. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from citadel.wire.messages import Reason
from engine.guards.contract import Finding
from engine.guards.normalise import normalise
from engine.guards.rules import shipped_rules

EXCERPT = 160
"""Characters that a verdict shows around its strongest reason."""
SHOWN_REASONS = 50
"""Reasons that a verdict shows, the strongest first."""
_BEFORE = EXCERPT // 4
_MARGIN = 256
"""Characters around the excerpt that are looked at, so that no half of a secret is shown."""
_MASK = "█"


@dataclass(frozen=True, slots=True)
class Evidence:
    """An excerpt, and the reasons with their ranges within it."""

    excerpt: str
    reasons: tuple[Reason, ...]


def evidence(text: str, reasons: Sequence[Reason], finding: Finding | None) -> Evidence:
    """An excerpt around the strongest reason. Masks have the length of what they hide."""
    if not reasons:
        return Evidence("", ())
    strongest = sorted(reasons, key=lambda reason: -reason.score)[:SHOWN_REASONS]
    best = next((reason for reason in strongest if reason.end > reason.start), None)
    start = max(0, (best.start if best else 0) - _BEFORE)
    excerpt = text[start : start + EXCERPT]
    for at, end in _secrets(text, start, finding):
        low, high = max(at - start, 0), min(end - start, len(excerpt))
        if low < high:
            excerpt = excerpt[:low] + _MASK * (high - low) + excerpt[high:]
    return Evidence(excerpt, tuple(_within(reason, start, len(excerpt)) for reason in strongest))


def _secrets(text: str, start: int, finding: Finding | None) -> Iterator[tuple[int, int]]:
    """What this layer redacts, and what the LLM guard would, on or off."""
    for at, end, _ in finding.redactions if finding else ():
        yield at, end
    first = max(0, start - _MARGIN)
    near = normalise(text[first : start + EXCERPT + _MARGIN])
    for redaction in shipped_rules().redactions:
        for at, end in redaction.find(near.plain):
            low, high = near.original_range(at, end)
            yield first + low, first + high


def _within(reason: Reason, start: int, length: int) -> Reason:
    return Reason(
        rule=reason.rule,
        text=reason.text,
        start=min(max(reason.start - start, 0), length),
        end=min(max(reason.end - start, 0), length),
        score=reason.score,
    )

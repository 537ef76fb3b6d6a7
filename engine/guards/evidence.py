"""What a verdict shows of the text that it rests on: an excerpt, redacted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from citadel.wire.messages import Reason
from engine.guards.contract import Finding

EXCERPT = 160
"""Characters of context that a verdict shows around its first reason."""


def evidence(
    text: str, reasons: Sequence[Reason], finding: Finding | None
) -> tuple[str, list[dict[str, Any]]]:
    """An excerpt around the strongest reason, redacted, and the reasons with ranges within it."""
    if not reasons:
        return "", []
    ranged = [reason for reason in reasons if reason.end > reason.start]
    best = max(ranged, key=lambda reason: reason.score, default=None)
    start = max(0, (best.start if best else 0) - EXCERPT // 4)
    excerpt = text[start : start + EXCERPT]
    for at, end, _ in finding.redactions if finding else ():
        # Same length, so that the ranges stay right.
        low, high = max(at - start, 0), min(end - start, len(excerpt))
        if low < high:
            excerpt = excerpt[:low] + "█" * (high - low) + excerpt[high:]
    shown = [
        {
            "rule": reason.rule,
            "text": reason.text,
            "score": reason.score,
            "start": min(max(reason.start - start, 0), len(excerpt)),
            "end": min(max(reason.end - start, 0), len(excerpt)),
        }
        for reason in reasons
    ]
    return excerpt, shown

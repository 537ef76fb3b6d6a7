"""What a guard is: a request goes in, what it found comes out; the chain decides on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from citadel.vocabulary import Channel, Decision
from citadel.wire.messages import LayerConfig, Reason, Verdict
from engine.telemetry.recorder import Span

MAX_TEXT = 200_000
"""Characters that the guards read; a longer text is refused."""
LONG_CHARACTERS = 16_384
"""Texts longer than this are read in a thread; shorter ones take a millisecond or two."""
SEVERITY: dict[Decision, int] = {"allow": 0, "redact": 1, "flag": 2, "block": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRequest:
    """A text on its way to a model, or back."""

    text: str
    channel: Channel = "prompt"
    system_prompt: str = ""
    mission: str = ""
    mission_class: str = ""
    sentinel: str = ""
    parent: Span | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a layer found: scored reasons, and what it wants replaced."""

    reasons: tuple[Reason, ...] = ()
    redactions: tuple[tuple[int, int, str], ...] = ()
    """(start, end, replacement), in code points of the checked text."""

    @property
    def score(self) -> float:
        """The highest score of its reasons, 0 when there are none."""
        return max((reason.score for reason in self.reasons), default=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainVerdict:
    """The decision of the whole chain, and the text as the model would get it.

    The ranges of all reasons are of the text that came in, whatever earlier layers redacted.
    """

    decision: Decision
    verdicts: tuple[Verdict, ...]
    text: str


class Guard(Protocol):
    """One layer of defence."""

    name: str
    title: str
    description: str

    async def check(self, request: GuardRequest) -> Finding:
        """Looks at a request. May raise: the chain then fails open or closed."""
        ...


def sound(finding: object, text: str) -> Finding:
    """What a layer returned, when it makes sense: a NaN must not let a request through.

    Raises:
        ValueError: says what is wrong with it.
    """
    if not isinstance(finding, Finding):
        raise TypeError(f"it returned {type(finding).__name__}, not Finding")
    for reason in finding.reasons:
        if not (math.isfinite(reason.score) and 0 <= reason.score <= 1):
            raise ValueError(f"{reason.rule} has the score {reason.score}")
        if not 0 <= reason.start <= reason.end <= len(text):
            raise ValueError(f"{reason.rule} rests on {reason.start}…{reason.end} of {len(text)}")
    for start, end, _ in finding.redactions:
        if not 0 <= start < end <= len(text):
            raise ValueError(f"it redacts {start}…{end} of {len(text)}")
    return finding


def strongest_rules(reasons: Sequence[Reason]) -> list[str]:
    """The rules of some reasons, the strongest first; those that rest on the text before others."""
    ranked = sorted(reasons, key=lambda reason: (reason.end <= reason.start, -reason.score))
    return list(dict.fromkeys(reason.rule for reason in ranked))


def decided(score: float | None, config: LayerConfig, *, strict: bool, redacts: bool) -> Decision:
    """The decision of one layer on its score; no score says that it failed.

    A flag or a failure lets a request through, and blocks it in strict mode.
    """
    if score is not None and score >= config.block_threshold:
        return "block"
    if score is None or score >= config.flag_threshold:
        return "block" if strict else "flag"
    return "redact" if redacts else "allow"


def worst(decisions: Sequence[Decision]) -> Decision:
    """The most severe of some decisions."""
    allow: Decision = "allow"
    return max((allow, *decisions), key=SEVERITY.__getitem__)

"""What a guard is: a request goes in, a verdict with its evidence comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from citadel.vocabulary import Channel, Decision
from citadel.wire.messages import LayerConfig, Reason, Verdict
from engine.telemetry.recorder import Span

MAX_TEXT = 200_000
"""Characters that a guard reads; a longer text is refused."""
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
    """The decision of the whole chain, and the text as the model would get it."""

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


def decide(finding: Finding, config: LayerConfig, *, strict: bool) -> Decision:
    """The decision of one layer: its score against its thresholds; in strict mode a flag blocks."""
    if finding.score >= config.block_threshold:
        return "block"
    if finding.score >= config.flag_threshold:
        return "block" if strict else "flag"
    return "redact" if finding.redactions else "allow"


def worst(decisions: Sequence[Decision]) -> Decision:
    """The most severe of some decisions."""
    allow: Decision = "allow"
    allow: Decision = "allow"
    return max((allow, *decisions), key=SEVERITY.__getitem__)


def redacted(text: str, redactions: Sequence[tuple[int, int, str]]) -> str:
    """The text with ranges replaced; of overlapping ones the first counts."""
    parts: list[str] = []
    at = 0
    for start, end, replacement in sorted(redactions):
        if start >= at:
            parts += [text[at:start], replacement]
            at = end
    return "".join([*parts, text[at:]])

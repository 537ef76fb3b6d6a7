"""What became of a trace, as a story for people: a `WhyReply` as lines for a view. Pure.

The engine's explanation leads; beside it stand who set the rule and why, the numbers that were
compared, and what else befell the spans.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from app import figures
from citadel.trace import parse_trace_id
from citadel.wire.messages import SamplingRule, WhyReply

RANDOM = 2**56
"""Randomness and thresholds are below this."""

_COMMAND = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.:-]{7,63}")

STATES = {"kept": "ready", "dropped": "lost", "undecided": "starting", "unknown": "stopped"}
"""The state whose colour and shape a fate has."""

_TITLES = {
    "kept": "It is kept",
    "dropped": "It was not kept",
    "undecided": "It is not decided yet",
    "unknown": "Nothing is known of it",
}
_CAUSES = {
    "rule": "a rule's rate",
    "keep_rule": "a keep-rule",
    "override": "an override",
    "default": "no rule fits it",
    "ceiling": "a rule's ceiling of spans a second",
    "parent": "who began the trace had decided",
    "decided_incomplete": "its spans could not be held until its root ended",
    "queue_full": "a full queue",
    "store_full": "the span store's full queue",
    "store_failed": "the span store could not write",
    "invalid": "its spans made no sense",
    "exporter_error": "an exporter could not deliver it",
    "retention": "it is older than what is kept",
    "crash_window": "the engine was killed about then",
    "never_seen": "this engine never saw it",
}
_ROOT = ("name", "mission", "mission_class", "sentinel", "pool", "source")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The two numbers, as shares of all there are: kept when drawn >= needed."""

    drawn: float
    needed: float
    kept: bool

    @property
    def text(self) -> str:
        """The comparison in words."""
        sign = "≥" if self.drawn >= self.needed else "<"
        return (
            f"The trace's number {self.drawn * 100:.4g} % {sign} the threshold"
            f" {self.needed * 100:.4g} %"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What is shown."""

    title: str
    state: str
    explanation: str
    lines: tuple[tuple[str, str], ...]
    """Pairs: what, and what of it."""
    comparison: Comparison | None
    rule_id: str

    def as_text(self) -> str:
        """All of it, for the clipboard and for screen readers."""
        parts = [f"{self.title}. {self.explanation}."]
        parts += [f"{name}: {text}" for name, text in self.lines]
        if self.comparison is not None:
            parts.append(self.comparison.text)
        return "\n".join(parts)


def story(reply: WhyReply) -> Story:
    """A reply as a story."""
    lines = [("Trace", reply.trace_id), ("Cause", _CAUSES.get(reply.cause, reply.cause))]
    root = " · ".join(text for name in _ROOT if (text := getattr(reply, name)))
    if root:
        lines.append(("Root span", root))
    if reply.decided_unix_nanos:
        lines.append(("Decided", figures.moment(reply.decided_unix_nanos)))
    if reply.rule_id:
        lines.append(("Decided by", f"{reply.rule_id}, policy revision {reply.revision}"))
    elif reply.revision:
        lines.append(("Policy", f"revision {reply.revision}"))
    if reply.actor:
        when = f", {figures.moment(reply.set_unix_nanos)}" if reply.set_unix_nanos else ""
        lines.append(("Set by", f"{reply.actor}{when}"))
    if reply.reason:
        lines.append(("Because", reply.reason))
    lines += [("Also", text) for text in reply.also]
    lines += [
        (
            "Blind",
            f"{figures.moment(each.since_unix_nanos)} – {figures.moment(each.until_unix_nanos)}",
        )
        for each in reply.windows
    ]
    if reply.known_since_unix_nanos:
        lines.append(("All known since", figures.moment(reply.known_since_unix_nanos)))
    return Story(
        title=_TITLES.get(reply.fate, reply.fate),
        state=STATES.get(reply.fate, "stopped"),
        explanation=reply.explanation,
        lines=tuple(lines),
        comparison=_comparison(reply),
        rule_id=reply.rule_id,
    )


def _comparison(reply: WhyReply) -> Comparison | None:
    """Only where the two numbers were what decided."""
    compared = {"rule", "override", "keep_rule", "ceiling", "decided_incomplete"}
    if not reply.revision or reply.cause not in compared:
        return None
    return Comparison(
        drawn=reply.randomness / RANDOM,
        needed=reply.threshold / RANDOM,
        kept=reply.randomness >= reply.threshold,
    )


def such_traces(reply: WhyReply) -> SamplingRule:
    """A rule that fits traces like this one, by its root; not by the Sentinel that began it."""
    return SamplingRule(
        mission_class=_literal(reply.mission_class),
        mission=_literal(reply.mission),
        pool=_literal(reply.pool),
        source=_literal(reply.source),
        name=_literal(reply.name),
        rate=1.0,
    )


def _literal(text: str) -> str:
    """A glob that fits this text only."""
    return re.sub(r"([*?[])", r"[\1]", text)


def trace_id_in(text: str) -> str:
    """A trace id that someone typed, in lower case; "" when it is none."""
    found = text.strip().replace("-", "")
    return found.lower() if parse_trace_id(found) else ""


def command_id_in(text: str) -> str:
    """A command id that someone typed; "" when it cannot be one."""
    found = text.strip()
    fits = _COMMAND.fullmatch(found) and any(letter.isdigit() for letter in found)
    return found if fits and not trace_id_in(found) else ""


def trace_of(row: dict[str, object]) -> str:
    """The trace of a row of events, verdicts or spans; "" when it has none."""
    high, low = row.get("trace_hi", 0), row.get("trace_lo", 0)
    if isinstance(high, int) and isinstance(low, int) and (high or low):
        return f"{high:016x}{low:016x}"
    found = row.get("trace_id", "")
    return found if isinstance(found, str) else ""

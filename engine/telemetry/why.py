"""Why a trace can, or cannot, be found: what was decided and what befell it, told for people. Pure.

The last decision on a trace holds. A loss of some of its spans is told beside it; when nothing of a
kept trace is left, the loss is its fate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from citadel.trace import RANDOM_BITS
from citadel.wire.messages import CrashWindow, WhyReply
from engine.telemetry.decisions import Logged
from engine.telemetry.policy import DROP_ALL, RANDOM_MASK, Root

LOSSES = frozenset({"queue_full", "store_full", "store_failed", "invalid", "exporter_error"})
"""Causes that befall a trace which was decided otherwise."""
CRASH_MARGIN_NS = 60_000_000_000
"""A trace that was decided this long before a crash may still have been open then."""
_TOLD_LOSSES = {
    "queue_full": "spans of it were lost: more waited to be written than there was room for",
    "store_full": "spans of it were lost: the span store's queue was full",
    "store_failed": "spans of it were lost: the span store could not write",
    "invalid": "spans of it made no sense, and were not taken",
    "exporter_error": "the exporter {by} could not deliver spans of it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a trace."""

    trace_id: int
    decisions: Sequence[Logged]
    stored: int
    """Spans of it in the span store."""
    held: int = 0
    """Spans of it that wait until it is decided."""
    retained_since_ns: int = 0
    """Traces that ended before are no longer stored."""
    known_since_ns: int = 0
    windows: Sequence[tuple[int, int]] = ()


def explain(evidence: Evidence) -> WhyReply:
    """The answer, but for who set the rule: its revision says where to look that up."""
    decided = [each for each in evidence.decisions if each.cause not in LOSSES]
    losses = [each for each in evidence.decisions if each.cause in LOSSES]
    reply = WhyReply(
        trace_id=f"{evidence.trace_id:032x}",
        also=_told(losses),
        known_since_unix_nanos=evidence.known_since_ns,
        randomness=evidence.trace_id & RANDOM_MASK,
    )
    if not decided:
        return _undecided(reply, evidence, losses)
    last = decided[-1]
    kept = [each for each in decided if each.kept]
    if kept and evidence.stored and not last.kept:
        # It was forgotten and decided again; what had been kept is there all the same.
        last = kept[-1]
        reply = replace(reply, also=(*reply.also, "it was decided again later: dropped then"))
    root = Root(*last.root) if len(last.root) == len(Root._fields) else Root()
    limit = min(last.threshold, DROP_ALL)
    reply = replace(
        reply,
        fate="kept" if last.kept else "dropped",
        cause=last.cause,
        rule_id=last.rule_id,
        revision=last.revision,
        decided_unix_nanos=last.time_ns,
        rate=1 - limit / 2**RANDOM_BITS,
        threshold=limit,
        **root._asdict(),
    )
    if not last.kept:
        return replace(reply, explanation=_why_dropped(last, reply))
    if evidence.stored:
        return replace(reply, explanation=_why_kept(last, reply))
    return _kept_but_gone(reply, evidence, losses)


def _undecided(reply: WhyReply, evidence: Evidence, losses: Sequence[Logged]) -> WhyReply:
    if evidence.held:
        return replace(
            reply,
            fate="undecided",
            cause="keep_rule",
            explanation=f"{evidence.held} spans of it are held: its rule drops it, and a keep-rule"
            " may keep it when its root has ended",
        )
    if evidence.stored:
        text = "It is stored, and older than what is known of decisions"
        return replace(reply, fate="kept", cause="retention", explanation=text)
    if losses:
        return replace(reply, fate="dropped", cause=losses[-1].cause, explanation=_first(reply))
    windows = tuple(
        CrashWindow(since_unix_nanos=since, until_unix_nanos=until)
        for since, until in evidence.windows
    )
    text = "This engine saw no span of it in the time that it knows of"
    if windows:
        return replace(
            reply,
            fate="unknown",
            cause="crash_window",
            windows=windows,
            explanation=f"{text}, unless it was in a stretch of which it cannot know: it was killed"
            " then, or could not write",
        )
    return replace(reply, fate="unknown", cause="never_seen", explanation=text)


def _kept_but_gone(reply: WhyReply, evidence: Evidence, losses: Sequence[Logged]) -> WhyReply:
    gone = [each for each in losses if each.cause != "exporter_error"]
    if reply.decided_unix_nanos < evidence.retained_since_ns:
        return replace(
            reply,
            fate="dropped",
            cause="retention",
            explanation="It was kept, and is older than what the span store keeps",
        )
    if gone:
        return replace(reply, fate="dropped", cause=gone[-1].cause, explanation=_first(reply))
    if any(
        since - CRASH_MARGIN_NS <= reply.decided_unix_nanos <= until
        for since, until in evidence.windows
    ):
        text = "It was kept, and the engine was killed before its spans were written"
        return replace(reply, fate="dropped", cause="crash_window", explanation=text)
    text = "It is kept; none of its spans has ended and been written yet"
    return replace(reply, explanation=text)


def _why_dropped(last: Logged, reply: WhyReply) -> str:
    share = f"{reply.rate * 100:.4g} %"
    match last.cause:
        case "never_seen":
            return "There were too many kinds of decisions to write down what decided"
        case "parent":
            return "Who began the trace had decided not to sample it"
        case "ceiling":
            return f"Rule {last.rule_id} was at its ceiling: it kept {share} of such traces then"
        case "decided_incomplete":
            return (
                f"Rule {last.rule_id} keeps {share} of such traces, and this one not. A keep-rule"
                " might have kept it, but its spans could not be held until its root ended"
            )
        case "override":
            return f"Override {last.rule_id} keeps {share} of such traces, and this one not"
        case _:
            return f"Rule {last.rule_id} keeps {share} of such traces, and this one not"


def _why_kept(last: Logged, reply: WhyReply) -> str:
    share = f"{reply.rate * 100:.4g} %"
    match last.cause:
        case "never_seen":
            return "There were too many kinds of decisions to write down what decided"
        case "default":
            return "No rule fits it: such traces are all kept"
        case "keep_rule":
            return f"Keep-rule {last.rule_id} kept it, although its rule keeps {share} only"
        case "override":
            return f"Override {last.rule_id} keeps {share} of such traces, and this one"
        case _:
            return f"Rule {last.rule_id} keeps {share} of such traces, and this one"


def _told(losses: Sequence[Logged]) -> tuple[str, ...]:
    """Each kind of loss once."""
    return tuple(dict.fromkeys(_TOLD_LOSSES[each.cause].format(by=each.rule_id) for each in losses))


def _first(reply: WhyReply) -> str:
    text = reply.also[-1]
    return text[0].upper() + text[1:]

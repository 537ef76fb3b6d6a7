"""The LLM guard: rules for attacks on the normalised text, redaction of personal data and secrets.

What it finds by rule it can explain by rule; names and places are not found. A statistical
classifier is not part of it yet.
"""

from __future__ import annotations

from math import prod

from citadel.wire.messages import Reason
from engine.guards.contract import Finding, GuardRequest
from engine.guards.normalise import Normalised, normalise
from engine.guards.rules import MAX_MATCHES, RuleSet, shipped_rules

INVISIBLE_ALLOWED = 8
"""Invisible characters that need no reason: joiners in emoji and in some scripts."""
CERTAIN = 0.5
"""Signs at least this certain are combined."""
SHINGLE_WORDS = 8
LEAK_SHARE = 0.3
"""Share of the system prompt's word runs in an answer that counts as a leak."""


class LlmGuard:
    """Injection, jailbreak, extraction, exfiltration; e-mails, cards, phones, keys, tokens."""

    name = "llm_guard"
    title = "LLM guard"
    description = "Rules for attacks on the model; redacts personal data and secrets"

    def __init__(self, rules: RuleSet | None = None) -> None:
        self._rules = rules or shipped_rules()

    async def check(self, request: GuardRequest) -> Finding:
        """Looks at the text."""
        normal = normalise(request.text)
        reasons = self._matches(request, normal)
        if normal.invisible > INVISIBLE_ALLOWED:
            share = normal.invisible / len(request.text)
            reasons.append(
                Reason(
                    rule="injection.invisible-text",
                    text=f"{normal.invisible} invisible characters",
                    score=min(0.95, 0.4 + share * 4),
                )
            )
        if request.channel == "output" and request.system_prompt:
            reasons += _leak(request.text, request.system_prompt)
        rules = {reason.rule: reason.score for reason in reasons if reason.score >= CERTAIN}
        if len(rules) > 1:
            # Independent signs of an attack add up: 1 - (1-a)(1-b)...
            combined = 1 - prod(1 - score for score in rules.values())
            reasons.append(
                Reason(
                    rule="combined", text=f"{len(rules)} rules together", score=round(combined, 4)
                )
            )
        found, redactions = self._redactions(request.text)
        return Finding(reasons=(*reasons, *found), redactions=redactions)

    def _matches(self, request: GuardRequest, normal: Normalised) -> list[Reason]:
        found: list[Reason] = []
        for rule in self._rules.candidates(normal.text):
            if rule.channels and request.channel not in rule.channels:
                continue
            for count, match in enumerate(rule.pattern.finditer(normal.text)):
                if count == MAX_MATCHES:
                    break
                start, end = normal.original_range(match.start(), match.end())
                found.append(
                    Reason(rule=rule.id, text=rule.text, start=start, end=end, score=rule.score)
                )
        return found

    def _redactions(self, text: str) -> tuple[list[Reason], tuple[tuple[int, int, str], ...]]:
        reasons: list[Reason] = []
        ranges: list[tuple[int, int, str]] = []
        for redaction in self._rules.redactions:
            for count, match in enumerate(redaction.pattern.finditer(text)):
                if count == MAX_MATCHES * 20:
                    break
                start, end = match.start(), match.end()
                if redaction.check and not redaction.check(text[start:end]):
                    continue
                ranges.append((start, end, redaction.replacement))
                if count < MAX_MATCHES:
                    reason = Reason(rule=redaction.id, text=redaction.text, start=start, end=end)
                    reasons.append(reason)
        return reasons, tuple(ranges)


def _leak(answer: str, system_prompt: str) -> list[Reason]:
    """Whether runs of the system prompt's words are in the answer."""
    ours, theirs = _shingles(system_prompt), _shingles(answer)
    if not ours:
        return []
    share = len(ours & theirs) / len(ours)
    if share < LEAK_SHARE:
        return []
    text = f"{share:.0%} of the system prompt is in the answer"
    return [Reason(rule="output.system-prompt-leak", text=text, score=min(1.0, 0.6 + share))]


def _shingles(text: str) -> set[tuple[str, ...]]:
    words = normalise(text).text.split()
    return {tuple(words[at : at + SHINGLE_WORDS]) for at in range(len(words) - SHINGLE_WORDS + 1)}

"""The LLM guard: rules for attacks on the normalised text, redaction of personal data and secrets.

What it finds by rule it explains by rule. It has no statistical classifier, decodes nothing, and
finds no names and places. Long texts are read in a thread, so that the loop goes on and the time
budget holds.
"""

from __future__ import annotations

import asyncio
from itertools import islice
from math import prod

from citadel.wire.messages import Reason
from engine.guards.contract import LONG_CHARACTERS, Finding, GuardRequest
from engine.guards.leak import leaked
from engine.guards.normalise import Normalised, normalise
from engine.guards.rules import RuleSet, shipped_rules

MAX_MATCHES = 20
"""Matches of one rule that are reported; redaction has no such limit."""
INVISIBLE_ALLOWED = 8
"""Hidden characters that need no reason: a byte-order mark, a flag's tags."""


class LlmGuard:
    """Injection, jailbreak, extraction, exfiltration; e-mails, cards, phones, keys, tokens."""

    name = "llm_guard"
    title = "LLM guard"
    description = "Rules for attacks on the model; redacts personal data and secrets"

    def __init__(self, rules: RuleSet | None = None) -> None:
        self._rules = rules or shipped_rules()

    async def check(self, request: GuardRequest) -> Finding:
        """Looks at the text."""
        if len(request.text) + len(request.system_prompt) > LONG_CHARACTERS:
            return await asyncio.to_thread(self._look, request)
        return self._look(request)

    def _look(self, request: GuardRequest) -> Finding:
        normal = normalise(request.text)
        reasons = self._signs(request, normal)
        if normal.hidden > INVISIBLE_ALLOWED:
            share = normal.hidden / len(request.text)
            reasons.append(
                Reason(
                    rule="injection.invisible-text",
                    text=f"{normal.hidden} invisible characters",
                    score=min(0.95, 0.4 + share * 4),
                )
            )
        if request.channel == "output" and request.system_prompt:
            reasons += leaked(normal, normalise(request.system_prompt))
        found, redactions = self._redactions(normal)
        return Finding(reasons=(*reasons, *_combined(reasons), *found), redactions=redactions)

    def _signs(self, request: GuardRequest, normal: Normalised) -> list[Reason]:
        found: list[Reason] = []
        for rule in self._rules.candidates(normal.text):
            if request.channel not in rule.channels:
                continue
            for match in islice(rule.pattern.finditer(normal.text), MAX_MATCHES):
                start, end = normal.original_range(match.start(), match.end())
                found.append(
                    Reason(rule=rule.id, text=rule.text, start=start, end=end, score=rule.score)
                )
        return found

    def _redactions(
        self, normal: Normalised
    ) -> tuple[list[Reason], tuple[tuple[int, int, str], ...]]:
        reasons: list[Reason] = []
        ranges: list[tuple[int, int, str]] = []
        for redaction in self._rules.redactions:
            for count, (at, until) in enumerate(redaction.find(normal.plain)):
                start, end = normal.original_range(at, until)
                ranges.append((start, end, redaction.replacement))
                if count < MAX_MATCHES:
                    reasons.append(
                        Reason(rule=redaction.id, text=redaction.text, start=start, end=end)
                    )
        return reasons, tuple(ranges)


def _combined(reasons: list[Reason]) -> list[Reason]:
    """Signs of different rules add up as if independent: 1 - (1-a)(1-b)."""
    scores = {reason.rule: reason.score for reason in reasons}
    if len(scores) < 2:
        return []
    score = round(1 - prod(1 - each for each in scores.values()), 4)
    return [Reason(rule="combined", text=f"{len(scores)} signs together", score=score)]

"""Whether an answer gives the system prompt away: runs of its words, in any case and spacing. Pure.

A paraphrase or a translation is not found.
"""

from __future__ import annotations

import re

from citadel.wire.messages import Reason
from engine.guards.normalise import Normalised

RUN_WORDS = 8
LEAK_SHARE = 0.25
"""Share of the system prompt's word runs in an answer that counts as a leak."""
MIN_RUNS = 3
"""Shorter system prompts are too common as phrases to say where they came from."""
_WORD = re.compile(r"\w+")


def leaked(answer: Normalised, system_prompt: Normalised) -> list[Reason]:
    """A reason over the first and last leaked run, when enough of them are in the answer."""
    secret = {run for run, _, _ in _runs(system_prompt.text)}
    if len(secret) < MIN_RUNS:
        return []
    found = [(run, start, end) for run, start, end in _runs(answer.text) if run in secret]
    share = len({run for run, _, _ in found}) / len(secret)
    if share < LEAK_SHARE:
        return []
    start, end = answer.original_range(found[0][1], found[-1][2])
    return [
        Reason(
            rule="output.system-prompt-leak",
            text=f"{share:.0%} of the system prompt is in the answer",
            start=start,
            end=end,
            score=round(min(1.0, 0.6 + share), 4),
        )
    ]


def _runs(text: str) -> list[tuple[str, int, int]]:
    """Each run of RUN_WORDS words, with its range; punctuation does not count."""
    words = [(match.group(), match.start(), match.end()) for match in _WORD.finditer(text)]
    return [
        (" ".join(word for word, _, _ in run), run[0][1], run[-1][2])
        for run in (words[at : at + RUN_WORDS] for at in range(len(words) - RUN_WORDS + 1))
    ]

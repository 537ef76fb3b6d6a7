"""The data check: whether a text is sound as data, by its form alone.

Linear in the length of the text; long ones are read in a thread.
"""

from __future__ import annotations

import asyncio
import json
import zlib

from citadel.wire.messages import Reason
from engine.guards.contract import LONG_CHARACTERS, Finding, GuardRequest

LARGE_CHARACTERS = 50_000
MAX_NESTING = 32
REPETITION_FROM = 2_000
"""Shorter texts compress well by nature."""
REPETITION_RATIO = 0.02
"""Compressed size over size below which a text is one thing over and over."""
_ALLOWED_CONTROLS = frozenset("\t\n\r\f\v\x1b")


class DataCheck:
    """Looks at the form of a text, never at its meaning."""

    name = "data_check"
    title = "Data check"
    description = "Size, encoding, control characters, JSON nesting, repetition"

    async def check(self, request: GuardRequest) -> Finding:
        """Looks at the text."""
        if len(request.text) > LONG_CHARACTERS:
            return await asyncio.to_thread(self._look, request.text)
        return self._look(request.text)

    def _look(self, text: str) -> Finding:
        reasons: list[Reason] = []
        if not text.strip():
            reasons.append(Reason(rule="data.empty", text="The text is empty", score=0.3))
        if len(text) > LARGE_CHARACTERS:
            what = f"{len(text)} characters are more than {LARGE_CHARACTERS}"
            reasons.append(Reason(rule="data.size", text=what, score=0.6))
        reasons += _characters(text)
        reasons += _nesting(text)
        if len(text) >= REPETITION_FROM:
            raw = text.encode("utf-8", "surrogatepass")
            ratio = len(zlib.compress(raw, 1)) / len(raw)
            if ratio < REPETITION_RATIO:
                what = f"It repeats itself: it compresses to {ratio:.1%}"
                reasons.append(Reason(rule="data.repetition", text=what, score=0.6))
        return Finding(reasons=tuple(reasons))


def _characters(text: str) -> list[Reason]:
    found: list[Reason] = []
    controls = broken = 0
    first_control = first_broken = -1
    for position, character in enumerate(text):
        if character < " " or character == "\x7f":
            if character not in _ALLOWED_CONTROLS:
                controls += 1
                first_control = position if first_control < 0 else first_control
        elif character == "\ufffd" or "\ud800" <= character <= "\udfff":
            broken += 1
            first_broken = position if first_broken < 0 else first_broken
    if controls:
        found.append(
            Reason(
                rule="data.control-characters",
                text=f"{controls} control characters",
                start=first_control,
                end=first_control + 1,
                score=min(0.9, 0.5 + controls / 20),
            )
        )
    if broken:
        found.append(
            Reason(
                rule="data.encoding",
                text=f"{broken} characters were lost in a wrong encoding",
                start=first_broken,
                end=first_broken + 1,
                score=min(0.8, 0.3 + broken / len(text) * 10),
            )
        )
    return found


def _nesting(text: str) -> list[Reason]:
    """The depth of what looks like JSON, counted without recursion."""
    stripped = text.lstrip()
    if stripped[:1] not in ("{", "["):
        return []
    depth = deepest = 0
    quoted = escaped = False
    for character in stripped:
        if quoted:
            quoted = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            quoted = True
        elif character in "{[":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "}]":
            depth -= 1
    if deepest > MAX_NESTING:
        what = f"JSON nested {deepest} deep, more than {MAX_NESTING}"
        return [Reason(rule="data.nesting", text=what, score=0.7)]
    if stripped.rstrip()[-1:] not in ("}", "]"):
        return []
    try:
        json.loads(stripped)
    except ValueError as error:
        what = f"It looks like JSON and is not: {error}"
        return [Reason(rule="data.json", text=what, score=0.2)]
    return []

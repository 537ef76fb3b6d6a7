"""What a verdict rests on: its reasons, and the marked ranges of a text. Pure; any thread."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.store import Row


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text, and the rule that marks it ("" for none)."""

    text: str
    rule: str


def reasons(row: Row) -> list[dict[str, Any]]:
    """A verdict row's reasons, as the stream carries them."""
    found: list[dict[str, Any]] = json.loads(row["reasons"] or "[]")
    return found


def reason_text(row: Row) -> str:
    """The rules that a verdict rests on, each once; or why the layer failed."""
    if row["failure"]:
        return str(row["failure"])
    seen = dict.fromkeys(str(reason.get("rule", "")) for reason in reasons(row))
    return ", ".join(rule for rule in seen if rule)


def pieces(text: str, marks: Sequence[tuple[int, int, str]]) -> list[Piece]:
    """The text cut at (start, end, rule) marks; where marks overlap, the first one wins."""
    cut: list[Piece] = []
    at = 0
    for start, end, rule in sorted(marks):
        begin, stop = max(start, at), min(end, len(text))
        if begin >= stop:
            continue
        if begin > at:
            cut.append(Piece(text[at:begin], ""))
        cut.append(Piece(text[begin:stop], rule))
        at = stop
    if at < len(text):
        cut.append(Piece(text[at:], ""))
    return cut


def excerpt_pieces(row: Row) -> list[Piece]:
    """A verdict's excerpt with its evidence marked.

    Reasons name ranges of the checked text; the excerpt may be a part of it, with secrets replaced.
    So evidence is looked for by its own text, and by its range only where the text still agrees.
    """
    excerpt = str(row["excerpt"])
    marks: list[tuple[int, int, str]] = []
    for reason in reasons(row):
        rule, text = str(reason.get("rule", "")), str(reason.get("text", ""))
        start, end = int(reason.get("start", 0)), int(reason.get("end", 0))
        if text and (found := excerpt.find(text)) >= 0:
            marks.append((found, found + len(text), rule))
        elif not text and start < end <= len(excerpt):
            marks.append((start, end, rule))
    return pieces(excerpt, marks)

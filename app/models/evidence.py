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
    """A verdict's excerpt with its evidence marked: the engine names ranges of the excerpt."""
    marks = [
        (int(reason["start"]), int(reason["end"]), str(reason["rule"])) for reason in reasons(row)
    ]
    return pieces(str(row["excerpt"]), marks)

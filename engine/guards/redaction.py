"""Replaces ranges of a text, and finds the way back from the new text's positions. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from citadel.wire.messages import Reason


@dataclass(frozen=True, slots=True)
class _Edit:
    """A replaced range, in the old text and in the new one."""

    old_start: int
    old_end: int
    new_start: int
    new_end: int


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text with ranges replaced."""

    text: str
    edits: tuple[_Edit, ...]

    def original(self, reason: Reason) -> Reason:
        """A reason about the new text, with its range in the old one."""
        if reason.start == reason.end:
            return replace(reason, start=0, end=0)
        return replace(
            reason, start=self._back(reason.start, end=False), end=self._back(reason.end, end=True)
        )

    def _back(self, position: int, *, end: bool) -> int:
        shift = 0
        for edit in self.edits:
            if position < edit.new_start or (end and position == edit.new_start):
                break
            if position < edit.new_end or (end and position == edit.new_end):
                return edit.old_end if end else edit.old_start
            shift = edit.old_end - edit.new_end
        return position + shift


def redacted(text: str, redactions: Sequence[tuple[int, int, str]]) -> Redacted:
    """The text with ranges replaced; those that overlap become one, named as the first of them."""
    parts: list[str] = []
    edits: list[_Edit] = []
    at = length = 0
    for start, end, replacement in _apart(redactions):
        length += start - at
        parts += [text[at:start], replacement]
        edits.append(_Edit(start, end, length, length + len(replacement)))
        length += len(replacement)
        at = end
    return Redacted("".join([*parts, text[at:]]), tuple(edits))


def _apart(redactions: Sequence[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    apart: list[tuple[int, int, str]] = []
    for start, end, replacement in sorted(redactions):
        if apart and start < apart[-1][1]:
            first_start, first_end, first = apart[-1]
            apart[-1] = (first_start, max(first_end, end), first)
        else:
            apart.append((start, end, replacement))
    return apart

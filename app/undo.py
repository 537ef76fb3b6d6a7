"""What can be undone: the inverses of the changes that succeeded, newest last. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from app.commands import Command, Outcome

DEPTH = 100


class UndoStack:
    """Remembers inverses; an undo is itself a command, with a revision and an audit entry."""

    def __init__(self) -> None:
        self._inverses: deque[Command] = deque(maxlen=DEPTH)

    def ended(self, outcome: Outcome) -> None:
        """Takes note of a change that succeeded."""
        inverse = outcome.command.undo
        if outcome.ok and inverse is not None:
            self._inverses.append(_based_on(inverse, getattr(outcome.reply, "revision", 0)))

    def pop(self) -> Command | None:
        """The inverse of the last change."""
        return self._inverses.pop() if self._inverses else None

    def clear(self) -> None:
        """Another engine: its past is not ours to undo."""
        self._inverses.clear()

    def __len__(self) -> int:
        return len(self._inverses)


def _based_on(inverse: Command, revision: int) -> Command:
    """The inverse, refused when someone else has changed the same thing in the meantime."""
    change = inverse.request.change
    if change is None or not change.revision:
        return inverse
    change = replace(change, revision=revision, reason="undone in the control room")
    return replace(inverse, request=replace(inverse.request, change=change))

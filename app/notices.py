"""What the control room tells its user: what happened, to what, what to do, details to copy.

Any part says `notices.say(...)`; one view shows them. Bounded. Pure; main thread only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from citadel.errors import CitadelError

Level = Literal["info", "done", "warning", "error"]
KEPT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message to the user."""

    level: Level
    text: str
    subject: str = ""
    remedy: str = ""
    details: str = ""
    undoable: bool = False
    number: int = 0


class Notices:
    """The newest notices, and who shows them."""

    def __init__(self) -> None:
        self.log: deque[Notice] = deque(maxlen=KEPT)
        self._said = 0
        self._listeners: list[Callable[[Notice], None]] = []

    def listen(self, listener: Callable[[Notice], None]) -> None:
        """Calls a listener with each notice from now on."""
        self._listeners.append(listener)

    def say(self, notice: Notice) -> Notice:
        """Shows a notice."""
        self._said += 1
        numbered = replace(notice, number=self._said)
        self.log.append(numbered)
        for listener in self._listeners:
            listener(numbered)
        return numbered

    def fail(self, title: str, error: CitadelError) -> Notice:
        """Shows an error."""
        return self.say(error_notice(title, error))


def error_notice(title: str, error: CitadelError) -> Notice:
    """An error as a notice: its text, subject, remedy, and all of it to copy."""
    lines = [f"{type(error).__name__}: {error.message}"]
    if error.subject:
        lines.append(f"subject: {error.subject}")
    if error.remedy:
        lines.append(f"remedy: {error.remedy}")
    lines += [f"{key}: {value}" for key, value in error.details.items()]
    return Notice(
        level="error",
        text=f"{title}: {error.message}" if title else error.message,
        subject=error.subject,
        remedy=error.remedy,
        details="\n".join(lines),
    )

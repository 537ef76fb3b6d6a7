"""An edit of a versioned document, from first touch to the engine's echo. Pure; main thread only.

clean ─edit→ dirty ─apply→ pending ─the stream has it→ clean
dirty ─someone else's revision→ conflict ─take theirs→ clean, ─keep mine→ dirty on their revision
"""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

T = TypeVar("T")
DraftState = Literal["empty", "clean", "dirty", "pending", "conflict"]


class Draft(Generic[T]):
    """What the user sees and edits, beside what is in force."""

    def __init__(self) -> None:
        self.state: DraftState = "empty"
        self.body: T | None = None
        self.in_force: T | None = None
        self.revision = 0
        """The revision that the draft is based on."""
        self.their_revision = 0
        """The revision in force."""
        self._awaited = 0
        self._sent: T | None = None

    def follow(self, body: T, revision: int) -> bool:
        """Takes in what is in force; returns whether the draft's body was replaced."""
        if self.state != "empty" and revision == self.their_revision:
            return False
        same = body == self.in_force
        self.in_force, self.their_revision = body, revision
        if self.state == "dirty":
            if body == self.body:
                return self._take()
            if same:
                # Something else of the document changed: nothing that is edited here.
                self.revision = revision
            else:
                self.state = "conflict"
            return False
        if self.state == "conflict" or (self.state == "pending" and revision < self._awaited):
            return False
        return self._take()

    def edit(self, body: T) -> None:
        """Another body; equal to what is in force, it is no edit."""
        self.body = body
        if self.state in {"clean", "dirty"}:
            self.state = "clean" if body == self.in_force else "dirty"

    def discard(self) -> None:
        """Takes what is in force."""
        if self.in_force is not None:
            self._take()

    def keep_mine(self) -> None:
        """Bases the draft on the other's revision: applying it will replace theirs, knowingly."""
        if self.state == "conflict":
            self.revision = self.their_revision
            self.state = "dirty"

    def sent(self) -> None:
        """The draft was sent; its revision is not known yet."""
        self.state, self._sent = "pending", self.body
        self._awaited = self.their_revision + 1

    def accepted(self, revision: int) -> bool:
        """The engine took it as this revision; returns whether the stream had it already."""
        self._awaited = revision
        if self.state == "pending" and self.their_revision >= revision:
            return self._take()
        return False

    def refused(self, *, stale: bool) -> None:
        """The engine did not take it."""
        if self.state == "pending":
            self.state = "conflict" if stale else "dirty"

    def _take(self) -> bool:
        if self.state == "pending" and self.body != self._sent:
            # Edited while it was under way: the edit goes on, on the new revision.
            self.revision, self.state = self.their_revision, "dirty"
            return False
        changed = self.body != self.in_force
        self.body, self.revision, self.state = self.in_force, self.their_revision, "clean"
        return changed

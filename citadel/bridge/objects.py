"""Objects that stay in a worker while callers hold references to them: by session, bounded, timed.

Sans-IO: time and names of references are parameters. A session sees its own objects only: another's
reference is as unknown to it as one that never was. One thread at a time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from citadel.bridge.manifest import Limits
from citadel.errors import QuotaExceeded, UnknownReference

MAX_GONE = 1024
"""References that are remembered after their objects were let go, to say why."""
SESSION_REMEDY = (
    "Send commands with references in the session that made them, with affinity strict_queue"
)


@dataclass(slots=True)
class Held:
    """One object."""

    reference: str
    session: str
    value: Any
    expires: float


class Objects:
    """The objects of all sessions in one worker process."""

    def __init__(
        self, limits: Limits, boot: str, clock: Callable[[], float], token: Callable[[], str]
    ) -> None:
        self._limits = limits
        self._boot = boot
        self._clock = clock
        self._token = token
        # Oldest use first.
        self._held: OrderedDict[tuple[str, str], Held] = OrderedDict()
        self._by_identity: dict[tuple[str, int], str] = {}
        self._counts: dict[str, int] = {}
        self._gone: OrderedDict[tuple[str, str], str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def put(self, session: str, value: Any) -> str:
        """Keeps an object, and returns its reference; the same object has one reference.

        Raises:
            QuotaExceeded: the session holds as many as it may.
        """
        self.sweep()
        known = self._by_identity.get((session, id(value)))
        if known is not None:
            self._touch(self._held[session, known])
            return known
        if self._counts.get(session, 0) >= self._limits.objects:
            raise QuotaExceeded(
                f"session {session} holds {self._limits.objects} objects, as many as it may",
                subject=session,
                remedy="Release some: bridge.release; or raise limits.objects in the manifest",
            )
        reference = f"{self._boot}-{self._token()}"
        held = Held(reference, session, value, self._clock() + self._limits.ttl_seconds)
        self._held[session, reference] = held
        self._by_identity[session, id(value)] = reference
        self._counts[session] = self._counts.get(session, 0) + 1
        return reference

    def get(self, session: str, reference: str) -> Any:
        """The object that a reference of this session stands for; it lives on.

        Raises:
            UnknownReference: says whether it expired, was released, or belongs to another worker.
        """
        self.sweep()
        held = self._held.get((session, reference))
        if held is None:
            raise UnknownReference(self._why(session, reference), subject=reference[:80])
        self._touch(held)
        return held.value

    def release(self, session: str, reference: str) -> bool:
        """Lets an object go; says whether it was there."""
        held = self._held.get((session, reference))
        if held is not None:
            self._drop(held, "it was released")
        return held is not None

    def of(self, session: str) -> list[Held]:
        """What a session holds, longest unused first."""
        self.sweep()
        return [each for each in self._held.values() if each.session == session]

    def end(self, session: str) -> int:
        """Lets all objects of a session go; says how many they were."""
        ended = [each for each in self._held.values() if each.session == session]
        for each in ended:
            self._drop(each, "its session ended")
        return len(ended)

    def sweep(self) -> None:
        """Lets go what was unused for too long."""
        now = self._clock()
        while self._held:
            oldest = next(iter(self._held.values()))
            if oldest.expires > now:
                break
            self._drop(oldest, f"it was unused for {self._limits.ttl_seconds:g} s")

    def seconds_left(self, held: Held) -> float:
        """Until an object expires."""
        return max(0.0, held.expires - self._clock())

    def _touch(self, held: Held) -> None:
        held.expires = self._clock() + self._limits.ttl_seconds
        self._held.move_to_end((held.session, held.reference))

    def _drop(self, held: Held, why: str) -> None:
        key = (held.session, held.reference)
        del self._held[key]
        del self._by_identity[held.session, id(held.value)]
        self._counts[held.session] -= 1
        if not self._counts[held.session]:
            del self._counts[held.session]
        self._gone[key] = why
        while len(self._gone) > MAX_GONE:
            self._gone.popitem(last=False)

    def _why(self, session: str, reference: str) -> str:
        shown = repr(reference[:80])
        if (session, reference) in self._gone:
            return f"reference {shown} is gone: {self._gone[session, reference]}"
        if reference.partition("-")[0] != self._boot:
            return (
                f"reference {shown} is of another worker process: it died with its objects,"
                f" or session {session} has moved"
            )
        return f"session {session} has no reference {shown}"

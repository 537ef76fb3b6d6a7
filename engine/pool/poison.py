"""Commands that kill workers: a sans-IO core.

A command is known by its tool and its arguments. Each worker that dies while it runs one counts; at
the limit the command is quarantined: refused, with its input kept for inspection, until an operator
lets it through. One that is answered after all is innocent. While nothing has killed a worker,
nothing here costs anything.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from citadel.errors import NotFound, Quarantined
from citadel.wire.messages import PoisonEntry

MAX_ENTRIES = 256
"""Commands that are remembered; then the oldest is forgotten, one that only was counted first."""
KEPT_BYTES = 64 * 1024
"""Of a command's arguments so much is kept."""


@dataclass(slots=True, eq=False)
class Poison:
    """A command that killed workers."""

    fingerprint: str
    tool: str
    arguments: bytes
    """As they were sent, cut."""
    size: int
    """Of the arguments, uncut, in bytes."""
    first_ns: int
    last_ns: int = 0
    kills: int = 0
    error: str = ""
    quarantined: bool = False

    def entry(self, pool: str) -> PoisonEntry:
        """As the wire has it."""
        return PoisonEntry(
            pool=pool,
            fingerprint=self.fingerprint,
            tool=self.tool,
            kills=self.kills,
            arguments=self.arguments,
            error=self.error,
            first_unix_nanos=self.first_ns,
            last_unix_nanos=self.last_ns,
            quarantined=self.quarantined,
        )


class PoisonList:
    """The commands of one pool that killed workers."""

    def __init__(self, pool: str, limit: int) -> None:
        self.entries: OrderedDict[str, Poison] = OrderedDict()
        self.tools: dict[str, int] = {}
        """How many entries a tool has: others need not be looked up."""
        self._pool = pool
        self._limit = limit

    def check(self, tool: str, arguments: bytes) -> str:
        """The fingerprint of a command that is counted, else an empty text.

        Raises:
            Quarantined: it has killed too many.
        """
        if tool not in self.tools:
            return ""
        found = self.entries.get(fingerprint(tool, arguments))
        if found is None:
            return ""
        if found.quarantined:
            raise Quarantined(
                f"this command of tool {tool} killed {found.kills} workers of pool {self._pool}:"
                f" {found.error}",
                subject=found.fingerprint,
                details={"fingerprint": found.fingerprint, "kills": str(found.kills)},
            )
        return found.fingerprint

    def killed(
        self, tool: str, arguments: bytes, error: str, now_ns: int
    ) -> tuple[Poison | None, Poison | None]:
        """A worker died while it ran a command: its entry, and one that was forgotten for it."""
        if not self._limit:
            return None, None
        print_ = fingerprint(tool, arguments)
        forgotten = None
        found = self.entries.get(print_)
        if found is None:
            if len(self.entries) >= MAX_ENTRIES:
                counted = (each for each in self.entries.values() if not each.quarantined)
                forgotten = next(counted, None) or next(iter(self.entries.values()))
                self._remove(forgotten)
            found = Poison(print_, tool, bytes(arguments[:KEPT_BYTES]), len(arguments), now_ns)
            self.entries[print_] = found
            self.tools[tool] = self.tools.get(tool, 0) + 1
        found.kills += 1
        found.error, found.last_ns = error, now_ns
        found.quarantined = found.quarantined or found.kills >= self._limit
        return found, forgotten

    def answered(self, print_: str) -> Poison | None:
        """A command that was counted was answered: its entry, when that is forgotten for it."""
        found = self.entries.get(print_)
        if found is None or found.quarantined:
            return None
        self._remove(found)
        return found

    def release(self, print_: str) -> Poison:
        """Lets a command through again.

        Raises:
            NotFound: there is none with this fingerprint.
        """
        found = self.entries.get(print_)
        if found is None:
            raise NotFound(
                f"pool {self._pool} has no poison {print_!r}",
                subject=print_,
                remedy=f"List them: citadel pool poison {self._pool}",
            )
        self._remove(found)
        return found

    def _remove(self, poison: Poison) -> None:
        del self.entries[poison.fingerprint]
        left = self.tools[poison.tool] - 1
        if left:
            self.tools[poison.tool] = left
        else:
            del self.tools[poison.tool]


def fingerprint(tool: str, arguments: bytes) -> str:
    """What a command is known by: a digest of its tool and arguments, hexadecimal."""
    digest = hashlib.blake2b(tool.encode(), digest_size=16)
    digest.update(b"\0")
    digest.update(arguments)
    return digest.hexdigest()

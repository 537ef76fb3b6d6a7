"""Commands that kill workers: a sans-IO core.

A command is known by its tool and its arguments, those included that lie in buffers beside them.
Each worker that dies while it runs one counts; at
the limit the command is quarantined: refused, with its input kept for inspection, until an operator
lets it through. One that is answered after all is innocent. While nothing has killed a worker,
nothing here costs anything.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from citadel.errors import NotFound, Quarantined
from citadel.wire.messages import PoisonEntry

MAX_ENTRIES = 256
"""Commands that are remembered; then the oldest is forgotten, one that only was counted first."""
KEPT_BYTES = 64 * 1024
"""Of a command's arguments so much is kept."""
WHOLE_BYTES = 16 * 2**20
"""Arguments that are larger are not read whole for their fingerprint, but so much of them, and
their end: some ten milliseconds."""
BLOCK_BYTES = 64 * 1024
"""What is read of them at once."""

Buffer = bytes | memoryview


@dataclass(slots=True, eq=False)
class Poison:
    """A command that killed workers."""

    fingerprint: str
    tool: str
    arguments: bytes
    """As they were sent, cut, without their buffers."""
    size: int
    """Of the arguments, uncut, with their buffers, in bytes."""
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

    def check(self, tool: str, arguments: Buffer, buffers: Sequence[Buffer] = ()) -> str:
        """The fingerprint of a command that is counted, else an empty text.

        Raises:
            Quarantined: it has killed too many.
        """
        if tool not in self.tools:
            return ""
        found = self.entries.get(fingerprint(tool, arguments, buffers))
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
        self,
        tool: str,
        arguments: Buffer,
        error: str,
        now_ns: int,
        buffers: Sequence[Buffer] = (),
    ) -> tuple[Poison | None, Poison | None]:
        """A worker died while it ran a command: its entry, and one that was forgotten for it."""
        if not self._limit:
            return None, None
        print_ = fingerprint(tool, arguments, buffers)
        forgotten = None
        found = self.entries.get(print_)
        if found is None:
            if len(self.entries) >= MAX_ENTRIES:
                counted = (each for each in self.entries.values() if not each.quarantined)
                forgotten = next(counted, None) or next(iter(self.entries.values()))
                self._remove(forgotten)
            size = sum(memoryview(each).nbytes for each in (arguments, *buffers))
            found = Poison(print_, tool, bytes(arguments[:KEPT_BYTES]), size, now_ns)
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


def fingerprint(tool: str, arguments: Buffer, buffers: Sequence[Buffer] = ()) -> str:
    """What a command is known by: a digest of its tool and arguments, hexadecimal."""
    digest = hashlib.blake2b(tool.encode(), digest_size=16)
    digest.update(b"\0")
    parts = [_flat(memoryview(each)) for each in (arguments, *buffers)]
    for part in parts[1:]:
        digest.update(len(part).to_bytes(8, "big"))
    stride = -(-sum(map(len, parts)) // WHOLE_BYTES)
    for part in parts:
        for piece in _pieces(part, stride):
            digest.update(piece)
    return digest.hexdigest()


def _flat(view: memoryview) -> memoryview:
    """Its bytes, whatever items it is of."""
    return view.cast("B") if view.nbytes else memoryview(b"")


def _pieces(view: memoryview, stride: int) -> Iterator[memoryview]:
    """All of it, or each stride-th block and the last one."""
    if stride <= 1:
        yield view
        return
    for at in range(0, len(view), stride * BLOCK_BYTES):
        yield view[at : at + BLOCK_BYTES]
    yield view[-BLOCK_BYTES:]

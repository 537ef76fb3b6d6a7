"""Memory that the engine shares with one worker: what it runs, and what it has not sent yet.

A worker writes here the number of each command that it begins, and every answer before it is sent.
So many short commands need one send, and yet, when the worker dies at any instant, the engine knows
which command it ran and has the answers to those before: nothing runs twice, nothing else fails.

The items of a stream that wait to be sent together are here too, apart: they change while their
command runs, so they are only read when the worker is dead.

The layout is u64: bytes of unsent answers, heartbeats so far, bytes of items, then a number for
each command that may run at once; then the answers' frames, then the items'. The worker writes, the
engine reads. Light: imported by the worker's process.
"""

from __future__ import annotations

import mmap
import os
import secrets
import struct
import sys
import tempfile
from contextlib import suppress

if sys.platform != "win32":
    import fcntl

ANSWER_BYTES = 64 * 1024
"""Answers that may wait to be sent together; larger ones are sent at once."""
ITEM_BYTES = 64 * 1024
"""Items of a stream that may wait to be sent together."""
MAX_SLOTS = 256
"""Commands that one worker may run at once."""
_NUMBER = struct.Struct("=Q")
_BEATS = _NUMBER.size
_ITEMS = 2 * _NUMBER.size
_SLOTS = 3 * _NUMBER.size
_HEAD = _SLOTS + MAX_SLOTS * _NUMBER.size
_END = _HEAD + ANSWER_BYTES
_SIZE = _END + ITEM_BYTES
_SEAL_FUTURE_WRITE = 0x0010
"""From then on it is written by mappings that exist: never by a stray write to a descriptor."""


class Slate:
    """One side's view of the memory."""

    def __init__(self, memory: mmap.mmap, slots: int = 1) -> None:
        self._memory = memory
        self._slots = struct.Struct(f"={slots}Q")
        self._used = self._held = 0

    # ── the worker's side ────────────────────────────────────────────────────────────────────

    def begin(self, number: int, slot: int = 0) -> None:
        """The command with this number runs from now on, in one of the slots."""
        _NUMBER.pack_into(self._memory, _SLOTS + slot * _NUMBER.size, number)

    def beat(self, beats: int) -> None:
        """The process lives: so many heartbeats."""
        _NUMBER.pack_into(self._memory, _BEATS, beats)

    def put(self, answer: bytes) -> bool:
        """Keeps an answer until it is sent; False when it does not fit."""
        start, end = _HEAD + self._used, _HEAD + self._used + len(answer)
        if end > _END:
            return False
        self._memory[start:end] = answer
        self._used += len(answer)
        _NUMBER.pack_into(self._memory, 0, self._used)
        return True

    def hold(self, item: bytes) -> bool:
        """Keeps an item until it is sent; False when it does not fit."""
        start, end = _END + self._held, _END + self._held + len(item)
        if end > _SIZE:
            return False
        self._memory[start:end] = item
        self._held += len(item)
        _NUMBER.pack_into(self._memory, _ITEMS, self._held)
        return True

    def sent(self) -> None:
        """What waited was sent."""
        self._used = 0
        _NUMBER.pack_into(self._memory, 0, 0)
        if self._held:
            self._held = 0
            _NUMBER.pack_into(self._memory, _ITEMS, 0)

    # ── the engine's side ────────────────────────────────────────────────────────────────────

    @property
    def running(self) -> tuple[int, ...]:
        """The number of the command that was begun last in each slot; 0 before the first."""
        return self._slots.unpack_from(self._memory, _SLOTS)

    @property
    def beats(self) -> int:
        """Heartbeats so far."""
        return _NUMBER.unpack_from(self._memory, _BEATS)[0]

    def unsent(self) -> bytes:
        """The frames of answers that were not, or not surely, sent."""
        (used,) = _NUMBER.unpack_from(self._memory, 0)
        return bytes(self._memory[_HEAD : _HEAD + min(used, ANSWER_BYTES)])

    def left(self) -> bytes:
        """The frames of answers, and then of items, that a dead worker did not surely send."""
        (held,) = _NUMBER.unpack_from(self._memory, _ITEMS)
        return self.unsent() + bytes(self._memory[_END : _END + min(held, ITEM_BYTES)])

    def close(self) -> None:
        """Lets go of the memory."""
        with suppress(BufferError):
            self._memory.close()


def create(slots: int = 1) -> tuple[Slate, str, int]:
    """A new slate for so many commands at once.

    Also the word by which a worker opens it, and a descriptor to hand down (or -1).

    Raises:
        OSError: the system has no room for it, or no descriptor.
    """
    if sys.platform == "win32":
        name = f"citadel-{secrets.token_hex(16)}"
        return Slate(mmap.mmap(-1, _SIZE, tagname=name), slots), f"name:{name}", -1
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("citadel-slate", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    try:
        os.ftruncate(descriptor, _SIZE)
        board = Slate(mmap.mmap(descriptor, _SIZE), slots)
    except BaseException:
        os.close(descriptor)
        raise
    return board, f"fd:{descriptor}", descriptor


def connect(word: str) -> Slate:
    """The worker's view of the slate that the engine made."""
    kind, _, where = word.partition(":")
    if kind == "name" and sys.platform == "win32":
        return Slate(mmap.mmap(-1, _SIZE, tagname=where))
    memory = mmap.mmap(int(where), _SIZE)
    if sys.platform == "linux":
        with suppress(OSError):  # kernels before 5.1 have no such seal
            fcntl.fcntl(int(where), fcntl.F_ADD_SEALS, _SEAL_FUTURE_WRITE)
    os.close(int(where))
    return Slate(memory)

"""Pieces of memory that the engine and its workers share, mapped once and used again while warm.

A slab is written by one side and only read by the other: the pool's by the engine, each worker's by
the worker. Its size cannot change once it is made, so no reader can be made to fault. Whoever reads
a block gets a read-only view that keeps the mapping alive, and hears when nobody has it any more.
Memory is taken from the system as it is first touched. Any thread. Imported by the worker's
process: light, and ctypes only when a slab is used.
"""

from __future__ import annotations

import mmap
import os
import sys
import tempfile
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

if sys.platform != "win32":
    import fcntl

AVAILABLE = sys.platform != "win32"
"""Whether descriptors can be handed down to workers; where not, values travel on the link."""
ARGUMENTS, RESULTS = "arguments", "results"
"""The names by which a worker finds the descriptors of the two slabs."""
KEPT_BYTES = 64 * 2**20
"""Free memory at the end of its heap that the engine keeps."""
MAPPED_FROM = 32 * 2**20
"""Larger pieces are the system's own mappings, and go back at once."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_SEAL_FUTURE_WRITE = 0x0010
"""Only mappings that exist write from now on: kernels before 5.1 have no such seal."""


class Slab:
    """One side's mapping."""

    __slots__ = ("__weakref__", "_address", "_map", "_memory", "size")

    def __init__(self, memory: mmap.mmap) -> None:
        self._map = memory
        self._memory = memoryview(memory)
        self._address = address_of(memory)
        self.size = len(memory)

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Copies bytes into a block; for the side that writes."""
        self._memory[offset : offset + len(data)] = data

    def read(self, offset: int, length: int) -> bytes:
        """A copy of a block."""
        return bytes(self._memory[offset : offset + length])

    def memory(self, offset: int, length: int) -> memoryview:
        """A block, to be read while its holder is known; nobody hears when it is let go of."""
        return self._memory[offset : offset + length]

    def view(
        self, offset: int, length: int, gone: Callable[[], Any], *, writable: bool = False
    ) -> memoryview:
        """A block as it lies there; `gone` is called once, when nothing refers to it any more.

        That is from the garbage collector, in any thread.
        """
        block = _kind(length).from_address(self._address + offset)
        block.slab = self
        weakref.finalize(block, gone).atexit = False
        whole = memoryview(block).cast("B")[:length]
        return whole if writable else whole.toreadonly()

    def find(self, view: memoryview) -> int | None:
        """Where in this slab the bytes of a view begin; None when they are elsewhere."""
        if not view.nbytes:
            return None
        offset = address_of(view) - self._address
        return offset if offset >= 0 and offset + view.nbytes <= self.size else None


def create(size: int) -> int:
    """The descriptor of memory that keeps its size.

    Raises:
        OSError: the system has no room for it.
    """
    if sys.platform == "linux":
        descriptor = os.memfd_create("citadel-slab", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    try:
        os.ftruncate(descriptor, size)
        if sys.platform == "linux":
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def writer(descriptor: int) -> Slab:
    """The mapping of the side that writes: no other such mapping can be made after it.

    Raises:
        OSError: no address space is left for it.
    """
    slab = Slab(mmap.mmap(descriptor, os.fstat(descriptor).st_size))
    if sys.platform == "linux":
        with suppress(OSError):
            seals = _SEAL_FUTURE_WRITE | fcntl.F_SEAL_SEAL
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return slab


def reader(descriptor: int) -> Slab:
    """The mapping of the side that reads.

    Raises:
        OSError: no address space is left for it.
    """
    size = os.fstat(descriptor).st_size
    return Slab(mmap.mmap(descriptor, size, access=mmap.ACCESS_READ))


def keep_freed_memory() -> None:
    """Has malloc keep what large values were in, where it can be told so.

    Else each megabyte goes back to the system when it is freed, and its next use costs hundreds of
    page faults: more than the copy itself.
    """
    import ctypes  # noqa: PLC0415 - only where slabs are used

    with suppress(AttributeError, OSError, TypeError):  # not every C library knows this
        tell = ctypes.CDLL(None).mallopt
        tell(_MMAP_THRESHOLD, MAPPED_FROM)
        tell(_TRIM_THRESHOLD, KEPT_BYTES)


def address_of(buffer: Any) -> int:
    """Where the bytes of a contiguous buffer are in this process."""
    import ctypes  # noqa: PLC0415 - only where slabs are used

    # Py_buffer begins with the address; no other field is read.
    room = (ctypes.c_void_p * 32)()
    api = ctypes.pythonapi
    api.PyObject_GetBuffer(ctypes.py_object(buffer), ctypes.byref(room), 0)
    try:
        return int(room[0] or 0)
    finally:
        api.PyBuffer_Release(ctypes.byref(room))


_kinds: dict[int, Any] = {}


def _kind(length: int) -> Any:
    """A type of at least so many bytes: one for each power of two, as types are dear."""
    import ctypes  # noqa: PLC0415 - only where slabs are used

    bits = max(length - 1, 0).bit_length()
    found = _kinds.get(bits)
    if found is None:
        found = _kinds[bits] = ctypes.c_char * (1 << bits)
    return found

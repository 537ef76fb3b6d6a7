"""The link between the engine and a worker: frames of a 4-byte length and a msgpack list.

The first item of a list says what it is; the constants name them. Frames are size-capped on both
sides. One thread a process makes frames. Imported by the worker's process: light.
"""

from __future__ import annotations

import struct
from typing import Any

import msgpack

from citadel.errors import MessageTooLarge, WireError

MAX_FRAME_BYTES = 64 * 2**20
_LENGTH = struct.Struct(">I")
_HEAD = _LENGTH.size

CALL = 0
"""engine: [CALL, number, tool, arguments], then, when the trace is kept, [trace, mission, class,
Sentinel]; trace is the ids of trace and span in 24 bytes"""
CANCEL = 1
"""engine: [CANCEL, number]"""
STOP = 2
"""engine: [STOP]: end what runs and what waits, then exit"""
HEALTH = 3
"""engine: [HEALTH]: is the adapter well?"""

READY = 10
"""worker: [READY, tools]"""
REFUSED = 11
"""worker: [REFUSED, message, traceback]: the adapter did not import or set up; the worker exits"""
DONE = 12
"""worker: [DONE, number, run seconds, value, span rows]"""
FAILED = 13
"""worker: [FAILED, number, run seconds, error class, message, remedy, details, span rows]"""
DROPPED = 14
"""worker: [DROPPED, number]: cancelled before it began"""
HEALTHY = 15
"""worker: [HEALTHY, well, why not]"""

_packer = msgpack.Packer()


def frame(item: list[Any]) -> bytes:
    """One frame.

    Raises:
        MessageTooLarge: it has more than MAX_FRAME_BYTES.
        TypeError: a value cannot be sent.
    """
    try:
        body = _packer.pack(item)
    except BaseException:
        _packer.reset()
        raise
    if len(body) > MAX_FRAME_BYTES:
        raise MessageTooLarge(f"{len(body)} bytes are more than a worker link's {MAX_FRAME_BYTES}")
    return _LENGTH.pack(len(body)) + body


class Splitter:
    """Bytes as they come, to whole frames."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[list[Any]]:
        """The frames that the data complete.

        Raises:
            WireError: a frame is longer than allowed, or no msgpack list; the link is of no more
                use.
        """
        rest = self._rest
        if not rest:
            with memoryview(data) as view:
                found, at = _split(view)
                rest += view[at:]
            return found
        rest += data
        with memoryview(rest) as view:
            found, at = _split(view)
        del rest[:at]
        return found


def _split(view: memoryview) -> tuple[list[list[Any]], int]:
    """The whole frames of some bytes, and where the rest begins."""
    found: list[list[Any]] = []
    at, end = 0, len(view)
    while end - at >= _HEAD:
        (length,) = _LENGTH.unpack_from(view, at)
        if length > MAX_FRAME_BYTES:
            raise WireError(f"a frame claims {length} bytes, more than {MAX_FRAME_BYTES}")
        start = at + _HEAD
        if end - start < length:
            break
        at = start + length
        try:
            item = msgpack.unpackb(view[start:at], strict_map_key=False)
        except (ValueError, TypeError) as error:
            raise WireError(f"a frame is no msgpack: {error}") from None
        if not isinstance(item, list) or not item:
            raise WireError("a frame is no list")
        found.append(item)
    return found, at

"""The link between the engine and a worker: frames of a 4-byte length and a msgpack list.

The first item of a list says what it is; the constants name them. Frames are size-capped on both
sides. Imported by the worker's process: light.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, cast

import msgpack

from citadel.errors import MessageTooLarge, WireError

MAX_FRAME_BYTES = 64 * 2**20
_LENGTH = struct.Struct(">I")

CALL = 0
"""engine: [CALL, id, tool, arguments, traceparent, mission, class, Sentinel, seconds left]"""
CANCEL = 1
"""engine: [CANCEL, id]"""
STOP = 2
"""engine: [STOP]: end what runs, then exit"""

READY = 10
"""worker: [READY, tools]"""
REFUSED = 11
"""worker: [REFUSED, message, traceback]: the adapter did not import or set up; the worker exits"""
START = 12
"""worker: [START, id]: the command begins to run now"""
DONE = 13
"""worker: [DONE, id, value, run seconds, span rows]"""
FAILED = 14
"""worker: [FAILED, id, error class, message, remedy, details, run seconds, span rows]"""
DROPPED = 15
"""worker: [DROPPED, id]: cancelled before it began"""


def frame(item: list[Any]) -> bytes:
    """One frame.

    Raises:
        MessageTooLarge: it has more than MAX_FRAME_BYTES.
        TypeError: a value cannot be sent.
    """
    body = cast("bytes", msgpack.packb(item))
    if len(body) > MAX_FRAME_BYTES:
        raise MessageTooLarge(f"{len(body)} bytes are more than a worker link's {MAX_FRAME_BYTES}")
    return _LENGTH.pack(len(body)) + body


class Splitter:
    """Bytes as they come, to whole frames."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[list[Any]]:
        """The frames that the data complete.

        Raises:
            WireError: a frame is longer than allowed, or not msgpack.
        """
        buffer = self._buffer
        buffer += data
        at, end = 0, len(buffer)
        try:
            while end - at >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(buffer, at)
                if length > MAX_FRAME_BYTES:
                    raise WireError(f"a frame claims {length} bytes, more than {MAX_FRAME_BYTES}")
                if end - at - _LENGTH.size < length:
                    break
                start = at + _LENGTH.size
                at = start + length
                try:
                    item = msgpack.unpackb(memoryview(buffer)[start:at], strict_map_key=False)
                except ValueError as error:
                    raise WireError(f"a frame is not msgpack: {error}") from error
                yield item
        finally:
            if at:
                del buffer[:at]

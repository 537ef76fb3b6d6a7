"""The link between the engine and a worker: frames of a 4-byte length and a msgpack list.

The first item of a list says what it is; the constants name them. Frames are size-capped on both
sides. One thread a process makes frames. Imported by the worker's process: light.
"""

from __future__ import annotations

import struct
from typing import Any

import msgpack

from citadel.errors import MessageTooLarge, WireError

MISSHAPEN = (TypeError, ValueError, LookupError, AttributeError)
"""What code raises that meets a frame of a wrong shape."""
MAX_FRAME_BYTES = 64 * 2**20
_LENGTH = struct.Struct(">I")
_HEAD = _LENGTH.size

CALL = 0
"""engine: [CALL, number, tool, arguments, deadline, about or None]; the arguments are msgpack, the
deadline is in seconds of `time.monotonic`, which all processes of a machine share; about is a map
of what few calls have, by the letters below"""
TRACE = "t"
"""about: the ids of trace and span in 24 bytes, a byte that says whether it is kept for sure, and
W3C's tracestate: the trace is recorded"""
MISSION = "m"
"""about: [mission, class, Sentinel]"""
SESSION = "s"
"""about: the session's key"""
VALUES = "v"
"""about: the session's variables, a msgpack map; left out when the worker has them"""
INPUT = "i"
"""about: true: an input stream follows"""
WINDOW = "c"
"""about: [items, bytes] that the tool may give before it must wait for credit"""
BUFFERS = "b"
"""about: where the arguments' buffers are in the pool's slab: [[offset, length], ...]; the first is
the arguments themselves when the frame has None for them"""
PARTS = "p"
"""about: true: a large result may stay in the worker's slab, its caller reads it there"""
CANCEL = 1
"""engine: [CANCEL, number]"""
STOP = 2
"""engine: [STOP]: end what runs and what waits, then exit"""
HEALTH = 3
"""engine: [HEALTH]: is the adapter well?"""
CREDIT = 4
"""engine: [CREDIT, number, items, bytes]: the tool may give so many more"""
ITEM = 5
"""engine: [ITEM, number, value]: of the input stream"""
END = 6
"""engine: [END, number]: no more input"""
REPLY = 7
"""engine: [REPLY, number, ask, value], or [REPLY, number, ask, None, error class, message, remedy,
details]"""
SESSION_END = 8
"""engine: [SESSION_END, key]: forget the session"""
RELEASE = 9
"""engine: [RELEASE, [[offset, length], ...]]: it is done with these of the worker's slab"""

READY = 10
"""worker: [READY, tools]"""
REFUSED = 11
"""worker: [REFUSED, message, traceback]: the adapter did not import or set up; the worker exits"""
DONE = 12
"""worker: [DONE, number, run seconds, value, span rows]; a large value is [head or None, places],
in the worker's slab at [[offset, length], ...]; the first is the head when that is None"""
FAILED = 13
"""worker: [FAILED, number, run seconds, error class, message, remedy, details, span rows]"""
DROPPED = 14
"""worker: [DROPPED, number]: cancelled, or past its deadline, before it began"""
HEALTHY = 15
"""worker: [HEALTHY, well, why not]"""
YIELD = 20
"""worker: [YIELD, number, value, sequence]: an item of the output stream, counted from 1"""
TAKEN = 21
"""worker: [TAKEN, number, items, bytes]: there is room for so many more of the input stream"""
ASK = 22
"""worker: [ASK, number, ask, trace, kind, ...]: a running command wants something of the engine;
trace is the ids of trace and span in 24 bytes, empty when the trace is not kept"""
VARIABLES = 23
"""worker: [VARIABLES, key, msgpack map, number]: a session's variables, before the answer of the
command that changed them"""
RELEASED = 24
"""worker: [RELEASED, [[offset, length], ...]]: it is done with these of the pool's slab"""
TAINTED = 25
"""worker: [TAINTED, why]: it serves on, but it should be replaced"""
RETURNED = 26
"""worker: [RETURNED, [number, ...]]: not begun, given back: the command before them waits"""

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

"""Values that travel: msgpack, and beside what msgpack knows arrays, tables and raw buffers.

A numpy array, an Arrow table, whatever exports DLPack or a buffer is an extension type: a short
header and its bytes as they lie in memory, never a pickle. `pack` and `unpack` make and read one
string of bytes. `pack_parts` leaves large buffers where they are, so that a caller who shares
memory with the reader moves them once or not at all; `unpack_parts` makes read-only views of them.

Refused with a typed error: Python objects in arrays, nesting beyond msgpack's 512 levels, and bytes
that are not what they claim. Any thread; an Encoder belongs to one. Light: numpy and pyarrow are
imported when a value asks for them.
"""

from __future__ import annotations

import math
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack

from citadel import arrays
from citadel.arrays import ARRAY, ARROW
from citadel.errors import InvalidRequest, MessageTooLarge, WireError

Buffer = bytes | bytearray | memoryview
Default = Callable[[Any], Any]

# Extension types 1 to 4, see `citadel.arrays`: a u32 length, a header of that length, zeros to a
# multiple of 16, raw bytes.
APART = 5
"""An extension type: u8 which of those, u32 which buffer, and the header."""
BYTES = 7
"""What only APART names: the buffer is the value, as bytes; there is no header."""
JOINED = 6
"""A whole value, never inside another: u32 buffers, u64 bytes of the head, u64 bytes of each; then,
each at a multiple of 64 from the value's first byte, the head and the buffers."""

THRESHOLD_BYTES = 4096
"""`pack` keeps smaller buffers inside the msgpack, where a reader copies them."""
MAX_BUFFERS = 4096
"""Buffers apart that one value may have; what comes after stays inside."""
MAX_SCAN = 64
"""Values of a map that are looked at for large bytes, which are then not copied."""
MAX_JOINED_BYTES = 2**32 - 1
ALIGNMENT = 64
_INSIDE = 16  # where CPython begins the data of a bytes object
_LENGTH = struct.Struct(">I")
_APART = struct.Struct(">BI")
_JOINED_HEAD = struct.Struct(">BIBIQ")
_SIZE = struct.Struct(">Q")
_BROKEN = (ValueError, TypeError, OverflowError, RecursionError, MemoryError)


@dataclass(frozen=True, slots=True)
class Parcel:
    """A packed value in parts. Concatenated, the head is msgpack that names the buffers."""

    head: tuple[Buffer, ...]
    buffers: tuple[memoryview, ...] = ()

    @classmethod
    def of(cls, data: Buffer) -> Parcel:
        """What `joined` made, in parts again: views of it.

        Raises:
            WireError: the bytes are not what they claim to be.
        """
        if not _is_joined(data):
            return cls((data,))
        head, buffers = _parted(memoryview(data))
        return cls((head,), tuple(buffers))

    def unpacked(self) -> Any:
        """The value; see `unpack_parts`."""
        return unpack_parts(
            self.head[0] if len(self.head) == 1 else b"".join(self.head), self.buffers
        )

    @property
    def head_bytes(self) -> int:
        """The length of the head."""
        return sum(map(len, self.head))

    @property
    def nbytes(self) -> int:
        """Bytes of all parts."""
        return self.head_bytes + sum(each.nbytes for each in self.buffers)

    def joined(self) -> bytes:
        """One string of bytes that `unpack` reads; the buffers are copied.

        Raises:
            MessageTooLarge: it has more than 4 GiB.
        """
        if not self.buffers:
            whole = self.head[0] if len(self.head) == 1 else b""
            return whole if isinstance(whole, bytes) and whole else b"".join(self.head)
        sizes = [self.head_bytes, *(each.nbytes for each in self.buffers)]
        starts = _places(sizes)
        end = starts[-1] + sizes[-1]
        if end > MAX_JOINED_BYTES:
            raise MessageTooLarge(f"{end} bytes are more than one value carries")
        pieces: list[Buffer] = [
            _JOINED_HEAD.pack(0xC9, end - 6, JOINED, len(self.buffers), sizes[0]),
            *(_SIZE.pack(size) for size in sizes[1:]),
        ]
        at = sum(map(len, pieces))
        pieces += [bytes(starts[0] - at), *self.head]
        at = starts[0] + sizes[0]
        for start, each in zip(starts[1:], self.buffers, strict=True):
            pieces += [bytes(start - at), each]
            at = start + each.nbytes
        return b"".join(pieces)


class Encoder:
    """Packs values. It keeps its packer, so it is for one thread at a time."""

    __slots__ = ("_apart", "_buffers", "_default", "_packer", "_threshold")

    def __init__(self, default: Default | None = None) -> None:
        self._apart = False
        self._default = default
        self._buffers: list[memoryview] = []
        self._threshold = THRESHOLD_BYTES
        self._packer = msgpack.Packer(default=self._extended)

    def parts(
        self, value: Any, threshold: int = THRESHOLD_BYTES, *, bytes_apart: bool = False
    ) -> Parcel:
        """The value with buffers of at least `threshold` bytes apart: they are not copied.

        Bytes that are the value, or a value of its map, are buffers too with `bytes_apart`; else
        they are pieces of the head, which is plain msgpack then.

        Raises:
            TypeError, ValueError, OverflowError: the value cannot be sent; the text says why.
            BufferError: memory that no other process can be given, such as a device's.
            MessageTooLarge: bytes of 4 GiB and more, which msgpack has no length for.
        """
        self._threshold, self._buffers, self._apart = threshold, [], bytes_apart
        try:
            head = self._head(value, threshold)
        except BaseException:
            self._packer.reset()
            raise
        finally:
            buffers, self._buffers = self._buffers, []
        return Parcel(head, tuple(buffers))

    def _head(self, value: Any, threshold: int) -> tuple[Buffer, ...]:
        if isinstance(value, bytes) and len(value) >= threshold:
            return self._large(value)
        if type(value) is dict and 0 < len(value) <= MAX_SCAN:
            large = [
                key
                for key, each in value.items()
                if isinstance(each, bytes) and len(each) >= threshold
            ]
            if large:
                return self._split(value)
        return (self._packer.pack(value),)

    def _split(self, value: dict[Any, Any]) -> tuple[Buffer, ...]:
        """A map with large bytes: these are pieces of the head, not copied into it."""
        pieces: list[Buffer] = [self._packer.pack_map_header(len(value))]
        for key, each in value.items():
            pieces.append(self._packer.pack(key))
            if isinstance(each, bytes) and len(each) >= self._threshold:
                pieces += self._large(each)
            else:
                pieces.append(self._packer.pack(each))
        return tuple(pieces)

    def _large(self, value: bytes) -> tuple[Buffer, ...]:
        """Large bytes, not copied."""
        if not self._apart or len(self._buffers) >= MAX_BUFFERS:
            return _bin(len(value)), value
        self._buffers.append(memoryview(value))
        apart = _APART.pack(BYTES, len(self._buffers) - 1)
        return (self._packer.pack(msgpack.ExtType(APART, apart)),)

    def _extended(self, value: Any) -> Any:
        """For msgpack's `default` hook."""
        found = arrays.taken_apart(value)
        if found is None:
            if self._default is not None:
                return self._default(value)
            kind: type[Any] = type(value)
            raise TypeError(f"{kind.__module__}.{kind.__qualname__} cannot be sent")
        kind_code, header, raw = found
        packed = msgpack.packb(header)
        assert packed is not None
        if len(packed) > arrays.MAX_HEADER_BYTES:  # which its reader would refuse
            most = arrays.MAX_HEADER_BYTES
            raise TypeError(f"a dtype that takes {len(packed)} bytes to describe: {most} at most")
        if raw.nbytes >= self._threshold and len(self._buffers) < MAX_BUFFERS:
            self._buffers.append(raw)
            apart = _APART.pack(kind_code, len(self._buffers) - 1)
            return msgpack.ExtType(APART, apart + packed)
        gap = bytes(-(_LENGTH.size + len(packed)) % _INSIDE)
        return msgpack.ExtType(kind_code, b"".join((_LENGTH.pack(len(packed)), packed, gap, raw)))


_spare = threading.local()


def pack(value: Any, default: Default | None = None) -> bytes:
    """A value as one string of bytes; `default` turns what is not known into what is.

    Raises:
        InvalidRequest: the value cannot be sent; says why and what to do.
    """
    return _packed(value, THRESHOLD_BYTES, default, bytes_apart=False).joined()


def pack_parts(value: Any, threshold: int, default: Default | None = None) -> Parcel:
    """A value whose buffers of at least `threshold` bytes stay where they are.

    So do bytes of that size that are the value, or a value of its map.

    Raises:
        InvalidRequest: the value cannot be sent; says why and what to do.
    """
    return _packed(value, threshold, default, bytes_apart=True)


def _packed(value: Any, threshold: int, default: Default | None, *, bytes_apart: bool) -> Parcel:
    # A `default` may pack something itself: who has the thread's encoder takes it away meanwhile.
    encoder: Encoder | None = getattr(_spare, "encoder", None) if default is None else None
    _spare.encoder = None
    encoder = encoder or Encoder(default)
    try:
        parcel = encoder.parts(value, threshold, bytes_apart=bytes_apart)
    except (TypeError, ValueError, OverflowError, BufferError) as error:
        raise InvalidRequest(
            f"the value cannot be sent: {error}",
            remedy="Send numbers, texts, bytes, lists, maps, arrays of numbers or Arrow tables",
        ) from error
    if default is None:
        _spare.encoder = encoder
    return parcel


_memory: list[Callable[[int], memoryview | None]] = []


def lend_memory(memory: Callable[[int], memoryview | None]) -> None:
    """Says where arrays that will be results are made; called by a worker itself."""
    _memory[:] = [memory]


def empty(shape: int | Sequence[int], dtype: Any = "<f8") -> Any:
    """A numpy array for a tool to fill and return: what is made in place is not copied.

    In a worker it lies in memory that the engine reads; elsewhere, and when there is no more such
    memory, it is `numpy.empty`. It must not be written after it was returned.
    """
    import numpy as np  # noqa: PLC0415 - only for tools that use it

    wanted = (shape,) if isinstance(shape, int) else tuple(shape)
    kind = np.dtype(dtype)
    nbytes = math.prod(wanted) * kind.itemsize
    shared = _memory and nbytes >= THRESHOLD_BYTES and not kind.hasobject
    room = _memory[0](nbytes) if shared else None
    return np.empty(wanted, kind) if room is None else np.ndarray(wanted, kind, room)


def unpack(data: Buffer) -> Any:
    """What `pack` made, or any msgpack. Large arrays are read-only views of `data`.

    Raises:
        WireError: the bytes are not what they claim to be.
    """
    if _is_joined(data):
        head, buffers = _parted(memoryview(data))
        return unpack_parts(head, buffers)
    return unpack_parts(data, ())


def unpack_parts(head: Buffer, buffers: Sequence[memoryview]) -> Any:
    """What `pack_parts` made: arrays and tables are read-only views of the buffers.

    Raises:
        WireError: the head is no msgpack, or a buffer is not what the head claims.
    """
    copies: dict[int, bytes] = {}

    def hook(code: int, data: bytes) -> Any:
        return _restored(code, data, buffers, copies)

    try:
        return msgpack.unpackb(head, strict_map_key=False, ext_hook=hook)
    except WireError:
        raise
    except _BROKEN as error:
        raise WireError(f"a value is no msgpack: {error}") from None


def _restored(
    code: int, data: bytes, buffers: Sequence[memoryview], copies: dict[int, bytes]
) -> Any:
    if not ARRAY <= code <= JOINED:
        return msgpack.ExtType(code, data)
    if code == JOINED:
        raise WireError("a joined value is inside another")
    if code == APART:
        if len(data) < _APART.size:
            raise WireError("a buffer is named by too few bytes")
        code, index = _APART.unpack_from(data)
        if index >= len(buffers) or not (ARRAY <= code <= ARROW or code == BYTES):
            raise WireError(f"buffer {index} of kind {code} is named, {len(buffers)} are there")
        if code == BYTES:
            # Once: a head that names a buffer a million times takes no more memory for it.
            if index not in copies:
                copies[index] = bytes(buffers[index])
            return copies[index]
        return arrays.put_together(code, data[_APART.size :], buffers[index].toreadonly())
    if len(data) < _LENGTH.size:
        raise WireError("an extension has no header")
    (length,) = _LENGTH.unpack_from(data)
    start = _LENGTH.size + length
    start += -start % _INSIDE
    if start > len(data):
        raise WireError(f"an extension's header claims {length} bytes of {len(data)}")
    header = data[_LENGTH.size : _LENGTH.size + length]
    return arrays.put_together(code, header, memoryview(data)[start:])


def _parted(data: memoryview) -> tuple[memoryview, list[memoryview]]:
    """The head and the buffers of a joined value."""
    _, length, _, count, head = _JOINED_HEAD.unpack_from(data)
    table = _JOINED_HEAD.size + count * _SIZE.size
    if length != len(data) - 6 or count > MAX_BUFFERS or table > len(data):
        raise WireError(f"a joined value claims {length} bytes, {count} buffers; {len(data)} came")
    sizes = [head]
    sizes += (
        _SIZE.unpack_from(data, _JOINED_HEAD.size + number * _SIZE.size)[0]
        for number in range(count)
    )
    starts = _places(sizes)
    if starts[-1] + sizes[-1] != len(data):
        raise WireError(f"a joined value's parts have not the {len(data)} bytes that came")
    views = [data[start : start + size] for start, size in zip(starts, sizes, strict=True)]
    return views[0], views[1:]


def _is_joined(data: Buffer) -> bool:
    return len(data) >= _JOINED_HEAD.size and data[0] == 0xC9 and data[5] == JOINED


def _places(sizes: list[int]) -> list[int]:
    """Where a joined value's parts begin."""
    at = _JOINED_HEAD.size + _SIZE.size * (len(sizes) - 1)
    starts: list[int] = []
    for size in sizes:
        at += -at % ALIGNMENT
        starts.append(at)
        at += size
    return starts


def _bin(length: int) -> bytes:
    """What msgpack writes before so many bytes."""
    if length > 0xFFFFFFFF:
        raise MessageTooLarge(f"{length} bytes are more than one value carries")
    if length > 0xFFFF:
        return b"\xc6" + _LENGTH.pack(length)
    return (b"\xc5" + length.to_bytes(2, "big")) if length > 0xFF else bytes((0xC4, length))

"""Protobuf's wire format, written by hand: as much of it as OTLP needs. Pure.

Writers return bytes of one field, its tag included. `fields` reads a message that came back.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
"""Wire types."""
MASK64 = 2**64 - 1
_SIZES = {FIXED64: 8, FIXED32: 4}
_double, _fixed64, _fixed32 = (struct.Struct(f"<{kind}").pack for kind in "dQI")


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


VARINTS = tuple(_varint(number) for number in range(16_384))
"""The numbers of one and two bytes: nearly all that is ever written."""


def varint(number: int) -> bytes:
    """A number from 0 to 2^64 - 1."""
    return VARINTS[number] if number < len(VARINTS) else _varint(number)


def tag(field: int, kind: int) -> bytes:
    """What goes before a field's value."""
    return _varint(field << 3 | kind)


def message(field: int, body: bytes) -> bytes:
    """A field that is bytes or a message."""
    return tag(field, LENGTH) + varint(len(body)) + body


def text(field: int, value: str) -> bytes:
    """A field that is a text; "" is left out, as proto3 does. What UTF-8 cannot carry is "?"."""
    return message(field, utf8(value)) if value else b""


def number(field: int, value: int) -> bytes:
    """A field that is a varint; 0 is left out."""
    return tag(field, VARINT) + varint(value) if value else b""


def fixed64(field: int, value: int) -> bytes:
    """A field of eight bytes, its number taken modulo 2^64."""
    return tag(field, FIXED64) + _fixed64(value & MASK64)


def fixed32(field: int, value: int) -> bytes:
    """A field of four bytes."""
    return tag(field, FIXED32) + _fixed32(value)


def double(field: int, value: float) -> bytes:
    """A field that is a double."""
    return tag(field, FIXED64) + _double(value)


def zigzag(field: int, value: int) -> bytes:
    """A field that is a sint32 or sint64."""
    return tag(field, VARINT) + varint(value * 2 if value >= 0 else -value * 2 - 1)


def utf8(value: str) -> bytes:
    """UTF-8, with "?" for lone surrogates."""
    try:
        return value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "replace")


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message: number, and its value as an int or as bytes.

    Raises:
        ValueError: the bytes are no message.
    """
    position, end = 0, len(data)
    while position < end:
        key, position = _read_varint(data, position)
        kind = key & 7
        if kind == VARINT:
            value, position = _read_varint(data, position)
            yield key >> 3, value
            continue
        if kind == LENGTH:
            size, position = _read_varint(data, position)
        else:
            size = _SIZES.get(kind, end + 1)
        if position + size > end:
            raise ValueError("a field is longer than its message")
        yield key >> 3, data[position : position + size]
        position += size


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data) and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & MASK64, position
        shift += 7
    raise ValueError("a number has no end")

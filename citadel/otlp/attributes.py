"""Attributes to OTLP's KeyValue fields. Pure but for its caches, which are bounded; any thread.

The text of a span's attributes is JSON; what JSON can say, OTLP can: texts, numbers, truth, lists,
maps, nothing. An integer that needs more than 64 bits is sent as its text.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from typing import Any

from citadel import semconv
from citadel.otlp import wire
from citadel.otlp.wire import VARINTS, varint

MAX_CACHED = 4_096
"""Entries of each cache; a full one is begun anew."""
MAX_DEPTH = 16
"""Lists and maps inside each other; deeper ones are sent as JSON."""
DROPPED_ATTRIBUTES = semconv.CITADEL_DROPPED_ATTRIBUTES
DROPPED_EVENTS = semconv.CITADEL_DROPPED_EVENTS
"""Counts that OTLP has fields for."""
_MAX_COUNT = 2**32 - 1
_LOW, _HIGH = -(2**63), 2**63
_SMALL = 120
"""Bytes of a text whose lengths need one byte each."""
_TEXT_HEADS = tuple(b"\x12" + VARINTS[size + 2] + b"\x0a" + VARINTS[size] for size in range(_SMALL))
"""KeyValue.value with AnyValue.string_value, up to the text itself."""
_TRUE, _FALSE = b"\x12\x02\x10\x01", b"\x12\x02\x10\x00"
_NOTHING = b"\x12\x00"
_double = struct.Struct("<3sd").pack
_scan: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().raw_decode  # type: ignore[assignment]
_keys: dict[str, bytes] = {}
_values: dict[str, bytes] = {}

_MALFORMED = {semconv.CITADEL_MALFORMED: "the attributes were no JSON object"}


def parsed(text: str) -> dict[str, Any]:
    """The object that a text of attributes holds; what is none is told as such."""
    try:
        value, end = _scan(text, 0)
    except (ValueError, RecursionError):
        return _MALFORMED
    if type(value) is not dict or end != len(text):
        return _MALFORMED
    return value


def encoded(attributes: Mapping[str, Any], tag: bytes) -> bytes:
    """Each attribute as a repeated KeyValue field with this tag."""
    keys, heads, lengths = _keys, _TEXT_HEADS, VARINTS
    parts: list[bytes] = []
    for key, value in attributes.items():
        head = keys.get(key) or _key(key)
        kind = type(value)
        if kind is str:
            body = value.encode() if value.isascii() else wire.utf8(value)
            size = len(body)
            if size < _SMALL:
                parts += (tag, lengths[len(head) + size + 4], head, heads[size], body)
                continue
            inner = b"\x0a" + varint(size) + body
            body = b"\x12" + varint(len(inner)) + inner
        elif kind is int and 0 <= value < 16_384:
            body = b"\x12\x03\x18" + lengths[value] if value > 127 else _INTS[value]
        elif kind is float:
            body = _double(b"\x12\x09\x21", value)
        elif kind is bool:
            body = _TRUE if value else _FALSE
        else:
            inner = any_value(value)
            body = b"\x12" + varint(len(inner)) + inner
        size = len(head) + len(body)
        parts += (tag, lengths[size] if size < 16_384 else varint(size), head, body)
    return b"".join(parts)


_INTS = tuple(b"\x12\x02\x18" + VARINTS[number] for number in range(128))


def any_value(value: Any, depth: int = MAX_DEPTH) -> bytes:
    """An AnyValue message."""
    match value:
        case None:
            return b""
        case bool():
            return b"\x10\x01" if value else b"\x10\x00"
        case int() if _LOW <= value < _HIGH:
            return b"\x18" + varint(value & wire.MASK64)
        case float():
            return wire.double(4, value)
        case list() | tuple() if depth:
            items = (wire.message(1, any_value(item, depth - 1)) for item in value)
            return wire.message(5, b"".join(items))
        case dict() if depth:
            pairs = (
                wire.message(1, _key(str(key)) + wire.message(2, any_value(inner, depth - 1)))
                for key, inner in value.items()
            )
            return wire.message(6, b"".join(pairs))
        case _:
            return wire.message(1, wire.utf8(value if isinstance(value, str) else _as_text(value)))


def dropped(attributes: dict[str, Any], name: str) -> int:
    """Takes a count out of attributes, for the field that OTLP has for it; 0 when there is none."""
    count = attributes.get(name)
    if type(count) is not int or not 0 <= count <= _MAX_COUNT:
        return 0
    del attributes[name]
    return count


def text_field(tag: bytes, value: str) -> bytes:
    """A text field of a value that comes often: a name, a state."""
    found = _values.get(value)
    if found is None:
        body = wire.utf8(value)
        found = varint(len(body)) + body
        if len(_values) >= MAX_CACHED:
            _values.clear()
        _values[value] = found
    return tag + found


def _key(key: str) -> bytes:
    """KeyValue.key, which comes often."""
    found = _keys.get(key)
    if found is None:
        found = wire.message(1, wire.utf8(key))
        if len(found) > 16_000 - _SMALL:
            found = wire.message(1, wire.utf8(key[:4_000]))
        if len(_keys) >= MAX_CACHED:
            _keys.clear()
        _keys[key] = found
    return found


def _as_text(value: Any) -> str:
    try:
        return json.dumps(value, default=str)
    except (TypeError, ValueError, RecursionError):
        return repr(type(value))

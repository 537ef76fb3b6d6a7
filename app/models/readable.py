"""What a command was sent, for eyes: msgpack bytes as JSON, and as much of them as there is.

Pure. Nothing in the bytes is run, imported or trusted: types that JSON cannot say are named.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import msgpack

MOST_LETTERS = 200_000
"""The longest text that is shown."""
MOST_HEX = 4_096
"""The most bytes of what cannot be read that are shown as numbers."""
BYTES_SHOWN = 64
MOST_ITEMS = 100_000
"""A map or list that says it holds more is not believed."""


@dataclass(frozen=True, slots=True)
class Readable:
    """A text, and what is to be known about it."""

    text: str
    note: str = ""


def readable(data: bytes) -> Readable:
    """Bytes as indented JSON; cut or broken ones as far as they go, then as numbers."""
    if not data:
        return Readable("", "It has no arguments, or they were not kept.")
    unpacker = msgpack.Unpacker(
        raw=False,
        strict_map_key=False,
        unicode_errors="replace",
        ext_hook=_extension,
        max_buffer_size=len(data),
        max_map_len=MOST_ITEMS,
        max_array_len=MOST_ITEMS,
    )
    unpacker.feed(data)
    try:
        value: Any = unpacker.unpack()
    except (ValueError, TypeError, RecursionError, msgpack.OutOfData):
        return _partial(data)
    text = json.dumps(_plain(value), indent=2, ensure_ascii=False)
    rest = len(data) - unpacker.tell()
    note = f"{rest:,} more bytes follow that belong to nothing." if rest else ""
    if len(text) > MOST_LETTERS:
        note = f"The first {MOST_LETTERS:,} of {len(text):,} letters."
    return Readable(text[:MOST_LETTERS], note)


def _partial(data: bytes) -> Readable:
    """The entries of a cut map that are whole; otherwise the bytes."""
    unpacker = msgpack.Unpacker(
        raw=False,
        strict_map_key=False,
        unicode_errors="replace",
        ext_hook=_extension,
        max_buffer_size=len(data),
    )
    unpacker.feed(data)
    found: dict[Any, Any] = {}
    try:
        count = unpacker.read_map_header()
        for _ in range(min(count, MOST_ITEMS)):
            key: Any = unpacker.unpack()
            found[key] = _plain(unpacker.unpack())
    except (ValueError, TypeError, RecursionError, msgpack.OutOfData):
        pass
    if found:
        text = json.dumps(_plain(found), indent=2, ensure_ascii=False)
        return Readable(text[:MOST_LETTERS], "The input was cut: these are the whole arguments.")
    return Readable(dump(data[:MOST_HEX]), "These bytes are cut, or are not msgpack.")


def dump(data: bytes) -> str:
    """Bytes as numbers and letters, sixteen a line."""
    lines: list[str] = []
    for at in range(0, len(data), 16):
        piece = data[at : at + 16]
        letters = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in piece)
        lines.append(f"{at:06x}  {piece.hex(' '):<47}  {letters}")
    return "\n".join(lines)


def _extension(code: int, data: bytes) -> dict[str, Any]:
    return {"extension": code, **_bytes(data)}


def _bytes(data: bytes) -> dict[str, Any]:
    shown = data[:BYTES_SHOWN].hex(" ")
    return {"bytes": len(data), "hex": shown + (" …" if len(data) > BYTES_SHOWN else "")}


def _plain(value: Any) -> Any:
    """What JSON can say of it."""
    if isinstance(value, dict):
        pairs: dict[Any, Any] = value
        return {str(key): _plain(inner) for key, inner in pairs.items()}
    if isinstance(value, list | tuple):
        items: list[Any] = list(value)
        return [_plain(inner) for inner in items]
    if isinstance(value, bytes | bytearray | memoryview):
        return _bytes(bytes(value))
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)

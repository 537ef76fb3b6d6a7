"""Where a worker unpacks what came and packs what goes: arguments, results, items of streams.

Worker's process only; one a lane, since a packer belongs to one thread.
"""

from __future__ import annotations

from typing import Any, NoReturn

import msgpack

from citadel import values
from citadel.adapter import plain
from citadel.errors import BadArguments, MessageTooLarge, WireError
from engine.pool.hosting import Unsendable

NOTHING = b"\x80"
"""A map of no arguments."""


class _Extended(Exception):
    """Not for msgpack alone: a value of `citadel.values`, or one to be made plain first."""


def _extended(*_: Any) -> NoReturn:
    raise _Extended


class Packing:
    """Values of one lane. What is plain msgpack, nearly everything, takes the short way."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._packer = msgpack.Packer(default=_extended)
        self._encoder = values.Encoder(plain)

    def arguments(self, call: list[Any]) -> dict[str, Any]:
        """The keyword arguments of a CALL frame; no bytes are none.

        Raises:
            BadArguments: the bytes are no msgpack map with texts for keys.
        """
        data, tool = call[3], call[2]
        if not data or data == NOTHING:
            return {}
        try:
            found = _unpacked(data)
        except WireError as error:
            raise BadArguments(
                f"arguments of {tool} are no msgpack: {error.message}", subject=tool
            ) from error
        if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
            raise BadArguments(f"arguments of {tool} are no map of names", subject=tool)
        return found

    def value(self, result: Any, tool: str) -> bytes:
        """A result.

        Raises:
            Unsendable: it cannot be sent.
            MessageTooLarge: it has more bytes than a result may have.
        """
        value = self.item(result)
        if len(value) > self._max_bytes:
            raise MessageTooLarge(
                f"{tool} returned {len(value)} bytes, more than {self._max_bytes}",
                subject=tool,
                remedy="Return less, or write a file and return its path",
            )
        return value

    def item(self, item: Any) -> bytes:
        """An item of an output stream.

        Raises:
            Unsendable: it cannot be sent.
        """
        try:
            packed: bytes = self._packer.pack(item)
        except _Extended:
            self._packer.reset()
            packed = self._joined(item)
        except BaseException as error:
            self._packer.reset()
            raise Unsendable(str(error)) from error
        return packed

    def unpacked(self, data: bytes) -> Any:
        """An item of an input stream.

        Raises:
            BadArguments: it is no msgpack.
        """
        try:
            return _unpacked(data)
        except WireError as error:
            raise BadArguments(f"an item is no msgpack: {error.message}") from error

    def _joined(self, item: Any) -> bytes:
        try:
            return self._encoder.parts(item).joined()
        except BaseException as error:
            raise Unsendable(str(error)) from error


def _unpacked(data: bytes) -> Any:
    try:
        return msgpack.unpackb(data, strict_map_key=False, ext_hook=_extended)
    except _Extended:
        return values.unpack(data)
    except (ValueError, TypeError) as error:
        raise WireError(str(error) or type(error).__name__) from None

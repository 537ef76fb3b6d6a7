"""Where a worker unpacks what came and packs what goes: arguments, results, items of streams.

Worker's process only; one a lane, since a packer belongs to one thread.
"""

from __future__ import annotations

from typing import Any, NoReturn

import msgpack

from citadel import values
from citadel.adapter import plain
from citadel.errors import BadArguments, MessageTooLarge, WireError
from engine.pool import frames
from engine.pool.hosting import Unsendable
from engine.pool.workspace import Workspace

NOTHING = b"\x80"
"""A map of no arguments."""
FRAME_ROOM = 64 * 1024
"""What a frame needs beside its value."""


class _Extended(Exception):
    """Not for msgpack alone: a value of `citadel.values`, or one to be made plain first."""


def _extended(*_: Any) -> NoReturn:
    raise _Extended


class Packing:
    """Values of one lane. What is plain msgpack, nearly everything, takes the short way."""

    def __init__(self, max_bytes: int, workspace: Workspace) -> None:
        self._max_bytes = max_bytes
        self._workspace = workspace
        self._packer = msgpack.Packer(default=_extended)
        self._encoder = values.Encoder(plain)

    def arguments(self, call: list[Any]) -> dict[str, Any]:
        """The keyword arguments of a CALL frame; no bytes are none.

        Raises:
            BadArguments: the bytes are no msgpack map with texts for keys.
        """
        data, tool, about = call[3], call[2], call[5]
        try:
            if about is not None and (places := about.get(frames.BUFFERS)):
                found = self._shared(data, places)
            elif not data or data == NOTHING:
                return {}
            else:
                found = _unpacked(data)
        except WireError as error:
            raise BadArguments(
                f"arguments of {tool} are no msgpack: {error.message}", subject=tool
            ) from error
        if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
            raise BadArguments(f"arguments of {tool} are no map of names", subject=tool)
        return found

    def value(
        self, result: Any, tool: str, *, parts: bool = False, verb: str = "returned"
    ) -> bytes | list[Any]:
        """A result, or an item of an output stream: bytes, or where in the worker's slab it is.

        With `parts` its caller is in the engine's process, and takes what a slab or a frame takes.

        Raises:
            Unsendable: it cannot be sent.
            MessageTooLarge: it has more bytes than its caller takes.
        """
        if type(result) is not bytes or len(result) < self._workspace.threshold:
            try:
                packed: bytes = self._packer.pack(result)
            except _Extended:
                self._packer.reset()
            except BaseException as error:
                self._packer.reset()
                raise Unsendable(str(error)) from error
            else:
                if len(packed) < self._workspace.threshold:
                    return packed
                return self._large(values.Parcel((packed,)), f"{tool} {verb}", parts)
        parcel = self._parcel(result, self._workspace.threshold, bytes_apart=parts)
        return self._large(parcel, f"{tool} {verb}", parts)

    def question(self, parcel: values.Parcel) -> bytes | list[Any]:
        """What a tool asks the engine with, as its frame says it; any thread.

        Raises:
            MessageTooLarge: neither the slab nor the link has room for it.
        """
        return self._large(parcel, "a tool asks with", parts=True)

    def reply(self, value: bytes | list[Any]) -> values.Parcel:
        """What the engine replied, as its frame says it."""
        if isinstance(value, bytes):
            return values.Parcel.of(value)
        head, places = value
        views = self._workspace.views(places)
        first = views.pop(0) if head is None else head
        return values.Parcel((first,), tuple(views)) if views else values.Parcel.of(first)

    def skip(self, value: Any) -> None:
        """An item or a reply that nobody reads."""
        self._workspace.skip_value(value)

    def unpacked(self, data: bytes | list[Any]) -> Any:
        """An item of an input stream.

        Raises:
            BadArguments: it is no msgpack.
        """
        try:
            return _unpacked(data) if isinstance(data, bytes) else self._shared(*data)
        except WireError as error:
            raise BadArguments(f"an item is no msgpack: {error.message}") from error

    def _large(self, parcel: values.Parcel, what: str, parts: bool) -> bytes | list[Any]:
        """A value that may be large: it goes into the slab, or the frame takes it."""
        size = parcel.nbytes
        if size > self._max_bytes and not parts:
            raise MessageTooLarge(
                f"{what} {size} bytes, more than {self._max_bytes}",
                subject=what.partition(" ")[0],
                remedy="Return less, or write a file and return its path",
            )
        if size >= self._workspace.threshold:
            placed = self._workspace.place(parcel)
            if placed is not None:
                return placed
            if size > frames.MAX_FRAME_BYTES - FRAME_ROOM:
                raise MessageTooLarge(
                    f"{what} {size} bytes: its worker's slab has no room for them, and"
                    f" its link takes {frames.MAX_FRAME_BYTES}",
                    subject=what.partition(" ")[0],
                    remedy="Raise the pool's memory.slab_bytes, or send less at once",
                )
        return parcel.joined()

    def _shared(self, head: bytes | None, places: list[list[int]]) -> Any:
        """Arguments in the pool's slab: arrays are views of it."""
        views = self._workspace.views(places)
        first = views.pop(0) if head is None else head
        return values.unpack_parts(first, views) if views else values.unpack(first)

    def _parcel(
        self, value: Any, threshold: int = values.THRESHOLD_BYTES, *, bytes_apart: bool = False
    ) -> values.Parcel:
        try:
            return self._encoder.parts(value, threshold, bytes_apart=bytes_apart)
        except MessageTooLarge:
            raise
        except BaseException as error:
            raise Unsendable(str(error)) from error


def _unpacked(data: bytes) -> Any:
    try:
        return msgpack.unpackb(data, strict_map_key=False, ext_hook=_extended)
    except _Extended:
        return values.unpack(data)
    except (ValueError, TypeError) as error:
        raise WireError(str(error) or type(error).__name__) from None

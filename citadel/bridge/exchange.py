"""Values on their way into a library and out of it.

Out: what msgpack and `citadel.values` carry goes as it is; other objects stay here, and a reference
goes: `{"$ref": id, "type": "module.Class", "repr": "…"}`. In: a reference becomes its object, and
where the manifest allows it `{"$tool": "pool/tool"}` becomes a function that calls that tool. Other
maps are data: `{"$value": {…}}` says so of one that has such a key.

Text from callers never names an attribute, a module or code. One thread at a time.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterator, Mapping, MappingView
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, cast

from pydantic import BaseModel

from citadel import arrays
from citadel.adapter import plain
from citadel.bridge.manifest import Limits, Returns
from citadel.bridge.objects import SESSION_REMEDY, Objects
from citadel.errors import BadArguments, CommandFailed, QuotaExceeded, UnknownReference

MAX_DEPTH = 64
MAX_REPR = 160
MAX_DIGITS = 4_000
"""Of an integer beyond 64 bits; CPython itself reads no more than 4,300 from a text."""
REF, TOOL, VALUE, INT, COMPLEX = "$ref", "$tool", "$value", "$int", "$complex"
_MARKS = frozenset((REF, TOOL, VALUE, INT, COMPLEX))
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1
_KEYS = (str, int, float, bytes, bool, type(None))
_AS_THEY_ARE = frozenset((str, bytes, float, bool, type(None)))

Call = Callable[[str, str, dict[str, Any]], Any]
"""Calls a tool through the engine: pool, tool, arguments."""


class Unfit(Exception):
    """A value that cannot travel; it stays, and a reference goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """Both directions, for one adapter."""

    objects: Objects
    limits: Limits
    session: Callable[[], str]
    """The key of the running command's session; "" without one."""
    call: Call
    face: Callable[[type[Any]], str]
    """`library.Class` of a class that the manifest lists, whose objects always stay; else ""."""

    # ── in ───────────────────────────────────────────────────────────────────────────────────────

    def incoming(self, value: Any, *, callbacks: bool = False, depth: int = 0) -> Any:
        """A caller's value, with references and callbacks made real.

        Raises:
            UnknownReference: the session has no such object.
            BadArguments: a callback where none is allowed, or nested too deep.
        """
        kind = type(value)
        if kind is not dict and kind is not list:
            return value
        if depth >= MAX_DEPTH:
            raise BadArguments(f"an argument is nested more than {MAX_DEPTH} deep")
        if kind is list:
            return [
                self.incoming(each, callbacks=callbacks, depth=depth + 1)
                if type(each) in (dict, list)
                else each
                for each in cast("list[Any]", value)
            ]
        found = cast("dict[Any, Any]", value)
        mark = next((key for key in found if key in _MARKS), None)
        if mark is not None:
            if mark != VALUE:
                return self._marked(mark, found, callbacks=callbacks)
            found = found[VALUE]
            if type(found) is not dict:
                raise _says_nothing(mark, value)
        return {
            key: self.incoming(each, callbacks=callbacks, depth=depth + 1)
            for key, each in found.items()
        }

    def held(self, reference: Any) -> Any:
        """The object of a reference, given as its map or as its id."""
        found: Any = reference
        if isinstance(reference, Mapping):
            found = cast("Mapping[str, Any]", reference).get(REF)
        if not isinstance(found, str):
            raise BadArguments(
                f"{_short(reference)} is no reference",
                remedy=f'References are maps that tools return: {{"{REF}": "…"}}',
            )
        session = self.session()
        if not session:
            raise UnknownReference(
                f"reference {found[:80]!r} came without a session",
                subject=found[:80],
                remedy=SESSION_REMEDY,
            )
        return self.objects.get(session, found)

    def _marked(self, mark: str, value: dict[str, Any], *, callbacks: bool) -> Any:
        said = value[mark]
        if mark == REF:
            return self.held(value)
        if mark == INT and isinstance(said, str) and len(said) <= MAX_DIGITS:
            with suppress(ValueError):
                return int(said)
        if mark == COMPLEX and isinstance(said, list):
            with suppress(TypeError, ValueError):
                return complex(*cast("list[Any]", said))
        if mark == TOOL:
            return self._callback(value, allowed=callbacks)
        raise _says_nothing(mark, value)

    def _callback(self, value: dict[str, Any], *, allowed: bool) -> Callable[..., Any]:
        pool, slash, tool = str(value[TOOL]).partition("/")
        names = value.get("arguments", [])
        if not allowed:
            raise BadArguments(
                f"no callback is allowed here: {_short(value)}",
                remedy="List the argument below callbacks in the manifest",
            )
        if not (slash and pool and tool) or not isinstance(names, list):
            raise BadArguments(
                f"{_short(value)} is no callback",
                remedy=f'{{"{TOOL}": "pool/tool", "arguments": ["name of the first one", …]}}',
            )
        return Callback(self, pool, tool, tuple(map(str, cast("list[Any]", names))))

    # ── out ──────────────────────────────────────────────────────────────────────────────────────

    def outgoing(self, value: Any, returns: Returns = "auto") -> Any:
        """A value of a library, as it travels.

        Raises:
            BadArguments: it must stay, and the command has no session.
            CommandFailed: it must not stay, and cannot travel.
            QuotaExceeded: the session holds as many objects as it may.
        """
        if returns == "reference" and value is not None:
            return self.kept(value)
        try:
            return self._out(value, returns, 0)
        except Unfit as error:
            if returns == "value":
                raise CommandFailed(
                    f"a {_type(value)} cannot be sent: {error}",
                    remedy="Let the manifest say returns: auto, or reference",
                ) from None
            return self.kept(value)

    def kept(self, value: Any) -> dict[str, Any]:
        """Keeps an object here; what goes is its reference."""
        session = self.session()
        if not session:
            raise BadArguments(
                f"a {_type(value)} cannot be sent, and stays with no session",
                subject=_type(value),
                remedy="Send the command with a session, with affinity strict_queue",
            )
        return self.shown(self.objects.put(session, value), value)

    def shown(self, reference: str, value: Any) -> dict[str, Any]:
        """A reference as it travels."""
        made = {REF: reference, "type": _type(value), "repr": _short(value)}
        if face := self.face(type(value)):
            made["class"] = face
        return made | {"iterator": True} if isinstance(value, Iterator) else made

    def _out(self, value: Any, returns: Returns, depth: int) -> Any:
        kind = type(value)
        if kind in _AS_THEY_ARE:
            return value
        if kind is int:
            return _integer(value)
        if returns != "value" and self.face(kind):
            if depth == 0:
                raise Unfit("the manifest lists its class")
            return self.kept(value)
        if depth >= MAX_DEPTH:
            raise Unfit(f"it is nested more than {MAX_DEPTH} deep")
        made = self._container(value, returns, depth)
        return self._single(value, returns, depth) if made is _NO else made

    def _container(self, value: Any, returns: Returns, depth: int) -> Any:
        if isinstance(value, list | tuple | set | frozenset | MappingView):
            items = cast("list[Any]", value)
            return [
                each if type(each) in _AS_THEY_ARE else self._out(each, returns, depth + 1)
                for each in items
            ]
        if isinstance(value, dict):
            return self._map(cast("dict[Any, Any]", value), returns, depth)
        if isinstance(value, BaseModel):
            return self._map(value.model_dump(by_alias=True), returns, depth)
        if is_dataclass(value) and not isinstance(value, type):
            named = {each.name: getattr(value, each.name) for each in fields(value)}
            return self._map(named, returns, depth)
        return _NO

    def _map(self, value: dict[Any, Any], returns: Returns, depth: int) -> dict[Any, Any]:
        if not all(isinstance(key, _KEYS) for key in value):
            raise Unfit("it has keys that are no texts or numbers")
        made = {
            (key if type(key) in _AS_THEY_ARE else self._out(key, "value", depth + 1)): self._out(
                each, returns, depth + 1
            )
            for key, each in value.items()
        }
        return {VALUE: made} if any(key in _MARKS for key in made) else made

    def _single(self, value: Any, returns: Returns, depth: int) -> Any:
        if isinstance(value, str | bytes | float | int):
            return self._out(_base(value), returns, depth)
        if isinstance(value, complex):
            return {COMPLEX: [value.real, value.imag]}
        if _is_numpy_scalar(value):
            item = value.item()
            if type(item) in (bool, int, float, str, bytes, complex):
                return self._out(item, returns, depth)
        with suppress(TypeError, ValueError, BufferError):
            if arrays.taken_apart(value) is not None:
                return value
        with suppress(TypeError):
            return plain(value)
        if depth == 0 or returns == "value":
            raise Unfit(f"a {_type(value)} is no value")
        return self.kept(value)


class Callback:
    """A function that calls a tool of a pool: what libraries get where they want a function."""

    def __init__(self, exchange: Exchange, pool: str, tool: str, names: tuple[str, ...]) -> None:
        self._exchange = exchange
        self._pool = pool
        self._tool = tool
        self._names = names
        self._calls = 0
        self.__name__ = self.__qualname__ = f"{pool}/{tool}"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls it: positional arguments by the names that the caller gave."""
        limit = self._exchange.limits.callbacks
        self._calls += 1
        if self._calls > limit:
            raise QuotaExceeded(
                f"callback {self.__name__} was called {limit} times by one command",
                subject=self.__name__,
                remedy="Raise limits.callbacks in the manifest, or pass data, not a function",
            )
        if len(args) > len(self._names):
            raise BadArguments(
                f"callback {self.__name__} is called with {len(args)} arguments by position,"
                f" and {len(self._names)} have a name",
                subject=self.__name__,
                remedy=f'Name them: {{"{TOOL}": "{self.__name__}", "arguments": ["…"]}}',
            )
        given = dict(zip(self._names, args, strict=False)) | kwargs
        sent = {name: self._exchange.outgoing(value) for name, value in given.items()}
        return self._exchange.incoming(self._exchange.call(self._pool, self._tool, sent))


_NO = object()


def _says_nothing(mark: str, value: Any) -> BadArguments:
    return BadArguments(
        f"{_short(value)} says nothing",
        remedy=f'A map that is data, and has a key {mark!r}, is sent as {{"{VALUE}": {{…}}}}',
    )


def _integer(value: int) -> Any:
    if _SMALLEST <= value <= _LARGEST:
        return value
    if value.bit_length() > MAX_DIGITS * 3:  # 3 bits are less than a digit
        raise Unfit(f"it has {value.bit_length()} bits")
    return {INT: str(value)}


def _base(value: str | bytes | float) -> Any:
    """What a subclass (an enum's member, numpy.float64) is of the plain kind."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes):
        return b"".join((value,))
    return int.__int__(value) if isinstance(value, int) else float.__float__(value)


def _is_numpy_scalar(value: Any) -> bool:
    return type(value).__module__ == "numpy" and hasattr(value, "dtype") and not value.shape


def _type(value: Any) -> str:
    kind: type[Any] = type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def _short(value: Any) -> str:
    """What people see of an object; its own `__repr__` may raise or be endless."""
    try:
        text = reprlib.repr(value)
    except Exception:  # noqa: BLE001 - a library's class may do anything
        return f"<{_type(value)}>"
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= MAX_REPR else f"{text[: MAX_REPR - 1]}…"

"""What generated SDKs are made of: one session of a bridged pool, and its references.

The caller's side: no manifest, no library. `Remote` is for coroutines, `SyncRemote` blocks.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self, cast

from citadel.adapter import plain
from citadel.client.commands import CommandOptions
from citadel.client.toolstream import ToolStream
from citadel.errors import BadArguments, WireError
from citadel.values import pack, unpack
from citadel.wire.messages import Command, CommandResult

if TYPE_CHECKING:
    from citadel.client.client import Client
    from citadel.client.sync import SyncClient

UNSET: Any = object()
"""An argument that is not given: the library's own default holds."""
AFFINITY = "strict_queue"
BATCH = 256
"""Items that one trip fetches of an iterator."""
_NO_OPTIONS = CommandOptions()
_END = object()
_MARKS = frozenset(("$ref", "$tool", "$value", "$int", "$complex"))
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1


@dataclass(frozen=True, slots=True)
class Callback:
    """A tool that the library calls where it wants a function: `Callback("pool/tool", "x")`."""

    tool: str
    """`pool/tool`."""
    arguments: tuple[str, ...]
    """Names of what the library gives by position."""

    def __init__(self, tool: str, *arguments: str) -> None:
        object.__setattr__(self, "tool", tool)
        object.__setattr__(self, "arguments", arguments)


class Reference:
    """An object that stays in the worker. Its methods are those that the manifest lists."""

    def __init__(self, remote: Any, about: Mapping[str, Any]) -> None:
        self._remote = remote
        self._about = about

    def __repr__(self) -> str:
        """What the object said of itself when the reference was made."""
        return (
            f"<{type(self).__name__} {self._about.get('type', '')} {self._about.get('repr', '')}>"
        )


def id_of(reference: Reference) -> str:
    """The id of a reference."""
    return str(reference._about["$ref"])  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


class _Codec:
    """Arguments and results, between Python and what travels."""

    def __init__(
        self,
        pool: str,
        options: CommandOptions,
        classes: Mapping[str, type[Reference]] | None,
    ) -> None:
        self.pool = pool
        self.options = replace(
            options,
            session=options.session or f"bridge-{secrets.token_hex(8)}",
            affinity=options.affinity or AFFINITY,
        )
        self._classes = classes or {}

    @property
    def session(self) -> str:
        """The key of its session."""
        return self.options.session

    def _command(self, tool: str, arguments: Mapping[str, Any]) -> Command:
        given = {name: _sent(each) for name, each in arguments.items() if each is not UNSET}
        return replace(self.options.command(self.pool, tool, {}), arguments=pack(given, plain))

    def _value(self, result: CommandResult) -> Any:
        return self._received(unpack(result.value))

    def _received(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._received(each) for each in cast("list[Any]", value)]
        if not isinstance(value, dict):
            return value
        found = cast("dict[Any, Any]", value)
        if "$ref" in found:
            return self._classes.get(found.get("class", ""), Reference)(self, found)
        if "$value" in found:
            found = found["$value"]
        elif "$int" in found:
            return int(found["$int"])
        elif "$complex" in found:
            return complex(*found["$complex"])
        return {key: self._received(each) for key, each in found.items()}

    def _bulk(
        self, reference: Reference, calls: Sequence[Sequence[Any]], go: bool
    ) -> Mapping[str, Any]:
        return {"ref": reference, "calls": calls, "keep_going": go}


class Remote(_Codec):
    """One session of a bridged pool; `async with` lets its objects go at the end."""

    def __init__(
        self,
        client: Client,
        pool: str,
        options: CommandOptions = _NO_OPTIONS,
        *,
        classes: Mapping[str, type[Reference]] | None = None,
    ) -> None:
        super().__init__(pool, options, classes)
        self._client = client

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> Any:
        """Calls a tool with arguments by name; what is UNSET is left out."""
        return self._value(await self._client.pools.run(self._command(tool, arguments)))

    async def stream(self, tool: str, arguments: Mapping[str, Any]) -> AsyncIterator[Any]:
        """What a streaming tool gives; who reads slowly slows the tool down."""
        command = self._command(tool, arguments)
        async with ToolStream(self._client.connection, command, None) as items:
            async for each in items:
                yield self._received(each)

    async def items(self, iterator: Reference, batch: int = BATCH) -> AsyncIterator[Any]:
        """The items of an iterator, so many a trip."""
        done = False
        while not done:
            taken = await self.call("bridge.take", {"ref": iterator, "count": batch})
            for each in taken["items"]:
                yield each
            done = taken["done"]

    async def fetch(self, reference: Reference) -> Any:
        """The object itself, where it can travel."""
        return await self.call("bridge.value", {"ref": reference})

    async def bulk(
        self, reference: Reference, calls: Sequence[Sequence[Any]], *, keep_going: bool = False
    ) -> Any:
        """Calls of methods in one trip: each is [method, args, kwargs]."""
        return await self.call("bridge.bulk", self._bulk(reference, calls, keep_going))

    async def objects(self) -> list[dict[str, Any]]:
        """What the session holds."""
        return _listed(await self._client.pools.run(self._command("bridge.objects", {})))

    async def release(self, *references: Reference) -> int:
        """Lets objects go; says how many were there."""
        return await self.call("bridge.release", {"ref": [id_of(each) for each in references]})

    async def __aenter__(self) -> Self:
        """The session; it begins with its first command."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Lets all objects of the session go."""
        held = [each["$ref"] for each in await self.objects()]
        if held:
            await self.call("bridge.release", {"ref": held})


class SyncRemote(_Codec):
    """One session of a bridged pool, for code that blocks."""

    def __init__(
        self,
        client: SyncClient,
        pool: str,
        options: CommandOptions = _NO_OPTIONS,
        *,
        classes: Mapping[str, type[Reference]] | None = None,
    ) -> None:
        super().__init__(pool, options, classes)
        self._client = client

    def call(self, tool: str, arguments: Mapping[str, Any]) -> Any:
        """Calls a tool with arguments by name; what is UNSET is left out."""
        return self._value(self._client.pools.run(self._command(tool, arguments)))

    def stream(self, tool: str, arguments: Mapping[str, Any]) -> Iterator[Any]:
        """What a streaming tool gives; who reads slowly slows the tool down."""
        stream = ToolStream(self._client.connection, self._command(tool, arguments), None)

        async def step(_: Client) -> Any:
            return await anext(stream, _END)

        async def close(_: Client) -> None:
            await stream.aclose()

        try:
            while (item := self._client.run(step)) is not _END:
                yield self._received(item)
        finally:
            self._client.run(close)

    def items(self, iterator: Reference, batch: int = BATCH) -> Iterator[Any]:
        """The items of an iterator, so many a trip."""
        done = False
        while not done:
            taken = self.call("bridge.take", {"ref": iterator, "count": batch})
            yield from taken["items"]
            done = taken["done"]

    def fetch(self, reference: Reference) -> Any:
        """The object itself, where it can travel."""
        return self.call("bridge.value", {"ref": reference})

    def bulk(
        self, reference: Reference, calls: Sequence[Sequence[Any]], *, keep_going: bool = False
    ) -> Any:
        """Calls of methods in one trip: each is [method, args, kwargs]."""
        return self.call("bridge.bulk", self._bulk(reference, calls, keep_going))

    def objects(self) -> list[dict[str, Any]]:
        """What the session holds."""
        return _listed(self._client.pools.run(self._command("bridge.objects", {})))

    def release(self, *references: Reference) -> int:
        """Lets objects go; says how many were there."""
        return self.call("bridge.release", {"ref": [id_of(each) for each in references]})

    def __enter__(self) -> Self:
        """The session; it begins with its first command."""
        return self

    def __exit__(self, *_: object) -> None:
        """Lets all objects of the session go."""
        held = [each["$ref"] for each in self.objects()]
        if held:
            self.call("bridge.release", {"ref": held})


def _listed(result: CommandResult) -> list[dict[str, Any]]:
    found = unpack(result.value)
    if not isinstance(found, list):
        raise WireError("bridge.objects gave no list")
    return cast("list[dict[str, Any]]", found)


def _sent(value: Any) -> Any:
    """An argument, as it travels."""
    if isinstance(value, Reference):
        return {"$ref": id_of(value)}
    if isinstance(value, Callback):
        return {"$tool": value.tool, "arguments": list(value.arguments)}
    if type(value) is int and not _SMALLEST <= value <= _LARGEST:
        return {"$int": str(value)}
    if isinstance(value, complex) and type(value) is complex:
        return {"$complex": [value.real, value.imag]}
    if isinstance(value, Mapping):
        found = cast("Mapping[Any, Any]", value)
        made = {key: _sent(each) for key, each in found.items()}
        return {"$value": made} if any(key in _MARKS for key in found) else made
    if isinstance(value, list | tuple | set | frozenset | range):
        return [_sent(each) for each in cast("Sequence[Any]", value)]
    if callable(value) and not isinstance(value, type):
        raise BadArguments(
            "a function cannot be sent",
            remedy='Name a tool that it is: citadel.bridge.client.Callback("pool/tool", "x")',
        )
    return value

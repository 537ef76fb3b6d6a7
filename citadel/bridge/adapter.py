"""The adapter that hosts a bridge: its tools are those of the manifest, and the bridge's own.

In a worker's process; one command at a time. A failure to load the manifest, to import a library
or, with strict_lock, to find what was locked is an AdapterFailed: the pool says so.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, cast

from citadel import adapter as host
from citadel.adapter import Adapter, check_cancelled, tool
from citadel.bridge import lock, tools
from citadel.bridge.exchange import Exchange
from citadel.bridge.manifest import load, near
from citadel.bridge.objects import Objects
from citadel.bridge.surface import Exposed, Surface, resolve
from citadel.errors import AdapterFailed, BadArguments, Cancelled, CitadelError, UnknownTool
from citadel.tools import BoundTool, bound_tools

Reference = dict[str, Any] | str


class BridgeAdapter(Adapter):
    """Hosts what one manifest lists."""

    def __init__(self, manifest: str) -> None:
        self._path = manifest
        self._surface: Surface
        self._exchange: Exchange
        self._tools: dict[str, BoundTool] = {}

    def setup(self) -> None:
        """Reads the manifest, imports its libraries and finds each name.

        Raises:
            AdapterFailed: says where in the manifest something is wrong, or what differs.
        """
        try:
            loaded = load(self._path)
            self._surface = surface = resolve(loaded)
            if differences := lock.differences(surface):
                said = f"the libraries are not those of {loaded.lock_path}:\n" + "\n".join(
                    differences
                )
                if loaded.manifest.strict_lock:
                    raise AdapterFailed(said, subject=self._path, remedy=lock.REMEDY)
                print(f"warning: {said}\n{lock.REMEDY}", flush=True)  # noqa: T201 - becomes an event
        except AdapterFailed:
            raise
        except CitadelError as error:
            raise AdapterFailed(
                error.message,
                subject=error.subject,
                remedy=error.remedy,
                details=error.details,
            ) from error
        limits = loaded.manifest.limits
        self._exchange = Exchange(
            objects=Objects(limits, secrets.token_hex(4), time.monotonic, _token),
            limits=limits,
            session=_session,
            call=_call,
            face=lambda kind: face.tool if (face := surface.face(kind)) else "",
        )
        self._tools = bound_tools(self) | {
            name: tools.made(exposed, self._exchange) for name, exposed in surface.tools.items()
        }

    def tools(self) -> dict[str, BoundTool]:
        """The manifest's tools and the bridge's own."""
        return self._tools

    def health(self) -> bool:
        """Lets expired objects go, also where no command comes."""
        self._exchange.objects.sweep()
        return True

    def session_ended(self, key: str) -> None:
        """Lets the objects of a session go."""
        self._exchange.objects.end(key)

    # ── the bridge's own tools ───────────────────────────────────────────────────────────────────

    @tool(name="bridge.objects")
    def objects(self) -> list[dict[str, Any]]:
        """The objects that this session holds: reference, type, text, seconds until it expires."""
        exchange, objects = self._exchange, self._exchange.objects
        return [
            {
                **exchange.shown(each.reference, each.value),
                "seconds_left": objects.seconds_left(each),
            }
            for each in objects.of(exchange.session())
        ]

    @tool(name="bridge.release", idempotent=True)
    def release(self, ref: Reference | list[Reference]) -> int:
        """Lets one object go, or several; returns how many were there."""
        given = ref if isinstance(ref, list) else [ref]
        ids = [each.get("$ref", "") if isinstance(each, dict) else each for each in given]
        session, objects = self._exchange.session(), self._exchange.objects
        return sum(objects.release(session, str(each)) for each in ids)

    @tool(name="bridge.value", idempotent=True)
    def value(self, ref: Reference) -> Any:
        """The object itself, where it can travel: an array, a list, a map, a dataclass."""
        return self._exchange.outgoing(self._exchange.held(ref), "value")

    @tool(name="bridge.take")
    def take(self, ref: Reference, count: int = 100) -> dict[str, Any]:
        """The next items of an iterator: {"items": […], "done": whether there are no more}.

        No more than the manifest's limits.items come at once.
        """
        if count < 1:
            raise BadArguments(f"count is 1 or more, not {count}", subject="count")
        count = min(count, self._exchange.limits.items)
        held = self._exchange.held(ref)
        if not isinstance(held, Iterator):
            raise _no_iterator(held, "bridge.iterate goes over what is no iterator itself")
        self._allow_iteration(held)
        found = list(islice(cast("Iterator[Any]", held), count))
        return {
            "items": [self._exchange.outgoing(each) for each in found],
            "done": len(found) < count,
        }

    @tool(name="bridge.iterate")
    def iterate(self, ref: Reference) -> Iterator[Any]:
        """Streams the items of an object that can be iterated."""
        held = self._exchange.held(ref)
        if not isinstance(held, Iterable):
            raise _no_iterator(held, "It cannot be iterated")
        self._allow_iteration(held)
        items = cast("Iterable[Any]", held)
        return (self._exchange.outgoing(each) for each in items)

    @tool(name="bridge.bulk")
    def bulk(
        self, ref: Reference, calls: list[list[Any]], keep_going: bool = False
    ) -> dict[str, Any]:
        """Calls methods of one object in one trip; each call is [method, args, kwargs].

        Stops at the first that fails, or with keep_going does the rest too. Returns
        {"results": […], "failed": [{"index", "type", "message"}]}; a failed call's result is null.
        """
        limit = self._exchange.limits.bulk
        if len(calls) > limit:
            raise BadArguments(
                f"{len(calls)} calls are more than {limit}",
                subject="calls",
                remedy="Send several bulk calls, or raise limits.bulk in the manifest",
            )
        self._exchange.held(ref)
        results: list[Any] = []
        failed: list[dict[str, Any]] = []
        for index, each in enumerate(calls):
            check_cancelled()
            try:
                results.append(self._one(ref, each))
            except Cancelled:
                raise
            except Exception as error:  # noqa: BLE001 - a library may raise anything
                results.append(None)
                kind = type(error).__qualname__
                failed.append({"index": index, "type": kind, "message": str(error)})
                if not keep_going:
                    break
        return {"results": results, "failed": failed}

    def _one(self, ref: Reference, call: list[Any]) -> Any:
        """One call of a bulk: through its tool, so that nothing is reached that has none."""
        whole: list[Any] = [*call, *(("", [], {})[len(call) :])]
        method, args, kwargs = whole[:3]
        if len(whole) > 3 or [type(each) for each in whole] != [str, list, dict]:
            raise BadArguments("a call is [method, args, kwargs]", subject="calls")
        held = self._exchange.held(ref)
        face = self._surface.face(type(held))
        members = face.members if face else {}
        if method not in members:
            kind = type(held).__qualname__
            raise UnknownTool(f"a {kind} has no {method!r}{near(method, members)}", subject=method)
        exposed = members[method]
        given = _by_name(exposed, args) | kwargs
        if exposed.role != "static":
            given["self"] = ref
        result = self._tools[exposed.tool].call(**given)
        limit = self._exchange.limits.items
        return list(islice(result, limit)) if isinstance(result, Iterator) else result

    def _allow_iteration(self, held: Any) -> None:
        face = self._surface.face(type(held))
        if face is not None and not face.entry.iterate:
            raise _no_iterator(held, "The manifest says iterate: false of its class")


def _by_name(exposed: Exposed, args: list[Any]) -> dict[str, Any]:
    params = exposed.shape.params
    names = [each.name for each in params if each.kind in ("positional", "either")]
    given = dict(zip(names, args, strict=False))
    if rest := args[len(names) :]:
        given[tools.binding.argument_names(params).get("args", "args")] = rest
    return given


def _no_iterator(held: Any, remedy: str) -> BadArguments:
    return BadArguments(f"a {type(held).__qualname__} is no iterator", subject="ref", remedy=remedy)


def _session() -> str:
    found = host.session()
    return found.key if found is not None else ""


def _call(pool: str, tool: str, arguments: dict[str, Any]) -> Any:
    return host.call(pool, tool, **arguments)


def _token() -> str:
    return secrets.token_hex(8)

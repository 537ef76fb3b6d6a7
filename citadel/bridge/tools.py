"""The surface as tools of a pool. Runs in a worker, one command at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError

from citadel.bridge import binding
from citadel.bridge.exchange import Exchange
from citadel.bridge.kinds import Kind, to_pydantic
from citadel.bridge.surface import Exposed
from citadel.errors import AdapterFailed, BadArguments, CommandFailed
from citadel.tools import BoundTool

MAX_SUMMARY = 300
"""Characters of a docstring that a tool's description has."""


def made(exposed: Exposed, exchange: Exchange) -> BoundTool:
    """The tool of an exposed name.

    Raises:
        AdapterFailed: its parameters make no schema.
    """
    owner = exposed.owner if exposed.role in ("method", "attribute") else None
    path = f"{owner.__module__}.{owner.__qualname__}" if owner else ""
    shape = exposed.shape
    try:
        model, names = binding.model(
            exposed.tool, shape.params, path, frozenset(exposed.entry.callbacks)
        )
        inputs = model.model_json_schema()
    except (TypeError, ValueError, PydanticUserError) as error:
        raise AdapterFailed(
            f"the parameters of {exposed.source} make no schema: {error}",
            subject=exposed.source,
            remedy="Exclude it in the manifest",
        ) from error
    check = BoundTool(
        name=exposed.tool,
        description="",
        call=_caller(exposed),
        arguments=model,
        names=names,
        input_schema={},
        output_schema={},
    )
    bridged = _Bridged(exposed, exchange, check)
    return BoundTool(
        name=exposed.tool,
        description=description(exposed),
        call=lambda **given: bridged.run(given),  # any name may be an argument's, also self
        names={},
        input_schema=inputs,
        output_schema={} if exposed.entry.stream else output_schema(shape.returns),
        idempotent=exposed.entry.idempotent,
        streams_out=exposed.entry.stream,
    )


class _Bridged:
    """Makes references real, checks arguments, calls the library, and sends what it gives."""

    def __init__(self, exposed: Exposed, exchange: Exchange, check: BoundTool) -> None:
        self._exposed = exposed
        self._exchange = exchange
        self._check = check
        by_hint = {each.name for each in exposed.shape.params if _callable(each.type)}
        self._callbacks = by_hint | set(exposed.entry.callbacks)

    def run(self, arguments: Mapping[str, Any]) -> Any:
        exposed, exchange = self._exposed, self._exchange
        if exposed.role == "construct" or exposed.entry.returns == "reference":
            self._needs_session()
        taken = {
            name: exchange.incoming(value, callbacks=name in self._callbacks)
            for name, value in arguments.items()
        }
        result = self._check.run(taken)
        if exposed.role == "construct":
            return exchange.kept(result)
        if exposed.entry.stream:
            return self._each(result)
        return exchange.outgoing(result, exposed.entry.returns)

    def _needs_session(self) -> None:
        if not self._exchange.session():
            raise BadArguments(
                f"{self._exposed.tool} makes an object that stays here: it needs a session",
                subject=self._exposed.tool,
                remedy="Send the command with a session, with affinity strict_queue",
            )

    def _each(self, result: Any) -> Iterator[Any]:
        if not isinstance(result, Iterable):
            kind = type(result).__qualname__
            raise CommandFailed(
                f"{self._exposed.tool} returned a {kind}, which cannot be streamed",
                remedy="Take stream: true from it in the manifest",
            )
        for each in cast("Iterable[Any]", result):
            yield self._exchange.outgoing(each, self._exposed.entry.returns)


def description(exposed: Exposed) -> str:
    """The first paragraph of the docstring, and the signature with its tier."""
    summary = " ".join(exposed.shape.doc.partition("\n\n")[0].split())
    if len(summary) > MAX_SUMMARY:
        summary = f"{summary[: MAX_SUMMARY - 1]}…"
    signature = "" if exposed.role == "attribute" else exposed.shape.text()
    return f"{summary}\n{exposed.source}{signature} [{exposed.shape.tier}]".strip()


def output_schema(kind: Kind) -> dict[str, Any]:
    """JSON Schema of a result; empty where nothing is known."""
    if kind.name in ("any", "object", "callable", "iterator"):
        return {}
    if kind.name == "array":
        return {"description": "an array"}
    try:
        return TypeAdapter[Any](to_pydantic(kind)).json_schema(mode="serialization")
    except (TypeError, ValueError, PydanticUserError):
        return {}


def _callable(kind: Kind) -> bool:
    return kind.name == "callable" or any(_callable(each) for each in kind.of)


def _caller(exposed: Exposed) -> Callable[..., Any]:
    """What calls the library with arguments by name; it holds the function itself."""
    name, params, target, owner = exposed.tool, exposed.shape.params, exposed.target, exposed.owner

    def call(given: Mapping[str, Any]) -> Any:
        args, kwargs = binding.bound(name, params, given)
        return target(*args, **kwargs)

    def on_object(given: dict[str, Any]) -> Any:
        held = given.pop(binding.SELF)
        if owner is None or not isinstance(held, owner):
            kind: type[Any] = type(held)
            raise BadArguments(
                f"{name} is for a {owner and owner.__qualname__}, and self is a"
                f" {kind.__module__}.{kind.__qualname__}",
                subject=name,
                remedy="Give a reference to an object of that class as self",
            )
        if exposed.role == "attribute":
            return getattr(held, target)
        args, kwargs = binding.bound(name, params, given)
        # Through the object's class, so that a subclass's own method is the one that is called.
        stored = getattr(type(held), exposed.source.rpartition(".")[2], target)
        return stored(held, *args, **kwargs)

    chosen = on_object if exposed.role in ("method", "attribute") else call
    return lambda **given: chosen(given)

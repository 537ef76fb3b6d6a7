"""What users write for pools: a class whose decorated methods are tools.

    class MyTools(citadel.Adapter):
        @citadel.tool
        def add(self, a: int, b: int = 0) -> int: ...

Light: a worker imports it without gRPC. Schemas come from type hints through pydantic,
descriptions from docstrings. An adapter lives in one worker process and runs one command at a time.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any, TypeVar, cast, get_type_hints, overload

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError

from citadel.errors import AdapterFailed, BadArguments, Cancelled

F = TypeVar("F", bound=Callable[..., Any])
_MARK = "__citadel_tool__"


class Adapter:
    """Base of all adapters; each hook may be left out."""

    def setup(self) -> None:
        """Runs once in each worker, before its first command."""

    def teardown(self) -> None:
        """Runs when the worker ends in an orderly way."""

    def health(self) -> bool:
        """Whether this worker can still serve."""
        return True


@dataclass(frozen=True, slots=True)
class _Mark:
    name: str
    description: str


@overload
def tool(function: F, /) -> F: ...
@overload
def tool(*, name: str = ..., description: str = ...) -> Callable[[F], F]: ...
def tool(function: Any = None, /, *, name: str = "", description: str = "") -> Any:
    """Makes a method of an adapter a tool."""

    def mark(method: F) -> F:
        text = description or inspect.getdoc(method) or ""
        setattr(method, _MARK, _Mark(name or method.__name__, text))
        return method

    return mark(function) if function is not None else mark


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundTool:
    """A tool of an adapter instance, with its schemas."""

    name: str
    description: str
    call: Callable[..., Any]
    arguments: type[BaseModel]
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any]

    def run(self, arguments: Mapping[str, Any]) -> Any:
        """Validates the arguments and calls the method.

        Raises:
            BadArguments: names each argument that does not fit, and why.
        """
        try:
            checked = self.arguments.model_validate(arguments)
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, part['loc'])) or 'arguments'}: {part['msg']}"
                for part in error.errors()
            )
            raise BadArguments(
                f"arguments of {self.name} do not fit: {wrong}", subject=self.name
            ) from error
        return self.call(**{key: getattr(checked, key) for key in checked.model_fields_set})


def bound_tools(adapter: Adapter) -> dict[str, BoundTool]:
    """The tools of an adapter by name.

    Raises:
        AdapterFailed: it has none, two of one name, or a hint that makes no schema.
    """
    found: dict[str, BoundTool] = {}
    for attribute, member in inspect.getmembers(type(adapter), callable):
        mark = getattr(member, _MARK, None)
        if not isinstance(mark, _Mark):
            continue
        if mark.name in found:
            raise AdapterFailed(
                f"{type(adapter).__name__} has two tools named {mark.name}",
                subject=mark.name,
                remedy="Give one of them another name: @tool(name=...)",
            )
        found[mark.name] = _bind(adapter, attribute, mark)
    if not found:
        raise AdapterFailed(
            f"{type(adapter).__name__} has no tools",
            subject=type(adapter).__name__,
            remedy="Decorate at least one method with @citadel.tool",
        )
    return found


def _bind(adapter: Adapter, attribute: str, mark: _Mark) -> BoundTool:
    method = getattr(adapter, attribute)
    try:
        hints = get_type_hints(method)
        fields: dict[str, Any] = {}
        for parameter in inspect.signature(method).parameters.values():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise AdapterFailed(
                    f"tool {mark.name} takes {parameter}: its schema cannot be known",
                    subject=mark.name,
                    remedy="Name each argument",
                )
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[parameter.name] = (hints.get(parameter.name, Any), default)
        model = create_model(
            mark.name,
            __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=False),
            **fields,
        )
        result = TypeAdapter(hints.get("return", Any)).json_schema(mode="serialization")
        inputs = model.model_json_schema()
    except (NameError, PydanticSchemaGenerationError, ValueError) as error:
        raise AdapterFailed(
            f"the hints of tool {mark.name} make no schema: {error}",
            subject=mark.name,
            remedy="Use types that JSON can say, dataclasses or pydantic models",
        ) from error
    return BoundTool(
        name=mark.name,
        description=mark.description,
        call=method,
        arguments=model,
        input_schema=inputs,
        output_schema=result,
    )


def plain(value: Any) -> Any:
    """A result as values that msgpack carries; for its `default` hook.

    Raises:
        TypeError: names the type that cannot be sent.
    """
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, set | frozenset):
        return list(cast("set[Any]", value))
    kind: type[Any] = type(value)
    raise TypeError(f"{kind.__module__}.{kind.__qualname__} cannot be sent")


_poll: list[Callable[[], bool]] = []


def watch_cancellation(poll: Callable[[], bool]) -> None:
    """Says how a worker learns of a cancel; called by the worker itself."""
    _poll[:] = [poll]


def cancelled() -> bool:
    """Whether the running command was cancelled: long tools ask now and then, and end."""
    return bool(_poll) and _poll[0]()


def check_cancelled() -> None:
    """Raises Cancelled when the running command was."""
    if cancelled():
        raise Cancelled("the command was cancelled")

"""What users write for pools: a class whose decorated methods are tools.

    class MyTools(citadel.Adapter):
        @citadel.tool
        def add(self, a: int, b: int = 0) -> int: ...

Light: a worker imports it without gRPC. Schemas come from type hints through pydantic,
descriptions from docstrings. An adapter lives in one worker process and runs one command at a time.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, is_dataclass
from dataclasses import fields as fields_of
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, TypeVar, cast, get_type_hints, overload
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic_core import to_jsonable_python

from citadel.errors import AdapterFailed, BadArguments, Cancelled

F = TypeVar("F", bound=Callable[..., Any])
_MARK = "__citadel_tool__"
_TEXTS = (date, time, timedelta, UUID, Decimal, Enum)


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
    names: Mapping[str, str]
    """Arguments by the field that checks them: any name may be an argument's, not a field's."""
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
        given = {self.names[key]: getattr(checked, key) for key in checked.model_fields_set}
        result = self.call(**given)
        return _awaited(result) if inspect.iscoroutine(result) else result


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
        hints = get_type_hints(method, include_extras=True)
        names, fields = _fields(mark.name, inspect.signature(method), hints)
        model = create_model(mark.name, __config__=ConfigDict(extra="forbid"), **fields)
        result = TypeAdapter(hints.get("return", Any)).json_schema(mode="serialization")
        inputs = model.model_json_schema()
    except (NameError, TypeError, ValueError, PydanticUserError) as error:
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
        names=names,
        input_schema=inputs,
        output_schema=result,
    )


def _fields(
    tool_name: str, signature: inspect.Signature, hints: Mapping[str, Any]
) -> tuple[dict[str, str], dict[str, Any]]:
    """The arguments by their field, and the fields as pydantic takes them."""
    names: dict[str, str] = {}
    fields: dict[str, Any] = {}
    for number, parameter in enumerate(signature.parameters.values()):
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise AdapterFailed(
                f"tool {tool_name} takes {parameter}, which cannot be given by name",
                subject=tool_name,
                remedy="Name each argument, without *, ** and /",
            )
        key = f"argument_{number}"
        default = ... if parameter.default is parameter.empty else parameter.default
        names[key] = parameter.name
        fields[key] = (
            hints.get(parameter.name, Any),
            Field(default, alias=parameter.name, title=parameter.name),
        )
    return names, fields


def _awaited(work: Coroutine[Any, Any, Any]) -> Any:
    """Runs an async tool to its end, on a loop of its own."""
    import asyncio  # noqa: PLC0415 - workers of plain tools need none

    return asyncio.run(work)


def plain(value: Any) -> Any:
    """A result as values that msgpack carries; for its `default` hook.

    Dataclasses and models become maps, sets become lists; what pydantic writes as text (dates,
    paths, UUIDs, decimals, enums) becomes that text.

    Raises:
        TypeError: names the type that cannot be sent.
    """
    if isinstance(value, BaseModel):
        return value.model_dump(by_alias=True)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields_of(value)}
    if isinstance(value, set | frozenset):
        return list(cast("set[Any]", value))
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, _TEXTS):
        return to_jsonable_python(value)
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

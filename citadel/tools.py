"""Methods to tools: schemas from type hints through pydantic, streams from generators.

A generator gives an output stream. One parameter annotated as an iterator takes the input stream:
its items are checked one by one, as the tool takes them. Light: imported by workers.
"""

from __future__ import annotations

import inspect
from collections import abc
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args, get_origin, get_type_hints
from weakref import WeakKeyDictionary

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticUserError

from citadel import schemas
from citadel.errors import AdapterFailed, BadArguments

MARK = "__citadel_tool__"
STREAM_KEY = "x-citadel-items"
"""Where an input schema says what the items of the input stream are."""
_TAKES: tuple[Any, ...] = (abc.Iterator, abc.Iterable)
_TAKES_ASYNC: tuple[Any, ...] = (abc.AsyncIterator, abc.AsyncIterable)
_GIVES: tuple[Any, ...] = (abc.Iterator, abc.Generator, abc.AsyncIterator, abc.AsyncGenerator)


_templates: WeakKeyDictionary[Callable[..., Any], BoundTool] = WeakKeyDictionary()
"""What `_bind` made, by the function of the class."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What `citadel.tool` leaves on a method."""

    name: str
    description: str
    idempotent: bool


@dataclass(frozen=True, slots=True)
class Input:
    """The parameter that takes the input stream."""

    parameter: str
    items: TypeAdapter[Any]
    is_async: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundTool:
    """A tool of an adapter instance, with its schemas."""

    name: str
    description: str
    call: Callable[..., Any]
    arguments: type[BaseModel] | None = None
    """None: any arguments are given to `call` as they are."""
    names: Mapping[str, str]
    """Arguments by the field that checks them: any name may be an argument's, not a field's."""
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any]
    """Of the result, or of each item when the tool gives a stream."""
    idempotent: bool = False
    streams_out: bool = False
    input: Input | None = None

    @property
    def streams_in(self) -> bool:
        """Whether it takes an input stream."""
        return self.input is not None

    @property
    def streams(self) -> bool:
        """Whether it takes or gives a stream."""
        return self.streams_out or self.input is not None

    def checked(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Keyword arguments for `call`.

        Raises:
            BadArguments: names each argument that does not fit, and why.
        """
        if self.arguments is None:
            return arguments
        try:
            checked = self.arguments.model_validate(arguments)
        except ValidationError as error:
            raise BadArguments(
                f"arguments of {self.name} do not fit: {_wrong(error, 'arguments')}",
                subject=self.name,
            ) from error
        return {self.names[key]: getattr(checked, key) for key in checked.model_fields_set}

    def run(
        self,
        arguments: Mapping[str, Any],
        awaited: Callable[[Coroutine[Any, Any, Any]], Any] | None = None,
    ) -> Any:
        """Calls the method with checked arguments; an async one is run to its end.

        Raises:
            BadArguments: names each argument that does not fit, and why.
        """
        result = self.call(**self.checked(arguments))
        return (awaited or _awaited)(result) if inspect.iscoroutine(result) else result

    def open(
        self, arguments: Mapping[str, Any], items: Iterator[Any] | AsyncIterator[Any] | None
    ) -> Any:
        """Calls the method with its input stream: a result, a coroutine, or what gives the items.

        Raises:
            BadArguments: names each argument that does not fit, and why.
        """
        given = dict(self.checked(arguments))
        if self.input is not None:
            given[self.input.parameter] = items
        return self.call(**given)

    def checked_item(self, item: Any, number: int) -> Any:
        """An item of the input stream, as the hint says.

        Raises:
            BadArguments: names the item and what is wrong with it.
        """
        assert self.input is not None
        try:
            return self.input.items.validate_python(item)
        except ValidationError as error:
            raise BadArguments(
                f"item {number} of {self.name} does not fit: {_wrong(error, 'item')}",
                subject=self.name,
            ) from error


def bound_tools(adapter: object) -> dict[str, BoundTool]:
    """The tools of an adapter by name: its marked methods.

    Raises:
        AdapterFailed: it has none, two of one name, or a hint that makes no schema.
    """
    found: dict[str, BoundTool] = {}
    for attribute, member in inspect.getmembers(type(adapter), callable):
        mark = getattr(member, MARK, None)
        if not isinstance(mark, Mark):
            continue
        if mark.name in found:
            raise AdapterFailed(
                f"{type(adapter).__name__} has two tools named {mark.name}",
                subject=mark.name,
                remedy="Give one of them another name: @tool(name=...)",
            )
        found[mark.name] = _bind(getattr(adapter, attribute), mark)
    if not found:
        raise AdapterFailed(
            f"{type(adapter).__name__} has no tools",
            subject=type(adapter).__name__,
            remedy="Decorate at least one method with @citadel.tool",
        )
    return found


def warm(adapter: type) -> None:
    """Makes the schemas of an adapter's class now: its instances, and forks, find them made.

    Raises:
        AdapterFailed: as `bound_tools`.
    """
    bound_tools(object.__new__(adapter))


def _bind(method: Callable[..., Any], mark: Mark) -> BoundTool:
    """A tool; what does not depend on the instance is made once for a function."""
    function = getattr(method, "__func__", None)
    if function is None:
        return _made(method, mark)
    found = _templates.get(function)
    if found is None:
        found = _templates[function] = replace(_made(method, mark), call=_nothing)
    return replace(found, call=method)


def _nothing() -> None:
    """In place of a method in a template: that must not keep its own key alive."""


def _made(method: Callable[..., Any], mark: Mark) -> BoundTool:
    try:
        hints = get_type_hints(method, include_extras=True)
        signature = inspect.signature(method)
        stream = _input(mark.name, method, signature, hints)
        names, fields = _fields(mark.name, signature, hints, stream)
        model = create_model(mark.name, __config__=schemas.CONFIG, **fields)
        gives, result = _output(method, hints.get("return", Any))
        outputs = schemas.checker(result).json_schema(
            mode="serialization", schema_generator=schemas.Schemas
        )
        inputs = model.model_json_schema(schema_generator=schemas.Schemas)
        if stream is not None:
            inputs[STREAM_KEY] = stream.items.json_schema(schema_generator=schemas.Schemas)
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
        output_schema=outputs,
        idempotent=mark.idempotent,
        streams_out=gives,
        input=stream,
    )


def _input(
    tool: str,
    method: Callable[..., Any],
    signature: inspect.Signature,
    hints: Mapping[str, Any],
) -> Input | None:
    """The parameter that takes the input stream, if one does."""
    found: list[Input] = []
    is_async = inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)
    for name in signature.parameters:
        hint = hints.get(name)
        origin = get_origin(hint) or hint
        if origin not in (*_TAKES, *_TAKES_ASYNC):
            continue
        items = schemas.checker((get_args(hint) or (Any,))[0])
        found.append(Input(name, items, is_async=origin in _TAKES_ASYNC))
    if len(found) > 1:
        raise AdapterFailed(
            f"tool {tool} takes {len(found)} streams; a command has one",
            subject=tool,
            remedy="Annotate what is no stream as list, or send items that say what they are",
        )
    if found and found[0].is_async != is_async:
        raise AdapterFailed(
            f"tool {tool} cannot take its stream {found[0].parameter}",
            subject=tool,
            remedy="An async tool takes an AsyncIterator, any other an Iterator",
        )
    return found[0] if found else None


def _output(method: Callable[..., Any], hint: Any) -> tuple[bool, Any]:
    """Whether a tool gives a stream, and the hint of its result or of its items."""
    origin = get_origin(hint) or hint
    if origin in _GIVES:
        return True, (get_args(hint) or (Any,))[0]
    if inspect.isgeneratorfunction(method) or inspect.isasyncgenfunction(method):
        return True, Any
    return False, hint


def _fields(
    tool: str, signature: inspect.Signature, hints: Mapping[str, Any], stream: Input | None
) -> tuple[dict[str, str], dict[str, Any]]:
    """The arguments by their field, and the fields as pydantic takes them."""
    names: dict[str, str] = {}
    fields: dict[str, Any] = {}
    for number, parameter in enumerate(signature.parameters.values()):
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise AdapterFailed(
                f"tool {tool} takes {parameter}, which cannot be given by name",
                subject=tool,
                remedy="Name each argument, without *, ** and /",
            )
        if stream is not None and parameter.name == stream.parameter:
            continue
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


def _wrong(error: ValidationError, what: str) -> str:
    return "; ".join(
        f"{'.'.join(map(str, part['loc'])) or what}: {part['msg']}" for part in error.errors()
    )

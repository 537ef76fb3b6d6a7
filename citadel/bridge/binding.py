"""Arguments by name, as a pool's tools have them, put where a Python function wants them.

What a function takes by position only is given by its name too. The rest of a function that has
`*args` or `**kwargs` goes as `args`, a list, and `kwargs`, a map. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, create_model

from citadel.bridge.kinds import Kind, to_pydantic
from citadel.bridge.shape import Param
from citadel.errors import BadArguments

SELF = "self"


def argument_names(params: Sequence[Param]) -> dict[str, str]:
    """Arguments of a tool by parameter: `*rest` is given as `args`, `**options` as `kwargs`."""
    taken = {each.name for each in params if each.kind not in ("args", "kwargs")}
    names: dict[str, str] = {}
    for each in params:
        name = each.name
        if each.kind in ("args", "kwargs"):
            name = each.kind
            while name in taken:
                name += "_"
        names[each.name] = name
    return names


def model(
    tool: str, params: Sequence[Param], owner: str, callbacks: frozenset[str]
) -> tuple[type[BaseModel], dict[str, str]]:
    """What checks the arguments of a tool, and the arguments by its fields.

    `owner` is the class whose objects a method takes as `self`; "" for a function.
    """
    names = argument_names(params)
    fields: dict[str, Any] = {}
    arguments: dict[str, str] = {}
    if owner:
        kind = Annotated[Any, WithJsonSchema(_reference(owner))]
        fields["argument_self"] = (kind, Field(alias=SELF, title=SELF))
        arguments["argument_self"] = SELF
    for number, each in enumerate(params):
        key, name = f"argument_{number}", names[each.name]
        default = ... if each.required else each.default if each.literal else None
        fields[key] = (
            _checked(each, each.name in callbacks),
            Field(default, alias=name, title=name),
        )
        arguments[key] = name
    made = create_model(
        tool, __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=True), **fields
    )
    return made, arguments


def bound(
    tool: str, params: Sequence[Param], given: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Positional and named arguments of the call.

    Raises:
        BadArguments: an argument by position cannot be given without one before it.
    """
    names = argument_names(params)
    rest = next((list(given.get(names[p.name]) or ()) for p in params if p.kind == "args"), [])
    by_position: list[Any] = []
    by_name: dict[str, Any] = {}
    missing = ""
    for each in params:
        name = names[each.name]
        if each.kind == "kwargs":
            by_name |= given.get(name) or {}
        elif each.kind == "args":
            continue
        elif each.kind == "keyword" or (each.kind == "either" and not rest):
            if name in given:
                by_name[each.name] = given[name]
        elif name not in given and not each.literal:
            missing = missing or name
        elif name in given and missing:
            raise _hole(tool, missing, name)
        elif not missing:
            by_position.append(given.get(name, each.default))
    if rest and missing:
        raise _hole(tool, missing, "args")
    return _without_defaults(params, given, names, by_position, rest), by_name


def _without_defaults(
    params: Sequence[Param],
    given: Mapping[str, Any],
    names: Mapping[str, str],
    by_position: list[Any],
    rest: list[Any],
) -> list[Any]:
    """Defaults at the end are left to the function: a docstring may tell them wrong."""
    if rest:
        return [*by_position, *rest]
    placed = [each for each in params if each.kind == "positional"][: len(by_position)]
    while placed and names[placed[-1].name] not in given:
        placed.pop()
        by_position.pop()
    return by_position


def _hole(tool: str, missing: str, given: str) -> BadArguments:
    return BadArguments(
        f"{tool} takes {missing} by position: {given} cannot be given without it",
        subject=tool,
        remedy=f"Give {missing} too",
    )


def _checked(param: Param, callback: bool) -> Any:
    match param.kind:
        case "args":
            return list[Any]
        case "kwargs":
            return dict[str, Any]
        case _:
            kind = to_pydantic(param.type)
            said = _described(param.type, callback)
            return Annotated[kind, WithJsonSchema(said)] if said else kind


def _described(kind: Kind, callback: bool) -> dict[str, Any] | None:
    """A schema for what pydantic cannot tell."""
    if callback or kind.name == "callable":
        return {
            "type": "object",
            "properties": {"$tool": {"type": "string"}, "arguments": {"type": "array"}},
            "description": "a callback: the pool/tool that is called",
        }
    if kind.name == "array":
        return {"description": "an array, or numbers in nested lists"}
    if kind.name == "object" and kind.actual is None:
        return _reference(kind.path)
    return None


def _reference(path: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"$ref": {"type": "string"}},
        "description": f"a reference to a {path}",
    }

"""Mission parameters as flags: `--limit 5 --loop --no-summarise`, read by the kind's JSON Schema.

The kinds are the engine's, so the flags are too. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from citadel.errors import InvalidRequest

_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def read(arguments: Sequence[str], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that flags give.

    Raises:
        InvalidRequest: a flag is unknown, lacks a value, or its value is of another type.
    """
    properties: Mapping[str, Any] = schema.get("properties", {})
    found: dict[str, Any] = {}
    rest = list(arguments)
    while rest:
        flag = rest.pop(0)
        name, equals, value = flag.removeprefix("--").partition("=")
        name = name.replace("-", "_")
        if not flag.startswith("--"):
            raise InvalidRequest(
                f"{flag!r} is no flag", subject=flag, remedy="Parameters are --NAME VALUE"
            )
        plain = name.removeprefix("no_")
        if name not in properties and plain != name and _type(properties, plain) == "boolean":
            found[plain] = False
            continue
        if name not in properties:
            raise _unknown(flag, name, properties)
        kind = _type(properties, name)
        if kind == "boolean" and not equals:
            found[name] = True
            continue
        if not equals:
            if not rest:
                raise InvalidRequest(f"{flag} needs a value", subject=flag, remedy=f"{flag} VALUE")
            value = rest.pop(0)
        found[name] = _value(flag, value, kind)
    return found


def described(schema: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Flag, type, default and meaning of each parameter."""
    return [
        (
            "--" + name.replace("_", "-"),
            _type(schema["properties"], name),
            json.dumps(part["default"]) if "default" in part else "",
            part.get("description", ""),
        )
        for name, part in schema.get("properties", {}).items()
    ]


def _type(properties: Mapping[str, Any], name: str) -> str:
    part = properties.get(name, {})
    if "type" in part:
        return str(part["type"])
    # `int | None` and the like: the first that is not null.
    kinds = [each.get("type", "string") for each in part.get("anyOf", ())]
    return next((str(kind) for kind in kinds if kind != "null"), "string")


def _unknown(flag: str, name: str, properties: Mapping[str, Any]) -> InvalidRequest:
    near = get_close_matches(name, properties, n=1)
    flags = ", ".join("--" + each.replace("_", "-") for each in properties)
    return InvalidRequest(
        f"there is no parameter {flag}",
        subject=flag,
        remedy=f"Did you mean --{near[0].replace('_', '-')}?" if near else f"There are {flags}",
    )


def _value(flag: str, text: str, kind: str) -> Any:
    try:
        match kind:
            case "integer":
                return int(text)
            case "number":
                return float(text)
            case "boolean":
                return _TRUTH[text.lower()]
            case "array" | "object":
                return json.loads(text)
            case _:
                return text
    except (ValueError, KeyError):
        raise InvalidRequest(
            f"{flag} takes {'an' if kind[0] in 'aio' else 'a'} {kind}, not {text!r}", subject=flag
        ) from None

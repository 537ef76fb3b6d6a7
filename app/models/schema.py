"""A JSON Schema's properties as the fields of a form. Pure; any thread."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

FieldKind = Literal["text", "integer", "number", "boolean", "choice"]
_KINDS: Mapping[str, FieldKind] = {
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "string": "text",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One value that is asked for."""

    name: str
    kind: FieldKind
    title: str
    description: str = ""
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    required: bool = False


def fields(schema_json: str) -> list[Field]:
    """The properties of an object's schema, in order; none when it is no object."""
    try:
        schema = json.loads(schema_json or "{}")
    except ValueError:
        return []
    if not isinstance(schema, dict):
        return []
    properties: dict[str, dict[str, Any]] = schema.get("properties", {})
    required = set(schema.get("required", ()))
    return [_field(name, body, name in required) for name, body in properties.items()]


def _field(name: str, body: dict[str, Any], required: bool) -> Field:
    options = [body, *body.get("anyOf", ())]
    kinds: list[FieldKind] = [_KINDS[o["type"]] for o in options if o.get("type") in _KINDS]
    kind: FieldKind = kinds[0] if kinds else "text"
    choices = tuple(str(choice) for choice in body.get("enum", ()))
    return Field(
        name=name,
        kind="choice" if choices else kind,
        title=str(body.get("title") or name).replace("_", " ").capitalize(),
        description=str(body.get("description", "")),
        default=body.get("default"),
        minimum=_number(body, "minimum", "exclusiveMinimum"),
        maximum=_number(body, "maximum", "exclusiveMaximum"),
        choices=choices,
        required=required,
    )


def _number(body: Mapping[str, Any], *names: str) -> float | None:
    return next((float(body[name]) for name in names if name in body), None)

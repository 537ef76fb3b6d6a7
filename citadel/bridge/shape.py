"""What a function takes and gives, and how that was learnt: its tier.

    hints       type hints of the function itself
    stub        a .pyi beside the module, or in a `*-stubs` package
    signature   inspect.signature: names and defaults, no types
    docstring   the first line of a C function's docstring: `log(x, [base=math.e])`
    opaque      nothing: called with `args` and `kwargs`

Calls nothing of the library; hints written as text are evaluated in its own module, as Python does.
"""

from __future__ import annotations

import inspect
import math
import typing
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from citadel.bridge import docsig, stubs
from citadel.bridge.kinds import ANY, Kind, admits, from_hint, of_value, union

Tier = Literal["hints", "stub", "signature", "docstring", "opaque"]
TIERS: tuple[Tier, ...] = typing.get_args(Tier)
ParamKind = Literal["positional", "either", "keyword", "args", "kwargs"]
"""positional: by position only; either; keyword: by name only; args and kwargs: the rest."""
Binding = Literal["function", "method", "static", "construct"]

_KINDS: Mapping[Any, ParamKind] = {
    inspect.Parameter.POSITIONAL_ONLY: "positional",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "either",
    inspect.Parameter.KEYWORD_ONLY: "keyword",
    inspect.Parameter.VAR_POSITIONAL: "args",
    inspect.Parameter.VAR_KEYWORD: "kwargs",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """One parameter."""

    name: str
    kind: ParamKind
    type: Kind = ANY
    required: bool = True
    literal: bool = False
    """Whether the default is a value that JSON and Python write alike."""
    default: Any = None
    default_text: str = ""
    """The default for people, where it is no literal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A function's parameters and result."""

    tier: Tier
    params: tuple[Param, ...]
    returns: Kind = ANY
    doc: str = ""

    def text(self) -> str:
        """As a signature for people; also what a lock's hash is of."""
        parts: list[str] = []
        only_by_name = False
        for index, param in enumerate(self.params):
            if param.kind == "keyword" and not only_by_name:
                parts.append("*")
            only_by_name = only_by_name or param.kind in ("keyword", "args")
            parts.append(_text(param))
            after = self.params[index + 1].kind if index + 1 < len(self.params) else ""
            if param.kind == "positional" and after != "positional":
                parts.append("/")
        arrow = "" if self.returns == ANY else f" -> {_kind_text(self.returns)}"
        return f"({', '.join(parts)}){arrow}"


OPAQUE = (
    Param(name="args", kind="args", required=False),
    Param(name="kwargs", kind="kwargs", required=False),
)


def describe(target: Any, binding: Binding, stub: stubs.Signature | None = None) -> Shape:
    """The shape of a function, a method (without `self`) or a class's construction."""
    doc = documentation(target)
    params = _from_signature(target, binding)
    hints = _hints(target, binding)
    if params is not None and hints:
        return _typed("hints", params, hints, doc)
    if stub is not None:
        if params is None:
            params = _from_stub(stub)
        return _typed("stub", params, {**stub.types, "return": stub.returns}, doc)
    if params is not None:
        return Shape(tier="signature", params=params, doc=doc)
    said = docsig.of_c(target) or docsig.parse(doc, getattr(target, "__name__", ""))
    if said is not None:
        return Shape(tier="docstring", params=tuple(_from_doc(each) for each in said), doc=doc)
    return Shape(tier="opaque", params=OPAQUE, doc=doc)


def attribute(doc: str = "", returns: Kind = ANY) -> Shape:
    """The shape of reading an attribute."""
    tier: Tier = "signature" if returns == ANY else "hints"
    return Shape(tier=tier, params=(), returns=returns, doc=doc)


def documentation(target: Any) -> str:
    """The docstring, tidied; "" when there is none, or its class raises."""
    try:
        return inspect.getdoc(target) or ""
    except Exception:  # noqa: BLE001 - `__doc__` may be any code of the library
        return ""


# ── tiers ────────────────────────────────────────────────────────────────────────────────────────


def _from_signature(target: Any, binding: Binding) -> tuple[Param, ...] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = list(inspect.signature(target).parameters.values())
    except Exception:  # noqa: BLE001 - `__signature__` may be any code of the library
        return None
    if binding == "method" and found and found[0].kind != inspect.Parameter.VAR_POSITIONAL:
        found = found[1:]
    return tuple(_param(each) for each in found)


def _param(parameter: inspect.Parameter) -> Param:
    kind = _KINDS[parameter.kind]
    if parameter.default is parameter.empty or kind in ("args", "kwargs"):
        return Param(name=parameter.name, kind=kind, required=kind not in ("args", "kwargs"))
    literal = _is_literal(parameter.default)
    return Param(
        name=parameter.name,
        kind=kind,
        required=False,
        literal=literal,
        default=parameter.default if literal else None,
        default_text="" if literal else _short(parameter.default),
    )


def _hints(target: Any, binding: Binding) -> dict[str, Kind]:
    of = getattr(target, "__init__", None) if binding == "construct" else target
    if isinstance(target, type) and hasattr(target, "__dataclass_fields__"):
        of = target
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = typing.get_type_hints(of, include_extras=True)
    except Exception:  # noqa: BLE001 - hints as text are the library's code
        return {}
    if binding == "construct":
        found.pop("return", None)
    return {name: from_hint(hint) for name, hint in found.items()}


def _typed(tier: Tier, params: tuple[Param, ...], types: Mapping[str, Kind], doc: str) -> Shape:
    made = tuple(replace(each, type=_with_default(each, types)) for each in params)
    return Shape(tier=tier, params=made, returns=types.get("return", ANY), doc=doc)


def _with_default(param: Param, types: Mapping[str, Kind]) -> Kind:
    """What the hint says, and the default too: hints forget `None`, overloads name one value."""
    kind = types.get(param.name, ANY)
    if not param.literal or admits(kind, param.default):
        return kind
    return union((kind, of_value(param.default)))


def _from_stub(stub: stubs.Signature) -> tuple[Param, ...]:
    return tuple(
        Param(
            name=each.name,
            kind=each.kind,
            required=each.required,
            literal=each.literal,
            default=each.default,
            default_text="" if each.literal or each.required else "…",
        )
        for each in stub.params
    )


def _from_doc(said: docsig.Said) -> Param:
    return Param(
        name=said.name,
        kind=said.kind,
        required=said.required,
        literal=said.literal,
        default=said.default,
        default_text="" if said.literal or said.required else said.text or "…",
    )


# ── texts ────────────────────────────────────────────────────────────────────────────────────────


def _is_literal(value: Any) -> bool:
    if type(value) is float:
        return math.isfinite(value)
    return value is None or type(value) in (bool, int, str)


def _short(value: Any) -> str:
    if isinstance(value, type):
        return value.__qualname__
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a default's class may do anything
        return "…"
    # An address differs from run to run.
    return "…" if " at 0x" in text or len(text) > 60 else text


def _text(param: Param) -> str:
    stars = {"args": "*", "kwargs": "**"}.get(param.kind, "")
    text = stars + param.name
    if param.type != ANY:
        text += f": {_kind_text(param.type)}"
    if param.required or stars:
        return text
    return f"{text}={param.default!r}" if param.literal else f"{text}={param.default_text or '…'}"


def _kind_text(kind: Kind) -> str:
    match kind.name:
        case "union":
            return " | ".join(_kind_text(each) for each in kind.of)
        case "literal":
            return f"Literal[{', '.join(map(repr, kind.literals))}]"
        case "object":
            return kind.path
        case "none":
            return "None"
        case "any":
            return "Any"
        case _ if kind.of:
            return f"{kind.name}[{', '.join(_kind_text(each) for each in kind.of)}]"
        case _:
            return kind.name

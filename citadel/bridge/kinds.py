"""Types of arguments and results, as far as a bridge understands them. Pure; evaluates nothing.

Read from type hints or from stubs; written as pydantic types (to check) and as Python text (for an
SDK). What is not understood is `any`: it is passed as it came, and the library judges it.
"""

from __future__ import annotations

import ast
import datetime as dt
import decimal
import enum
import pathlib
import types
import typing
import uuid
from collections import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, is_dataclass
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel
from pydantic.functional_validators import WrapValidator

MAX_UNION = 12
"""A union of more is `any`: nobody reads it."""

_SCALARS: Mapping[str, Any] = {
    "none": None,
    "bool": bool,
    "int": int,
    "float": float,
    "str": str,
    "bytes": bytes,
}
_CONTAINERS = {
    "list": "list",
    "List": "list",
    "set": "set",
    "Set": "set",
    "AbstractSet": "set",
    "frozenset": "set",
    "FrozenSet": "set",
    "tuple": "tuple",
    "Tuple": "tuple",
    "dict": "dict",
    "Dict": "dict",
    "Mapping": "dict",
    "MutableMapping": "dict",
    "Sequence": "sequence",
    "MutableSequence": "sequence",
    "Collection": "sequence",
    "Iterable": "sequence",
    "Iterator": "iterator",
    "Generator": "iterator",
}
_NAMED = {
    "None": "none",
    "NoneType": "none",
    "bool": "bool",
    "bool_": "bool",
    "int": "int",
    "SupportsIndex": "int",
    "SupportsInt": "float",
    "float": "float",
    "SupportsFloat": "float",
    "str": "str",
    "LiteralString": "str",
    "AnyStr": "str",
    "bytes": "bytes",
    "ArrayLike": "array",
    "NDArray": "array",
    "ndarray": "array",
    "Callable": "callable",
}
_TEXTS: Mapping[str, Any] = {
    "decimal.Decimal": decimal.Decimal,
    "datetime.date": dt.date,
    "datetime.datetime": dt.datetime,
    "datetime.time": dt.time,
    "datetime.timedelta": dt.timedelta,
    "uuid.UUID": uuid.UUID,
    "pathlib.Path": pathlib.Path,
}
"""Classes whose values pydantic reads from text."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One type."""

    name: str
    """any, none, bool, int, float, str, bytes, list, sequence, set, tuple, dict, iterator, union,
    literal, callable, array or object."""
    of: tuple[Kind, ...] = ()
    literals: tuple[Any, ...] = ()
    path: str = ""
    """Of an object: `module.Class`."""
    actual: Any = field(default=None, compare=False)
    """Of an object that pydantic can make: its class."""


ANY = Kind("any")
NONE = Kind("none")
ARRAY = Kind("array")


def union(kinds: abc.Iterable[Kind]) -> Kind:
    """One of several; `any` when one of them is."""
    found: dict[Kind, None] = {}
    for each in kinds:
        found.update(dict.fromkeys(each.of if each.name == "union" else (each,)))
    if ANY in found or not found or len(found) > MAX_UNION:
        return ANY
    literals = [each for each in found if each.name == "literal"]
    if literals:
        names = {each.name for each in found}
        found = {each: None for each in found if each.name != "literal"}
        said = [value for each in literals for value in each.literals]
        left = [value for value in said if type(value).__name__ not in names]
        # Not a set: True is 1 there.
        values = tuple(each for i, each in enumerate(left) if repr(each) not in map(repr, left[:i]))
        if values:
            found[Kind("literal", literals=values)] = None
    ordered = sorted(found, key=lambda kind: kind.name == "none")  # None last, as people write it
    return ordered[0] if len(ordered) == 1 else Kind("union", tuple(ordered))


def admits(kind: Kind, value: Any) -> bool:
    """Whether a plain value (a default) is of a kind, as a type checker sees it."""
    name = type(value).__name__
    if kind.name == "union":
        return any(admits(each, value) for each in kind.of)
    if kind.name == "literal":
        return any(type(each).__name__ == name and each == value for each in kind.literals)
    if kind.name == "array":
        return value is not None
    return name in _ADMITTED.get(kind.name, ())


_ADMITTED = {
    "any": ("NoneType", "bool", "int", "float", "str"),
    "none": ("NoneType",),
    "bool": ("bool",),
    "int": ("bool", "int"),
    "float": ("bool", "int", "float"),
    "str": ("str",),
    "sequence": ("str",),
}


def of_value(value: Any) -> Kind:
    """The kind of a plain value."""
    return NONE if value is None else Kind(type(value).__name__)


# ── from type hints ──────────────────────────────────────────────────────────────────────────────


def from_hint(hint: Any) -> Kind:
    """The kind of a resolved type hint."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return from_hint(arguments[0])
    if origin is Literal:
        return _literal(arguments)
    if origin in (Union, types.UnionType):
        return union(from_hint(each) for each in arguments)
    if hint is None:
        return NONE
    if not isinstance(hint, type):
        return _generic(origin, arguments) if isinstance(origin, type) else ANY
    return _generic(origin, arguments) if isinstance(origin, type) else _class(hint)


def _generic(origin: type[Any], arguments: tuple[Any, ...]) -> Kind:
    if origin is abc.Callable:
        return Kind("callable")
    name = _CONTAINERS.get(origin.__name__)
    if name is None:
        return _class(origin)
    if name == "tuple" and len(arguments) == 2 and arguments[1] is Ellipsis:
        return Kind("list", (from_hint(arguments[0]),))
    return _container(name, [from_hint(each) for each in arguments])


def _class(hint: type[Any]) -> Kind:
    if hint.__module__ in ("builtins", "collections.abc", "typing", "numpy", "types"):
        if hint.__name__ in _CONTAINERS:
            return _container(_CONTAINERS[hint.__name__], [])
        if hint.__name__ in _NAMED:
            return Kind(_NAMED[hint.__name__])
    if hint is object or getattr(hint, "_is_protocol", False) or hint.__module__ == "typing":
        return ANY
    path = f"{hint.__module__}.{hint.__qualname__}"
    made = (
        path in _TEXTS
        or (is_dataclass(hint) and hint.__module__ != "builtins")
        or issubclass(hint, BaseModel | enum.Enum)
    )
    return Kind("object", path=path, actual=hint if made else None)


# ── from stubs ───────────────────────────────────────────────────────────────────────────────────


def from_node(node: ast.expr | None, names: Mapping[str, str]) -> Kind:
    """The kind of an annotation in a stub, whose imports are `names`: alias to `module.name`."""
    match node:
        case ast.Constant(value=None):
            return NONE
        case ast.Constant(value=str() as text):
            return _quoted(text, names)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return union((from_node(left, names), from_node(right, names)))
        case ast.Name() | ast.Attribute():
            return _named(_path(node, names))
        case ast.Subscript(value=value, slice=inner):
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            return _subscript(_path(value, names), parts, names)
        case _:
            return ANY


def _quoted(text: str, names: Mapping[str, str]) -> Kind:
    try:
        return from_node(ast.parse(text, mode="eval").body, names)
    except (SyntaxError, ValueError, RecursionError):
        return ANY


def _path(node: ast.expr, names: Mapping[str, str]) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_path(node.value, names)}.{node.attr}"
    return names.get(node.id, node.id) if isinstance(node, ast.Name) else ""


def _subscript(path: str, parts: list[ast.expr], names: Mapping[str, str]) -> Kind:
    last = path.rpartition(".")[2]
    if last == "Literal":
        return _literal([part.value for part in parts if isinstance(part, ast.Constant)])
    if last in ("Optional", "Union"):
        found = [from_node(part, names) for part in parts]
        return union([*found, NONE] if last == "Optional" else found)
    if last in ("Annotated", "Final", "ClassVar"):
        return from_node(parts[0], names)
    if last in _CONTAINERS:
        if last in ("tuple", "Tuple") and len(parts) == 2 and _is_ellipsis(parts[1]):
            return Kind("list", (from_node(parts[0], names),))
        return _container(_CONTAINERS[last], [from_node(part, names) for part in parts])
    return _named(path)


def _named(path: str) -> Kind:
    last = path.rpartition(".")[2]
    if last in _NAMED:
        return Kind(_NAMED[last])
    if last in _CONTAINERS:
        return _container(_CONTAINERS[last], [])
    if path in _TEXTS:
        return Kind("object", path=path, actual=_TEXTS[path])
    # numpy's stubs name the arrays that they take by element: _ArrayLikeFloat_co.
    return ARRAY if "ArrayLike" in last else ANY


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is Ellipsis


def _literal(values: abc.Iterable[Any]) -> Kind:
    found = tuple(values)
    plain = all(isinstance(each, str | int | bytes | None) for each in found)
    return Kind("literal", literals=found) if found and plain else ANY


def _container(name: str, parts: list[Kind]) -> Kind:
    if name == "tuple":
        return Kind("tuple", tuple(parts)) if parts else Kind("list", (ANY,))
    wanted = 2 if name == "dict" else 1
    return Kind(name, tuple([*parts, ANY, ANY][:wanted]))


# ── to pydantic ──────────────────────────────────────────────────────────────────────────────────


def to_pydantic(kind: Kind) -> Any:
    """The type that checks an argument.

    Values that JSON cannot say (arrays, objects that references stood for) pass: libraries' hints
    are too narrow to refuse them.
    """
    if kind.name in ("any", "callable", "array", "iterator") or (
        kind.name == "object" and kind.actual is None
    ):
        return Any
    return Annotated[_checked(kind), WrapValidator(_lenient)]


def _checked(kind: Kind) -> Any:
    of = [to_pydantic(each) for each in kind.of]
    make = _MAKERS.get(kind.name)
    return make(kind, of) if make else _SCALARS[kind.name]


_MAKERS: Mapping[str, Callable[[Kind, list[Any]], Any]] = {
    # An int stays one: a float is not exact above 2**53.
    "float": lambda _kind, _of: float | int,
    "object": lambda kind, _of: kind.actual,
    "literal": lambda kind, _of: Literal[kind.literals],
    "union": lambda _kind, of: Union[tuple(of)],  # noqa: UP007 - made at run time
    "list": lambda _kind, of: list[of[0]],
    # Texts and maps are sequences and iterables too.
    "sequence": lambda _kind, of: list[of[0]] | str | bytes | dict[Any, Any],
    "set": lambda _kind, of: set[of[0]],
    "dict": lambda _kind, of: dict[of[0], of[1]],
    "tuple": lambda _kind, of: tuple[tuple(of)],
}


def _lenient(value: Any, handler: Callable[[Any], Any]) -> Any:
    if type(value) in _JSON:
        return handler(value)
    return value


_JSON = frozenset((type(None), bool, int, float, str, bytes, list, tuple, dict))


# ── to Python text ───────────────────────────────────────────────────────────────────────────────


def to_text(kind: Kind, classes: Mapping[str, str], *, given: bool) -> str:
    """The annotation in an SDK; `given`: of an argument, not of a result.

    `classes` are the SDK's own names of classes, by path.
    """
    of = [to_text(each, classes, given=given) for each in kind.of]
    if kind.name == "union":
        of = [each for each in of if not (each == "int" and "float" in of)]  # it is one to checkers
        return "Any" if "Any" in of else " | ".join(dict.fromkeys(of))
    if kind.name == "literal":
        return f"Literal[{', '.join(_quote(each) for each in kind.literals)}]"
    if kind.name == "object":
        return classes.get(kind.path, "Any")
    texts = _GIVEN if given else _RESULT
    return texts.get(kind.name, "Any").replace("…", ", ".join(of))


_PLAIN = {"none": "None"} | {name: name for name in ("bool", "int", "float", "str", "bytes")}
_GIVEN = _PLAIN | {
    "list": "Sequence[…]",
    "sequence": "Sequence[…]",
    "set": "Collection[…]",
    "dict": "Mapping[…]",
    "tuple": "tuple[…]",
    "array": "ArrayLike",
    "callable": "Callback",
}
_RESULT = _PLAIN | {
    "list": "list[…]",
    "sequence": "list[…]",
    "set": "list[…]",
    "dict": "dict[…]",
    "tuple": "list[Any]",
    "array": "NDArray[Any]",
    "callable": "Reference",
}


def _quote(value: Any) -> str:
    if isinstance(value, str):
        text = value.encode("unicode_escape").decode().replace('"', '\\"')
        return f'"{text}"'
    return repr(value)

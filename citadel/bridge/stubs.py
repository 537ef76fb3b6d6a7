"""Signatures in stub files: `.pyi` beside a module, or in a `NAME-stubs` package on the path.

Parsed, never run. Follows `from X import name` to other stubs. Overloads of a function become one
signature: the parameters of the longest, each with the union of its types.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from citadel.bridge.kinds import ANY, Kind, from_node, union

MAX_BYTES = 4 * 2**20
"""A larger stub is not read."""
MAX_HOPS = 8
"""Imports that are followed to where a name is defined."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class StubParam:
    """One parameter in a stub."""

    name: str
    kind: Literal["positional", "either", "keyword", "args", "kwargs"]
    required: bool = True
    literal: bool = False
    default: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A function in a stub."""

    params: tuple[StubParam, ...]
    types: dict[str, Kind] = field(default_factory=dict[str, Kind])
    returns: Kind = ANY


@dataclass(slots=True)
class _Stub:
    functions: dict[str, list[Function]]
    classes: dict[str, ast.ClassDef]
    imports: dict[str, str]
    """Alias to `module.name`."""
    stars: list[str]


class Stubs:
    """Stub files, each read once."""

    def __init__(self) -> None:
        self._read: dict[str, _Stub | None] = {}

    def function(self, module: str, name: str) -> Signature | None:
        """A function of a module."""
        for stub, found in self._where(module, name):
            if found in stub.functions:
                return _merged(stub.functions[found], stub.imports, bound=False)
        return None

    def method(self, module: str, cls: str, name: str) -> Signature | None:
        """A method of a class, or with `__init__` its construction; not of its bases."""
        for stub, found in self._where(module, cls):
            if found in stub.classes:
                members = _functions(stub.classes[found].body)
                if name == "__init__" and name not in members:
                    name = "__new__"
                if name not in members:
                    return None
                bound = not any(
                    isinstance(each, ast.Name) and each.id == "staticmethod"
                    for each in members[name][0].decorator_list
                )
                return _merged(members[name], stub.imports, bound=bound)
        return None

    def _where(self, module: str, name: str) -> Iterator[tuple[_Stub, str]]:
        """The stubs on the way from a module to where a name is defined."""
        hop, ahead = 0, [(module, name)]
        while ahead and hop < MAX_HOPS:
            module, name = ahead.pop()
            hop += 1
            stub = self._stub(module)
            if stub is None:
                continue
            yield stub, name
            if name in stub.imports:
                source, _, original = stub.imports[name].rpartition(".")
                ahead.append((source, original))
            else:
                ahead += [(source, name) for source in stub.stars]

    def _stub(self, module: str) -> _Stub | None:
        if module not in self._read:
            path = _path(module)
            self._read[module] = _parsed(path, module) if path else None
        return self._read[module]


# ── files ────────────────────────────────────────────────────────────────────────────────────────


def _path(module: str) -> Path | None:
    """Where a module's stub is."""
    top, *rest = module.split(".")
    folders = [Path(entry, f"{top}-stubs", *rest) for entry in sys.path]
    beside = _beside(module)
    for folder in folders:
        for path in (folder / "__init__.pyi", folder.with_name(f"{folder.name}.pyi")):
            if path.is_file():
                return path
    return beside


def _beside(module: str) -> Path | None:
    loaded = sys.modules.get(module)
    origin = getattr(loaded, "__file__", None)
    if origin is None:
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, ValueError, AttributeError):
            return None
        origin = spec.origin if spec else None
    if not isinstance(origin, str):
        return None
    path = Path(origin)
    # An extension module is NAME.cpython-311-x86_64-linux-gnu.so.
    stub = path.with_name(f"{path.name.partition('.')[0]}.pyi")
    return stub if stub.is_file() else None


def _parsed(path: Path, module: str) -> _Stub | None:
    try:
        if path.stat().st_size > MAX_BYTES:
            return None
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    package = module if path.name == "__init__.pyi" else module.rpartition(".")[0]
    stub = _Stub(_functions(tree.body), {}, {}, [])
    for node in _statements(tree.body):
        match node:
            case ast.ClassDef(name=name):
                stub.classes[name] = node
            case ast.Import():
                stub.imports |= {each.asname: each.name for each in node.names if each.asname}
            case ast.ImportFrom():
                source = _source(node, package)
                for each in node.names:
                    if each.name == "*":
                        stub.stars.append(source)
                    else:
                        stub.imports[each.asname or each.name] = f"{source}.{each.name}"
            case _:
                pass
    return stub


def _source(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    base = ".".join(parts[: len(parts) - node.level + 1])
    return f"{base}.{node.module}" if node.module else base


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """With those below `if`; the branch for this Python where the stub asks for its version."""
    for node in body:
        if isinstance(node, ast.If):
            yield from _statements(node.body if _holds(node.test) else node.orelse)
        elif isinstance(node, ast.Try):
            yield from _statements(node.body)
        else:
            yield node


def _holds(test: ast.expr) -> bool:
    match test:
        case ast.Compare(
            left=ast.Attribute(attr="version_info"),
            ops=[operator],
            comparators=[ast.Tuple(elts=elements)],
        ):
            wanted = tuple(each.value for each in elements if isinstance(each, ast.Constant))
            present = sys.version_info[: len(wanted)]
            newer = present >= wanted  # type: ignore[operator]
            return newer if isinstance(operator, ast.GtE) else not newer
        case ast.Compare(
            left=ast.Attribute(attr="platform"), ops=[operator], comparators=[ast.Constant(value=v)]
        ):
            return (sys.platform == v) == isinstance(operator, ast.Eq)
        case _:
            return True


def _functions(body: list[ast.stmt]) -> dict[str, list[Function]]:
    found: dict[str, list[Function]] = {}
    for node in _statements(body):
        if isinstance(node, Function):
            found.setdefault(node.name, []).append(node)
    return found


# ── signatures ───────────────────────────────────────────────────────────────────────────────────


def _merged(overloads: list[Function], names: dict[str, str], *, bound: bool) -> Signature:
    longest = max(overloads, key=lambda node: len(_params(node, bound=bound)))
    params = _params(longest, bound=bound)
    types: dict[str, list[Kind]] = {}
    for node in overloads:
        for argument in _arguments(node):
            types.setdefault(argument.arg, []).append(from_node(argument.annotation, names))
    everywhere = [{each.name for each in _params(node, bound=bound)} for node in overloads]
    return Signature(
        params=tuple(
            each
            if all(each.name in names_of for names_of in everywhere)
            else StubParam(name=each.name, kind=each.kind, required=False)
            for each in params
        ),
        types={name: union(kinds) for name, kinds in types.items()},
        returns=union(from_node(node.returns, names) for node in overloads),
    )


def _arguments(node: Function) -> list[ast.arg]:
    of = node.args
    return [*of.posonlyargs, *of.args, *of.kwonlyargs]


def _params(node: Function, *, bound: bool) -> list[StubParam]:
    of = node.args
    found: list[StubParam] = []
    by_position = [*of.posonlyargs, *of.args]
    defaults = [None] * (len(by_position) - len(of.defaults)) + list(of.defaults)
    for index, (argument, default) in enumerate(zip(by_position, defaults, strict=True)):
        # Before "/" was there, a stub said "by position only" with two underscores.
        hidden = argument.arg.startswith("__") and not argument.arg.endswith("__")
        positional = index < len(of.posonlyargs) or hidden
        found.append(_param(argument.arg, "positional" if positional else "either", default))
    if bound:
        found = found[1:]
    if of.vararg:
        found.append(StubParam(name=of.vararg.arg, kind="args", required=False))
    for argument, default in zip(of.kwonlyargs, of.kw_defaults, strict=True):
        found.append(_param(argument.arg, "keyword", default))
    if of.kwarg:
        found.append(StubParam(name=of.kwarg.arg, kind="kwargs", required=False))
    return found


def _param(
    name: str, kind: Literal["positional", "either", "keyword"], default: ast.expr | None
) -> StubParam:
    if default is None:
        return StubParam(name=name, kind=kind)
    try:
        value = ast.literal_eval(default)
    except (ValueError, TypeError, MemoryError, RecursionError):
        return StubParam(name=name, kind=kind, required=False)
    literal = value is None or type(value) in (bool, int, float, str)
    return StubParam(
        name=name,
        kind=kind,
        required=False,
        literal=literal,
        default=value if literal else None,
    )

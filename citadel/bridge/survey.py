"""What of a module a bridge would expose, without a manifest; and a manifest to begin with.

Imports the module, and calls nothing of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, Literal

from pydantic.errors import PydanticUserError

from citadel.bridge import binding, library
from citadel.bridge.shape import Shape, Tier
from citadel.bridge.stubs import Stubs

_CODE = "runs code that its arguments name"
_FILES = "reads or writes files of the worker"
_ATTRIBUTES = "reaches attributes that its arguments name"
_HAZARDS: Mapping[str, str] = {
    **dict.fromkeys(("builtins.eval", "builtins.exec", "builtins.compile"), _CODE),
    **dict.fromkeys(("builtins.getattr", "builtins.setattr", "builtins.delattr"), _ATTRIBUTES),
    **dict.fromkeys(("operator.attrgetter", "operator.methodcaller"), _ATTRIBUTES),
    **dict.fromkeys(("string.Formatter", "builtins.format"), _ATTRIBUTES),
    **dict.fromkeys(("builtins.open", "builtins.input", "builtins.breakpoint"), _FILES),
    **dict.fromkeys(
        (
            *("numpy.load", "numpy.save", "numpy.savez", "numpy.savez_compressed", "numpy.savetxt"),
            *("numpy.loadtxt", "numpy.genfromtxt", "numpy.fromfile", "numpy.fromregex"),
            *("numpy.memmap", "sqlite3.connect"),
        ),
        _FILES,
    ),
    **dict.fromkeys(
        ("sqlite3.Connection.load_extension", "sqlite3.Connection.enable_load_extension"),
        "loads native code into the worker",
    ),
}
_NOT_TEXT = frozenset(("on", "off", "yes", "no", "y", "n", "true", "false", "null"))
"""Bare words that YAML 1.1 reads as something else."""
_HAZARDOUS_MODULES: Mapping[str, str] = {
    **dict.fromkeys(("os", "shutil", "pathlib", "tempfile", "io", "glob"), _FILES),
    **dict.fromkeys(("subprocess", "pty", "runpy", "code", "importlib", "ctypes"), _CODE),
    **dict.fromkeys(("pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"), _CODE),
    **dict.fromkeys(("sys", "signal", "multiprocessing", "threading"), "changes the worker itself"),
    **dict.fromkeys(("socket", "urllib", "http", "ftplib", "smtplib"), "opens connections"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One public name."""

    name: str
    """In the module, or `Class.member`."""
    role: Literal["function", "class", "method", "static", "attribute", "value", "module"]
    tier: Tier | None = None
    signature: str = ""
    schema: bool = False
    """Whether its parameters make a schema."""
    note: str = ""
    """Why one should think twice."""
    doc: str = ""
    alias: str = ""
    """Of a class: the name under which it is listed before."""
    makeable: bool = True
    """Of a class: whether callers could make one."""

    @property
    def exposed(self) -> bool:
        """Whether a manifest may list it."""
        return self.role not in ("value", "module")


@dataclass(frozen=True, slots=True)
class Survey:
    """A module's public names."""

    module: str
    rows: tuple[Row, ...]
    members: Mapping[str, tuple[Row, ...]] = field(default_factory=dict[str, tuple[Row, ...]])
    """Of each class."""


def survey(name: str) -> Survey:
    """Looks at a module.

    Raises:
        NotFound: there is no such module.
        BadConfig: it does not import.
    """
    module = library.imported(name)
    stubs = Stubs()
    rows: list[Row] = []
    seen: dict[type[Any], str] = {}
    members: dict[str, tuple[Row, ...]] = {}
    for key, value in sorted(library.public(module).items()):
        row = _row(module, key, value, stubs)
        if isinstance(value, type) and row.exposed:
            row = replace(row, alias=seen.setdefault(value, key))
            row = replace(row, alias="" if row.alias == key else row.alias)
        rows.append(row)
        if isinstance(value, type):
            members[key] = tuple(_members(value, name, key, stubs))
    return Survey(name, tuple(rows), members)


def suggested(found: Survey) -> str:
    """A manifest that lists what was found, name by name; what is hazardous is commented out."""
    lines = [
        "# What is listed here can be called by everyone who may call the pool: take out the rest.",
        "version: 1",
        "libraries:",
        f"  - module: {found.module}",
    ]
    functions = [each for each in found.rows if each.role == "function"]
    if functions:
        lines.append("    functions:" if _any_plain(functions) else "    # functions:")
        lines += [_item(each, 6) for each in functions]
    classes = [each for each in found.rows if each.role == "class" and not each.alias]
    if classes:
        lines.append("    classes:" if _any_plain(classes) else "    # classes:")
    for each in classes:
        lines += _class(each, found.members.get(each.name, ()))
    return "\n".join(lines) + "\n"


def _class(row: Row, members: tuple[Row, ...]) -> list[str]:
    methods = [each for each in members if each.role in ("method", "static")]
    attributes = [each.name.rpartition(".")[2] for each in members if each.role == "attribute"]
    lines = [f"      - name: {row.name}"]
    if row.makeable:
        lines.append("        construct: true")
    if methods:
        lines.append("        methods:" if _any_plain(methods) else "        # methods:")
        lines += [_item(each, 10) for each in methods]
    if attributes:
        lines += ["        attributes:", *(f"          - {each}" for each in attributes)]
    if row.note:
        lines = [f"      # {line[6:]}" for line in lines]
        lines[0] += f"  # {row.note}"
    return lines


def _item(row: Row, indent: int) -> str:
    name = row.name.rpartition(".")[2]
    blank = " " * indent
    quoted = f'"{name}"' if name.lower() in _NOT_TEXT else name
    return f"{blank}# - {quoted}  # {row.note}" if row.note else f"{blank}- {quoted}"


def _any_plain(rows: list[Row]) -> bool:
    return any(not each.note for each in rows)


def _row(module: ModuleType, name: str, value: Any, stubs: Stubs) -> Row:
    path = f"{module.__name__}.{name}"
    top = module.__name__.partition(".")[0]
    note = _HAZARDS.get(path) or _HAZARDOUS_MODULES.get(top, "")
    if isinstance(value, type):
        shape = library.shape_of_class(value, module.__name__, name, stubs)
        error = issubclass(value, BaseException)
        if error:
            return Row(name=name, role="value", note="an exception")
        made = _shaped(name, "class", shape, note)
        return replace(made, makeable=library.makeable(value))
    if library.is_function(value):
        return _shaped(
            name, "function", library.shape_of(value, module.__name__, name, stubs), note
        )
    return Row(name=name, role="module" if inspect.ismodule(value) else "value")


def _members(cls: type[Any], module: str, name: str, stubs: Stubs) -> Iterator[Row]:
    for member, stored in sorted(library.members(cls).items()):
        role, shape = library.shape_of_member(cls, member, stored, stubs)
        note = _HAZARDS.get(f"{module}.{name}.{member}", "")
        if role == "attribute":
            readable = isinstance(stored, property) or inspect.isdatadescriptor(stored)
            if not readable:
                continue  # a constant of the class: nothing to ask an object for
        yield _shaped(f"{name}.{member}", role if role != "construct" else "method", shape, note)


def _shaped(name: str, role: Any, shape: Shape, note: str) -> Row:
    try:
        binding.model(name, shape.params, "", frozenset())[0].model_json_schema()
        schema = True
    except (TypeError, ValueError, PydanticUserError):
        schema = False
    doc = " ".join(shape.doc.partition("\n\n")[0].split())
    return Row(
        name=name,
        role=role,
        tier=shape.tier,
        signature="" if role == "attribute" else shape.text(),
        schema=schema,
        note=note,
        doc=doc,
    )

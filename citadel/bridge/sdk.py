"""A typed module for callers of a bridge, as text: the same surface gives the same text.

A class for each library and each listed class; signatures and docstrings are the library's.
The text is as `ruff format` leaves it, at any line length, and passes pyright's strict mode.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from citadel.bridge.binding import argument_names
from citadel.bridge.client import Remote
from citadel.bridge.kinds import to_text
from citadel.bridge.lock import version
from citadel.bridge.shape import Param, documentation
from citadel.bridge.surface import Exposed, Face, Surface

WIDTH = 80
"""A line with an annotation is no longer: formatters of any length then leave it as it is."""
_TEXT = re.compile(r'""".*?"""|"[^"\n]*"', re.DOTALL)
_ABC = ("Collection", "Mapping", "Sequence")
_CLIENT = ("UNSET", "Callback", "Reference", "Remote", "SyncRemote")
_RESERVED: frozenset[str] = frozenset(
    (
        *("Any", "Literal", "AsyncIterator", "Iterator", "ArrayLike", "NDArray", *_ABC, *_CLIENT),
        *("Client", "SyncClient", "CommandOptions"),
        *("bool", "bytes", "dict", "float", "int", "list", "str", "tuple", "self"),
    )
)
"""What annotations use: no method of the SDK hides it."""
_REMOTE: frozenset[str] = frozenset(
    (*(name for name in dir(Remote) if not name.startswith("_")), "pool", "options")
)


@dataclass(slots=True)
class _Made:
    """The module while it is written."""

    surface: Surface
    sync: bool
    classes: dict[str, str] = field(default_factory=dict[str, str])
    """Names of the SDK's classes by their path, `module.Class`."""
    taken: set[str] = field(default_factory=lambda: set[str](_RESERVED))

    def name(self, wanted: str) -> str:
        """A name for a class that no other has."""
        found, number = wanted, 2
        while found in self.taken:
            found, number = f"{wanted}{number}", number + 1
        self.taken.add(found)
        return found


def generate(surface: Surface, name: str, *, sync: bool = False) -> str:
    """The module's text; `name` is that of its class for a session."""
    made = _Made(surface, sync)
    whole = made.name(name)
    faces = sorted(surface.faces.values(), key=lambda face: face.tool)
    named = {face.tool: made.name(_camel(face.tool.rpartition(".")[2])) for face in faces}
    for face in faces:
        for path in (face.source, f"{face.cls.__module__}.{face.cls.__qualname__}"):
            made.classes[path] = named[face.tool]
    parts = [_class(made, face, named[face.tool]) for face in faces]
    prefixes = list(dict.fromkeys(each.prefix for each in surface.loaded.manifest.libraries))
    libraries = {prefix: made.name(f"{_camel(prefix)}Library") for prefix in prefixes}
    parts += [_library(made, prefix, title) for prefix, title in libraries.items()]
    parts.append(_session(whole, libraries, named, sync=sync))
    body = "\n\n".join(parts)
    return f"{_head(surface, body, sync=sync)}\n\n{body}"


# ── parts of the module ──────────────────────────────────────────────────────────────────────────


def _head(surface: Surface, body: str, *, sync: bool) -> str:
    modules = sorted({each.module for each in surface.loaded.manifest.libraries})
    lines = [
        f'"""Typed access to the bridge of {surface.loaded.path.name}.',
        "",
        "Made by `citadel bridge generate`: change the manifest, not this file. Made for:",
        "",
        *(f"- {module}, {version(module)}" for module in modules),
        '"""',
        "",
        "from __future__ import annotations",
        "",
    ]
    used = set(re.findall(r"\w+", _TEXT.sub("", body)))
    stream = "Iterator" if sync else "AsyncIterator"
    lines += _import("collections.abc", [each for each in (stream, *_ABC) if each in used])
    typing = [each for each in ("Any", "Literal") if each in used]
    if typing:
        lines.append(f"from typing import {', '.join(typing)}")
    lines.append("")
    if arrays := [each for each in ("ArrayLike", "NDArray") if each in used]:
        lines += [f"from numpy.typing import {', '.join(arrays)}", ""]
    client, remote = ("SyncClient", "SyncRemote") if sync else ("Client", "Remote")
    names = [each for each in ("UNSET", "Callback", "Reference", remote) if each in used]
    lines += _import("citadel.bridge.client", names)
    own = [f"from citadel.client.{'sync' if sync else 'client'} import {client}"]
    own.append("from citadel.client.commands import CommandOptions")
    return "\n".join([*lines, *sorted(own), "", "_OPTIONS = CommandOptions()", ""])


def _import(module: str, names: list[str]) -> list[str]:
    if not names:
        return []
    # Longer ones would be wrapped, by another rule at each line length.
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= WIDTH:
        return [line]
    return [f"from {module} import (", *(f"    {each}," for each in names), ")"]


def _class(made: _Made, face: Face, name: str) -> str:
    doc = face.entry.doc or documentation(face.cls)
    lines = [f"class {name}(Reference):", *_docstring(doc, f"{face.source}: a reference", 4)]
    used: set[str] = set()
    for each in face.members.values():
        lines += ["", *_method(made, each, "self._remote", _identifier(each.member, used))]
    return "\n".join(lines) + "\n"


def _library(made: _Made, prefix: str, name: str) -> str:
    remote = "SyncRemote" if made.sync else "Remote"
    lines = [
        f"class {name}:",
        f'    """Tools below {prefix}."""',
        "",
        f"    def __init__(self, remote: {remote}) -> None:",
        "        self._remote = remote",
    ]
    used: set[str] = set()
    for each in made.surface.tools.values():
        if each.library != prefix or each.role not in ("function", "construct"):
            continue
        wanted = f"new_{_snake(each.member)}" if each.role == "construct" else each.member
        lines += ["", *_method(made, each, "self._remote", _identifier(wanted, used))]
    return "\n".join(lines) + "\n"


def _session(
    name: str, libraries: Mapping[str, str], classes: Mapping[str, str], *, sync: bool
) -> str:
    client, remote = ("SyncClient", "SyncRemote") if sync else ("Client", "Remote")
    lines = [
        f"class {name}({remote}):",
        '    """One session of the bridge; objects live until it ends."""',
        "",
        "    def __init__(",
        "        self,",
        f"        client: {client},",
        "        pool: str,",
        "        options: CommandOptions = _OPTIONS,",
        "    ) -> None:",
        "        super().__init__(",
        "            client,",
        "            pool,",
        "            options,",
        "            classes=_CLASSES,",
        "        )",
    ]
    used = set(_REMOTE)
    for prefix, title in libraries.items():
        attribute = _identifier(prefix.replace(".", "_"), used)
        lines.append(f"        self.{attribute} = {title}(self)")
    lines += ["", "", "_CLASSES: dict[str, type[Reference]] = {"]
    if not classes:
        lines[-1] += "}"
        return "\n".join(lines) + "\n"
    lines += [f'    "{tool}": {each},' for tool, each in classes.items()]
    return "\n".join([*lines, "}"]) + "\n"


# ── methods ──────────────────────────────────────────────────────────────────────────────────────


def _method(made: _Made, exposed: Exposed, remote: str, name: str) -> list[str]:
    params = exposed.shape.params
    stream = exposed.entry.stream
    returns = _returns(made, exposed)
    start = "    def" if made.sync or stream else "    async def"
    bound = exposed.role in ("method", "attribute")
    names = _parameter_names(params)
    given = [f"            {line}" for line in _signature(made, params, names)]
    head = [f"{start} {name}(self) -> {returns}:"]
    if given:
        given = [line[4:] for line in given]
        head = [f"{start} {name}(", "        self,", *given, f"    ) -> {returns}:"]
    said = f"{exposed.source} [{exposed.shape.tier}]"
    return [
        *head,
        *_docstring(exposed.shape.doc, said, 8),
        *_body(made, exposed, remote, _passed(params, names, bound=bound)),
    ]


def _body(made: _Made, exposed: Exposed, remote: str, passed: list[str]) -> list[str]:
    wait = "" if made.sync or exposed.entry.stream else "await "
    method = "stream" if exposed.entry.stream else "call"
    lines = [f"        return {wait}{remote}.{method}(", f'            "{exposed.tool}",']
    if passed:
        lines += [
            "            {",
            *(f"                {each}," for each in passed),
            "            },",
        ]
    else:
        lines.append("            {},")
    return [*lines, "        )"]


def _returns(made: _Made, exposed: Exposed) -> str:
    if exposed.entry.stream:
        return "Iterator[Any]" if made.sync else "AsyncIterator[Any]"
    if exposed.role == "construct" and exposed.owner is not None:
        path = f"{exposed.owner.__module__}.{exposed.owner.__qualname__}"
        return made.classes.get(path, "Reference")
    if exposed.entry.returns == "reference":
        return "Reference"
    text = to_text(exposed.shape.returns, made.classes, given=False)
    return text if len(text) <= WIDTH // 2 else "Any"


def _signature(made: _Made, params: Iterable[Param], names: Mapping[str, str]) -> list[str]:
    lines: list[str] = []
    optional = only_by_name = False
    found = list(params)
    for index, each in enumerate(found):
        if each.kind == "keyword" and not only_by_name:
            lines.append("*,")
        only_by_name = only_by_name or each.kind in ("keyword", "args")
        name = names[each.name]
        if each.kind in ("args", "kwargs"):
            lines.append(f"{'*' if each.kind == 'args' else '**'}{name}: Any,")
            continue
        positional = each.kind in ("positional", "either")
        # One that is needed behind one that is not: the library takes it by position, or says so.
        needed = each.required and not (positional and optional)
        optional = optional or (positional and not needed)
        default = "" if needed else f" = {_literal(each.default) if each.literal else 'UNSET'}"
        lines.append(_fitting(name, to_text(each.type, made.classes, given=True), default))
        after = found[index + 1].kind if index + 1 < len(found) else ""
        if each.kind == "positional" and after != "positional":
            lines.append("/,")
    return lines


def _fitting(name: str, kind: str, default: str) -> str:
    """A parameter in a line that no formatter breaks; else it loses its type, then its default."""
    for line in (f"{name}: {kind}{default},", f"{name}: Any{default},"):
        if len(line) + 8 <= WIDTH:
            return line
    return f"{name}: Any{' = UNSET' if default else ''},"


def _passed(params: Iterable[Param], names: Mapping[str, str], *, bound: bool) -> list[str]:
    arguments = argument_names(list(params))
    lines = ['"self": self'] if bound else []
    return lines + [
        f'"{arguments[each.name]}": {names[each.name]}'
        + (" or UNSET" if each.kind in ("args", "kwargs") else "")
        for each in params
    ]


def _parameter_names(params: Iterable[Param]) -> dict[str, str]:
    used: set[str] = set()
    return {each.name: _identifier(each.name.lstrip("_") or "value", used) for each in params}


# ── texts ────────────────────────────────────────────────────────────────────────────────────────


def _identifier(wanted: str, used: set[str]) -> str:
    """A name that is no keyword, hides nothing that annotations use, and is there once."""
    name = wanted
    while keyword.iskeyword(name) or name in _RESERVED or name in used:
        name += "_"
    used.add(name)
    return name


def _docstring(doc: str, said: str, indent: int) -> list[str]:
    summary = " ".join(doc.strip().partition("\n\n")[0].split())
    text = summary.replace("\\", "\\\\").replace('"""', "'''").strip()
    text = text.replace('"', "'") if text.startswith('"') else text
    text += "" if not text or text[-1] in ".!?" else "."
    blank = " " * indent
    if not text:
        return [f'{blank}"""{said}."""']
    return [f'{blank}"""{text}', "", f"{blank}{said}", f'{blank}"""']


def _literal(value: Any) -> str:
    """A default, as a formatter writes it."""
    if not isinstance(value, str):
        return repr(value)
    text = repr(value)
    inside = text[1:-1]
    if text[0] == "'" and '"' not in inside:
        return f'"{inside.replace(chr(92) + chr(39), chr(39))}"'
    return text


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[._]", name) if part)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()

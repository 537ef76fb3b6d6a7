"""The manifest's names found in the installed libraries: once, when it is loaded.

What is not found here cannot be reached later: tools hold functions, not their names.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

from citadel.bridge.library import (
    Role,
    called,
    imported,
    is_function,
    makeable,
    members,
    public,
    shape_of,
    shape_of_class,
    shape_of_member,
)
from citadel.bridge.manifest import ClassEntry, FunctionEntry, LibraryEntry, Loaded, matches, near
from citadel.bridge.shape import Shape
from citadel.bridge.source import Place
from citadel.bridge.stubs import Stubs
from citadel.errors import CitadelError


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposed:
    """One tool of the bridge."""

    tool: str
    library: str
    """The prefix of its library's tools."""
    source: str
    """`module.name`, as the library has it."""
    role: Role
    target: Any
    owner: type[Any] | None
    shape: Shape
    entry: FunctionEntry

    @property
    def member(self) -> str:
        """The last part of the tool's name."""
        return self.tool.rpartition(".")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """A class whose objects callers may hold."""

    cls: type[Any]
    tool: str
    """`library.Class`."""
    source: str
    """`module.Class`."""
    module: str
    library: str
    entry: ClassEntry
    members: Mapping[str, Exposed]
    """Methods and attributes, by the last part of their tools' names."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A public name that is no tool, and why."""

    name: str
    why: str


@dataclass(slots=True)
class Surface:
    """Everything that a manifest exposes."""

    loaded: Loaded
    tools: dict[str, Exposed] = field(default_factory=dict[str, Exposed])
    faces: dict[type[Any], Face] = field(default_factory=dict[type[Any], Face])
    left_out: list[LeftOut] = field(default_factory=list[LeftOut])

    def face(self, kind: type[Any]) -> Face | None:
        """The face of an object's class, or of its nearest base that has one."""
        return next((self.faces[each] for each in kind.__mro__ if each in self.faces), None)


def resolve(loaded: Loaded) -> Surface:
    """Imports what the manifest names, and finds every name in it.

    Raises:
        BadConfig: with the manifest's line: a name is not there, or a tool is there twice.
    """
    return _Resolver(loaded).run()


class _Resolver:
    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._surface = Surface(loaded)
        self._stubs = Stubs()

    def run(self) -> Surface:
        for index, library in enumerate(self._loaded.manifest.libraries):
            place: Place = ("libraries", index)
            try:
                module = imported(library.module)
            except CitadelError as error:
                raise self._loaded.fault((*place, "module"), error.message, error.remedy) from error
            self._functions(library, module, place)
            for number, entry in enumerate(library.classes):
                self._class(library, module, entry, (*place, "classes", number))
        return self._surface

    def _functions(self, library: LibraryEntry, module: ModuleType, place: Place) -> None:
        names = public(module)
        candidates = {name: value for name, value in names.items() if is_function(value)}
        listed = {each.name for each in library.classes}
        taken: set[str] = set()
        for index, entry in enumerate(library.functions):
            where = (*place, "functions", index)
            for name, value in self._chosen(entry, candidates, library.exclude, where, module):
                taken.add(name)
                made = Exposed(
                    tool=f"{library.prefix}.{entry.rename or name}",
                    library=library.prefix,
                    source=f"{library.module}.{name}",
                    role="function",
                    target=value,
                    owner=None,
                    shape=shape_of(value, library.module, name, self._stubs),
                    entry=entry,
                )
                self._add(made, where)
        for name, value in names.items():
            if name not in taken and name not in listed:
                self._leave(f"{library.module}.{name}", _why(value, name, library.exclude))

    def _class(
        self, library: LibraryEntry, module: ModuleType, entry: ClassEntry, place: Place
    ) -> None:
        cls = self._find(module, entry.name, public(module), place)
        if not isinstance(cls, type):
            raise self._loaded.fault(
                place, f"{library.module}.{entry.name} is no class", "Put it below functions"
            )
        if cls in self._surface.faces:
            raise self._loaded.fault(place, f"{library.module}.{entry.name} is there twice")
        tool = f"{library.prefix}.{entry.rename or entry.name}"
        source = f"{library.module}.{entry.name}"
        if entry.constructed:
            self._add(self._construction(library, cls, entry, (tool, source), place), place)
        found: dict[str, Exposed] = {}
        for each, where in self._members(cls, entry, library.prefix, (tool, source), place):
            self._add(each, where)
            found[each.member] = each
        self._surface.faces[cls] = Face(
            cls=cls,
            tool=tool,
            source=source,
            module=library.module,
            library=library.prefix,
            entry=entry,
            members=found,
        )

    def _construction(
        self,
        library: LibraryEntry,
        cls: type[Any],
        entry: ClassEntry,
        names: tuple[str, str],
        place: Place,
    ) -> Exposed:
        if not makeable(cls):
            raise self._loaded.fault(
                (*place, "construct"), f"Python lets nobody make a {called(cls)}", "Leave it out"
            )
        tool, source = names
        return Exposed(
            tool=tool,
            library=library.prefix,
            source=source,
            role="construct",
            target=cls,
            owner=cls,
            shape=shape_of_class(cls, library.module, entry.name, self._stubs),
            entry=FunctionEntry(name=entry.name, doc=entry.doc),
        )

    def _members(
        self,
        cls: type[Any],
        entry: ClassEntry,
        library: str,
        names: tuple[str, str],
        place: Place,
    ) -> Iterator[tuple[Exposed, Place]]:
        stored = members(cls)
        candidates = {
            name: value
            for name, value in stored.items()
            if is_function(value) or isinstance(value, staticmethod | classmethod)
        }
        tool, source = names
        for index, each in enumerate(entry.methods):
            where = (*place, "methods", index)
            for name, value in self._chosen(each, candidates, entry.exclude, where, cls):
                role, found = shape_of_member(cls, name, value, self._stubs)
                yield (
                    Exposed(
                        tool=f"{tool}.{each.rename or name}",
                        library=library,
                        source=f"{source}.{name}",
                        role=role,
                        target=getattr(cls, name) if role == "static" else value,
                        owner=cls,
                        shape=found,
                        entry=each,
                    ),
                    where,
                )
        yield from self._attributes(cls, entry, library, names, place)

    def _attributes(
        self,
        cls: type[Any],
        entry: ClassEntry,
        library: str,
        names: tuple[str, str],
        place: Place,
    ) -> Iterator[tuple[Exposed, Place]]:
        """One need not be in the class: objects have their own."""
        stored = members(cls)
        tool, source = names
        for index, name in enumerate(entry.attributes):
            where = (*place, "attributes", index)
            role, found = shape_of_member(cls, name, stored.get(name), self._stubs)
            if role != "attribute":
                raise self._loaded.fault(where, f"{name} is a method", "Put it below methods")
            made = Exposed(
                tool=f"{tool}.{name}",
                library=library,
                source=f"{source}.{name}",
                role="attribute",
                target=name,
                owner=cls,
                shape=found,
                entry=FunctionEntry(name=name, idempotent=True),
            )
            yield made, where

    def _chosen(
        self,
        entry: FunctionEntry,
        candidates: Mapping[str, Any],
        exclude: tuple[str, ...],
        place: Place,
        holder: Any,
    ) -> Iterator[tuple[str, Any]]:
        """The names that an entry means; an explicit one need not be in `__all__`."""
        if not entry.many:
            yield entry.name, self._find(holder, entry.name, candidates, place, function=True)
            return
        if entry.rename:
            raise self._loaded.fault(place, "a pattern cannot be renamed", "Name each function")
        found = [
            (name, value)
            for name, value in candidates.items()
            if matches(name, entry.name) and not any(matches(name, each) for each in exclude)
        ]
        if not found:
            raise self._loaded.fault(
                place, f"{entry.name!r} matches no function of {called(holder)}"
            )
        explicit = self._explicit(place)
        yield from ((name, value) for name, value in sorted(found) if name not in explicit)

    def _explicit(self, place: Place) -> set[str]:
        """Names that the same list also has by themselves: those entries win over patterns."""
        holder: Any = self._loaded.manifest
        for part in place[:-1]:
            holder = holder[part] if isinstance(part, int) else getattr(holder, part)
        return {each.name for each in holder if not each.many}

    def _find(
        self,
        holder: Any,
        name: str,
        candidates: Mapping[str, Any],
        place: Place,
        *,
        function: bool = False,
    ) -> Any:
        value = candidates.get(name, _stored(holder, name))
        if value is _NOWHERE:
            raise self._loaded.fault(
                place, f"{called(holder)} has no {name!r}{near(name, candidates)}"
            )
        if function and isinstance(value, type):
            raise self._loaded.fault(
                place, f"{called(holder)}.{name} is a class", "Put it below classes"
            )
        if (
            function
            and not is_function(value)
            and not isinstance(value, staticmethod | classmethod)
        ):
            raise self._loaded.fault(place, f"{called(holder)}.{name} cannot be called")
        return value

    def _add(self, exposed: Exposed, place: Place) -> None:
        if exposed.tool in self._surface.tools:
            raise self._loaded.fault(
                place, f"there are two tools named {exposed.tool}", "Give one of them a rename"
            )
        if exposed.entry.doc:
            exposed = replace(exposed, shape=replace(exposed.shape, doc=exposed.entry.doc))
        names = {each.name for each in exposed.shape.params}
        for argument in exposed.entry.callbacks:
            if argument not in names and exposed.shape.tier != "opaque" and not exposed.entry.many:
                raise self._loaded.fault(
                    (*place, "callbacks"),
                    f"{exposed.source} has no argument {argument!r}{near(argument, names)}",
                )
        self._surface.tools[exposed.tool] = exposed

    def _leave(self, name: str, why: str) -> None:
        self._surface.left_out.append(LeftOut(name, why))


_NOWHERE = object()


def _stored(holder: Any, name: str) -> Any:
    """A member as it is stored; a module may make one when it is asked for."""
    if isinstance(holder, type):
        return members(holder).get(name, _NOWHERE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(holder, name, _NOWHERE)


def _why(value: Any, name: str, exclude: tuple[str, ...]) -> str:
    if any(matches(name, each) for each in exclude):
        return "excluded"
    if isinstance(value, type):
        return "a class that is not listed"
    if inspect.ismodule(value):
        return "a module: list it as a library of its own"
    return "not listed" if is_function(value) else "a value, no function"

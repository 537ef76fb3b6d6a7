"""bridge.yaml: what of which library may be reached, under which name and within which limits.

Strict: an unknown key, a private name or a name twice is refused with file, line and the nearest
valid key. Imports nothing that the manifest names: `surface` does.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from citadel.bridge.source import Place, Source
from citadel.errors import BadConfig

OWN = "bridge"
"""The prefix of the bridge's own tools; no library can take it."""
_DOTTED = re.compile(r"[A-Za-z]\w*(\.[A-Za-z]\w*)*")
_PLAIN = re.compile(r"[A-Za-z]\w*")
_GLOB = re.compile(r"[A-Za-z*?\[][\w*?\[\]!-]*")


def _module(text: str) -> str:
    if not _DOTTED.fullmatch(text):
        raise ValueError(f"{text!r} is no public module: names with dots, none begins with _")
    return text


def _plain(text: str) -> str:
    if not _PLAIN.fullmatch(text):
        raise ValueError(f"{text!r} is no public name: letters, digits and _, not _ first, no dots")
    return text


def _pattern(text: str) -> str:
    if not _GLOB.fullmatch(text):
        raise ValueError(f"{text!r} is no public name or pattern (*, ?, [abc])")
    return text


def _tool_name(text: str) -> str:
    if not _DOTTED.fullmatch(text) or text.partition(".")[0] == OWN:
        raise ValueError(f"{text!r} is no name for a tool; {OWN} is the bridge's own")
    return text


def _entry(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


Module = Annotated[str, AfterValidator(_module)]
Plain = Annotated[str, AfterValidator(_plain)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Returns = Literal["auto", "value", "reference"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class Limits(_Section):
    """Bounds of one session."""

    ttl_seconds: float = Field(
        default=900.0, gt=0, le=7 * 86_400, description="An object unused for so long is let go."
    )
    objects: int = Field(default=256, ge=1, le=100_000, description="Objects of a session.")
    items: int = Field(
        default=10_000, ge=1, le=10_000_000, description="Items that one trip takes of an iterator."
    )
    bulk: int = Field(default=1_000, ge=1, le=100_000, description="Calls of one bulk call.")
    callbacks: int = Field(
        default=10_000, ge=1, le=10_000_000, description="Calls back that one command may make."
    )


class FunctionEntry(_Section):
    """A function or method, or with a pattern several."""

    name: Pattern = Field(description="Its name in the module or class; *, ? and [abc] match.")
    rename: Plain | None = Field(default=None, description="Its name as a tool.")
    idempotent: bool = Field(default=False, description="May run again when its worker died.")
    stream: bool = Field(default=False, description="The iterator that it returns is streamed.")
    returns: Returns = Field(
        default="auto", description="value: never a reference; reference: always one; auto."
    )
    callbacks: tuple[str, ...] = Field(
        default=(), description="Arguments that may name a tool to be called back."
    )
    doc: str = Field(default="", description="Instead of its docstring.")

    @property
    def many(self) -> bool:
        """Whether the name is a pattern."""
        return any(sign in self.name for sign in "*?[")


Entry = Annotated[FunctionEntry, BeforeValidator(_entry)]


class ClassEntry(_Section):
    """A class: which of its members may be used on its objects."""

    name: Plain = Field(description="The class's name in the module.")
    rename: Plain | None = Field(default=None, description="Its name in tools.")
    constructed: bool = Field(
        default=False, alias="construct", description="Whether callers may make one."
    )
    methods: tuple[Entry, ...] = Field(default=(), description="Methods, by name or pattern.")
    attributes: tuple[Plain, ...] = Field(default=(), description="Attributes that may be read.")
    exclude: tuple[Pattern, ...] = Field(default=(), description="Not these, of what matches.")
    iterate: bool = Field(default=True, description="Whether its objects may be iterated.")
    doc: str = Field(default="", description="Instead of its docstring.")


ClassItem = Annotated[ClassEntry, BeforeValidator(_entry)]


class LibraryEntry(_Section):
    """A module."""

    module: Module = Field(description="As it is imported.")
    name: Annotated[str, AfterValidator(_tool_name)] | None = Field(
        default=None, description="The prefix of its tools, instead of the module's name."
    )
    functions: tuple[Entry, ...] = Field(default=(), description="Functions, by name or pattern.")
    exclude: tuple[Pattern, ...] = Field(default=(), description="Not these, of what matches.")
    classes: tuple[ClassItem, ...] = Field(default=(), description="Classes.")

    @property
    def prefix(self) -> str:
        """What the names of its tools begin with."""
        return self.name or self.module


class Manifest(_Section):
    """The whole file."""

    version: Literal[1] = Field(description="Of the manifest's format.")
    strict_lock: bool = Field(
        default=False, description="Refuse to start when the libraries are not the locked ones."
    )
    lock: str = Field(default="", description="The lock's path; empty: beside the manifest.")
    limits: Limits = Field(default_factory=Limits)
    libraries: tuple[LibraryEntry, ...] = Field(min_length=1, description="What is bridged.")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A manifest and where it came from."""

    manifest: Manifest
    source: Source

    @property
    def path(self) -> Path:
        """The manifest's file."""
        return self.source.path

    @property
    def lock_path(self) -> Path:
        """The lock's file."""
        given = self.manifest.lock
        return self.path.parent / given if given else self.path.with_suffix(".lock")

    def fault(self, place: Place, text: str, remedy: str = "") -> BadConfig:
        """An error at a place of the file."""
        return self.source.fault(place, text, remedy) if remedy else self.source.fault(place, text)


def load(path: str | Path) -> Loaded:
    """Reads and checks a manifest.

    Raises:
        BadConfig: names the file, the line, the key and what is wrong with it.
    """
    source = Source(Path(path))
    if not isinstance(source.data, Mapping):
        raise source.fault((), "a manifest is a map with the keys version and libraries")
    try:
        return Loaded(Manifest.model_validate(source.data), source)
    except ValidationError as error:
        raise _told(error, source) from error


def matches(name: str, pattern: str) -> bool:
    """Whether a name fits a name or pattern; case counts, and private names never do."""
    return not name.startswith("_") and fnmatch.fnmatchcase(name, pattern)


def _told(error: ValidationError, source: Source) -> BadConfig:
    faults = error.errors(include_url=False)
    unknown = [each for each in faults if each["type"] == "extra_forbidden"]
    first = (unknown or faults)[0]  # a misspelt key explains a missing one
    place = tuple(first["loc"])
    if first["type"] == "extra_forbidden":
        return source.fault(place, f"there is no such key{_nearest(place)}")
    if first["type"] == "missing":
        return source.fault(place[:-1], f"the key {place[-1]!r} is missing")
    given = repr(first["input"])
    shown = given if len(given) <= 60 else f"{given[:57]}…"
    return source.fault(place, f"{first['msg'].removeprefix('Value error, ')} (given {shown})")


_AT: Mapping[str, type[BaseModel]] = {
    "limits": Limits,
    "libraries": LibraryEntry,
    "functions": FunctionEntry,
    "methods": FunctionEntry,
    "classes": ClassEntry,
}


def _nearest(place: Place) -> str:
    parts = [part for part in place[:-1] if isinstance(part, str)]
    model = _AT.get(parts[-1], Manifest) if parts else Manifest
    fields = [each.alias or name for name, each in model.model_fields.items()]
    near = difflib.get_close_matches(str(place[-1]), fields, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; keys here are {', '.join(fields)}"


def near(name: str, names: Any, cutoff: float = 0.6) -> str:
    """The hint that goes behind a text: the nearest name there is, or nothing."""
    found = difflib.get_close_matches(name, cast("list[str]", list(names)), n=1, cutoff=cutoff)
    return f"; did you mean {found[0]!r}?" if found else ""

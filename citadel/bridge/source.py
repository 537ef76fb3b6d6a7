"""YAML with the line of each key, and nothing of YAML that surprises.

No aliases, no tags that make objects, no key twice, no endless file. Pure but for reading the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from citadel.errors import BadConfig

MAX_BYTES = 1 << 20
MAX_DEPTH = 20
REMEDY = "See docs/guide/bridge.md, or begin with: citadel bridge inspect MODULE --manifest"

Place = tuple[str | int, ...]


class Source:
    """A YAML file's data, and the line of each place in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: dict[Place, int] = {}
        self.data = self._read()

    def fault(self, place: Place, text: str, remedy: str = REMEDY) -> BadConfig:
        """An error that names the file, the line and the key."""
        key = dotted(place)
        line = self._line(place)
        return BadConfig(
            f"{self.path}:{line}: {key + ': ' if key else ''}{text}",
            subject=key or str(self.path),
            remedy=remedy,
            details={"source": str(self.path), "line": str(line), "key": key},
        )

    def _line(self, place: Place) -> int:
        """Of a place, or of the nearest around it."""
        for length in range(len(place), -1, -1):
            if place[:length] in self._lines:
                return self._lines[place[:length]]
        return 1

    def _read(self) -> Any:
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise BadConfig(
                f"cannot read the manifest {self.path}: {error.strerror}",
                subject=str(self.path),
                remedy="Give the path of a readable YAML file",
            ) from error
        if len(data) > MAX_BYTES:
            raise self.fault((), f"it has {len(data)} bytes, more than {MAX_BYTES}")
        try:
            text = data.decode()
            self._check(text)
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except UnicodeDecodeError as error:
            raise self.fault((), "it is no UTF-8") from error
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            reason = getattr(error, "problem", None) or str(error)
            raise self._unread(mark, f"it is no YAML: {reason}") from error
        return None if root is None else self._value(root, ())

    def _check(self, text: str) -> None:
        """Refuses what could become large, before anything is built of it."""
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise self._unread(event.start_mark, f"aliases (*{event.anchor}) are not read")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise self._unread(event.start_mark, f"it is nested more than {MAX_DEPTH} deep")

    def _unread(self, mark: Any, text: str) -> BadConfig:
        self._lines[()] = mark.line + 1 if mark else 1
        return self.fault((), text)

    def _value(self, node: yaml.Node, place: Place) -> Any:
        self._lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(each, (*place, i)) for i, each in enumerate(node.value)]
        try:
            return yaml.SafeLoader("").construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            raise self.fault(place, f"{node.tag} {node.value!r} is not read") from error

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            inner = (*place, key)
            if key in made:
                self._lines[inner] = key_node.start_mark.line + 1
                raise self.fault(inner, "it is there twice")
            self._lines[inner] = key_node.start_mark.line + 1
            made[key] = self._value(value_node, inner)
        return made


def dotted(place: Place) -> str:
    """libraries[0].functions[2].name."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text

"""A library for the tests of the bridge; bridged_sample.pyi has the types of some of it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

imported = __import__("os").getcwd  # of another module: not this one's
LIMIT = 10


def hinted(count: int, /, name: str = "x", *, mode: Literal["a", "b"] = "a") -> list[int]:
    """Types are in the function."""
    return [count, len(name), "ab".index(mode)]


def stubbed(value, scale=1, *, flag=False):
    """Types are in the stub."""
    return value * scale if flag else value


def bare(first, second=None, *rest, option="o", **more):
    """No types.

    Second paragraph.
    """
    return [first, second, list(rest), option, more]


def floats(value: float) -> float:
    return value


def when(day: date, colour: Colour = None) -> str:  # type: ignore[assignment]
    return f"{day.isoformat()} {colour}"


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: int = 0


def mirrored(point: Point) -> Point:
    return Point(point.y, point.x)


def broken_hint(value: NotThere) -> None:  # type: ignore[name-defined] # noqa: F821
    return value


def numbers(stop: int) -> Iterator[int]:
    yield from range(stop)


def endless() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


def apply(function: Callable[[int], int], values: Iterable[int]) -> list[int]:
    return [function(each) for each in values]


def sort_by(values, key=None):
    return sorted(values, key=key)


def same(value: Any) -> Any:
    return value


def _private():
    return "private"


class Box:
    """Holds something."""

    default = 3

    def __init__(self, content: Any = None, *, size: int = 1) -> None:
        self.content = content
        self._size = size

    def get(self) -> Any:
        """What is in it."""
        return self.content

    def put(self, content: Any) -> Box:
        """Puts something in, and gives the box."""
        self.content = content
        return self

    def fail(self, text: str) -> None:
        raise ValueError(text)

    @property
    def size(self) -> int:
        """How much fits."""
        return self._size

    @staticmethod
    def volume(a: int, b: int) -> int:
        return a * b

    @classmethod
    def of(cls, content: Any) -> Box:
        return cls(content)

    def _hidden(self) -> str:
        return "hidden"


class SmallBox(Box):
    """A subclass that is not listed."""

"""The theme: colours as named tokens, the shape of each state, and the contrast of two colours.

Tokens come from resources/theme/{dark,light}.toml and from nowhere else. This module knows no Qt:
app/style.py makes palettes and style sheets of it. Any thread.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Literal

from citadel.resources import resource

ThemeName = Literal["dark", "light"]
ThemeChoice = Literal["system", "dark", "light"]
Shape = Literal["disc", "ring", "triangle", "down", "cross", "dash", "diamond", "square", "pause"]

BASE_PX = 13
"""The size of plain text, in logical pixels."""

GRID_PX = 8
"""What all distances are multiples of (or halves, inside of controls)."""

SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "starting": "triangle",
        "ready": "ring",
        "busy": "disc",
        "draining": "down",
        "stopped": "dash",
        "lost": "cross",
        "spawning": "triangle",
        "idle": "ring",
        "working": "disc",
        "waiting": "pause",
        "degraded": "diamond",
        "restarting": "down",
        "quarantined": "cross",
        "serving": "ring",
        "paused": "pause",
        "failed": "cross",
        "breaker_closed": "ring",
        "breaker_open": "cross",
        "breaker_half_open": "diamond",
        "open": "ring",
        "counted": "diamond",
        "running": "disc",
        "finished": "square",
        "cancelled": "dash",
        "live": "disc",
        "connecting": "triangle",
        "reconnecting": "diamond",
        "frozen": "pause",
        "sending": "disc",
        "retrying": "diamond",
        "recording": "disc",
        "done": "square",
        "allow": "ring",
        "flag": "diamond",
        "redact": "square",
        "block": "cross",
        "debug": "dash",
        "info": "ring",
        "warning": "diamond",
        "error": "cross",
    }
)
"""A state is told by its shape too, for eyes that do not tell its colour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """Colours by token: `theme.color("state.ready")` is "#rrggbb"."""

    name: str
    dark: bool
    colors: Mapping[str, str] = field(repr=False)

    def color(self, token: str) -> str:
        """A colour as "#rrggbb".

        Raises:
            KeyError: there is no such token.
        """
        return self.colors[token]

    def state(self, state: str) -> str:
        """The colour of a state of a worker, Sentinel, mission, pool or connection."""
        return self.colors.get(f"state.{state}") or self.colors["state.stopped"]

    def decision(self, decision: str) -> str:
        """The colour of a guard's decision."""
        return self.colors.get(f"decision.{decision}") or self.colors["text.muted"]

    def series(self, index: int) -> str:
        """The colour of the n-th series, from 0; they repeat."""
        return self.colors[f"series.{index % self._count('series.') + 1}"]

    def heat(self) -> list[str]:
        """The stops of the heat scale, from nothing to most."""
        return [self.colors[f"heat.{index}"] for index in range(self._count("heat."))]

    def priority(self, priority: str) -> str:
        """The colour of commands of a priority: urgent, normal or later."""
        return self.colors[f"priority.{priority}"]

    def rgb(self, token: str) -> tuple[int, int, int]:
        """A colour as three numbers of 0–255."""
        return to_rgb(self.colors[token])

    def _count(self, prefix: str) -> int:
        return sum(token.startswith(prefix) for token in self.colors)


@cache
def load(name: ThemeName) -> Theme:
    """A theme from its file."""
    with resource(f"theme/{name}.toml").open("rb") as file:
        document = tomllib.load(file)
    colors = {
        f"{section}.{token}": str(color)
        for section, tokens in document.items()
        if isinstance(tokens, dict)
        for token, color in tokens.items()
    }
    return Theme(name=name, dark=bool(document["dark"]), colors=MappingProxyType(colors))


def shape(state: str) -> Shape:
    """The shape of a state, decision or severity; a disc when it has none."""
    return SHAPES.get(state, "disc")


def to_rgb(color: str) -> tuple[int, int, int]:
    """Three numbers of "#rrggbb"."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def mix(first: str, second: str, share: float) -> str:
    """A colour between two: `share` of the second."""
    pairs = zip(to_rgb(first), to_rgb(second), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def contrast(first: str, second: str) -> float:
    """WCAG 2.2's contrast ratio, 1 to 21."""
    bright, dim = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def _luminance(color: str) -> float:
    channels = [
        value / 255 / 12.92 if value <= 10 else ((value / 255 + 0.055) / 1.055) ** 2.4
        for value in to_rgb(color)
    ]
    return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]

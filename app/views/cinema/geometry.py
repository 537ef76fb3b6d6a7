"""Where things are in the waterfall: times to pixels and back, lanes to rows and back. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF

from app.models.waterfall import Waterfall

LANE_PX = 22
BAR_PX = 16
NAME_PX = 148
RULER_PX = 24
RIGHT_PX = 8
CUT_PX = 8.0
LEAST_PX = 1.5
"""The width of the shortest span that is drawn as a box."""

Ints = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """One frame: the stretch from `start` to `end` on a surface of some pixels."""

    start: float
    end: float
    width: int
    height: int
    scrolled: int

    @property
    def plot(self) -> QRectF:
        """Where spans are drawn."""
        wide = max(self.width - NAME_PX - RIGHT_PX, 1)
        return QRectF(NAME_PX, RULER_PX, wide, max(self.height - RULER_PX, 1))

    @property
    def pixel(self) -> float:
        """How long a pixel is."""
        return (self.end - self.start) / max(self.width - NAME_PX - RIGHT_PX, 1)

    def x(self, time: float) -> float:
        """Where a time is."""
        return NAME_PX + (time - self.start) / self.pixel

    def time(self, x: float) -> float:
        """The time of a position."""
        return self.start + (x - NAME_PX) * self.pixel

    def top(self, lane: int) -> float:
        """Where a lane begins."""
        return RULER_PX + lane * LANE_PX - self.scrolled

    def lane(self, y: float) -> int:
        """The number of the lane at a position."""
        return int((y - RULER_PX + self.scrolled) // LANE_PX)

    def lanes(self, count: int) -> range:
        """The lanes that can be seen."""
        first = self.scrolled // LANE_PX
        return range(first, max(first, min(count, self.lane(self.height) + 1)))

    def across(self, layout: Waterfall, order: Ints) -> tuple[Floats, Floats]:
        """Where some spans begin and how wide they are; cut a little outside of the plot."""
        pixel, low = self.pixel, NAME_PX - CUT_PX
        high = max(self.width - RIGHT_PX, NAME_PX + 1) + CUT_PX
        left = np.clip(NAME_PX + (layout.start[order] - self.start) / pixel, low, high)
        right = np.clip(NAME_PX + (layout.end[order] - self.start) / pixel, low, high)
        return left, np.maximum(right - left, LEAST_PX)

    def box(self, layout: Waterfall, index: int, lane: int) -> QRectF:
        """Where one span is."""
        left, width = self.across(layout, np.array([index]))
        return QRectF(left[0], self.top(lane) + (LANE_PX - BAR_PX) / 2, width[0], BAR_PX)

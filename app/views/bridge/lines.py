"""A chart of lines: throughput, queue depth. Steps are drawn as they are, nothing is smoothed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, log10

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPen, QPolygonF
from typing_extensions import override

from app import figures
from app.theme import Theme
from app.views.bridge.chart import Chart
from app.views.bridge.timeaxis import SECOND, TimeAxis

Source = Callable[[int, int, int], NDArray[np.float64]]
"""start, end, columns → values."""


@dataclass(frozen=True, slots=True)
class Line:
    """A named series of a chart."""

    name: str
    token: str
    source: Source
    unit: str = ""
    filled: bool = False
    stepped: bool = False
    """Whether a value holds for its column, rather than leading to the next."""


class LineChart(Chart):
    """Lines over the shared axis, on one scale from zero."""

    def __init__(self, title: str, theme: Theme, axis: TimeAxis, lines: Sequence[Line]) -> None:
        super().__init__(title, theme, axis)
        self.lines = tuple(lines)
        self._values: list[NDArray[np.float64]] = []
        self._top = 1.0

    def refresh(self) -> None:
        """Reads the series."""
        axis = self.axis
        columns = axis.seconds if axis.seconds <= 300 else axis.seconds // 3
        self._values = [line.source(axis.start_ns, axis.end_ns, columns) for line in self.lines]
        self._top = nice(max((float(v.max(initial=0)) for v in self._values), default=0.0))
        self.setAccessibleDescription(self.as_text())
        self.update()

    def as_text(self) -> str:
        """The newest values, in words."""
        return ", ".join(
            f"{line.name} {_figure(float(values[-1]), line.unit)}"
            for line, values in zip(self.lines, self._values, strict=False)
            if len(values)
        )

    @override
    def draw_plot(self, painter: QPainter, plot: QRectF) -> None:
        for share in (0.0, 0.5, 1.0):
            value = self._top * share
            text = f"{value:,.0f}" if self._top >= 10 else f"{value:g}"
            self.scale_line(painter, plot, plot.bottom() - plot.height() * share, text)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for line, values in zip(self.lines, self._values, strict=False):
            self._draw_line(painter, plot, line, values)
        self._draw_legend(painter)

    def _draw_line(
        self, painter: QPainter, plot: QRectF, line: Line, values: NDArray[np.float64]
    ) -> None:
        if not len(values):
            return
        step = plot.width() / len(values)
        ys = plot.bottom() - values / self._top * plot.height()
        if line.stepped:
            xs = plot.left() + np.repeat(np.arange(len(values) + 1), 2)[1:-1] * step
            ys = np.repeat(ys, 2)
        else:
            xs = plot.left() + (np.arange(len(values)) + 0.5) * step
        points = [QPointF(x, y) for x, y in zip(xs.tolist(), ys.tolist(), strict=True)]
        if line.filled:
            area = [
                QPointF(points[0].x(), plot.bottom()),
                *points,
                QPointF(points[-1].x(), plot.bottom()),
            ]
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self.color(line.token, 40))
            painter.drawPolygon(QPolygonF(area))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(self.color(line.token), 1.5))
        painter.drawPolyline(QPolygonF(points))

    def _draw_legend(self, painter: QPainter) -> None:
        parts: list[tuple[str, str]] = []
        for line, values in zip(self.lines, self._values, strict=False):
            newest = float(values[-1]) if len(values) else 0.0
            parts.append((f"{line.name} {_figure(newest, line.unit)}", line.token))
        self.legend(painter, parts)

    @override
    def draw_reading(self, painter: QPainter, plot: QRectF, time_ns: int) -> None:
        axis = self.axis
        share = (time_ns - axis.start_ns) / (axis.seconds * SECOND)
        parts = [(figures.time_of_day(time_ns)[:8], "text.secondary")]
        for line, values in zip(self.lines, self._values, strict=False):
            if len(values):
                index = min(max(int(share * len(values)), 0), len(values) - 1)
                text = f"{line.name} {_figure(float(values[index]), line.unit)}"
                parts.append((text, line.token))
        self.reading(painter, plot, parts)


def _figure(value: float, unit: str) -> str:
    """A rate; without a unit a count."""
    return figures.rate(value, unit) if unit else figures.count(value)


def nice(value: float) -> float:
    """The round number at or above a value: 1, 2 or 5 times a power of ten; at least 1."""
    if value <= 1:
        return 1.0
    power = 10.0 ** (ceil(log10(value)) - 1)
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)

"""A pool's queue over time, the priorities stacked: what is urgent lies at the bottom.

Drawing is bounded: a step a column, three areas. Main thread only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPolygonF
from typing_extensions import override

from app import figures
from app.models.pools import PRIORITY_MARKS
from app.models.series import SeriesHistory
from app.theme import Theme
from app.views.bridge.chart import Chart
from app.views.bridge.lines import nice
from app.views.bridge.timeaxis import SECOND, TimeAxis
from citadel.vocabulary import PRIORITIES


class QueueChart(Chart):
    """Commands of one pool that wait, by priority; the most in each column."""

    def __init__(self, theme: Theme, axis: TimeAxis, series: SeriesHistory) -> None:
        super().__init__("Queue by priority", theme, axis)
        self._series = series
        self._pool = ""
        self.values: dict[str, NDArray[np.float64]] = {}
        self._top = 1.0
        self.setMinimumHeight(120)

    def show_pool(self, pool: str) -> None:
        """Shows another pool."""
        self._pool = pool

    def refresh(self) -> None:
        """Reads the series."""
        axis = self.axis
        columns = axis.seconds if axis.seconds <= 300 else axis.seconds // 3
        self.values = {
            name: self._series.peaks(
                f"pool.queued_{name}.{self._pool}", axis.start_ns, axis.end_ns, columns
            )
            for name in PRIORITIES
        }
        self._top = nice(float(sum(self.values.values(), np.zeros(columns)).max(initial=0)))
        self.setAccessibleDescription(self.as_text())
        self.update()

    def as_text(self) -> str:
        """What waits now, in words."""
        return ", ".join(f"{values[-1]:,.0f} {name}" for name, values in self.values.items())

    @override
    def draw_plot(self, painter: QPainter, plot: QRectF) -> None:
        for share in (0.0, 0.5, 1.0):
            value = self._top * share
            self.scale_line(painter, plot, plot.bottom() - plot.height() * share, f"{value:g}")
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setPen(Qt.PenStyle.NoPen)
        below: NDArray[np.float64] | None = None
        for name, values in self.values.items():
            floor = np.zeros(len(values)) if below is None else below
            below = floor + values
            if values.any():
                painter.setBrush(self.color(f"priority.{name}", 200))
                painter.drawPolygon(self._area(plot, floor, below))
        self.legend(
            painter,
            [
                (f"{PRIORITY_MARKS[name]} {name} {values[-1]:,.0f}", f"priority.{name}")
                for name, values in self.values.items()
            ],
        )

    def _area(
        self, plot: QRectF, floor: NDArray[np.float64], ceiling: NDArray[np.float64]
    ) -> QPolygonF:
        """The steps of the upper edge, and back along the lower one."""
        edges = plot.left() + np.repeat(np.arange(len(floor) + 1), 2)[1:-1] * (
            plot.width() / len(floor)
        )
        upper = plot.bottom() - np.repeat(ceiling, 2) / self._top * plot.height()
        lower = plot.bottom() - np.repeat(floor, 2) / self._top * plot.height()
        xs = np.concatenate([edges, edges[::-1]]).tolist()
        ys = np.concatenate([upper, lower[::-1]]).tolist()
        return QPolygonF([QPointF(x, y) for x, y in zip(xs, ys, strict=True)])

    @override
    def draw_reading(self, painter: QPainter, plot: QRectF, time_ns: int) -> None:
        axis = self.axis
        share = (time_ns - axis.start_ns) / (axis.seconds * SECOND)
        parts = [(figures.time_of_day(time_ns)[:8], "text.secondary")]
        for name, values in self.values.items():
            index = min(max(int(share * len(values)), 0), len(values) - 1)
            parts.append((f"{name} {values[index]:,.0f}", f"priority.{name}"))
        self.reading(painter, plot, parts)

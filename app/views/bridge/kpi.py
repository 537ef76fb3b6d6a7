"""The KPI strip: the figures that matter, each with its last minutes as a sparkline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QHBoxLayout, QWidget
from typing_extensions import override

from app.theme import GRID_PX, Theme
from app.views.bridge.chart import Panel
from app.views.bridge.timeaxis import TimeAxis

HEIGHT_PX = 76
LEAST_SPARK_PX = 24


@dataclass(frozen=True, slots=True)
class Kpi:
    """A figure: its values over time, and how it is written."""

    name: str
    token: str
    values: Callable[[int, int, int], NDArray[np.float64]]
    text: Callable[[NDArray[np.float64]], str]
    hint: str
    note: Callable[[], str] | None = None
    """What stands in the corner."""


class KpiTile(Panel):
    """One figure."""

    def __init__(self, kpi: Kpi, theme: Theme, axis: TimeAxis) -> None:
        super().__init__(kpi.name, theme)
        self.setFixedHeight(HEIGHT_PX)
        self.setToolTip(kpi.hint)
        self._kpi = kpi
        self._axis = axis
        self._values: NDArray[np.float64] = np.zeros(0)
        self._text = "–"

    def refresh(self) -> None:
        """Reads the figure."""
        self._values = self._kpi.values(self._axis.start_ns, self._axis.end_ns, 60)
        self._text = self._kpi.text(self._values)
        self.corner = self._kpi.note() if self._kpi.note else ""
        self.setAccessibleDescription(", ".join(filter(None, (self._text, self.corner))))
        self.update()

    @override
    def draw(self, painter: QPainter) -> None:
        value = QRectF(12, 28, self.width() * 0.6, 36)
        self.write(painter, value, self._text, "text.primary", 22, bold=True)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        values = np.nan_to_num(self._values)
        if not len(values) or values.max() <= 0:
            return
        written = painter.fontMetrics().horizontalAdvance(self._text)
        left = max(self.width() * 0.56, 12.0 + written + GRID_PX)
        area = QRectF(left, 32, self.width() - 12 - left, 32)
        if area.width() < LEAST_SPARK_PX:
            return
        top = values.max()
        points = [
            QPointF(
                area.left() + area.width() * index / (len(values) - 1),
                area.bottom() - area.height() * value / top,
            )
            for index, value in enumerate(values.tolist())
        ]
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self.color(self._kpi.token, 36))
        painter.drawPolygon(QPolygonF([area.bottomLeft(), *points, area.bottomRight()]))
        painter.setPen(QPen(self.color(self._kpi.token), 1.25))
        painter.drawPolyline(QPolygonF(points))


class KpiStrip(QWidget):
    """Tiles side by side."""

    def __init__(self, kpis: Sequence[Kpi], theme: Theme, axis: TimeAxis) -> None:
        super().__init__()
        self.tiles = [KpiTile(kpi, theme, axis) for kpi in kpis]
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(GRID_PX)
        for tile in self.tiles:
            row.addWidget(tile)
        self.setAccessibleName("Key figures")

    def refresh(self) -> None:
        """Reads all figures."""
        for tile in self.tiles:
            tile.refresh()

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        for tile in self.tiles:
            tile.set_theme(theme)

"""Latency over time: a heatmap of exact counts, with percentile lines over it."""

from __future__ import annotations

from math import ceil, floor, log10

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QImage, QPainter, QPen, QPolygonF
from typing_extensions import override

from app import figures
from app.models.latency import HIGHEST, LOWEST, PER_OCTAVE, LatencyHistory, percentiles_of
from app.models.ledger import Ledger
from app.theme import Theme, to_rgb
from app.views.bridge.chart import Chart
from app.views.bridge.timeaxis import SECOND, TimeAxis

SHARES = (0.5, 0.9, 0.99)
_TOKENS = ("series.3", "series.5", "series.6")
_CELL_BUCKETS = 4
"""Buckets in one row of cells: a quarter of an octave."""
_MARGIN_OCTAVES = 1


class LatencyChart(Chart):
    """Durations of one kind, a column a second or more, a row a quarter of an octave."""

    def __init__(
        self, title: str, theme: Theme, axis: TimeAxis, history: LatencyHistory, name: str
    ) -> None:
        super().__init__(title, theme, axis)
        self.name = name
        self._history = history
        self._image: QImage | None = None
        self._lines: NDArray[np.float64] = np.zeros((len(SHARES), 0))
        self._low, self._high = 0, HIGHEST - LOWEST
        self._total = 0
        self._cells: NDArray[np.uint32] = np.zeros((0, 0), np.uint32)

    def refresh(self) -> None:
        """Reads the counts and makes the picture: a few thousand cells, whatever the traffic."""
        axis = self.axis
        columns = min(axis.seconds, 180)
        counts = self._history.heatmap(self.name, axis.start_ns, axis.end_ns, columns)
        self._lines = percentiles_of(counts, SHARES)
        self._total = int(counts.sum())
        self.empty = "" if self._total else "No commands in this stretch. Start a mission in Fleet."
        if self._total:
            self._crop(counts)
            self._image = self._picture(counts)
            self.setAccessibleDescription(self.as_text())
        self.corner = f"{figures.count(self._total)} commands, exact" if self._total else ""
        drawn = int(np.count_nonzero(self._cells))
        self.show_ledger(
            Ledger(
                what="observations in this stretch",
                received=self._total,
                kept=self._total,
                decimated=max(self._total - drawn, 0) if self._total else 0,
                note="Counted before any sampling: exact. Cells hold all that fall into them.",
            )
        )
        self.update()

    def as_text(self) -> str:
        """The newest percentiles, in words."""
        return f"{self._total} commands; newest {', '.join(text for text, _ in self._newest())}"

    def _newest(self) -> list[tuple[str, str]]:
        """The last known percentiles, with their tokens."""
        known = ~np.isnan(self._lines)
        return [
            (f"p{share * 100:g} {figures.seconds(float(line[mask][-1]))}", token)
            for share, token, line, mask in zip(SHARES, _TOKENS, self._lines, known, strict=True)
            if mask.any()
        ]

    def _crop(self, counts: NDArray[np.uint32]) -> None:
        """Shows the octaves that have something, and a little around them."""
        used = np.flatnonzero(counts.sum(axis=0))
        octave = PER_OCTAVE
        self._low = max(0, (int(used[0]) // octave - _MARGIN_OCTAVES) * octave)
        top = (int(used[-1]) // octave + 1 + _MARGIN_OCTAVES) * octave
        self._high = min(HIGHEST - LOWEST, max(top, self._low + 4 * octave))

    def _picture(self, counts: NDArray[np.uint32]) -> QImage:
        shown = counts[:, self._low : self._high]
        cells = shown.reshape(len(shown), -1, _CELL_BUCKETS).sum(axis=2)
        self._cells = cells
        heat = np.array([to_rgb(color) for color in self.theme.heat()], np.float64)
        level = np.log1p(cells) / max(np.log1p(cells.max()), 1e-9) * (len(heat) - 1)
        # Whatever is there at all is told apart from nothing.
        level = np.where(cells > 0, np.maximum(level, 1.0), 0.0)
        floor = np.minimum(level.astype(int), len(heat) - 2)
        part = (level - floor)[..., None]
        colors = heat[floor] * (1 - part) + heat[floor + 1] * part
        pixels = np.empty((cells.shape[1], cells.shape[0], 4), np.uint8)
        pixels[..., :3] = colors.transpose(1, 0, 2)[::-1]
        pixels[..., 3] = 255
        height, width, _ = pixels.shape
        image = QImage(pixels.tobytes(), width, height, width * 4, QImage.Format.Format_RGBA8888)
        return image.copy()

    @override
    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        if self._total:
            self.refresh()

    @override
    def draw_plot(self, painter: QPainter, plot: QRectF) -> None:
        if self._image is not None:
            painter.drawImage(plot, self._image)
        for seconds in _decades(self._low, self._high):
            bucket = np.log2(seconds) * PER_OCTAVE - LOWEST
            self.scale_line(painter, plot, self._y(float(bucket), plot), _tick(seconds))
        self.legend(painter, self._newest())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        width = plot.width() / max(self._lines.shape[1], 1)
        for token, line in zip(_TOKENS, self._lines, strict=True):
            known = np.flatnonzero(~np.isnan(line))
            if not len(known):
                continue
            buckets = np.log2(line[known]) * PER_OCTAVE - LOWEST
            points = [
                QPointF(plot.left() + (column + 0.5) * width, self._y(float(bucket), plot))
                for column, bucket in zip(known.tolist(), buckets.tolist(), strict=True)
            ]
            self._draw_line(painter, points, token)

    def _draw_line(self, painter: QPainter, points: list[QPointF], token: str) -> None:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(self.color("surface.panel", 200), 3.5))
        painter.drawPolyline(QPolygonF(points))
        painter.setPen(QPen(self.color(token), 1.5))
        painter.drawPolyline(QPolygonF(points))

    def _y(self, bucket: float, plot: QRectF) -> float:
        return plot.bottom() - (bucket - self._low) / (self._high - self._low) * plot.height()

    @override
    def draw_reading(self, painter: QPainter, plot: QRectF, time_ns: int) -> None:
        columns = self._lines.shape[1]
        if not columns:
            return
        share = (time_ns - self.axis.start_ns) / (self.axis.seconds * SECOND)
        column = min(max(int(share * columns), 0), columns - 1)
        parts = [(figures.time_of_day(time_ns)[:8], "text.secondary")]
        if column < len(self._cells):
            parts.append((f"{int(self._cells[column].sum())} commands", "text.primary"))
        for part, token, line in zip(SHARES, _TOKENS, self._lines, strict=True):
            if not np.isnan(line[column]):
                text = f"p{part * 100:g} {figures.seconds(float(line[column]))}"
                parts.append((text, token))
        self.reading(painter, plot, parts)


def _decades(low: int, high: int) -> list[float]:
    """Powers of ten between two buckets; 2 and 5 times them too when they are few."""
    first, last = (2.0 ** ((bucket + LOWEST) / PER_OCTAVE) for bucket in (low, high))
    powers = range(floor(log10(first)), ceil(log10(last)) + 1)
    steps = (1, 2, 5) if log10(last / first) < 2 else (1,)
    ticks = [step * 10.0**power for power in powers for step in steps]
    return [tick for tick in ticks if first < tick < last]


def _tick(seconds: float) -> str:
    """A round duration: "1 ms", "20 s"."""
    for limit, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= limit * (1 - 1e-9):
            return f"{seconds / limit:,.0f} {unit}"
    return f"{seconds * 1e9:.0f} ns"

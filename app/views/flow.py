"""The guards as a flow: each layer with what it decided, in the order that a request passes.

The bars between the boxes are as thick as the share of requests that gets that far. Main thread.
"""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget
from typing_extensions import override

from app import figures
from app.store import FleetStore, Row
from app.theme import Theme
from app.views.layercard import decided
from app.views.shapes import draw_state
from citadel.vocabulary import DECISIONS

HEIGHT_PX = 184
_BOX_PX = 136
_GAP_PX = 40
_LAYER_PX = 232
_MOST_PX = 28


class GuardFlow(QWidget):
    """Requests, the layers in force, the model."""

    def __init__(self, store: FleetStore, theme: Theme) -> None:
        super().__init__()
        self._store = store
        self._theme = theme
        self._layers: list[Row] = []
        self._counts: dict[tuple[str, str], float] = {}
        self._ends: tuple[float, float, float] = (0, 0, 0)
        self.setFixedHeight(HEIGHT_PX)
        self.setAccessibleName("Guards as a flow")

    def refresh(self, _now_ns: int) -> None:
        """Shows the exact counts since the engine started."""
        store = self._store
        self._layers = store.layers()
        self._counts = {
            (layer["name"], decision): decided(store, layer["name"], decision)
            for layer in self._layers
            for decision in DECISIONS
        }
        requests = store.counter("citadel.guard.requests")
        blocked = store.counter("citadel.guard.requests", decision="block")
        self._ends = (requests, blocked, requests - blocked)
        self.setAccessibleDescription(self.as_text())
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self._theme = theme
        self.update()

    def as_text(self) -> str:
        """The same in words."""
        lines = [f"{figures.count(self._ends[0])} requests"]
        for layer in self._layers:
            decisions = ", ".join(
                f"{figures.count(self._counts[layer['name'], word])} {word}" for word in DECISIONS
            )
            lines.append(f"{layer['title'] or layer['name']}: {decisions}")
        lines.append(f"{figures.count(self._ends[2])} reached the model")
        return "\n".join(lines)

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        room = self.width() - 2 * 16
        layers = max(len(self._layers), 1)
        spare = room - 2 * _BOX_PX - (layers + 1) * _GAP_PX
        width = max(min(spare / layers, _LAYER_PX * 1.5), 120.0)
        x, top, height = 16.0, 16.0, HEIGHT_PX - 32.0
        requests, blocked, passed = self._ends
        self._draw_end(painter, QRectF(x, top, _BOX_PX, height), "Requests", requests, "")
        x += _BOX_PX
        reaching = requests
        for layer in self._layers:
            x = self._draw_pipe(painter, x, reaching)
            self._draw_layer(painter, QRectF(x, top, width, height), layer)
            x += width
            reaching -= self._counts[layer["name"], "block"]
        x = self._draw_pipe(painter, x, max(reaching, passed))
        words = f"{figures.count(blocked)} blocked" if blocked else "none blocked"
        self._draw_end(painter, QRectF(x, top, _BOX_PX, height), "Passed", passed, words)
        painter.end()

    def _draw_pipe(self, painter: QPainter, x: float, reaching: float) -> float:
        share = reaching / self._ends[0] if self._ends[0] else 0
        thick = max(_MOST_PX * share, 2.0)
        middle = HEIGHT_PX / 2
        color = QColor(self._theme.color("accent.base"))
        color.setAlpha(150 if share else 60)
        painter.fillRect(QRectF(x, middle - thick / 2, _GAP_PX, thick), color)
        return x + _GAP_PX

    def _box(self, painter: QPainter, box: QRectF, on: bool) -> None:
        border = QColor(self._theme.color("line.border" if on else "line.grid"))
        painter.setPen(border)
        painter.setBrush(QColor(self._theme.color("surface.raised" if on else "surface.panel")))
        painter.drawRoundedRect(box, 6, 6)

    def _draw_end(
        self, painter: QPainter, box: QRectF, title: str, number: float, below: str
    ) -> None:
        self._box(painter, box, on=True)
        inner = box.adjusted(12, 12, -12, -12)
        self._write(painter, inner, title, "text.secondary")
        middle = inner.adjusted(0, 28, 0, 0)
        self._write(painter, middle, figures.count(number), "text.primary", size=22)
        if below:
            tone = "decision.block" if self._ends[1] else "text.muted"
            self._write(painter, inner.adjusted(0, 64, 0, 0), below, tone)

    def _draw_layer(self, painter: QPainter, box: QRectF, layer: Row) -> None:
        on = bool(layer["enabled"])
        self._box(painter, box, on)
        inner = box.adjusted(12, 12, -12, -12)
        title = layer["title"] or layer["name"]
        tone = "text.primary" if on else "text.muted"
        self._write(painter, inner, title if on else f"{title} · off", tone, bold=True)
        row = inner.adjusted(0, 28, 0, 0)
        for word in DECISIONS:
            number = self._counts[layer["name"], word]
            color = self._theme.decision(word)
            mark = QRectF(row.left(), row.top() + 4, 10, 10)
            draw_state(painter, mark, word, color if number else self._theme.color("text.muted"))
            tone = "text.primary" if number else "text.muted"
            self._write(painter, row.adjusted(20, 0, 0, 0), word, tone)
            self._write(painter, row, figures.count(number), tone, right=True)
            row.adjust(0, 24, 0, 0)

    def _write(
        self,
        painter: QPainter,
        box: QRectF,
        text: str,
        tone: str,
        *,
        size: int = 0,
        bold: bool = False,
        right: bool = False,
    ) -> None:
        painter.save()
        font = QFont(self.font())
        if size:
            font.setPixelSize(size)
        if bold or size:
            font.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        painter.setPen(QColor(self._theme.color(tone)))
        side = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
        elided = painter.fontMetrics().elidedText(
            text, Qt.TextElideMode.ElideRight, int(box.width())
        )
        painter.drawText(box, side | Qt.AlignmentFlag.AlignTop, elided)
        painter.restore()

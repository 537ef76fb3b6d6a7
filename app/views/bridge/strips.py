"""Sentinel state strips: a row a Sentinel, coloured by its lifecycle over time."""

from __future__ import annotations

from itertools import pairwise

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter
from typing_extensions import override

from app.store import FleetStore, Row
from app.theme import Theme
from app.views.bridge.chart import LEFT_PX, Chart
from app.views.bridge.timeaxis import TimeAxis
from app.views.shapes import draw_state, state_color

ROW_PX = 18
NAME_PX = 150
MOST_SEGMENTS = 600
"""Segments of one strip that are drawn; older ones are merged into the busiest state."""
_RANK = (
    "quarantined",
    "restarting",
    "degraded",
    "stopped",
    "waiting",
    "working",
    "spawning",
    "idle",
)


class SentinelStrips(Chart):
    """The Sentinels that fit, those in trouble first."""

    chosen = Signal(object)

    def __init__(self, theme: Theme, axis: TimeAxis, store: FleetStore) -> None:
        super().__init__("Sentinels", theme, axis)
        self._store = store
        self._shown: list[Row] = []

    def refresh(self) -> None:
        """Orders the Sentinels: trouble first, then by name."""
        rows = list(self._store.sentinels.values())
        rows.sort(key=lambda row: (_rank(row["state"]) > 2, row["state"] == "stopped", row["id"]))
        room = max(1, int(self.plot().height() // ROW_PX))
        self._shown = rows[:room]
        hidden = len(rows) - len(self._shown)
        self.corner = f"{len(rows)} Sentinels" + (f", {hidden} not shown" if hidden else "")
        self.empty = "" if rows else "No Sentinels yet. Start a mission in Fleet, or spawn one."
        counts: dict[str, int] = {}
        for row in rows:
            counts[row["state"]] = counts.get(row["state"], 0) + 1
        self.setAccessibleDescription(", ".join(f"{n} {s}" for s, n in counts.items()))
        self.update()

    @override
    def plot(self) -> QRectF:
        return super().plot().adjusted(NAME_PX - LEFT_PX, 0, 0, 0)

    @override
    def draw_plot(self, painter: QPainter, plot: QRectF) -> None:
        for index, row in enumerate(self._shown):
            top = plot.top() + index * ROW_PX
            mark = QRectF(12, top + 5, 8, 8)
            draw_state(painter, mark, row["state"], state_color(self.theme, row["state"]))
            name = painter.fontMetrics().elidedText(
                row["id"], Qt.TextElideMode.ElideMiddle, NAME_PX - 32
            )
            self.write(painter, QRectF(26, top, NAME_PX - 28, ROW_PX), name, "text.secondary", 11)
            self._draw_strip(painter, plot, top, row)

    def _draw_strip(self, painter: QPainter, plot: QRectF, top: float, row: Row) -> None:
        history = list(self._store.sentinel_history.get(row["id"], ()))[-MOST_SEGMENTS:]
        begins = [*history, (self.axis.end_ns, "")]
        for (begin, state), (end, _) in pairwise(begins):
            left = max(self.x_of(begin), plot.left())
            right = min(self.x_of(max(end, begin)), plot.right())
            if right <= plot.left() or left >= plot.right():
                continue
            color = state_color(self.theme, state)
            box = QRectF(left, top + 3, max(right - left, 1.0), ROW_PX - 6)
            quiet = state in ("idle", "stopped")
            tone = self.color("text.muted", 50) if quiet else QColor(color)
            painter.fillRect(box, tone)

    @override
    def mousePressEvent(self, event: QMouseEvent) -> None:
        if (row := self._row_at(event.position())) is not None:
            self.chosen.emit(row)

    @override
    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        row = self._row_at(event.position())
        self.setToolTip(_tip(row) if row else "")

    def _row_at(self, at: QPointF) -> Row | None:
        index = int((at.y() - self.plot().top()) // ROW_PX)
        return self._shown[index] if 0 <= index < len(self._shown) else None


def _rank(state: str) -> int:
    return _RANK.index(state) if state in _RANK else len(_RANK)


def _tip(row: Row) -> str:
    cause = f"\n{row['cause']}" if row["cause"] else ""
    return (
        f"{row['id']}\n{row['behaviour']}: {row['state']}{cause}\n"
        f"{row['handled']:,} signals handled, {row['mailbox']} waiting, {row['restarts']} restarts"
    )

"""Sentinel state strips: a row a Sentinel, coloured by its lifecycle over time."""

from __future__ import annotations

from itertools import pairwise

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter
from typing_extensions import override

from app.store import FleetStore, Row
from app.theme import Theme
from app.views.bridge.chart import LEFT_PX, STEPS, Chart
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
        self._selected = ""
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

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
            if row["id"] == self._selected:
                line = QRectF(4, top, self.width() - 8, ROW_PX)
                painter.fillRect(line, self.color("surface.selected"))
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

    def _choose(self, row: Row) -> None:
        self._selected = row["id"]
        self.chosen.emit(row)
        self.update()

    @override
    def mousePressEvent(self, event: QMouseEvent) -> None:
        if (row := self._row_at(event.position())) is not None:
            self._choose(row)

    @override
    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        row = self._row_at(event.position())
        if row is not None:
            self.setToolTip("\n".join(filter(None, (self.toolTip(), _tip(row)))))

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        """The arrows choose the next and the previous Sentinel."""
        step = STEPS.get(Qt.Key(event.key()))
        if step is None or not self._shown:
            super().keyPressEvent(event)
            return
        names = [row["id"] for row in self._shown]
        here = names.index(self._selected) if self._selected in names else None
        place = (0 if step > 0 else -1) if here is None else (here + step) % len(names)
        self._choose(self._shown[place])

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

"""The pool matrix: a row a pool, a cell a worker, coloured and shaped by state, load inside."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPen
from typing_extensions import override

from app import figures
from app.store import FleetStore, Row
from app.theme import Theme
from app.views.bridge.chart import STEPS, Panel
from app.views.shapes import draw_state, state_color

CELL_PX = 44
SMALL_CELL_PX = 14
GAP_PX = 4
NAME_PX = 116
LEAST_PX = 104
MANY = 40
"""Workers of a pool from which on its cells are small."""


class PoolMatrix(Panel):
    """Every worker of every pool."""

    chosen = Signal(object)

    def __init__(self, theme: Theme, store: FleetStore) -> None:
        super().__init__("Pools", theme)
        self._store = store
        self._cells: list[tuple[QRectF, Row]] = []
        self._labels: list[tuple[QRectF, Row]] = []
        self._selected: tuple[str, str] | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setToolTip("Choose a worker with a click or the arrow keys")

    def refresh(self) -> None:
        """Lays the cells out."""
        store = self._store
        by_pool: dict[str, list[Row]] = {name: [] for name in sorted(store.pools)}
        for worker in store.workers.values():
            by_pool.setdefault(worker["pool"], []).append(worker)
        self._cells, self._labels = [], []
        top = self.body().top() + 4
        for name, workers in by_pool.items():
            top = self._lay_out(name, workers, top)
        self.setMaximumHeight(max(int(top), LEAST_PX))
        self.corner = f"{len(store.workers)} workers"
        self.empty = "" if by_pool else "No pools yet. Name an adapter in the engine's settings."
        self.setAccessibleDescription(
            "; ".join(
                f"{worker['id']} {worker['state']}, {figures.bytes_(worker['rss_bytes'])}"
                for _, worker in self._cells[:50]
            )
        )
        self.update()

    def _lay_out(self, name: str, workers: list[Row], top: float) -> float:
        size = SMALL_CELL_PX if len(workers) > MANY else CELL_PX
        pool = self._store.pools.get(name)
        if pool:
            self._labels.append((QRectF(12, top, NAME_PX, CELL_PX), pool))
        x, y = NAME_PX + 12.0, top
        for worker in sorted(workers, key=lambda row: row["started_ns"]):
            if x + size > self.width() - 12:
                x, y = NAME_PX + 12.0, y + size + GAP_PX
            self._cells.append((QRectF(x, y, size, size), worker))
            x += size + GAP_PX
        return max(y + size, top + CELL_PX) + 2 * GAP_PX

    @override
    def draw(self, painter: QPainter) -> None:
        for box, pool in self._labels:
            self._draw_label(painter, box, pool)
        for box, worker in self._cells:
            if box.bottom() < self.height():
                self._draw_cell(painter, box, worker)

    def _draw_label(self, painter: QPainter, box: QRectF, pool: Row) -> None:
        draw_state(
            painter,
            QRectF(box.left(), box.top() + 6, 8, 8),
            pool["state"],
            state_color(self.theme, pool["state"]),
        )
        name = box.adjusted(14, 0, 0, -box.height() / 2)
        self.write(painter, name, pool["name"], "text.primary", 13, bold=True)
        text = f"{pool['running']} run, {pool['queued']} wait"
        below = box.adjusted(14, box.height() / 2 - 4, 0, 0)
        self.write(painter, below, text, "text.muted", 11)

    def _draw_cell(self, painter: QPainter, box: QRectF, worker: Row) -> None:
        color = self.color("surface.raised")
        tone = state_color(self.theme, worker["state"])
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        selected = (worker["pool"], worker["id"]) == self._selected
        painter.setPen(QPen(self.color("line.focus" if selected else "line.border"), 1))
        painter.setBrush(color)
        painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
        if box.width() < CELL_PX:
            draw_state(painter, box.adjusted(3, 3, -3, -3), worker["state"], tone)
            return
        # The fill is the share of one core; the line below the shape is memory, 1 GiB full.
        load = min(max(float(worker["cpu"]), 0.0), 1.0)
        fill = box.adjusted(2, 2, -2, -2)
        fill.setTop(fill.bottom() - fill.height() * load)
        tint = self.color("accent.base", 60)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(tint)
        painter.drawRoundedRect(fill, 3, 3)
        mark = QRectF(0, 0, 12, 12)
        mark.moveCenter(QPointF(box.center().x(), box.top() + 14))
        draw_state(painter, mark, worker["state"], tone)
        text = figures.bytes_(worker["rss_bytes"]).replace(" ", "").replace("iB", "")
        below = box.adjusted(2, box.height() / 2, -2, -2)
        center = Qt.AlignmentFlag.AlignCenter
        self.write(
            painter, below, text if worker["rss_bytes"] else "–", "text.secondary", 10, align=center
        )

    def _choose(self, worker: Row) -> None:
        self._selected = (worker["pool"], worker["id"])
        self.chosen.emit(worker)
        self.update()

    @override
    def mousePressEvent(self, event: QMouseEvent) -> None:
        if (worker := self._worker_at(event.position())) is not None:
            self._choose(worker)

    @override
    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        worker = self._worker_at(event.position())
        self.setToolTip(_tip(worker) if worker else "")

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        """The arrows choose the next and the previous worker."""
        step = STEPS.get(Qt.Key(event.key()))
        if step is None or not self._cells:
            super().keyPressEvent(event)
            return
        keys = [(worker["pool"], worker["id"]) for _, worker in self._cells]
        here = keys.index(self._selected) if self._selected in keys else None
        place = (0 if step > 0 else -1) if here is None else (here + step) % len(keys)
        self._choose(self._cells[place][1])

    def _worker_at(self, at: QPointF) -> Row | None:
        return next((worker for box, worker in self._cells if box.contains(at)), None)


def _tip(worker: Row) -> str:
    runs = f"\nruns {worker['tool']} ({worker['command_id']})" if worker["command_id"] else ""
    return (
        f"{worker['id']}  ·  pid {worker['pid']}\n{worker['state']}{runs}\n"
        f"{figures.bytes_(worker['rss_bytes'])}, {worker['cpu']:.0%} of a core\n"
        f"{worker['done']:,} done, {worker['failed']:,} failed"
    )

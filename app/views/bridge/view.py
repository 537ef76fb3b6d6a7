"""The Bridge: key figures, pools, latency, Sentinels, throughput and queues, on one time axis."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QLabel,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.commands import CommandSink
from app.models.ledger import engine_text, engine_tip, of_state
from app.store import FleetStore
from app.theme import GRID_PX, Theme
from app.views.bridge.heatmap import LatencyChart
from app.views.bridge.keyfigures import COMMAND, key_figures, queue_depth, throughput
from app.views.bridge.kpi import KpiStrip
from app.views.bridge.lines import LineChart
from app.views.bridge.marks import Marks
from app.views.bridge.matrix import PoolMatrix
from app.views.bridge.strips import SentinelStrips
from app.views.bridge.timeaxis import SPANS, TimeAxis


class BridgeView(QWidget):
    """Overview of the fleet."""

    inspected = Signal(str, object)

    def __init__(self, store: FleetStore, theme: Theme, sink: CommandSink) -> None:
        super().__init__()
        self._store = store
        self._sink = sink
        self.setAccessibleName("Bridge")
        self.axis = TimeAxis(self)
        self._marks = Marks(store)
        self.kpis = KpiStrip(key_figures(store, self.axis), theme, self.axis)
        self.matrix = PoolMatrix(theme, store)
        self.latency = LatencyChart("Command latency", theme, self.axis, store.latency, COMMAND)
        self.strips = SentinelStrips(theme, self.axis, store)
        self.throughput = LineChart("Throughput", theme, self.axis, throughput(store))
        self.queue = LineChart("Queue depth", theme, self.axis, queue_depth(store))
        self.matrix.chosen.connect(lambda row: self.inspected.emit("worker", row))
        self.strips.chosen.connect(lambda row: self.inspected.emit("sentinel", row))
        self._ledger = QLabel()
        self._ledger.setProperty("role", "muted")
        self._ledger.setAccessibleName("Ledger of spans")
        self._build()

    def refresh(self, now_ns: int) -> None:
        """Shows the store as of now."""
        self.axis.advance(now_ns)
        self.axis.marks = self._marks.follow()
        self.kpis.refresh()
        for part in (self.matrix, self.latency, self.strips, self.throughput, self.queue):
            part.refresh()
        self._ledger.setText(engine_text(self._store))
        self._ledger.setToolTip(engine_tip(self._store))
        self._show_ledgers()

    def _show_ledgers(self) -> None:
        """What each chart was sent: rows of its topic; a line's points stand for seconds."""
        store = self._store
        self.matrix.show_ledger(of_state(store, "worker", len(store.workers)))
        self.strips.show_ledger(of_state(store, "sentinel", len(store.sentinels)))
        points = of_state(store, "pool", len(store.pools))
        merged = 0 if self.axis.seconds <= 300 else self.axis.seconds * 2 // 3
        for chart in (self.throughput, self.queue):
            chart.show_ledger(
                replace(
                    points,
                    kept=points.received,
                    decimated=merged,
                    note="Totals and gauges from before any sampling: exact. A point stands for the"
                    " most of its seconds, so that no peak is missed.",
                )
            )

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        parts = (self.kpis, self.matrix, self.latency, self.strips, self.throughput, self.queue)
        for part in parts:
            part.set_theme(theme)

    def _build(self) -> None:
        left = QVBoxLayout()
        left.setSpacing(GRID_PX)
        left.addWidget(self.matrix, 2)
        left.addWidget(self.strips, 3)
        right = QVBoxLayout()
        right.setSpacing(GRID_PX)
        right.addWidget(self.latency, 4)
        right.addWidget(self.throughput, 3)
        right.addWidget(self.queue, 3)
        charts = QHBoxLayout()
        charts.setSpacing(GRID_PX)
        charts.addLayout(left, 2)
        charts.addLayout(right, 3)
        column = QVBoxLayout(self)
        column.setContentsMargins(GRID_PX, GRID_PX, GRID_PX, GRID_PX)
        column.setSpacing(GRID_PX)
        column.addWidget(self.kpis)
        column.addLayout(charts, 1)
        column.addLayout(self._footer())

    def _footer(self) -> QHBoxLayout:
        """The stretch that is shown, and what became of the spans."""
        row = QHBoxLayout()
        row.setSpacing(4)
        group = QButtonGroup(self)
        for seconds in SPANS:
            button = QToolButton()
            button.setText(f"{seconds // 60} min")
            button.setCheckable(True)
            button.setProperty("role", "segment")
            button.setChecked(seconds == self.axis.seconds)
            button.setToolTip(f"Show the last {seconds // 60} minutes")
            button.setAccessibleName(button.toolTip())
            button.clicked.connect(lambda _=False, chosen=seconds: self._show_seconds(chosen))
            group.addButton(button)
            row.addWidget(button)
        row.addStretch(1)
        row.addWidget(self._ledger, 0, Qt.AlignmentFlag.AlignRight)
        return row

    def _show_seconds(self, seconds: int) -> None:
        self.axis.show_seconds(seconds)
        self.refresh(self.axis.end_ns)

"""The Bridge: key figures, pools, latency, Sentinels, throughput and queues, on one time axis."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QLabel,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app import figures
from app.commands import CommandSink
from app.models.latency import LatencyHistory
from app.models.series import SeriesHistory
from app.store import FleetStore
from app.theme import GRID_PX, Theme
from app.views.bridge.heatmap import LatencyChart
from app.views.bridge.kpi import Kpi, KpiStrip
from app.views.bridge.lines import Line, LineChart, Source
from app.views.bridge.matrix import PoolMatrix
from app.views.bridge.strips import SentinelStrips
from app.views.bridge.timeaxis import SPANS, TimeAxis

COMMAND = "citadel.command.duration"
Values = NDArray[np.float64]


class BridgeView(QWidget):
    """Overview of the fleet."""

    inspected = Signal(str, object)

    def __init__(self, store: FleetStore, theme: Theme, sink: CommandSink) -> None:
        super().__init__()
        self._store = store
        self._sink = sink
        self.setAccessibleName("Bridge")
        self.axis = TimeAxis(self)
        self.kpis = KpiStrip(_kpis(store), theme, self.axis)
        self.matrix = PoolMatrix(theme, store)
        self.latency = LatencyChart("Command latency", theme, self.axis, store.latency, COMMAND)
        self.strips = SentinelStrips(theme, self.axis, store)
        self.throughput = LineChart("Throughput", theme, self.axis, _throughput(store))
        self.queue = LineChart("Queue depth", theme, self.axis, _queue(store))
        self.matrix.chosen.connect(lambda row: self.inspected.emit("worker", row))
        self.strips.chosen.connect(lambda row: self.inspected.emit("sentinel", row))
        self._ledger = QLabel()
        self._ledger.setProperty("role", "muted")
        self._ledger.setAccessibleName("Ledger of spans")
        self._build()

    def refresh(self, now_ns: int) -> None:
        """Shows the store as of now."""
        self.axis.advance(now_ns)
        self.kpis.refresh()
        for part in (self.matrix, self.latency, self.strips, self.throughput, self.queue):
            part.refresh()
        self._ledger.setText(_ledger(self._store))

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


def _kpis(store: FleetStore) -> list[Kpi]:
    series, latency = store.series, store.latency
    hint = "of the run time of commands in a worker"
    return [
        Kpi("Commands", "series.1", _rates(series, "citadel.commands"), _rate, "Ended, a second"),
        Kpi("Median", "series.3", _percentile(latency, 0.5), _seconds, f"p50 {hint}"),
        Kpi("p99", "series.6", _percentile(latency, 0.99), _seconds, f"p99 {hint}"),
        Kpi(
            "Queued",
            "series.2",
            lambda start, end, columns: series.values("pool.queued", start, end, columns),
            lambda values: figures.count(float(values[-1])),
            "Commands that wait for a worker",
        ),
        Kpi(
            "Failed",
            "decision.block",
            _rates(series, "pool.failed"),
            _rate,
            "Commands that failed, a second",
        ),
        Kpi(
            "Guarded",
            "series.4",
            _rates(series, "citadel.guard.requests"),
            _rate,
            "Requests that passed the guards, a second",
        ),
        Kpi(
            "Spans kept",
            "series.7",
            _rates(series, "citadel.spans.kept"),
            _rate,
            "Spans that the sampling policy kept, a second",
        ),
    ]


def _rates(series: SeriesHistory, prefix: str) -> Source:
    return lambda start, end, columns: series.rates(prefix, start, end, columns)


def _percentile(latency: LatencyHistory, share: float) -> Source:
    return lambda start, end, columns: latency.percentiles(COMMAND, start, end, columns, [share])[0]


def _seconds(values: Values) -> str:
    known = values[~np.isnan(values)]
    return figures.seconds(float(known[-1])) if len(known) else "–"


def _rate(values: Values) -> str:
    """Of the last whole columns: the newest one is still filling up."""
    return figures.rate(float(values[-4:-1].mean())) if len(values) else "–"


def _throughput(store: FleetStore) -> list[Line]:
    series = store.series
    return [
        Line("done", "series.1", lambda s, e, c: series.rates("pool.done", s, e, c), "/s", True),
        Line("failed", "series.6", lambda s, e, c: series.rates("pool.failed", s, e, c), "/s"),
    ]


def _queue(store: FleetStore) -> list[Line]:
    series = store.series
    return [
        Line(
            "waiting", "series.2", lambda s, e, c: series.values("pool.queued", s, e, c), "", True
        ),
        Line("running", "series.3", lambda s, e, c: series.values("pool.running", s, e, c), ""),
    ]


def _ledger(store: FleetStore) -> str:
    started = store.counter("citadel.spans.started")
    kept = store.counter("citadel.spans.kept")
    dropped = store.counter("citadel.spans.dropped")
    words = (
        f"{figures.count(started)} spans",
        f"{figures.count(kept)} kept",
        f"{figures.count(dropped)} dropped",
        f"{store.received_rows:,} rows received",
    )
    return "  ·  ".join(words)

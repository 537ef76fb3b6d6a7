"""One pool, for the Inspector: how it stands, what it is set to, its queue and work over time.

Main thread only.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QButtonGroup, QFrame, QScrollArea, QToolButton, QWidget

from app import figures
from app.commands import CommandSink
from app.models.pools import breaker_text, profile_text, queue_tip, slab_tip, workers_tip
from app.store import FleetStore, Row
from app.theme import GRID_PX, Theme
from app.views.bridge.lines import Line, LineChart
from app.views.bridge.timeaxis import SPANS, TimeAxis
from app.views.fleet.pools import pool_actions
from app.views.labels import IconButton, column_of, label, row_of
from app.views.pool.queuechart import QueueChart
from app.views.shapes import state_color, state_pixmap
from app.views.worker.facts import Facts

MARK_PX = 11
CHART_PX = 120
FACTS = (
    "Trouble",
    "Workers",
    "Queue",
    "Wait",
    "Breaker",
    "Commands",
    "Taken care of",
    "Shared memory",
    "Keeps",
    "Runs on",
    "Adapter",
)


class PoolPanel(QScrollArea):
    """Everything about one pool."""

    def __init__(self, store: FleetStore, theme: Theme, sink: CommandSink) -> None:
        super().__init__()
        self._store = store
        self._theme = theme
        self._name = ""
        self._now_ns = 0
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName("The pool")
        self.mark = label()
        self.mark.setFixedSize(MARK_PX, MARK_PX)
        self.state = label("", "heading", name="State of the pool")
        self._actions = pool_actions(self, sink)
        self.buttons: dict[str, IconButton] = {
            action.title: IconButton(
                action.icon, action.title, theme, lambda run=action.run: self._act(run)
            )
            for action in self._actions
        }
        self.facts = Facts(FACTS)
        self.axis = TimeAxis(self)
        self.queue = QueueChart(theme, self.axis, store.series)
        self.work = LineChart("Work", theme, self.axis, self._work_lines())
        self.rate = LineChart("Throughput", theme, self.axis, self._rate_lines())
        for chart in (self.queue, self.work, self.rate):
            chart.setMinimumHeight(CHART_PX)
        self._build()

    def _build(self) -> None:
        head = row_of(self.mark, self.state, 1, spacing=GRID_PX)
        for made in self.buttons.values():
            head.addWidget(made)
        self.stretches = QButtonGroup(self)
        segments = row_of(label("Over time", "heading"), 1, spacing=4)
        for seconds in SPANS:
            made = QToolButton()
            made.setText(f"{seconds // 60} min")
            made.setCheckable(True)
            made.setProperty("role", "segment")
            made.setChecked(seconds == self.axis.seconds)
            made.setToolTip(f"Show the last {seconds // 60} minutes")
            made.setAccessibleName(made.toolTip())
            made.clicked.connect(lambda _on=False, chosen=seconds: self._show_stretch(chosen))
            self.stretches.addButton(made)
            segments.addWidget(made)
        body = QWidget()
        body.setProperty("role", "panel")
        rows = column_of(head, self.facts, segments, self.queue, self.work, self.rate)
        rows.setContentsMargins(12, 4, 12, GRID_PX)
        for at in (3, 4, 5):
            rows.setStretch(at, 1)
        body.setLayout(rows)
        self.setWidget(body)

    def _work_lines(self) -> list[Line]:
        series = self._store.series
        return [
            Line(
                "running",
                "series.1",
                lambda start, end, n: series.peaks(f"pool.running.{self._name}", start, end, n),
                filled=True,
                stepped=True,
            ),
            Line(
                "workers wanted",
                "series.3",
                lambda start, end, n: series.peaks(f"pool.size.{self._name}", start, end, n),
                stepped=True,
            ),
        ]

    def _rate_lines(self) -> list[Line]:
        series = self._store.series
        return [
            Line(
                "done",
                "series.1",
                lambda start, end, n: series.rates(f"pool.done.{self._name}", start, end, n),
                "/s",
                filled=True,
            ),
            Line(
                "failed",
                "series.6",
                lambda start, end, n: series.rates(f"pool.failed.{self._name}", start, end, n),
                "/s",
            ),
        ]

    # ── what is shown ───────────────────────────────────────────────────────────────────────────
    def inspect(self, row: Row) -> None:
        """Shows a pool."""
        self._name = row["name"]
        self.queue.show_pool(self._name)

    def refresh(self, now_ns: int) -> None:
        """Shows it as of now."""
        self._now_ns = now_ns
        row = self._store.pools.get(self._name)
        if row is None:
            return
        self._show_head(row)
        self._show_facts(row)
        self.axis.advance(now_ns)
        for chart in (self.queue, self.work, self.rate):
            chart.refresh()

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self._theme = theme
        for made in self.buttons.values():
            made.set_theme(theme)
        for chart in (self.queue, self.work, self.rate):
            chart.set_theme(theme)

    def _show_head(self, row: Row) -> None:
        state = str(row["state"])
        color = state_color(self._theme, state)
        self.mark.setPixmap(state_pixmap(state, color, MARK_PX, self.devicePixelRatioF()))
        self.state.setText(state)
        palette = self.state.palette()
        palette.setColor(QPalette.ColorRole.WindowText, QColor(color))
        self.state.setPalette(palette)
        live = self._store.connection.live
        for action in self._actions:
            fits = live and action.fits(row)
            made = self.buttons[action.title]
            made.setEnabled(fits)
            told = action.tip(row) if action.tip is not None and fits else ""
            made.setToolTip("\n".join(filter(None, (action.title, told))))

    def _show_facts(self, row: Row) -> None:
        tell = self.facts.tell
        tell("Trouble", row["error"], "error")
        tell("Workers", workers_tip(row))
        tell("Queue", queue_tip(row).replace("\n", ". "))
        wait = row["queue_wait"]
        tell("Wait", f"{figures.seconds(wait)} in the queue, the median" if wait else "")
        breaker = row["breaker"]
        role = {"open": "error", "half_open": "warning"}.get(breaker, "")
        tell("Breaker", breaker_text(row) if breaker else "", role)
        parts = ("done", "failed", "cancelled", "rejected", "shed")
        tell("Commands", counts(row, parts) or "none yet")
        tell("Taken care of", counts(row, ("retried", "hedged")))
        tell("Shared memory", slab_tip(row) if row["slab_bytes"] else "")
        tell("Keeps", counts(row, ("sessions", "poisoned")))
        tell("Runs on", f"{profile_text(row)} workers")
        tell("Adapter", row["adapter"])

    def _show_stretch(self, seconds: int) -> None:
        self.axis.show_seconds(seconds)
        self.refresh(self._now_ns)

    def _act(self, run: object) -> None:
        row = self._store.pools.get(self._name)
        if row is not None and callable(run):
            run(row)


def counts(row: Row, keys: tuple[str, ...]) -> str:
    """What is not zero: "1,204 done, 3 failed"."""
    return ", ".join(f"{row[key]:,} {key}" for key in keys if row[key])

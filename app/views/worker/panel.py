"""One worker, for the Inspector: what it does, its life, memory and CPU over time, its output.

It shows what the stream told of the worker at once, and asks the engine for what was before. A
worker that ended stays: how it ended is what one looks for then. Main thread only.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import (
    QButtonGroup,
    QFrame,
    QScrollArea,
    QSizePolicy,
    QStackedWidget,
    QTabBar,
    QToolButton,
    QWidget,
)

from app import figures
from app.commands import CommandSink, Outcome
from app.models import workerpast
from app.models.lives import Life, Step
from app.models.pools import memory_tip, runs_text
from app.models.table import ColumnSpec, TableModel, column
from app.models.workerpast import Told
from app.poolcommands import detail_of, inspect_worker, kill_worker, recycle_pool
from app.store import FleetStore, Row
from app.theme import GRID_PX, Theme
from app.views.confirm import confirm
from app.views.labels import IconButton, button, column_of, label, row_of, set_role
from app.views.shapes import state_color, state_pixmap
from app.views.tables import Table
from app.views.worker.chart import LEAST_SECONDS, SECOND, LifeChart, Seen
from app.views.worker.facts import Facts
from app.views.worker.output import OutputPane
from citadel.wire.messages import WorkerDetail

MARK_PX = 11
STRETCHES = ((60, "1 min"), (600, "10 min"), (0, "Life"))
"""What the chart may show; 0 is the whole life."""
PAGE_PX = 160
END_SHARE = 40
ALIVE = frozenset({"starting", "ready", "busy", "draining"})
FACTS = ("Ended", "To be replaced", "Runs", "Commands", "Memory", "CPU", "Heartbeats", "Process")

STEPS = (
    column("State", "state", state=lambda row: row["state"], width=96),
    ColumnSpec(
        title="At",
        text=lambda row, _now: figures.time_of_day(row["since_ns"])[:8],
        sort=lambda row: row["since_ns"],
        tip=lambda row, _now: figures.moment(row["since_ns"]),
        width=72,
    ),
    ColumnSpec(
        title="For",
        text=lambda row, now: figures.seconds((row["until_ns"] or now) / SECOND - row["since_s"]),
        sort=lambda row: row["until_ns"],
        right=True,
        width=80,
        moves=True,
    ),
    column("Cause", "cause", width=160),
)


class WorkerPanel(QScrollArea):
    """Everything about one worker."""

    def __init__(self, store: FleetStore, theme: Theme, sink: CommandSink) -> None:
        super().__init__()
        self._store = store
        self._theme = theme
        self._sink = sink
        self._key = ("", "")
        self._told: Told | None = None
        self._seconds = 0
        self._now_ns = 0
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName("The worker")
        self.mark = label()
        self.mark.setFixedSize(MARK_PX, MARK_PX)
        self.state = label("", "heading", name="State of the worker")
        self.since = label("", "muted", wrap=True, name="For how long, and why")
        self.recycle = IconButton("recycle", "Recycle the worker", theme, self._recycle)
        self.kill = IconButton("kill", "Kill the worker…", theme, self._kill)
        self.facts = Facts(FACTS)
        self.chart = LifeChart(theme)
        self.note = label("", "muted", wrap=True, name="About its past")
        self.again = button("Ask again", self._ask)
        self.output = OutputPane(store, theme)
        self.steps = TableModel(STEPS, self)
        self.life = Table("Life of the worker", self.steps, theme)
        self._build()

    def _build(self) -> None:
        head = row_of(self.mark, self.state, self.since, self.recycle, self.kill)
        head.setStretch(2, 1)
        self.stretches = QButtonGroup(self)
        segments = row_of(label("Over time", "heading"), 1, spacing=4)
        for seconds, text in STRETCHES:
            made = QToolButton()
            made.setText(text)
            made.setCheckable(True)
            made.setProperty("role", "segment")
            made.setChecked(seconds == self._seconds)
            told = "Show its whole life" if not seconds else f"Show the last {text}"
            made.setToolTip(told)
            made.setAccessibleName(told)
            made.clicked.connect(lambda _on=False, chosen=seconds: self._show_stretch(chosen))
            self.stretches.addButton(made)
            segments.addWidget(made)
        self.tabs = QTabBar()
        self.tabs.setAccessibleName("Output or life")
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        self.pages = QStackedWidget()
        # It takes what room there is; the rest of the panel says how high it wants to be.
        self.pages.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
        self.pages.setMinimumHeight(PAGE_PX)
        for title, page in (("Output", self.output), ("Life", self.life)):
            self.tabs.addTab(title)
            self.pages.addWidget(page)
        self.tabs.currentChanged.connect(self.pages.setCurrentIndex)
        past = row_of(self.note, self.again)
        past.setStretch(0, 1)
        body = QWidget()
        body.setProperty("role", "panel")
        rows = column_of(
            head, self.facts, segments, self.chart, past, self.tabs, self.pages, margin=12
        )
        rows.setContentsMargins(12, 4, 12, GRID_PX)
        rows.setStretch(3, 2)
        rows.setStretch(6, 3)
        body.setLayout(rows)
        self.setWidget(body)

    # ── what is shown ───────────────────────────────────────────────────────────────────────────
    def inspect(self, row: Row) -> None:
        """Shows a worker, and asks for its past."""
        key = (row["pool"], row["id"])
        if key != self._key:
            self._key, self._told = key, None
            self.output.show_worker(key[1])
            self.steps.set_rows({})
        self._ask()

    def refresh(self, now_ns: int) -> None:
        """Shows it as of now."""
        self._now_ns = now_ns
        life = self._store.lives.get(*self._key)
        row = self._store.workers.get(self._key) or (life.row if life is not None else None)
        self.output.follow()
        if not row:
            return
        now = now_ns
        if life is not None and life.ended:
            now = min(now_ns, max(life.row["since_ns"], life.row["time_ns"]))
        past = tuple(workerpast.steps(life, self._detail))
        shares = workerpast.shares(life, self._told, now)
        self._show_head(row, life, now_ns)
        self._show_facts(row)
        self._show_steps(past, now_ns, ended=life is not None and life.ended)
        start, now = self._stretch(life, past, row, now)
        curve = workerpast.curve(life, self._detail)
        self.chart.show_life(
            Seen(start_ns=start, end_ns=now, curve=curve, steps=past, life=life, shares=shares)
        )

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self._theme = theme
        for part in (self.recycle, self.kill, self.output.before, self.output.after):
            part.set_theme(theme)
        self.chart.set_theme(theme)
        self.output.set_theme(theme)
        self.life.delegate.theme = theme

    def focus_filter(self) -> None:
        """Where Ctrl+F leads: to find in its output."""
        self.tabs.setCurrentIndex(0)
        self.output.query.setFocus()

    def _show_head(self, row: Row, life: Life | None, now_ns: int) -> None:
        state = str(row["state"])
        color = state_color(self._theme, state)
        self.mark.setPixmap(state_pixmap(state, color, MARK_PX, self.devicePixelRatioF()))
        self.state.setText(state)
        palette = self.state.palette()
        palette.setColor(QPalette.ColorRole.WindowText, QColor(color))
        self.state.setPalette(palette)
        ended = life is not None and life.ended
        passed = figures.ago(row["since_ns"], now_ns)
        parts = [f"{passed} ago" if ended else f"for {passed}", row["cause"]]
        self.since.setText(" · ".join(part for part in parts if part))
        alive = row["state"] in ALIVE and not ended and self._store.connection.live
        self.kill.setEnabled(alive)
        self.recycle.setEnabled(alive and row["state"] != "draining")

    def _show_facts(self, row: Row) -> None:
        tell = self.facts.tell
        detail = self._detail
        ended = detail.ended if detail is not None else ""
        tell("Ended", ended, "error" if row["state"] == "lost" else "")
        tell("To be replaced", row["taint"], "warning")
        runs = runs_text(row)
        tell("Runs", f"{runs} ({row['command_id']})" if row["command_id"] else runs or "nothing")
        tell("Commands", f"{row['done']:,} done, {row['failed']:,} failed")
        tell("Memory", memory_tip(row) if row["rss_bytes"] else "not measured yet")
        tell("CPU", f"{figures.share(row['cpu'])} of a core")
        missed = row["missed"]
        lost = f"{missed:,} in a row did not come"
        tell("Heartbeats", lost if missed else "", "warning")
        place = f" on {row['node']}" if row["node"] else ""
        started = f", since {figures.time_of_day(row['started_ns'])[:8]}"
        tell("Process", f"{row['pid']}{place}{started}" if row["pid"] else "none")

    def _show_steps(self, past: tuple[Step, ...], now_ns: int, *, ended: bool) -> None:
        untils = [*(step.since_ns for step in past[1:]), 0]
        if ended and past:
            untils[-1] = past[-1].since_ns
        rows = {
            at: {
                "state": "ready and busy" if step.state in ("ready", "busy") else step.state,
                "since_ns": step.since_ns,
                "since_s": step.since_ns / SECOND,
                "until_ns": until,
                "cause": step.cause,
            }
            for at, (step, until) in enumerate(zip(past, untils, strict=True))
        }
        self.steps.set_rows(rows, now_ns // SECOND * SECOND)

    def _stretch(
        self, life: Life | None, past: tuple[Step, ...], row: Row, now: int
    ) -> tuple[int, int]:
        """The times that are shown: from its beginning, or the last minutes; to now, or its end."""
        firsts = [row["started_ns"] or now, *(step.since_ns for step in past[:1])]
        curve = workerpast.curve(life, self._detail)
        if len(curve):
            firsts.append(int(curve.times[0]))
        start = now - self._seconds * SECOND if self._seconds else min(firsts)
        start = min(start, now - LEAST_SECONDS * SECOND)
        if life is not None and life.ended:
            # Some room after the end, so that the last state is seen.
            now += (now - start) // END_SHARE
        return start, now

    @property
    def _detail(self) -> WorkerDetail | None:
        return self._told.detail if self._told is not None else None

    def _show_stretch(self, seconds: int) -> None:
        self._seconds = seconds
        self.refresh(self._now_ns)

    # ── the engine's part ───────────────────────────────────────────────────────────────────────
    def _ask(self) -> None:
        self.note.setText("Asking the engine for its past…")
        set_role(self.note, "muted")
        self.note.show()
        self.again.hide()
        key = self._key
        self._sink.send(inspect_worker(*key), lambda outcome: self._on_detail(key, outcome))

    def _on_detail(self, key: tuple[str, str], outcome: Outcome) -> None:
        if key != self._key:
            return
        detail = detail_of(outcome.reply, *key)
        if detail is None:
            text = outcome.error.message if outcome.error else "the engine told of another worker"
            self.note.setText(f"Only what this window saw is shown: {text}")
            set_role(self.note, "warning")
            self.again.show()
            return
        life = self._store.lives.get(*key)
        seen = life.shares(self._now_ns) if life is not None else {}
        self._told = Told(detail, seen)
        self.note.hide()
        self.output.take_past(detail.output)
        self.refresh(self._now_ns)

    def _recycle(self) -> None:
        self._sink.send(recycle_pool(*self._key))

    def _kill(self) -> None:
        row = self._store.workers.get(self._key)
        if row is not None:
            confirm(self, kill_worker(row), self._sink)

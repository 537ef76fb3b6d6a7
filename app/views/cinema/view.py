"""Cinema: the traces at the left, one of them as a waterfall, its spans in the inspector below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QSplitter, QToolButton, QVBoxLayout, QWidget

from app.commands import CommandSink, Outcome, get_trace, search_traces
from app.models.ledger import Ledger, missed, of_spans
from app.models.waterfall import Waterfall, as_rows
from app.store import FleetStore
from app.theme import GRID_PX, Theme
from app.views.cinema.describe import described
from app.views.cinema.lanes import Shown
from app.views.cinema.minimap import Minimap
from app.views.cinema.tracelist import TraceList
from app.views.cinema.viewport import Viewport
from app.views.cinema.waterfall import KEYS, WaterfallView
from app.views.inspector import Inspector
from app.views.labels import Elided, button, label, row_of
from app.views.ledgercorner import LedgerCorner
from citadel.wire.columns import Table, unpack
from citadel.wire.messages import SearchTracesReply, Trace

LIVE_TRACES = 200
SEARCH_NS = 2_000_000_000
"""How often a filter is sent again while the list is live."""
GROW_NS = 500_000_000
"""How often a large trace that has open spans is laid out again."""
LARGE = 5_000
SETTLED_NS = 1_000_000_000
RICH, PATIENCE_NS = 5, 4_000_000_000
"""Spans of a trace that opens by itself, and how long one with fewer is put off."""


class CinemaView(QWidget):
    """Execution Cinema."""

    inspected = Signal(str, object)
    why_asked = Signal(str)
    """A trace that is not here; why?"""

    def __init__(self, store: FleetStore, theme: Theme, sink: CommandSink) -> None:
        super().__init__()
        self._store = store
        self._sink = sink
        self._shown: Shown | None = None
        self._wanted = ""
        self._received = -1
        self._stored: Table = {}
        self._known = 0
        self._more = ""
        self._now_ns = self._searched_ns = self._grown_ns = self._first_ns = 0
        self.setAccessibleName("Cinema")
        self.stretch = Viewport(self)
        self.list = TraceList(theme)
        self.minimap = Minimap(self.stretch, theme)
        self.waterfall = WaterfallView(self.stretch, theme)
        self.waterfall.setToolTip("")
        self.inspector = Inspector(store, theme, sink)
        self.title = label("No trace open", "heading")
        self.summary = Elided("muted", name="The trace in words")
        self._missing = ""
        self.ledger = LedgerCorner("the waterfall", theme, mark_only=True)
        self.why = button(
            "Why is it missing?", lambda: self.why_asked.emit(self._missing), "primary"
        )
        self.why.hide()
        self.list.searched.connect(self._search)
        self.list.opened.connect(self.open_trace)
        self.list.live_again.connect(self._tail)
        self.waterfall.chosen.connect(self._on_span)
        self._build()

    # ── what the window asks ────────────────────────────────────────────────────────────────────
    def refresh(self, now_ns: int) -> None:
        """Follows the live edge: the newest traces, and the open one while it grows."""
        self._now_ns = now_ns
        received = self._store.spans.received
        if received != self._received:
            self._received = received
            if self.list.live:
                self._tail()
        if self._shown is not None:
            self._grow(self._shown)
        self.list.ledger.show_ledger(of_spans(self._store, self._store.spans))

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self.list.set_theme(theme)
        self.ledger.set_theme(theme)
        for part in (self.minimap, self.waterfall, self.inspector):
            part.set_theme(theme)

    def set_filter(self, text: str) -> None:
        """Searches."""
        self.list.filter.setText(text)

    def focus_filter(self) -> None:
        """Puts the cursor into the filter."""
        self.list.filter.setFocus()
        self.list.filter.selectAll()

    # ── a trace ─────────────────────────────────────────────────────────────────────────────────
    def open_trace(self, trace_id: str) -> None:
        """Shows a trace: what the stream brought of it, or else what the engine has stored."""
        if trace_id == self._wanted:
            return
        self._wanted = trace_id
        self.why.hide()
        streamed = self._streamed(trace_id)
        if (streamed["parent_id"] == 0).any():
            self.show_trace(trace_id, streamed)
        else:
            self.summary.setText("Asking the engine…")
            self._sink.send(get_trace(trace_id), lambda outcome: self._on_trace(trace_id, outcome))

    def show_trace(self, trace_id: str, table: Table, *, truncated: bool = False) -> None:
        """Shows spans of a trace; what the stream brings later is added."""
        self._wanted, self._stored = trace_id, table
        self._more = ", the first 200,000 spans" if truncated else ""
        self._known = len(self._streamed(trace_id)["span_id"])
        shown = self._lay_out(trace_id, table)
        self.waterfall.show_trace(shown)
        self._say(shown)
        if len(shown.layout):
            self.waterfall.select(int(shown.layout.start.argmin()))

    def _lay_out(self, trace_id: str, table: Table) -> Shown:
        self._shown = Shown(trace_id, table, Waterfall(table, self._now_ns))
        self._grown_ns = self._now_ns
        self.minimap.show_layout(self._shown.layout)
        return self._shown

    def _grow(self, shown: Shown) -> None:
        """Adds what the stream has brought since, and draws open spans to now."""
        streamed = self._streamed(shown.trace_id)
        number = len(streamed["span_id"])
        if number == self._known and not shown.layout.unfinished:
            return
        if len(shown.layout) > LARGE and self._now_ns - self._grown_ns < GROW_NS:
            return
        self._known = number
        stored = self._stored
        table = {name: np.concatenate([stored[name], streamed[name]]) for name in stored}
        grown = self._lay_out(shown.trace_id, table)
        self.waterfall.show_trace(grown, keep=True)
        self._say(grown)

    def _say(self, shown: Shown) -> None:
        self.title.setText(_root(shown.table))
        self.title.setToolTip(f"Trace {shown.trace_id}")
        self.summary.setText(self.waterfall.as_text() + self._more)
        rows, spans = len(shown.table["span_id"]), len(shown.layout)
        self.ledger.show_ledger(
            Ledger(
                what="span rows",
                received=rows,
                kept=spans,
                dropped={"told twice: the later row counts": rows - spans},
                missed=missed(self._store),
                note="Spans narrower than a pixel are drawn as one; errors and flags stay on top."
                + self._more,
            )
        )

    def _on_trace(self, trace_id: str, outcome: Outcome) -> None:
        if trace_id != self._wanted:
            return  # another one was chosen meanwhile
        reply = outcome.reply
        kept = self._streamed(trace_id)
        if isinstance(reply, Trace) and reply.spans is not None:
            self.show_trace(trace_id, unpack(reply.spans), truncated=reply.truncated)
        elif len(kept["span_id"]):
            self.show_trace(trace_id, kept)
        elif outcome.error is not None:
            self._shown, self._wanted = None, ""
            self.waterfall.empty = f"{outcome.error.message}. {outcome.error.remedy}".strip()
            self.waterfall.show_trace(None)
            self.minimap.show_layout(None)
            self.title.setText(f"Trace {trace_id[:8]}")
            self.summary.setText("not here")
            self._missing = trace_id
            self.why.show()

    def _streamed(self, trace_id: str) -> Table:
        return self._store.spans.trace(int(trace_id[:16], 16), int(trace_id[16:], 16))

    def _on_span(self, row: int) -> None:
        if self._shown is not None:
            found = described(as_rows(self._shown.table, row), self._shown.layout.begin_ns)
            self.inspector.inspect("span", found)
            self.inspected.emit("span", found)

    # ── the list ────────────────────────────────────────────────────────────────────────────────
    def show_traces(self, table: Mapping[str, NDArray[Any]], note: str) -> None:
        """Shows rows of topic `trace_summary`."""
        self.list.show_traces(table, note, self._wanted)

    def _tail(self) -> None:
        """The newest traces: the stream's own, or those that the filter finds."""
        text = self.list.text
        if text:
            if self._now_ns - self._searched_ns >= SEARCH_NS:
                self._search(text)
            return
        recent = self._store.spans.recent_traces(LIVE_TRACES)
        number = len(recent["name"])
        self.show_traces(
            recent, f"The newest {number} traces, as they arrive" if number else _EMPTY
        )
        if self._shown is None and not self._wanted and number:
            self._open_first(recent)

    def _open_first(self, recent: Mapping[str, NDArray[Any]]) -> None:
        """At the start: of the traces that have been over for a moment, the one that has most."""
        settled = (recent["end_ns"] > 0) & (recent["end_ns"] < self._now_ns - SETTLED_NS)
        spans = np.where(settled, recent["spans"], 0)
        self._first_ns = self._first_ns or self._now_ns
        patient = self._now_ns - self._first_ns < PATIENCE_NS
        if int(spans.max()) >= (RICH if patient else 2):
            first = int(spans.argmax())
            high, low = int(recent["trace_hi"][first]), int(recent["trace_lo"][first])
            self.open_trace(f"{high:016x}{low:016x}")
            self.list.mark(self._wanted)

    def _search(self, text: str) -> None:
        if not text:
            self._tail()
            return
        self._searched_ns = self._now_ns
        self._sink.send(
            search_traces(text, LIVE_TRACES), lambda outcome: self._on_found(text, outcome)
        )

    def _on_found(self, text: str, outcome: Outcome) -> None:
        if self.list.text != text:
            return  # the filter has moved on
        reply = outcome.reply
        if isinstance(reply, SearchTracesReply) and reply.traces is not None:
            table = unpack(reply.traces)
            number = len(table["name"])
            more = "The newest " if number == LIVE_TRACES else ""
            note = f"{more}{number} {'trace matches' if number == 1 else 'traces match'}"
            self.show_traces(table, note if number else "No trace matches.")
        elif outcome.error is not None:
            self.list.say(f"{outcome.error.message}. {outcome.error.remedy}".strip(), bad=True)

    def _build(self) -> None:
        fit = QToolButton()
        fit.setText("Fit")
        fit.setToolTip(f"Show the whole trace (0). {KEYS}.")
        fit.setAccessibleName("Show the whole trace")
        fit.clicked.connect(lambda _checked=False: self.stretch.fit())
        head = row_of(self.title, self.summary, self.why, self.ledger, fit)
        head.setStretch(1, 1)
        head.setContentsMargins(12, 6, GRID_PX, 6)
        above = QWidget()
        column = QVBoxLayout(above)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(head)
        column.addWidget(self.minimap)
        column.addWidget(self.waterfall, 1)
        right = QSplitter(Qt.Orientation.Vertical)
        right.addWidget(above)
        right.addWidget(self.inspector)
        right.setStretchFactor(0, 3)
        right.setStretchFactor(1, 1)
        right.setSizes([560, 220])
        split = QSplitter(Qt.Orientation.Horizontal)
        split.addWidget(self.list)
        split.addWidget(right)
        split.setStretchFactor(1, 1)
        split.setSizes([400, 1000])
        split.setChildrenCollapsible(False)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(split)


_EMPTY = (
    "No traces yet. Start a mission in Fleet; a trace appears as soon as the engine keeps one,"
    " as the sampling policy says."
)


def _root(table: Table) -> str:
    """The name of the span without a parent, or of the first one."""
    if not len(table["span_id"]):
        return ""
    order = np.lexsort((table["start_ns"], table["parent_id"] != 0))
    return str(table["name"][order[0]])

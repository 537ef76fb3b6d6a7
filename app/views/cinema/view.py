"""Cinema: the traces at the left, one of them as a waterfall, its spans in the inspector below."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSplitter, QToolButton, QVBoxLayout, QWidget

from app import figures
from app.commands import CommandSink, Outcome, get_trace, search_traces
from app.models.waterfall import Waterfall, as_rows
from app.store import FleetStore, Row
from app.theme import GRID_PX, Theme
from app.views.cinema.minimap import Minimap
from app.views.cinema.tracelist import TraceList
from app.views.cinema.viewport import Viewport
from app.views.cinema.waterfall import Shown, WaterfallView
from app.views.inspector import Inspector
from citadel.wire.columns import Table, unpack
from citadel.wire.messages import SearchTracesReply, Trace

LIVE_TRACES = 200
_KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}
_STATUSES = {0: "unset", 1: "ok", 2: "error"}


class CinemaView(QWidget):
    """Execution Cinema."""

    inspected = Signal(str, object)

    def __init__(self, store: FleetStore, theme: Theme, sink: CommandSink) -> None:
        super().__init__()
        self._store = store
        self._sink = sink
        self._shown: Shown | None = None
        self._wanted = ""
        self._received = -1
        self.setAccessibleName("Cinema")
        self.viewport_ = Viewport(self)
        self.list = TraceList(theme)
        self.minimap = Minimap(self.viewport_, theme)
        self.waterfall = WaterfallView(self.viewport_, theme)
        self.inspector = Inspector(store, theme, sink)
        self.title = QLabel("No trace open")
        self.title.setProperty("role", "heading")
        self.title.setTextFormat(Qt.TextFormat.PlainText)
        self.list.searched.connect(self._search)
        self.list.opened.connect(self.open_trace)
        self.waterfall.chosen.connect(self._on_span)
        self._build()

    def refresh(self, _now_ns: int) -> None:
        """Follows the live edge: the newest traces, and the open one while it grows."""
        spans = self._store.spans
        if spans.received == self._received:
            return
        self._received = spans.received
        if self.list.live:
            recent = spans.recent_traces(LIVE_TRACES)
            note = f"The newest {len(recent['name'])} traces, as they arrive"
            self.list.show_traces(recent, note if len(recent["name"]) else _EMPTY)
            if self._shown is None and not self._wanted and len(recent["name"]):
                self._open_first(recent)
        if self._shown is not None and self._shown.layout.unfinished:
            self._grow(self._shown)

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self.list.table.delegate.theme = theme
        for part in (self.minimap, self.waterfall, self.inspector):
            part.set_theme(theme)

    def open_trace(self, trace_id: str) -> None:
        """Shows a trace: what the stream brought of it, or else what the engine has stored."""
        self._wanted = trace_id
        if self._shown is not None and self._shown.trace_id == trace_id:
            return
        streamed = self._streamed(trace_id)
        if (streamed["parent_id"] == 0).any():
            self.show_trace(trace_id, streamed)
        else:
            self._sink.send(get_trace(trace_id), lambda outcome: self._on_trace(trace_id, outcome))

    def show_trace(self, trace_id: str, table: Table, *, truncated: bool = False) -> None:
        """Shows spans of a trace."""
        newest = int(max(table["end_ns"].max(initial=0), table["start_ns"].max(initial=0)))
        layout = Waterfall(table, newest)
        self._shown = Shown(trace_id, table, layout)
        self.waterfall.show_trace(self._shown)
        self.minimap.show_layout(layout)
        root = _root(table)
        more = ", the first 200,000 spans" if truncated else ""
        self.title.setText(f"{root}   {self.waterfall.as_text()}{more}")
        self.title.setToolTip(trace_id)
        if len(layout):
            self.waterfall.select(int(layout.start.argmin()))

    def _build(self) -> None:
        fit = QToolButton()
        fit.setText("Fit")
        fit.setToolTip("Show the whole trace (0)")
        fit.setAccessibleName("Show the whole trace")
        fit.clicked.connect(self._fit)
        head = QHBoxLayout()
        head.setContentsMargins(12, 6, GRID_PX, 6)
        head.addWidget(self.title, 1)
        head.addWidget(fit)
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

    def _fit(self) -> None:
        self.viewport_.fit()

    def _search(self, text: str) -> None:
        if not text:
            self._received = -1
            self.refresh(0)
            return
        self.list.say("Searching…")
        self._sink.send(search_traces(text), lambda outcome: self._on_found(text, outcome))

    def _on_found(self, text: str, outcome: Outcome) -> None:
        if self.list.filter.text().strip() != text:
            return  # the filter has moved on
        reply = outcome.reply
        if isinstance(reply, SearchTracesReply) and reply.traces is not None:
            table = unpack(reply.traces)
            number = len(table["name"])
            self.list.show_traces(
                table, f"{number} traces match" if number else "No trace matches."
            )
        elif outcome.error is not None:
            self.list.say(f"{outcome.error.message}. {outcome.error.remedy}".strip(), bad=True)

    def _on_trace(self, trace_id: str, outcome: Outcome) -> None:
        if trace_id != self._wanted:
            return  # another one was chosen meanwhile
        reply = outcome.reply
        if isinstance(reply, Trace) and reply.spans is not None:
            self.show_trace(trace_id, unpack(reply.spans), truncated=reply.truncated)
        elif outcome.error is not None:
            self.title.setText(f"{outcome.error.message}. {outcome.error.remedy}".strip())

    def _streamed(self, trace_id: str) -> Table:
        return self._store.spans.trace(int(trace_id[:16], 16), int(trace_id[16:], 16))

    def _open_first(self, recent: Mapping[str, NDArray[Any]]) -> None:
        """At the start: the newest trace that has ended and has more than one span."""
        for high, low, spans in zip(
            recent["trace_hi"].tolist(),
            recent["trace_lo"].tolist(),
            recent["spans"].tolist(),
            strict=True,
        ):
            trace_id = f"{high:016x}{low:016x}"
            table = self._streamed(trace_id)
            if spans > 1 and ((table["parent_id"] == 0) & (table["end_ns"] > 0)).any():
                self.open_trace(trace_id)
                return

    def _grow(self, shown: Shown) -> None:
        """Shows what the stream has brought since of a trace with open spans."""
        table = self._streamed(shown.trace_id)
        if len(table["span_id"]) > len(shown.table["span_id"]):
            newest = int(max(table["end_ns"].max(initial=0), table["start_ns"].max(initial=0)))
            self._shown = Shown(shown.trace_id, table, Waterfall(table, newest))
            self.waterfall.show_trace(self._shown, keep=True)
            self.minimap.show_layout(self._shown.layout)
            self.title.setText(f"{_root(table)}   {self.waterfall.as_text()}")

    def _on_span(self, row: int) -> None:
        if self._shown is not None:
            described = _described(as_rows(self._shown.table, row), self._shown.layout.begin_ns)
            self.inspector.inspect("span", described)
            self.inspected.emit("span", described)


_EMPTY = "No traces yet. They appear as soon as the engine keeps one: see the sampling policy."


def _root(table: Table) -> str:
    for name, parent in zip(table["name"].tolist(), table["parent_id"].tolist(), strict=True):
        if parent == 0:
            return str(name)
    return str(table["name"][0]) if len(table["name"]) else ""


def _described(row: dict[str, Any], begin_ns: int) -> Row:
    """A span for people: ids in hex, times relative to the trace, attributes opened."""
    ended = bool(row["end_ns"])
    took = figures.seconds((row["end_ns"] - row["start_ns"]) / 1e9) if ended else "still open"
    described: Row = {
        "name": row["name"],
        "status": _STATUSES.get(row["status"], str(row["status"])),
        "duration": took,
        "begins": f"+{figures.seconds((row['start_ns'] - begin_ns) / 1e9)}",
        "start_ns": row["start_ns"],
        "service": row["service"],
        "source": row["source"],
        "kind": _KINDS.get(row["kind"], str(row["kind"])),
        "mission": row["mission"],
        "sentinel": row["sentinel"],
        "pool": row["pool"],
        "attributes": row["attributes"],
        "events": json.dumps(json.loads(row["events"] or "[]"), indent=1)
        if row["events"] not in ("", "[]")
        else "",
        "trace_id": f"{row['trace_hi']:016x}{row['trace_lo']:016x}",
        "span_id": f"{row['span_id']:016x}",
        "parent_id": f"{row['parent_id']:016x}" if row["parent_id"] else "",
    }
    return described

"""The Inspector dock: what is selected, field by field, kept current. Main thread only."""

from __future__ import annotations

import json
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QStackedWidget, QTextBrowser, QWidget

from app import figures
from app.commands import CommandSink, Outcome, inspect_sentinel
from app.models.readable import Readable
from app.poolcommands import list_poison
from app.store import FleetStore, Row
from app.style import mono_font
from app.theme import Theme
from app.views.fleet.poison import input_of
from app.views.labels import Elided, IconButton, column_of, row_of
from app.views.pool import PoolPanel
from app.views.worker import WorkerPanel
from citadel.wire.messages import SentinelDetail

_JSON_COLUMNS = frozenset(
    {
        "attributes",
        "reasons",
        "before",
        "after",
        "summary",
        "parameters",
        "rules",
        "layers",
        "variables",
    }
)
_SECONDS = frozenset({"queue_wait"})
_NAMES = ("name", "id", "key", "tool", "layer", "action")
"""What a row is called, whichever it has."""


class Inspector(QWidget):
    """Shows one row of a table or a log."""

    def __init__(self, store: FleetStore, theme: Theme, sink: CommandSink) -> None:
        super().__init__()
        self._store = store
        self._theme = theme
        self._sink = sink
        self._topic = ""
        self._row: Row | None = None
        self._detail: SentinelDetail | None = None
        self._input: Readable | None = None
        self._html = ""
        self.setProperty("role", "panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName("Inspector")
        self.title = Elided("muted", name="What is inspected")
        self.copy = IconButton("copy", "Copy as JSON", theme, self.copy_json)
        self.text = QTextBrowser()
        self.text.setAccessibleName("Fields of what is inspected")
        self.text.setOpenLinks(False)
        self.text.setFrameShape(QTextBrowser.Shape.NoFrame)
        head = row_of(self.title, self.copy)
        head.setStretch(0, 1)
        self.header = QWidget()
        self.header.setLayout(head)
        self.text.setProperty("role", "plain")
        self.worker = WorkerPanel(store, theme, sink)
        self.pages = QStackedWidget()
        self.pages.addWidget(self.text)
        self.pages.addWidget(self.worker)
        self.pool = PoolPanel(store, theme, sink)
        self.pages.addWidget(self.pool)
        self.setLayout(column_of(self.pages))
        self._now_ns = 0
        self._show()

    def inspect(self, topic: str, row: Row) -> None:
        """Shows a row of a topic."""
        self._topic, self._row, self._detail, self._input = topic, row, None, None
        if topic == "sentinel":
            self._sink.send(inspect_sentinel(row["id"]), self._on_detail)
        elif topic == "poison":
            self._sink.send(list_poison(row["pool"]), lambda outcome: self._on_poison(row, outcome))
        elif topic == "worker":
            self.worker.inspect(row)
            self.worker.refresh(self._now_ns or row["time_ns"])
        elif topic == "pool":
            self.pool.inspect(row)
            self.pool.refresh(self._now_ns or row["time_ns"])
        page = {"worker": self.worker, "pool": self.pool}.get(topic, self.text)
        self.pages.setCurrentWidget(page)
        self._show()

    def refresh(self, now_ns: int) -> None:
        """Follows the row that is shown, when it is one of present state."""
        self._now_ns = now_ns
        if self._topic == "worker":
            self.worker.refresh(now_ns)
        elif self._topic == "pool":
            self.pool.refresh(now_ns)
        row = self._present()
        if row is not None and row is not self._row:
            self._row = row
            self._show()

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self._theme = theme
        self.copy.set_theme(theme)
        self.worker.set_theme(theme)
        self.pool.set_theme(theme)
        self._html = ""
        self._show()

    def focus_filter(self) -> None:
        """Where Ctrl+F leads from here: what a worker printed."""
        if self._topic == "worker":
            self.worker.focus_filter()

    def copy_json(self) -> None:
        """Puts the row on the clipboard."""
        if self._row is not None:
            text = json.dumps(_opened(self._row), indent=2, ensure_ascii=False)
            QApplication.clipboard().setText(text)

    def _present(self) -> Row | None:
        row, store = self._row, self._store
        if row is None:
            return None
        match self._topic:
            case "pool":
                return store.pools.get(row["name"])
            case "worker":
                return store.workers.get((row["pool"], row["id"]))
            case "sentinel":
                return store.sentinels.get(row["id"])
            case "mission":
                return store.missions.get(row["id"])
            case "session":
                return store.sessions.get((row["pool"], row["key"]))
            case "poison":
                return store.poison.get((row["pool"], row["fingerprint"]))
            case _:
                return None

    def _on_detail(self, outcome: Outcome) -> None:
        detail = outcome.reply
        if not isinstance(detail, SentinelDetail) or detail.status is None or self._row is None:
            return
        if self._row.get("id") == detail.status.id:
            self._detail = detail
            self._show()

    def _on_poison(self, row: Row, outcome: Outcome) -> None:
        if self._row is not None and self._row.get("fingerprint") == row["fingerprint"]:
            self._input = input_of(outcome, row)
            self._show()

    def _show(self) -> None:
        row = self._row
        self.copy.setEnabled(row is not None)
        if row is None:
            self.title.setText("Nothing selected")
            html = self._paragraph(
                "Select a row, a worker, a Sentinel or a verdict to see it here."
            )
        else:
            name = next((row[key] for key in _NAMES if row.get(key)), "")
            self.title.setText(f"{self._topic.capitalize()} {name}".strip())
            html = self._table(_opened(row))
            if self._detail is not None:
                html += self._state(self._detail)
            if self._input is not None:
                html += self._paragraph(f"What it was sent. {self._input.note}".strip())
                html += self._code(self._input.text)
        if html == self._html:
            return
        self._html = html
        bar = self.text.verticalScrollBar()
        place = bar.value()
        self.text.setHtml(html)
        bar.setValue(place)

    def _table(self, fields: dict[str, Any]) -> str:
        muted = self._theme.color("text.muted")
        lines = [
            f"<tr><td style='color:{muted};padding:2px 12px 2px 0'>{_escaped(_label(key))}</td>"
            f"<td style='padding:2px 0'>{self._value(key, value)}</td></tr>"
            for key, value in fields.items()
            if value not in ("", None)
        ]
        return f"<table cellspacing='0'>{''.join(lines)}</table>"

    def _value(self, key: str, value: Any) -> str:
        if key.endswith("_ns") and isinstance(value, int):
            return _escaped(figures.moment(value) or "–")
        if key in _SECONDS and isinstance(value, float):
            return _escaped(figures.seconds(value))
        if key.endswith("_bytes") and isinstance(value, int):
            return _escaped(figures.bytes_(value))
        if isinstance(value, dict | list):
            return self._code(json.dumps(value, indent=2, ensure_ascii=False))
        if isinstance(value, float):
            return f"{value:,.4g}"
        return _escaped(f"{value:,}" if isinstance(value, int) and key != "pid" else str(value))

    def _state(self, detail: SentinelDetail) -> str:
        try:
            state = json.dumps(json.loads(detail.state_json or "{}"), indent=2, ensure_ascii=False)
        except ValueError:
            state = detail.state_json
        return (
            f"{self._paragraph('State when it was selected')}{self._code(state)}"
            f"{self._paragraph('Transitions')}{self._code(chr(10).join(detail.history))}"
        )

    def _paragraph(self, text: str) -> str:
        color = self._theme.color("text.muted")
        return f"<p style='color:{color};margin:8px 0 4px 0'>{_escaped(text)}</p>"

    def _code(self, text: str) -> str:
        family = mono_font().families()[-1]
        return (
            f"<pre style='white-space:pre-wrap;font-family:\"{family}\";margin:0'>"
            f"{_escaped(text)}</pre>"
        )


def _opened(row: Row) -> dict[str, Any]:
    """The row with its JSON columns read, and its trace id as one text."""
    opened: dict[str, Any] = {}
    for key, value in row.items():
        if key == "trace_hi":
            trace = value << 64 | row.get("trace_lo", 0)
            opened["trace_id"] = f"{trace:032x}" if trace else ""
        elif key in _JSON_COLUMNS and value:
            try:
                opened[key] = json.loads(value)
            except ValueError:
                opened[key] = value
        elif key != "trace_lo":
            opened[key] = value
    return opened


def _label(key: str) -> str:
    return key.removesuffix("_ns").removesuffix("_bytes").replace("_", " ")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

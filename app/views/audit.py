"""The Audit dock: who changed what, when, why, with what effect; whether the hash chain holds.

Main thread only. Entries come with the stream; older ones are read a page at a time.
"""

from __future__ import annotations

import json
from html import escape
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QApplication, QSplitter, QTextBrowser, QVBoxLayout, QWidget

from app import figures
from app.commands import CommandSink, Outcome, read_audit
from app.models import fleet
from app.models.table import LogModel
from app.store import FleetStore, Row
from app.style import mono_font
from app.theme import Theme
from app.views.labels import IconButton, button, label, row_of, set_role
from app.views.logs import LogDock
from citadel.wire.columns import rows, unpack
from citadel.wire.messages import AuditReply

PAGE = 200
DETAIL_PX = 420


class AuditDetail(QWidget):
    """One entry: its story, and what differs, before and after."""

    moment_asked = Signal(object)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._row: Row | None = None
        self.setProperty("role", "panel")
        self.text = QTextBrowser()
        self.text.setAccessibleName("Audit entry")
        self.text.setProperty("role", "plain")
        self.text.setOpenLinks(False)
        self.jump = button(
            "Show that moment",
            self._on_jump,
            tip="Freezes the room with its charts ending shortly after it; End goes live",
        )
        self.copy = IconButton("copy", "Copy the entry as JSON", theme, self.copy_json)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.text, 1)
        foot = row_of(self.jump, 1, self.copy)
        foot.setContentsMargins(12, 4, 8, 6)
        column.addLayout(foot)
        self.show_row(None)

    def show_row(self, row: Row | None) -> None:
        """Shows an entry."""
        self._row = row
        for part in (self.jump, self.copy):
            part.setEnabled(row is not None)
        self.text.setHtml(self._html(row))

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self._theme = theme
        self.show_row(self._row)

    def copy_json(self) -> None:
        """Puts the entry on the clipboard."""
        if self._row is not None:
            QApplication.clipboard().setText(as_json(self._row))

    def _on_jump(self) -> None:
        if self._row is not None:
            self.moment_asked.emit(self._row["time_ns"])

    def _html(self, row: Row | None) -> str:
        muted = self._theme.color("text.muted")
        if row is None:
            return f"<p style='color:{muted}'>Choose an entry to see what it changed.</p>"
        why = f"<p style='margin:4px 0'>“{escape(row['reason'])}”</p>" if row["reason"] else ""
        changed = fleet.changes(row)
        lines = "".join(self._line(*each) for each in changed) or (
            f"<tr><td style='color:{muted}'>Nothing that it recorded differs.</td></tr>"
        )
        family = mono_font().families()[-1]
        return (
            f"<p style='margin:0'><b>{escape(row['actor'])}</b> {escape(row['action'])}"
            f" <b>{escape(row['subject'])}</b></p>"
            f"<p style='color:{muted};margin:2px 0'>#{row['seq']} ·"
            f" {escape(figures.moment(row['time_ns']))}</p>{why}"
            f"<table cellspacing='0' style='font-family:\"{family}\"'>{lines}</table>"
            f"<p style='color:{muted};margin:8px 0 0 0'>hash {escape(row['hash'])}</p>"
        )

    def _line(self, path: str, before: Any, after: Any) -> str:
        """A leaf: its path, what it was (−), what it is (+)."""
        muted, gone, come = (
            self._theme.color(token) for token in ("text.muted", "state.lost", "state.ready")
        )
        sides = [
            f"<span style='color:{color}'>{sign} {escape(_text(value))}</span>"
            for sign, value, color in (("−", before, gone), ("+", after, come))
            if value is not None
        ]
        return (
            f"<tr><td style='color:{muted};padding:2px 12px 2px 0'>{escape(path)}</td>"
            f"<td style='padding:2px 0'>{'<br>'.join(sides)}</td></tr>"
        )


class AuditDock(LogDock):
    """The trail as a table, an entry beside it."""

    moment_asked = Signal(object)

    def __init__(self, store: FleetStore, theme: Theme, sink: CommandSink) -> None:
        super().__init__(
            "Audit",
            LogModel(fleet.AUDIT),
            store.audit,
            theme,
            "No one has changed anything yet. Each change appears here with its reason.",
            store,
        )
        self._sink = sink
        self._checked = -1
        self._oldest = 0
        self._instance = ""
        self.chain = label("", "muted", name="Audit chain")
        self.older = button("Older…", self.read_older, tip=f"Reads the {PAGE} entries before")
        self.older.hide()
        self.panel.actions_row.addWidget(self.chain)
        self.panel.actions_row.addWidget(self.older)
        self.detail = AuditDetail(theme)
        self.detail.moment_asked.connect(self.moment_asked)
        self.panel.activated.connect(self.detail.show_row)
        split = QSplitter(Qt.Orientation.Horizontal)
        self.layout().addWidget(split)  # type: ignore[union-attr]
        split.addWidget(self.panel)
        split.addWidget(self.detail)
        split.setStretchFactor(0, 1)
        split.setSizes([1000, DETAIL_PX])
        split.setChildrenCollapsible(False)

    def refresh(self, now_ns: int) -> None:
        """Takes in what came, and has the chain checked when it grew."""
        super().refresh(now_ns)
        audit = self._store.audit
        if self._instance != self._store.connection.instance_id:
            self._instance, self._oldest = self._store.connection.instance_id, 0
        if audit and (not self._oldest or audit[0]["seq"] < self._oldest):
            self._oldest = audit[0]["seq"]
        self.older.setVisible(self._oldest > 1)
        if self._checked != audit.total and self._store.connection.live:
            self._checked = audit.total
            self._sink.send(read_audit(limit=1), self._on_read)

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        super().set_theme(theme)
        self.detail.set_theme(theme)

    def read_older(self) -> None:
        """Reads the page before the oldest entry that is shown."""
        self.older.setEnabled(False)
        self._sink.send(read_audit(limit=PAGE, before=self._oldest), self._on_older)

    def _on_older(self, outcome: Outcome) -> None:
        self.older.setEnabled(True)
        reply = outcome.reply
        if not isinstance(reply, AuditReply) or reply.entries is None:
            return
        found = [row for row in rows(unpack(reply.entries)) if row["seq"] < self._oldest]
        if found:
            self._oldest = found[0]["seq"]
            self.model.add_older(found)
        else:
            self._oldest = 1
        self.panel.show_count()
        self.older.setVisible(self._oldest > 1)
        self._on_read(outcome)

    def _on_read(self, outcome: Outcome) -> None:
        if not isinstance(outcome.reply, AuditReply):
            self.chain.setText("chain not checked")
            return
        intact = outcome.reply.chain_intact
        self.chain.setText("✓ hash chain intact" if intact else "✕ HASH CHAIN BROKEN")
        self.chain.setToolTip(
            "Each entry's hash covers it and the one before: what was changed or taken out"
            " afterwards would show."
        )
        set_role(self.chain, "muted" if intact else "error")


def as_json(row: Row) -> str:
    """An entry for the clipboard, its documents read."""
    found = dict(row)
    for key in ("before", "after"):
        try:
            found[key] = json.loads(row[key]) if row[key] else None
        except ValueError:
            found[key] = row[key]
    return json.dumps(found, indent=2, ensure_ascii=False)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

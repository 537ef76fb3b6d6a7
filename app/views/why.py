"""Why a trace is, or is not, to be found: a dialog asks the engine and tells it. Main thread.

It changes nothing itself: it offers the trace, the rule, and an override that keeps such traces.
"""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QFormLayout,
    QLabel,
    QLineEdit,
    QScrollArea,
    QWidget,
)
from typing_extensions import override

from app.commands import CommandSink, Outcome
from app.models.whystory import (
    Comparison,
    Story,
    command_id_in,
    story,
    such_traces,
    trace_id_in,
)
from app.samplingcommands import why
from app.theme import Theme
from app.views.labels import button, column_of, label, row_of, rule
from app.views.shapes import draw_state
from citadel.wire.messages import WhyReply

WIDTH_PX, HEIGHT_PX = 620, 520
BAR_PX = 64
SIDE_PX = 8


class ComparisonBar(QWidget):
    """Randomness and threshold on one line: right of the threshold, a trace is kept."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._shown: Comparison | None = None
        self.setFixedHeight(BAR_PX)
        self.setAccessibleName("Randomness against threshold")

    def show_comparison(self, shown: Comparison | None) -> None:
        """Draws another comparison; None hides it."""
        self._shown = shown
        self.setVisible(shown is not None)
        if shown is not None:
            self.setAccessibleDescription(shown.text)
            self.setToolTip(
                f"{shown.text}.\nA trace is kept when its number is not below the threshold;"
                " the number is in its id, so that all who see the trace decide alike."
            )
        self.update()

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        shown = self._shown
        if shown is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        theme, width = self._theme, self.width() - 2 * SIDE_PX
        font = painter.font()
        font.setPixelSize(11)
        painter.setFont(font)
        limit = SIDE_PX + width * min(shown.needed, 1.0)
        at = SIDE_PX + width * shown.drawn
        line = QRectF(SIDE_PX, 28, width, 10)
        painter.fillRect(line, QColor(theme.color("line.border")))
        kept = QColor(theme.color("state.ready"))
        kept.setAlpha(150)
        painter.fillRect(QRectF(limit, 28, SIDE_PX + width - limit, 10), kept)
        painter.fillRect(QRectF(limit - 1, 24, 2, 18), QColor(theme.color("text.primary")))
        state = "ready" if shown.kept else "lost"
        draw_state(painter, QRectF(at - 6, 27, 12, 12), state, theme.state(state))
        self._write(painter, at, 4, f"its number {shown.drawn * 100:.4g} %", theme.state(state))
        self._write(
            painter, limit, 44, f"threshold {shown.needed * 100:.4g} %", theme.color("text.muted")
        )
        painter.end()

    def _write(self, painter: QPainter, x: float, top: float, text: str, color: str) -> None:
        """Around a place, inside of the widget."""
        wide = painter.fontMetrics().horizontalAdvance(text)
        left = min(max(x - wide / 2, SIDE_PX), self.width() - SIDE_PX - wide)
        painter.setPen(QColor(color))
        painter.drawText(QRectF(left, top, wide + 2, 18), Qt.AlignmentFlag.AlignVCenter.value, text)


class Mark(QWidget):
    """The shape and colour of a fate."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._state = "stopped"
        self.setFixedSize(18, 18)

    def show_state(self, state: str) -> None:
        """Another fate."""
        self._state = state
        self.update()

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        color = self._theme.state(self._state)
        draw_state(painter, QRectF(1, 1, 16, 16), self._state, color)
        painter.end()


class WhyDialog(QDialog):
    """Asks for an id, and tells the story of its trace."""

    trace_asked = Signal(str)
    rule_asked = Signal(str)
    keep_asked = Signal(object, str)
    """A rule that fits such traces, and a reason."""

    def __init__(self, parent: QWidget, theme: Theme, sink: CommandSink, asked: str = "") -> None:
        super().__init__(parent)
        self._sink = sink
        self._reply: WhyReply | None = None
        self._story: Story | None = None
        self._asked = ""
        self.setWindowTitle("Why is this missing?")
        self.resize(WIDTH_PX, HEIGHT_PX)
        self.id = QLineEdit(asked)
        self.id.setPlaceholderText("A trace id (32 hex digits) or a command id")
        self.id.setAccessibleName("Trace or command id")
        self.id.textChanged.connect(self._on_typed)
        self.ask = button("Ask", self.run, "primary")
        self.ask.setDefault(True)
        self.mark = Mark(theme)
        self.title = label("", "title", name="The trace's fate")
        self.explanation = label("", wrap=True, name="Why")
        self.bar = ComparisonBar(theme)
        self._form = QFormLayout()
        self._form.setHorizontalSpacing(16)
        self._form.setVerticalSpacing(6)
        self.see = button("Open the trace", self._on_open)
        self.rule = button("Show the rule", self._on_rule)
        self.keep = button(
            "Keep such traces for 15 min…",
            self._on_keep,
            tip="An override that fits this root and ends by itself",
        )
        self.copy = button("Copy", self._on_copy, tip="Copy all of it as text")
        self._lay_out()
        self._show(None)
        if asked:
            self.run()

    def _lay_out(self) -> None:
        inner = QWidget()
        facts = column_of(self._form, 1)
        facts.setContentsMargins(0, 4, 0, 4)
        inner.setLayout(facts)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(inner)
        scroll.setAccessibleName("What is known of the trace")
        top = row_of(self.id, self.ask)
        top.setStretch(0, 1)
        head = row_of(self.mark, self.title, 1)
        buttons = row_of(self.copy, 1, self.rule, self.keep, self.see)
        self.setLayout(
            column_of(
                top,
                rule(),
                head,
                self.explanation,
                self.bar,
                scroll,
                buttons,
                margin=20,
                spacing=12,
            )
        )

    def run(self) -> None:
        """Asks the engine about the id."""
        trace, command = trace_id_in(self.id.text()), command_id_in(self.id.text())
        if not trace and not command:
            return
        self._asked = trace or command
        self._show(None)
        self.title.setText("Asking the engine…")
        self.ask.setEnabled(False)
        asked = self._asked
        self._sink.send(
            why(trace_id=trace, command_id=command), lambda outcome: self._on_reply(asked, outcome)
        )

    def _on_typed(self, text: str) -> None:
        self.ask.setEnabled(bool(trace_id_in(text) or command_id_in(text)))

    def _on_reply(self, asked: str, outcome: Outcome) -> None:
        if asked != self._asked:
            return
        self.ask.setEnabled(True)
        if isinstance(outcome.reply, WhyReply):
            self._show(outcome.reply)
        elif outcome.error is not None:
            self.title.setText("The engine could not say")
            remedy = f"\n{outcome.error.remedy}" if outcome.error.remedy else ""
            self.explanation.setText(f"{outcome.error.message}{remedy}")

    def _show(self, reply: WhyReply | None) -> None:
        self._reply = reply
        told = self._story = story(reply) if reply is not None else None
        while self._form.rowCount():
            self._form.removeRow(0)
        self.mark.setVisible(told is not None)
        self.bar.show_comparison(told.comparison if told else None)
        self.explanation.setText(f"{told.explanation}." if told else "")
        self.title.setText(told.title if told else "")
        for part in (self.copy, self.see, self.rule, self.keep):
            part.setVisible(told is not None)
        if told is None or reply is None:
            if not self._asked:
                self.explanation.setText(
                    "Every trace that this engine decided on is known: whether it was kept, by"
                    " which rule, and who set that."
                )
            return
        self.mark.show_state(told.state)
        self.setAccessibleDescription(told.as_text())
        for name, text in told.lines:
            self._form.addRow(label(name, "muted"), _selectable(text, name))
        self.see.setVisible(reply.fate == "kept")
        self.rule.setVisible(bool(told.rule_id))
        self.keep.setVisible(reply.fate == "dropped" and bool(reply.name or reply.mission_class))

    def _on_open(self) -> None:
        if self._reply is not None:
            self.trace_asked.emit(self._reply.trace_id)
            self.accept()

    def _on_rule(self) -> None:
        if self._story is not None:
            self.rule_asked.emit(self._story.rule_id)
            self.accept()

    def _on_keep(self) -> None:
        if self._reply is not None:
            reason = f"traces like {self._reply.trace_id[:8]} are missing"
            self.keep_asked.emit(such_traces(self._reply), reason)
            self.accept()

    def _on_copy(self) -> None:
        if self._story is not None:
            QApplication.clipboard().setText(self._story.as_text())


def _selectable(text: str, name: str) -> QLabel:
    made = label(text, wrap=True, name=name)
    made.setTextInteractionFlags(
        Qt.TextInteractionFlag.TextSelectableByMouse
        | Qt.TextInteractionFlag.TextSelectableByKeyboard
    )
    return made

"""Tries a text against the guards and marks what they found; no model sees it. Main thread."""

from __future__ import annotations

from html import escape

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QPlainTextEdit, QTextBrowser, QWidget

from app.commands import CommandSink, Outcome, check_text
from app.models.evidence import pieces
from app.style import mono_font
from app.theme import Theme, mix
from app.views.labels import button, column_of, label, row_of
from citadel.vocabulary import CHANNELS
from citadel.wire.messages import CheckReply, Verdict


class TryOut(QWidget):
    """A text, a channel, and what the chain makes of it."""

    def __init__(self, theme: Theme, sink: CommandSink) -> None:
        super().__init__()
        self._theme = theme
        self._sink = sink
        self._reply: CheckReply | None = None
        self._text = ""
        self.setProperty("role", "panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName("Try a text")
        self.input = QPlainTextEdit()
        self.input.setPlaceholderText("Paste a prompt, a document or a model's answer…")
        self.input.setAccessibleName("Text to try")
        self.input.setFont(mono_font())
        self.input.setTabChangesFocus(True)
        self.input.setMinimumHeight(72)
        self.channel = QComboBox()
        self.channel.addItems(list(CHANNELS))
        self.channel.setAccessibleName("Channel of the text")
        self.check = button("Check", self.run, "primary", tip="Nothing is sent to a model")
        self.result = QTextBrowser()
        self.result.setAccessibleName("What the guards found")
        self.result.setOpenLinks(False)
        bar = row_of(label("Try a text", "heading"), 1, self.channel, self.check)
        body = column_of(bar, self.input, self.result)
        body.setStretch(1, 2)
        body.setStretch(2, 3)
        body.setContentsMargins(12, 8, 12, 12)
        self.setLayout(body)
        self._show()

    def run(self) -> None:
        """Asks the engine."""
        self._text = self.input.toPlainText()
        if not self._text:
            self.input.setFocus()
            return
        self.check.setEnabled(False)
        self._sink.send(check_text(self._text, self.channel.currentText()), self._on_checked)

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self._theme = theme
        self._show()

    def _on_checked(self, outcome: Outcome) -> None:
        self.check.setEnabled(True)
        self._reply = outcome.reply if isinstance(outcome.reply, CheckReply) else None
        self._show()

    def _show(self) -> None:
        muted = self._theme.color("text.muted")
        if self._reply is None:
            self.result.setHtml(
                f"<p style='color:{muted}'>The guards’ verdicts appear here, with the text that "
                "they rest on.</p>"
            )
            return
        reply = self._reply
        color = self._theme.decision(reply.decision)
        parts = [
            (
                f"<p style='color:{color};font-weight:700;margin:0 0 8px 0'>"
                f"{escape(reply.decision.upper())}</p>"
            ),
            *(self._verdict(verdict) for verdict in reply.verdicts),
            f"<p style='color:{muted};margin:8px 0 4px 0'>The text, evidence marked</p>",
            self._marked(reply),
        ]
        if reply.text != self._text and reply.decision != "block":
            parts.append(f"<p style='color:{muted};margin:8px 0 4px 0'>As the model gets it</p>")
            parts.append(self._mono(escape(reply.text)))
        self.result.setHtml("".join(parts))

    def _verdict(self, verdict: Verdict) -> str:
        color = self._theme.decision(verdict.decision)
        rules = ", ".join(dict.fromkeys(reason.rule for reason in verdict.reasons))
        why = verdict.failure or rules
        return (
            f"<p style='margin:0 0 4px 0'><b style='color:{color}'>{escape(verdict.decision)}</b> "
            f"{escape(verdict.layer)} · score {verdict.score:.2f} · {verdict.latency_ms:.1f} ms"
            f"{' · ' + escape(why) if why else ''}</p>"
        )

    def _marked(self, reply: CheckReply) -> str:
        marks = [
            (reason.start, reason.end, reason.rule)
            for verdict in reply.verdicts
            for reason in verdict.reasons
            if reason.start < reason.end
        ]
        decision = self._theme.decision(reply.decision)
        back = mix(self._theme.color("surface.sunken"), decision, 0.3)
        html = "".join(
            f"<span title='{escape(piece.rule)}' style='background:{back};"
            f"text-decoration:underline'>{escape(piece.text)}</span>"
            if piece.rule
            else escape(piece.text)
            for piece in pieces(self._text, marks)
        )
        return self._mono(html)

    def _mono(self, html: str) -> str:
        family = mono_font().families()[-1]
        return f"<pre style='white-space:pre-wrap;font-family:\"{family}\"'>{html}</pre>"

"""Adds or changes an exporter: preset, endpoint, secrets, signals; tries it. Main thread only."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QFormLayout,
    QLineEdit,
    QPlainTextEdit,
    QWidget,
)

from app import figures
from app.commands import CommandSink, Outcome
from app.exportcommands import apply_exporter, try_exporter
from app.models.exports import headers_of
from app.style import mono_font
from app.views.labels import button, column_of, label, row_of, set_role
from citadel.errors import CitadelError
from citadel.otlp.presets import PRESETS, filled
from citadel.wire.messages import ExporterConfig, TestExporterReply

WIDTH_PX = 600
SIGNALS = ("traces", "metrics", "logs")
PROTOCOLS = ("http/protobuf", "grpc")
NONE = "None: any OTLP receiver"


class ExporterDialog(QDialog):
    """A form that makes an `ExporterConfig`; secrets are masked as they are typed."""

    def __init__(
        self, parent: QWidget, sink: CommandSink, config: ExporterConfig | None = None
    ) -> None:
        super().__init__(parent)
        self._sink = sink
        self._known = config
        given = config or ExporterConfig()
        self.setWindowTitle(f"Change {given.name}" if config else "Add an exporter")
        self.setMinimumWidth(WIDTH_PX)
        self.preset = QComboBox()
        self.preset.setAccessibleName("Preset")
        self.preset.addItem(NONE, "")
        for name in PRESETS:
            self.preset.addItem(name.capitalize(), name)
        self.preset.setCurrentIndex(max(self.preset.findData(given.preset), 0))
        self.name = _line("Name of the exporter", given.name)
        self.name.setEnabled(config is None)
        self.endpoint = _line("Endpoint", given.endpoint)
        self.protocol = QComboBox()
        self.protocol.setAccessibleName("Protocol")
        self.protocol.addItems(list(PROTOCOLS))
        self.protocol.setCurrentText(given.protocol or PROTOCOLS[0])
        self.key = _line("Key or token", "")
        self.key.setEchoMode(QLineEdit.EchoMode.Password)
        self.options = _line("Options of the preset", "")
        self.headers = QPlainTextEdit()
        self.headers.setPlaceholderText("name: value")
        self.headers.setAccessibleName("Headers, a line each")
        self.headers.setFont(mono_font())
        self.headers.setTabChangesFocus(True)
        self.headers.setFixedHeight(64)
        self.headers.setPlainText("\n".join(f"{k}: {v}" for k, v in given.headers.items()))
        self.signal_boxes = {name: QCheckBox(name.capitalize()) for name in SIGNALS}
        for name, box in self.signal_boxes.items():
            box.setChecked(name in (given.signals or ("traces",)))
        self.compress = QCheckBox("Compress (gzip)")
        self.compress.setChecked(given.compression != "none")
        self.note = label("", "muted", wrap=True, name="About the preset")
        self.answer = label("", "secondary", wrap=True, name="What the test brought back")
        self.test = button("Test", self.run_test, tip="Sends one span; nothing is put in force")
        self.save = button("Change" if config else "Add", self.apply, "primary")
        self.save.setDefault(True)
        self._lay_out()
        self.preset.currentIndexChanged.connect(lambda _index: self._on_preset())
        self.name.textChanged.connect(lambda _text: self._check())
        self.endpoint.textChanged.connect(lambda _text: self._check())
        self._on_preset()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setHorizontalSpacing(16)
        form.setVerticalSpacing(8)
        form.addRow("Preset", self.preset)
        form.addRow("Name", self.name)
        form.addRow("Endpoint", self.endpoint)
        form.addRow("Protocol", self.protocol)
        form.addRow("Key", self.key)
        form.addRow("Options", self.options)
        form.addRow("Headers", self.headers)
        form.addRow("Signals", row_of(*self.signal_boxes.values(), 1))
        form.addRow("", self.compress)
        secret = label(
            "Secrets are kept by the engine and never shown again. “env:NAME” is read from the"
            " engine's environment instead.",
            "muted",
            wrap=True,
        )
        buttons = row_of(self.test, 1, button("Cancel", self.reject), self.save)
        self.setLayout(
            column_of(form, self.note, secret, self.answer, buttons, margin=24, spacing=12)
        )

    def config(self) -> ExporterConfig:
        """What the form says.

        Raises:
            CitadelError: the preset does not take it.
            ValueError: a header or an option cannot be read.
        """
        preset = str(self.preset.currentData())
        endpoint, protocol = self.endpoint.text().strip(), self.protocol.currentText()
        headers = headers_of(self.headers.toPlainText())
        key = self.key.text().strip()
        options = _options(self.options.text())
        if preset and (self._known is None or key or options):
            endpoint, protocol, made = filled(
                preset, api_key=key, endpoint=endpoint, protocol=protocol, options=options
            )
            headers = {**headers, **made}
        elif key and not preset:
            headers = {**headers, "authorization": key if key[:4] == "env:" else f"Bearer {key}"}
        return ExporterConfig(
            name=self.name.text().strip(),
            preset=preset,
            endpoint=endpoint,
            protocol=protocol,
            headers=headers,
            compression="gzip" if self.compress.isChecked() else "none",
            signals=tuple(name for name, box in self.signal_boxes.items() if box.isChecked()),
            timeout_seconds=self._known.timeout_seconds if self._known else 0.0,
            queue_limit=self._known.queue_limit if self._known else 0,
            paused=self._known.paused if self._known else False,
        )

    def _on_preset(self) -> None:
        chosen = PRESETS.get(str(self.preset.currentData()))
        self.options.setEnabled(chosen is not None)
        if chosen is None:
            self.endpoint.setPlaceholderText("http://localhost:4318")
            self.options.setPlaceholderText("")
            self.note.setText("The signal's path (/v1/traces) is added over HTTP.")
        else:
            usual = chosen.endpoint.format_map(dict(chosen.options))
            self.endpoint.setPlaceholderText(f"The preset's: {usual}")
            self.options.setPlaceholderText(
                "  ".join(f"{name}={value}" for name, value in chosen.options.items())
            )
            self.note.setText(f"{chosen.doc}.")
            if self._known is None:
                self.name.setText(self.name.text() or chosen.name)
            if self.protocol.currentText() not in chosen.protocols:
                with QSignalBlocker(self.protocol):
                    self.protocol.setCurrentText(chosen.protocols[0])
        for name, box in self.signal_boxes.items():
            box.setEnabled(chosen is None or name in chosen.signals)
            box.setChecked(box.isChecked() and box.isEnabled())
        self._check()

    def _check(self) -> None:
        named = bool(self.name.text().strip())
        goes_somewhere = bool(self.endpoint.text().strip() or self.preset.currentData())
        self.save.setEnabled(named and goes_somewhere)
        self.test.setEnabled(named and goes_somewhere)

    def _read(self) -> ExporterConfig | None:
        try:
            return self.config()
        except CitadelError as error:
            self._say("error", f"{error.message}. {error.remedy}".strip())
        except ValueError as error:
            self._say("error", str(error))
        return None

    def run_test(self) -> None:
        """Sends one span as the form says."""
        if (config := self._read()) is not None:
            self._say("secondary", "Sending one span…")
            self.test.setEnabled(False)
            self._sink.send(try_exporter(config), self._on_tested)

    def _on_tested(self, outcome: Outcome) -> None:
        self._check()
        reply = outcome.reply
        if isinstance(reply, TestExporterReply):
            role, text = told(reply)
            self._say(role, text)
        elif outcome.error is not None:
            self._say("error", f"{outcome.error.message}. {outcome.error.remedy}".strip())

    def apply(self) -> None:
        """Adds or changes the exporter; closes when the engine took it."""
        config = self._read()
        if config is None:
            return
        self.save.setEnabled(False)
        self._sink.send(apply_exporter(config, known=self._known is not None), self._on_saved)

    def _on_saved(self, outcome: Outcome) -> None:
        if outcome.error is None:
            self.accept()
            return
        self._check()
        self._say("error", f"{outcome.error.message}. {outcome.error.remedy}".strip())

    def _say(self, role: str, text: str) -> None:
        set_role(self.answer, role)
        self.answer.setText(text)


def told(reply: TestExporterReply) -> tuple[str, str]:
    """A test's outcome: the role of its text, and the text."""
    took = figures.seconds(reply.seconds)
    if reply.ok:
        return "secondary", f"✓ {reply.status} from {reply.endpoint} in {took}: {reply.trace_id}"
    parts = (f"✕ {reply.status} from {reply.endpoint} in {took}", reply.detail, reply.remedy)
    return "error", "\n".join(part for part in parts if part)


def _options(text: str) -> dict[str, str]:
    """Options "name=value", space between."""
    found: dict[str, str] = {}
    for part in text.split():
        name, sign, value = part.partition("=")
        if not sign:
            raise ValueError(f"“{part}” is not name=value")
        found[name] = value
    return found


def _line(name: str, text: str) -> QLineEdit:
    made = QLineEdit(text)
    made.setAccessibleName(name)
    return made

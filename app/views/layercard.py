"""One guard layer in the Defence dock: on or off, its thresholds, what it decided. Main thread."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QCheckBox, QDoubleSpinBox, QFrame, QGridLayout

from app import figures
from app.store import FleetStore
from app.views.labels import column_of, label, row_of
from citadel.wire.messages import LayerConfig

LONGEST_MS = 60_000.0


class LayerCard(QFrame):
    """Edits one layer; tells what it became."""

    edited = Signal(object)

    def __init__(self, layer: LayerConfig) -> None:
        super().__init__()
        self.layer = layer
        self.setProperty("role", "card")
        title = layer.title or layer.name
        self.setAccessibleName(f"Guard layer {title}")
        self.enabled = QCheckBox(title)
        self.enabled.setAccessibleName(f"{title} on")
        self.enabled.toggled.connect(lambda on: self._changed(replace(self.layer, enabled=on)))
        self.about = label(layer.description, "muted", wrap=True)
        self.counts = label("", "secondary", name=f"What {title} decided")
        self.flag = self._number("Flag at", 1.0, 0.05, 2)
        self.block = self._number("Block at", 1.0, 0.05, 2)
        self.timeout = self._number("Timeout", LONGEST_MS, 10.0, 0)
        self.timeout.setSuffix(" ms")
        self.flag.valueChanged.connect(
            lambda value: self._changed(replace(self.layer, flag_threshold=round(value, 4)))
        )
        self.block.valueChanged.connect(
            lambda value: self._changed(replace(self.layer, block_threshold=round(value, 4)))
        )
        self.timeout.valueChanged.connect(
            lambda value: self._changed(replace(self.layer, timeout_ms=round(value)))
        )
        self.error = label("", "error", wrap=True)
        grid = QGridLayout()
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(4)
        for column, (text, number) in enumerate(
            (("Flag at", self.flag), ("Block at", self.block), ("Timeout", self.timeout))
        ):
            grid.addWidget(label(text, "muted"), 0, column)
            grid.addWidget(number, 1, column)
        body = column_of(row_of(self.enabled, 1), self.about, grid, self.error, self.counts)
        body.setSpacing(6)
        body.setContentsMargins(12, 8, 12, 10)
        self.setLayout(body)
        self.show_layer(layer)

    @property
    def problem(self) -> str:
        """What is wrong with the thresholds."""
        if self.layer.block_threshold < self.layer.flag_threshold:
            return "Block at must not be below Flag at."
        return ""

    def show_layer(self, layer: LayerConfig) -> None:
        """Shows another state of the layer."""
        self.layer = layer
        blocked = [QSignalBlocker(w) for w in (self.enabled, self.flag, self.block, self.timeout)]
        self.enabled.setChecked(layer.enabled)
        self.flag.setValue(layer.flag_threshold)
        self.block.setValue(layer.block_threshold)
        self.timeout.setValue(layer.timeout_ms)
        del blocked
        self._show_problem()

    def show_counts(self, store: FleetStore) -> None:
        """Shows the exact counts since the engine started."""
        parts = [
            f"{figures.count(number)} {word}"
            for word in ("allow", "flag", "redact", "block")
            if (number := decided(store, self.layer.name, word)) or word == "allow"
        ]
        self.counts.setText(" · ".join(parts))

    def _number(self, name: str, most: float, step: float, decimals: int) -> QDoubleSpinBox:
        made = QDoubleSpinBox()
        made.setRange(0, most)
        made.setSingleStep(step)
        made.setDecimals(decimals)
        made.setKeyboardTracking(False)
        made.setAlignment(Qt.AlignmentFlag.AlignRight)
        made.setAccessibleName(f"{self.layer.title or self.layer.name}: {name}")
        return made

    def _changed(self, layer: LayerConfig) -> None:
        if layer != self.layer:
            self.layer = layer
            self._show_problem()
            self.edited.emit(layer)

    def _show_problem(self) -> None:
        self.error.setText(self.problem)
        self.error.setVisible(bool(self.problem))
        for number in (self.flag, self.block, self.timeout):
            number.setEnabled(self.layer.enabled)


def decided(store: FleetStore, layer: str, decision: str) -> float:
    """How often a layer decided so, exactly, since the engine started."""
    return store.counter("citadel.guard.verdicts", layer=layer, decision=decision)

"""How much a rule keeps: a share, by slider and number, or a ceiling in spans. Main thread only."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QSlider, QWidget
from typing_extensions import override

from app.models.rules import RATES, stop_of
from app.views.labels import row_of

USUAL_CEILING = 100.0
MOST_SPANS = 1e7
NUMBER_PX = 84
CEILING_PX = 132


class PlainSpin(QDoubleSpinBox):
    """A number without needless zeroes: "10 %", "0.25 %"."""

    def __init__(self, name: str, most: float, suffix: str, width: int) -> None:
        super().__init__()
        self.setRange(0, most)
        self.setDecimals(4)
        self.setSuffix(suffix)
        self.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
        self.setFixedWidth(width)
        self.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.setKeyboardTracking(False)
        self.setAccessibleName(name)

    @override
    def textFromValue(self, val: float) -> str:
        return f"{val:.10g}"


class RateControl(QWidget):
    """Keeps a share of traces, or at most so many spans a second."""

    changed = Signal(float, float)
    """The rate, 0 to 1, and the ceiling in spans a second, 0 for none."""

    def __init__(self, subject: str) -> None:
        super().__init__()
        self.how = QComboBox()
        self.how.addItems(["Keep", "At most"])
        self.how.setAccessibleName(f"How {subject} limits")
        self.how.setToolTip("A share of traces, or a ceiling in spans a second")
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, len(RATES) - 1)
        self.slider.setPageStep(10)
        self.slider.setAccessibleName(f"Rate of {subject}")
        self.spin = PlainSpin(f"Rate of {subject} in per cent", 100, " %", NUMBER_PX)
        self.ceiling = PlainSpin(
            f"Ceiling of {subject} in spans a second", MOST_SPANS, " spans/s", CEILING_PX
        )
        row = row_of(self.how, self.slider, self.spin, self.ceiling, spacing=6)
        row.setStretch(1, 1)
        row.addStretch(0)
        self.setLayout(row)
        self.rate, self.spans_per_second = 1.0, 0.0
        self.how.activated.connect(self._on_how)
        self.slider.valueChanged.connect(lambda stop: self._on_rate(RATES[stop]))
        self.spin.valueChanged.connect(lambda value: self._on_rate(round(value / 100, 8)))
        self.ceiling.valueChanged.connect(self._on_ceiling)
        self.show_amount(1.0, 0.0)

    def show_amount(self, rate: float, spans_per_second: float) -> None:
        """Shows a rate or a ceiling; a number that is being typed is left alone."""
        self.rate, self.spans_per_second = rate, spans_per_second
        capped = spans_per_second > 0
        with QSignalBlocker(self.how), QSignalBlocker(self.slider):
            self.how.setCurrentIndex(int(capped))
            self.slider.setValue(stop_of(rate))
        self.slider.setAccessibleDescription(f"{rate * 100:g} %")
        for spin, value in ((self.spin, rate * 100), (self.ceiling, spans_per_second)):
            if not spin.hasFocus() or spin.value() != value:
                with QSignalBlocker(spin):
                    spin.setValue(value)
        self.slider.setHidden(capped)
        self.spin.setHidden(capped)
        self.ceiling.setHidden(not capped)

    def _on_how(self, index: int) -> None:
        self._changed(1.0 if index else self.rate, USUAL_CEILING if index else 0.0)

    def _on_rate(self, rate: float) -> None:
        self._changed(rate, 0.0)

    def _on_ceiling(self, spans: float) -> None:
        if spans > 0:
            self._changed(self.rate, spans)

    def _changed(self, rate: float, spans: float) -> None:
        self.show_amount(rate, spans)
        self.changed.emit(rate, spans)

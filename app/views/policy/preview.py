"""What a policy would have kept of the last minutes, beside what is kept now. Main thread only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QSizePolicy, QToolButton, QWidget
from typing_extensions import override

from app import figures
from app.models.rules import kept_text, preview_text
from app.theme import Theme
from app.views.labels import column_of, label, row_of
from citadel.wire.messages import PreviewExample, SamplingPreview

ROW_PX = 22
NAME_PX, NUMBER_PX = 48, 118
EXAMPLES_PX = 96
_EXAMPLE = Qt.ItemDataRole.UserRole


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One figure, now and then."""

    name: str
    now: float
    then: float
    low: float = 0.0
    high: float = 0.0
    text: Callable[[float], str] = figures.count


def measures(preview: SamplingPreview) -> list[Measure]:
    """What is drawn of a preview."""
    return [
        Measure(
            name="traces",
            now=preview.kept_now,
            then=preview.kept_then,
            low=preview.kept_then_low,
            high=preview.kept_then_high,
        ),
        Measure(
            name="spans",
            now=preview.spans_now,
            then=preview.spans_then,
            low=preview.spans_then_low,
            high=preview.spans_then_high,
        ),
        Measure(name="bytes", now=preview.bytes_now, then=preview.bytes_then, text=figures.bytes_),
    ]


class Bars(QWidget):
    """A row a measure: a pale bar for now, a bright one for then, its interval as a whisker."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._measures: list[Measure] = []
        self.setAccessibleName("Kept now and then")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(0)

    def show_measures(self, found: list[Measure]) -> None:
        """Draws other figures."""
        self._measures = found
        self.setFixedHeight(ROW_PX * len(found))
        text = "; ".join(f"{m.name}: {m.text(m.now)} now, {m.text(m.then)} then" for m in found)
        self.setAccessibleDescription(text)
        self.setToolTip(
            f"Pale: kept now. Bright: kept then; the thin line is its 95 % interval.\n{text}"
        )
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self._theme = theme
        self.update()

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        theme = self._theme
        font = painter.font()
        font.setPixelSize(11)
        painter.setFont(font)
        room = max(self.width() - NAME_PX - NUMBER_PX, 24)
        align = Qt.AlignmentFlag
        for row, each in enumerate(self._measures):
            top = row * ROW_PX
            most = max(each.now, each.then, each.high, 1.0)
            painter.setPen(QColor(theme.color("text.muted")))
            painter.drawText(
                QRectF(0, top, NAME_PX, ROW_PX), align.AlignVCenter | align.AlignLeft, each.name
            )
            painter.setPen(QColor(theme.color("text.secondary")))
            painter.drawText(
                QRectF(NAME_PX + room, top, NUMBER_PX, ROW_PX),
                align.AlignVCenter | align.AlignRight,
                f"{each.text(each.now)} → {each.text(each.then)}",
            )
            before = QRectF(NAME_PX, top + 4, room * each.now / most, 5)
            after = QRectF(NAME_PX, top + 11, room * each.then / most, 6)
            painter.fillRect(before, QColor(theme.color("line.control")))
            painter.fillRect(after, QColor(theme.color("accent.base")))
            if each.high > each.low:
                whisker = QRectF(
                    NAME_PX + room * each.low / most,
                    top + 13.5,
                    room * (each.high - each.low) / most,
                    1.5,
                )
                painter.fillRect(whisker, QColor(theme.color("text.primary")))
        painter.end()


class PreviewPanel(QWidget):
    """The sentence, the bars, what speaks against it, and traces that would flip."""

    trace_asked = Signal(str, bool)
    """A trace of the examples, and whether it is kept now."""

    def __init__(self, theme: Theme, minutes: int) -> None:
        super().__init__()
        self._minutes = minutes
        self._found = SamplingPreview()
        self.setAccessibleName("Preview of the sampling policy")
        self.setProperty("role", "panel")
        self.text = label("", "secondary", wrap=True, name="Preview of the sampling policy")
        self.bars = Bars(theme)
        self.warnings = label("", "warning", wrap=True, name="Warnings of the preview")
        self.warnings.hide()
        self.flips = QToolButton()
        self.flips.setProperty("role", "segment")
        self.flips.setCheckable(True)
        self.flips.setAccessibleName("Show traces that would flip")
        self.flips.toggled.connect(self._on_flips)
        self.flips.hide()
        self.examples = QListWidget()
        self.examples.setAccessibleName("Traces that would flip")
        self.examples.setFixedHeight(EXAMPLES_PX)
        self.examples.itemActivated.connect(self._on_chosen)
        self.examples.itemClicked.connect(self._on_chosen)
        self.examples.hide()
        body = column_of(
            self.text, self.bars, self.warnings, row_of(self.flips, 1), self.examples, spacing=6
        )
        body.setContentsMargins(12, 8, 12, 4)
        self.setLayout(body)

    def show_preview(self, found: SamplingPreview, *, changed: bool) -> None:
        """Shows what a preview found; bars only where something would change."""
        self._found = found
        words = preview_text if changed else kept_text
        self.text.setText(words(found, self._minutes))
        self.bars.show_measures(measures(found) if changed and found.traces else [])
        self.bars.setVisible(changed and bool(found.traces))
        lost = found.flagged_lost
        self.warnings.setText(f"◆ {lost:,} with an error or flag would be lost." if lost else "")
        self.warnings.setVisible(bool(lost))
        self._show_examples(found.examples)

    def say(self, text: str) -> None:
        """Says why there is no preview."""
        self.text.setText(text)
        self.bars.hide()
        self.warnings.hide()
        self._show_examples(())

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self.bars.set_theme(theme)

    def _show_examples(self, examples: tuple[PreviewExample, ...]) -> None:
        number = len(examples)
        self.flips.setVisible(bool(number))
        many = "trace" if number == 1 else "traces"
        most = " or more" if number >= 20 else ""
        self.flips.setText(f"{number}{most} {many} would flip")
        self.examples.setVisible(bool(number) and self.flips.isChecked())
        known = [self.examples.item(at).data(_EXAMPLE) for at in range(self.examples.count())]
        if known == list(examples):
            return
        self.examples.clear()
        for each in examples:
            verb = "would be lost" if each.kept_now else "would be kept"
            mark = "✕" if each.kept_now else "○"
            flag = " · flagged" if each.flagged else ""
            item = QListWidgetItem(f"{mark} {each.name}  {verb} · {each.rule_id}{flag}")
            item.setToolTip(
                f"{each.trace_id}\n{figures.moment(each.time_unix_nanos)}\n{each.mission}".strip()
                + ("\nEnter opens it" if each.kept_now else "\nEnter says why it is not kept")
            )
            item.setData(_EXAMPLE, each)
            self.examples.addItem(item)

    def _on_flips(self, on: bool) -> None:
        self.examples.setVisible(on and bool(self._found.examples))

    def _on_chosen(self, item: QListWidgetItem) -> None:
        each: PreviewExample = item.data(_EXAMPLE)
        self.trace_asked.emit(each.trace_id, each.kept_now)

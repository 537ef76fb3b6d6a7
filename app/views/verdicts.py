"""The verdict stream: what each guard decided, its evidence marked in the text. Main thread."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import (
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)
from typing_extensions import override

from app import figures
from app.models.evidence import excerpt_pieces, reason_text
from app.models.ledger import of_log
from app.models.table import ColumnSpec, FilterModel, Index, LogModel, held
from app.store import FleetStore, Row
from app.style import mono_font
from app.theme import Theme, mix
from app.views.labels import label, row_of
from app.views.ledgercorner import LedgerCorner
from app.views.shapes import state_pixmap
from app.views.tracemenu import TraceMenu

ROW_PX = 56
_LEFT_PX = 32
REDACTED = "█"
SHOWN = {"Flags, redactions, blocks": ("flag", "redact", "block"), "Blocks": ("block",), "All": ()}

COLUMNS = (
    ColumnSpec(
        title="Verdict",
        text=lambda row, _now: (
            f"{row['decision']} by {row['layer']}: {reason_text(row)} {row['excerpt']}"
        ),
        sort=lambda row: row["time_ns"],
        tip=lambda row, _now: tip(row),
    ),
)


def tip(row: Row) -> str:
    """A verdict in full."""
    lines = [
        figures.moment(row["time_ns"]),
        f"{row['layer']}: {row['decision']}, score {row['score']:.2f}, {row['latency_ms']:.1f} ms",
        f"channel {row['channel']}{', strict mode' if row['strict'] else ''}",
    ]
    if row["mission"]:
        lines.append(f"mission {row['mission']} {row['sentinel']}".rstrip())
    if text := reason_text(row):
        lines.append(text)
    return "\n".join(lines)


class VerdictDelegate(QStyledItemDelegate):
    """Two lines: the decision with its figures, the text with its evidence."""

    def __init__(self, theme: Theme, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.theme = theme

    @override
    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(240, ROW_PX)

    @override
    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        given: Any = option
        rect: QRect = given.rect
        row = held(index)
        if row is None:
            return
        theme = self.theme
        if given.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, QColor(theme.color("surface.selected")))
        painter.fillRect(
            QRectF(rect.left(), rect.bottom(), rect.width(), 1), QColor(theme.color("line.grid"))
        )
        color = theme.decision(row["decision"])
        mark = state_pixmap(row["decision"], color, 11, painter.device().devicePixelRatioF())
        painter.drawPixmap(rect.left() + 12, rect.top() + 12, mark)
        self._draw_head(painter, rect, row, color)
        self._draw_text(painter, rect, row, color)

    def _draw_head(self, painter: QPainter, rect: QRect, row: Row, color: str) -> None:
        line = QRect(rect.left() + _LEFT_PX, rect.top() + 6, rect.width() - _LEFT_PX - 12, 20)
        flag = Qt.AlignmentFlag.AlignVCenter
        right = figures.time_of_day(row["time_ns"])[:8]
        painter.setPen(QColor(self.theme.color("text.muted")))
        painter.drawText(line, flag | Qt.AlignmentFlag.AlignRight, right)
        strong = QFont(painter.font())
        strong.setWeight(QFont.Weight.DemiBold)
        painter.save()
        painter.setFont(strong)
        painter.setPen(QColor(color))
        word = str(row["decision"]).upper() if not row["failure"] else "FAILED"
        painter.drawText(line, flag, word)
        used = painter.fontMetrics().horizontalAdvance(word) + 8
        painter.restore()
        painter.setPen(QColor(self.theme.color("text.secondary")))
        rest = line.adjusted(used, 0, -72, 0)
        text = (
            f"{row['layer']} · {row['score']:.2f} · {row['channel']} · {row['latency_ms']:.1f} ms"
        )
        if why := reason_text(row):
            text += f" · {why}"
        metrics = painter.fontMetrics()
        elided = metrics.elidedText(text, Qt.TextElideMode.ElideRight, rest.width())
        painter.drawText(rest, flag, elided)

    def _draw_text(self, painter: QPainter, rect: QRect, row: Row, color: str) -> None:
        """The excerpt, from a little before its first evidence."""
        painter.save()
        font = mono_font()
        painter.setFont(font)
        metrics = QFontMetrics(font)
        left, right = rect.left() + _LEFT_PX, rect.right() - 12
        top = rect.top() + 29
        back = QColor(mix(self.theme.color("surface.panel"), color, 0.28))
        parts = excerpt_pieces(row)
        if len(parts) > 1 and not parts[0].rule and len(parts[0].text) > 24:
            parts[0] = type(parts[0])("…" + parts[0].text[-23:], "")
        for part in parts:
            text = part.text.replace("\n", "⏎").replace("\t", " ")
            text = metrics.elidedText(text, Qt.TextElideMode.ElideRight, max(right - left, 0))
            width = metrics.horizontalAdvance(text)
            if part.rule:
                painter.fillRect(QRectF(left - 1, top, width + 2, 19), back)
                painter.fillRect(QRectF(left - 1, top + 18, width + 2, 1.5), QColor(color))
            tone = self.theme.color("text.primary" if part.rule else "text.muted")
            hidden = part.text.startswith(REDACTED)
            painter.setPen(QColor(color if hidden else tone))
            painter.drawText(QRect(left, top, width + 2, 19), Qt.AlignmentFlag.AlignVCenter, text)
            left += width
            if left >= right:
                break
        painter.restore()


class VerdictStream(QWidget):
    """The newest verdicts first."""

    chosen = Signal(object)

    def __init__(self, store: FleetStore, theme: Theme) -> None:
        super().__init__()
        self._store = store
        self.setProperty("role", "panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName("Verdict stream")
        self.model = LogModel(COLUMNS, self)
        self.filtered = FilterModel(self)
        self.filtered.setSourceModel(self.model)
        self.list = QListView()
        self.list.setAccessibleName("Verdicts")
        self.list.setModel(self.filtered)
        self.list.setUniformItemSizes(True)
        self.list.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.delegate = VerdictDelegate(theme, self)
        self.list.setItemDelegate(self.delegate)
        self.list.selectionModel().currentChanged.connect(lambda *_: self._on_chosen())
        self.menu = TraceMenu(self.list)
        self.which = QComboBox()
        self.which.addItems(list(SHOWN))
        self.which.setAccessibleName("Which verdicts to show")
        self.which.currentTextChanged.connect(self._on_which)
        self.count = label("", "muted", name="Verdicts: how many")
        self.empty = label("No verdicts of this kind yet.", "muted", wrap=True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.ledger = LedgerCorner("Verdicts", theme)
        bar = row_of(label("Verdicts", "heading"), self.count, self.ledger, 1, self.which)
        bar.setContentsMargins(12, 6, 8, 6)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(bar)
        layout.addWidget(self.list, 1)
        layout.addWidget(self.empty, 1)
        self._on_which(self.which.currentText())

    def refresh(self, now_ns: int) -> None:
        """Takes in what came."""
        self.model.follow(self._store.verdicts, now_ns)
        self._show_count()

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self.delegate.theme = theme
        self.ledger.set_theme(theme)
        self.list.viewport().update()

    def _show_count(self) -> None:
        shown, there = self.filtered.rowCount(), self._store.verdicts.total
        self.count.setText(f"{shown:,} of {there:,}")
        self.ledger.show_ledger(of_log(self._store, self._store.verdicts, shown))
        self.list.setVisible(shown > 0)
        self.empty.setVisible(shown == 0)
        self.empty.setText(
            "No request has passed the guards yet."
            if not there
            else f"{there:,} verdicts, none of this kind."
        )

    def _on_which(self, text: str) -> None:
        wanted = SHOWN[text]
        self.filtered.set_accepted(
            (lambda row: row["decision"] in wanted or bool(row["failure"])) if wanted else None
        )
        self._show_count()

    def _on_chosen(self) -> None:
        row = held(self.list.currentIndex())
        if row is not None:
            self.chosen.emit(row)

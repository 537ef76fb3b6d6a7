"""The clock bar: live or frozen, density with markers, the engine's age. Main thread only."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QHelpEvent, QIcon, QPainter, QPaintEvent, QPolygonF
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QToolTip, QWidget
from typing_extensions import override

from app import figures
from app.clock import DENSITY_SECONDS, SECOND, Marker, RoomClock
from app.icons import icon
from app.store import FleetStore
from app.theme import Theme, mix
from app.views.labels import label, set_role

HEIGHT_PX = 40
_BAR_PX = 3
_MARK_PX = 7
_NEAR_PX = 6

MARKER_TOKENS = {"policy": "accent.base", "crash": "state.lost", "block": "decision.block"}


class ClockBar(QWidget):
    """Says which time is on screen."""

    freeze_clicked = Signal()

    def __init__(self, store: FleetStore, clock: RoomClock, theme: Theme) -> None:
        super().__init__()
        self._store = store
        self._clock = clock
        self._theme = theme
        self.setProperty("role", "panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedHeight(HEIGHT_PX)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.edge = QPushButton()
        self.edge.setAutoDefault(False)
        self.edge.setMinimumWidth(112)
        self.edge.clicked.connect(lambda _checked=False: self.freeze_clicked.emit())
        self.behind = label("", "warning", name="Rows behind the live edge")
        self.density = Density(store, clock, theme)
        self.time = label("", "secondary", name="Time on screen")
        self.age = label("", "heading", name="The engine has run for")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 0, 16, 0)
        layout.setSpacing(12)
        layout.addWidget(self.edge)
        layout.addWidget(self.behind)
        layout.addWidget(self.density, 1)
        layout.addWidget(self.time)
        layout.addWidget(self.age)
        self.refresh(0)

    def refresh(self, now_ns: int) -> None:
        """Shows the clock as of now."""
        frozen, live = self._clock.frozen, self._store.connection.live
        word = "FROZEN" if frozen else "LIVE" if live else "NO STREAM"
        if self.edge.text() != word:
            self._show_edge(word)
        self.behind.setVisible(frozen)
        if frozen:
            text = f"+{self._clock.behind:,} behind"
            if self._clock.dropped:
                text += f", {self._clock.dropped:,} dropped"
            self.behind.setText(text)
        info = self._store.connection.info
        self.time.setText(figures.time_of_day(now_ns)[:8] if info else "")
        self.time.setToolTip(figures.moment(now_ns))
        age = now_ns - info.started_unix_nanos if info else 0
        self.age.setText(figures.elapsed(age) if info else "")
        self.age.setToolTip("Since the engine started")
        self.density.show_at(now_ns)

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self._theme = theme
        self._show_edge(self.edge.text())
        self.density.set_theme(theme)

    def _show_edge(self, word: str) -> None:
        self.edge.setText(word)
        frozen = word == "FROZEN"
        name, tone = ("play", "text.on_accent") if frozen else ("pause", "text.secondary")
        self.edge.setIcon(icon(name, self._theme, tone) if word != "NO STREAM" else QIcon())
        set_role(self.edge, "primary" if frozen else "")
        does = "go live (End)" if frozen else "freeze the views; ingest goes on (Space)"
        self.edge.setToolTip(does[0].upper() + does[1:])
        self.edge.setAccessibleName(f"{word.capitalize()}: {does}")


class Density(QWidget):
    """How much happened when, with markers of policy changes, crashes and blocks."""

    def __init__(self, store: FleetStore, clock: RoomClock, theme: Theme) -> None:
        super().__init__()
        self._store = store
        self._clock = clock
        self._theme = theme
        self._end_s = 0
        self._drawn = (0, -1)
        self.setAccessibleName("Density of happenings over the last 15 minutes, with markers")
        self.setMinimumHeight(HEIGHT_PX - 8)
        self.setMinimumWidth(80)

    def show_at(self, now_ns: int) -> None:
        """Ends the strip at a time; redraws when a second passed or something was marked."""
        drawn = (now_ns // SECOND, len(self._clock.markers))
        if drawn != self._drawn:
            self._drawn = drawn
            self._end_s = drawn[0]
            self.update()

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self._theme = theme
        self.update()

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        base = self.height() - 4.0
        painter.fillRect(QRectF(0, base, self.width(), 1), QColor(self._theme.color("line.border")))
        self._draw_bars(painter, base)
        self._draw_gaps(painter, base)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for marker in self._apart():
            self._draw_marker(painter, marker)
        painter.end()

    def _x(self, second: float) -> float:
        return self.width() - (self._end_s - second + 1) * self._step()

    def _step(self) -> float:
        """Pixels a second: the strip shows as much as it has room for, and 15 minutes at most."""
        return max(self.width() / DENSITY_SECONDS, 1.0)

    def _draw_bars(self, painter: QPainter, base: float) -> None:
        width = max(self._step(), float(_BAR_PX))
        bars: dict[int, int] = {}
        for second, number in self._clock.density:
            if second <= self._end_s:
                slot = int(self._x(second) // width)
                bars[slot] = max(bars.get(slot, 0), number)
        most = max(bars.values(), default=0)
        if not most:
            return
        color = QColor(
            mix(self._theme.color("surface.panel"), self._theme.color("accent.base"), 0.7)
        )
        room = base - _MARK_PX - 4
        for slot, number in bars.items():
            height = max(round(room * (number / most) ** 0.5), 1 if number else 0)
            painter.fillRect(QRectF(slot * width, base - height, width - 1, height), color)

    def _draw_gaps(self, painter: QPainter, base: float) -> None:
        color = QColor(self._theme.color("state.reconnecting"))
        for note in self._store.connection.gaps:
            x = self._x(note.time_ns / SECOND)
            brush = Qt.BrushStyle.BDiagPattern
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(brush)
            painter.fillRect(QRectF(x - 3, 4, 6, base - 4), color)

    def _apart(self) -> list[Marker]:
        """The newest marker of each kind in each few pixels: more would be a smear."""
        slots = {
            (marker.kind, round(self._x(marker.time_ns / SECOND) / (_MARK_PX + 1))): marker
            for marker in self._clock.markers
        }
        return list(slots.values())

    def _draw_marker(self, painter: QPainter, marker: Marker) -> None:
        x = self._x(marker.time_ns / SECOND)
        if x < 0 or x > self.width():
            return
        color = QColor(self._theme.color(MARKER_TOKENS[marker.kind]))
        top, half = 3.0, _MARK_PX / 2
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(color)
        if marker.kind == "policy":
            painter.drawPolygon(
                QPolygonF(
                    [QPointF(x - half, top), QPointF(x + half, top), QPointF(x, top + _MARK_PX)]
                )
            )
        elif marker.kind == "block":
            painter.drawRect(QRectF(x - half, top, _MARK_PX, _MARK_PX))
        else:
            painter.setPen(color)
            painter.drawLine(QPointF(x - half, top), QPointF(x + half, top + _MARK_PX))
            painter.drawLine(QPointF(x + half, top), QPointF(x - half, top + _MARK_PX))

    @override
    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            near = [
                f"{figures.time_of_day(marker.time_ns)[:8]}  {marker.text}"
                for marker in self._clock.markers
                if abs(self._x(marker.time_ns / SECOND) - event.pos().x()) <= _NEAR_PX
            ]
            QToolTip.showText(event.globalPos(), "\n".join(near[-8:]), self)
            return True
        return super().event(event)

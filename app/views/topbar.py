"""The top bar: menus, connection, the way to anything, live figures, STRICT. Main thread only."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QHBoxLayout, QMenu, QPushButton, QSizePolicy, QToolButton, QWidget

from app import figures
from app.icons import icon
from app.store import ConnectionState, FleetStore
from app.theme import GRID_PX, Theme
from app.views.labels import IconButton, label
from app.views.shapes import state_pixmap

HEIGHT_PX = 48
SECOND = 1_000_000_000
RATE_NS = 5 * SECOND
"""The stretch over which the top bar's rate and blocks are counted."""

_WORDS = {
    "idle": "not connected",
    "connecting": "connecting…",
    "live": "",
    "reconnecting": "reconnecting…",
    "lost": "lost",
}


class TopBar(QWidget):
    """Always visible: where we are, how it goes, and whether strict mode is on."""

    connection_clicked = Signal()
    ask_clicked = Signal()

    def __init__(self, store: FleetStore, theme: Theme) -> None:
        super().__init__()
        self._store = store
        self._theme = theme
        self._done: list[tuple[int, float]] = []
        self.setProperty("role", "panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedHeight(HEIGHT_PX)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.menu = IconButton("menu", "Menu (Alt+M)", theme)
        self.menu.setShortcut("Alt+M")
        self.menu.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.chip = QToolButton()
        self.chip.setProperty("role", "chip")
        self.chip.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.chip.setIconSize(QSize(10, 10))
        self.chip.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.chip.clicked.connect(lambda _checked=False: self.connection_clicked.emit())
        self.ask = QPushButton("Ask, filter, go to…   Ctrl+K")
        self.ask.setProperty("role", "ask")
        self.ask.setAccessibleName("Ask, filter, go to")
        self.ask.setToolTip("Open the command palette (Ctrl+K)")
        self.ask.setIcon(icon("search", theme, "text.muted"))
        self.ask.setFixedWidth(340)
        self.ask.setAutoDefault(False)
        self.ask.clicked.connect(lambda _checked=False: self.ask_clicked.emit())
        self.rate = label("", "heading", name="Commands a second")
        self.latency = label("", "heading", name="Latency, 99th percentile")
        self.blocked = label("", "heading", name="Blocked by guards")
        self.simulated = label("", "simulated", name="Chat provider")
        self.strict = label("STRICT", "badge", name="Strict mode is on")
        self.strict.setToolTip("Flags block, and a layer that fails or times out blocks")
        self.strict.hide()
        for tag in (self.simulated, self.strict):
            tag.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._lay_out()
        self.refresh(0)

    def _lay_out(self) -> None:
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 0, 16, 0)
        layout.setSpacing(12)
        for part in (self.menu, self.chip, self.ask):
            layout.addWidget(part)
        layout.addStretch(1)
        layout.addWidget(self.simulated)
        layout.addSpacing(GRID_PX)
        for part in (self.rate, self.latency, self.blocked, self.strict):
            layout.addWidget(part)

    def set_menu(self, menu: QMenu) -> None:
        """The menu behind the button."""
        self.menu.setMenu(menu)

    def set_theme(self, theme: Theme) -> None:
        """Takes other colours."""
        self._theme = theme
        self.menu.set_theme(theme)
        self.ask.setIcon(icon("search", theme, "text.muted"))
        self._show_connection()

    def refresh(self, now_ns: int) -> None:
        """Shows the figures as of now."""
        self._show_connection()
        self._show_rate(now_ns)
        self._show_latency(now_ns)
        store = self._store
        blocked = store.counter("citadel.guard.requests", decision="block")
        self.blocked.setText(f"{figures.count(blocked)} blocked")
        self.blocked.setVisible(store.connection.state != "idle" and bool(store.defense))
        self.strict.setVisible(store.strict)
        self._show_provider()

    def _show_connection(self) -> None:
        connection = self._store.connection
        self.chip.setText(" " + connection_text(connection))
        self.chip.setIcon(self._dot(connection.state))
        self.chip.setAccessibleName(f"Connection: {connection_text(connection)}")
        self.chip.setToolTip(connection_tip(connection))

    def _dot(self, state: str) -> QIcon:
        known = {"idle": "stopped", "lost": "lost"}.get(state, state)
        scale = self.devicePixelRatioF()
        return QIcon(state_pixmap(known, self._theme.state(known), 10, scale))

    def _show_rate(self, now_ns: int) -> None:
        """Commands that ended, a second, over the last seconds of the exact counters."""
        done = sum(row["done"] + row["failed"] for row in self._store.pools.values())
        if self._done and (done < self._done[-1][1] or now_ns < self._done[-1][0]):
            self._done.clear()
        if not self._done or now_ns - self._done[-1][0] >= RATE_NS // 20:
            self._done.append((now_ns, done))
        while len(self._done) > 2 and now_ns - self._done[0][0] > RATE_NS:
            del self._done[0]
        (first_ns, first), (last_ns, last) = self._done[0], self._done[-1]
        passed = (last_ns - first_ns) / 1e9
        self.rate.setVisible(bool(self._store.pools))
        self.rate.setText(figures.rate((last - first) / passed if passed else 0, " cmd/s"))

    def _show_latency(self, now_ns: int) -> None:
        history = self._store.latency
        p99 = history.percentile("citadel.command.duration", now_ns - 60 * SECOND, now_ns, 0.99)
        self.latency.setVisible(p99 is not None)
        if p99 is not None:
            self.latency.setText(f"p99 {figures.seconds(p99)}")
            self.latency.setToolTip("Run time of the commands of the last minute")

    def _show_provider(self) -> None:
        info = self._store.connection.info
        simulated = [provider for provider in info.providers if provider.simulated] if info else []
        self.simulated.setVisible(bool(simulated))
        if simulated:
            self.simulated.setText(f"provider: {simulated[0].name}")
            self.simulated.setToolTip(
                "No chat endpoint is configured: summaries come from a simulated provider, "
                "and say so"
            )


def connection_text(connection: ConnectionState) -> str:
    """Where we are connected to, and how that stands."""
    where = "embedded" if connection.mode == "embedded" else connection.address or "remote"
    if connection.info is not None and connection.info.recording:
        where = f"recording {connection.info.recording}"
    word = _WORDS[connection.state]
    return f"{where} · {word}" if word else where


def connection_tip(connection: ConnectionState) -> str:
    """The same in full."""
    lines = [f"Engine at {connection.address or '–'}: {connection.state}"]
    if (info := connection.info) is not None and info.recording:
        since = figures.moment(info.recording_since_unix_nanos)
        lines.append(f"recorded {since} to {figures.moment(info.recording_until_unix_nanos)}")
    if info is not None:
        lines.append(f"version {info.version} on {info.hostname}, process {info.pid}")
        lines.append(f"your role: {info.role}")
        if info.metrics_address:
            lines.append(f"metrics: http://{info.metrics_address}/metrics")
    if connection.gaps:
        lines.append(f"gaps in the stream: {len(connection.gaps)}")
    if connection.error:
        lines.append(connection.error)
    lines.append("Click to connect elsewhere (Ctrl+O)")
    return "\n".join(lines)

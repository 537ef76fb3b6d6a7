"""Composition root of the window: builds store, clock, link and window, and wires them together.

It starts them in order and ends them in order. What is slow to import is imported after the first
paint. Main thread only.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QApplication

from app import style
from app.clock import RoomClock
from app.commands import Outcome, start_mission
from app.handlers import Handlers
from app.notices import Notice, Notices
from app.options import Options
from app.store import FleetStore, LinkState
from app.theme import ThemeChoice
from app.undo import UndoStack
from app.views.palette import CommandPalette
from app.views.window import MainWindow
from citadel.errors import Conflict, Unavailable

if TYPE_CHECKING:
    from app.frame import FrameClock
    from app.furniture import Furniture
    from app.link import Link

PAINT_SECONDS = 5.0
"""How long the first paint is waited for: a hidden window never paints."""

FIRST_RUN = {"loop": True, "rate": 20}
"""The survey that an embedded engine without a mission gets: in a loop, 20 files a second."""

_QUIET = frozenset(
    {"Sampling.Preview", "Engine.Audit", "Sentinels.Inspect", "Defense.Preview", "Exporters.List"}
)
"""Reads that views repeat by themselves: one that fails while the engine is away is no news."""


def application(arguments: Sequence[str]) -> QApplication:
    """The one application, named so that settings find their place."""
    made = QApplication(list(arguments))
    # The loop ends when the room has: the last window is closed before that.
    made.setQuitOnLastWindowClosed(False)
    made.setOrganizationName("Citadel")
    made.setApplicationName("Citadel")
    made.setApplicationDisplayName("Citadel")
    made.setDesktopFileName("citadel-desktop")
    return made


class ControlRoom:
    """The window and what it stands on."""

    def __init__(self, made: QApplication, options: Options, settings: QSettings) -> None:
        self.application = made
        self.options = options
        self.settings = settings
        self.store = FleetStore()
        self.clock = RoomClock(self.store)
        self.notices = Notices()
        self.undo = UndoStack()
        saved = str(settings.value("theme", "system"))
        known = saved if saved in {"system", "dark", "light"} else "system"
        self.choice: ThemeChoice = options.theme or cast("ThemeChoice", known)
        self.theme = style.chosen(self.choice)
        style.apply(made, self.theme)
        self.window = MainWindow(self.store, self.clock, self.notices, self.theme, settings)
        self.furniture: Furniture | None = None
        self.frame: FrameClock | None = None
        self.link: Link | None = None
        self.palette: CommandPalette | None = None
        self.furnished = asyncio.Event()
        self.settled = asyncio.Event()
        """Connected, or given up, for the first time."""
        self._closed = asyncio.Event()
        self._painted = asyncio.Event()
        self._was: LinkState = "idle"
        self._instance = ""
        self.window.closed.connect(self._closed.set)
        self.window.painted.connect(self._painted.set)
        self.window.toasts.undo_clicked.connect(self.undo_last)
        made.styleHints().colorSchemeChanged.connect(lambda _scheme: self._on_system_theme())

    # ── life ────────────────────────────────────────────────────────────────────────────────────
    async def run(self) -> int:
        """Shows the window, connects, and returns once it was closed and all has ended."""
        self.window.show()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PAINT_SECONDS):
                await self._painted.wait()
        link = self._furnish()
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(link.run(), name="link")
            link.connect(self.options.target)
            await self._closed.wait()
            if self.frame is not None:
                self.frame.stop()
            serving.cancel()
        return 0

    def close(self) -> None:
        """Ends the window, and so `run`."""
        self.window.close()

    def _furnish(self) -> Link:
        from app import furniture  # noqa: PLC0415 - plots are slow to import: after the first paint
        from app.embed import Embedded  # noqa: PLC0415 - as above
        from app.link import Link  # noqa: PLC0415 - grpc too

        engines = Embedded(self.options.data_dir, self.options.engine_arguments)
        link = self.link = Link(
            self.store, self.clock, engines, self._on_ended, self._on_connection
        )
        made = self.furniture = furniture.build(self.store, self.theme, link)
        handlers = Handlers(self, link, made)
        self.palette = CommandPalette(
            self.window, handlers.entries, self.theme, handlers.entries_for
        )
        self.palette.chosen.connect(handlers.choose)
        self.palette.filter_asked.connect(handlers.filter_by)
        self.window.bind(handlers.table())
        self.window.furnish(made.views(), made.docks())
        self.window.top.connection_clicked.connect(handlers.connect)
        self.window.top.ask_clicked.connect(self.palette.open)
        self.window.clock.freeze_clicked.connect(self.toggle_freeze)
        self.window.curtain.cancel_clicked.connect(link.disconnect)
        self.window.curtain.connect_clicked.connect(handlers.connect)
        self.window.curtain.retry_clicked.connect(handlers.reconnect)
        made.sampling.undo_asked.connect(self.undo_last)
        handlers.connect_traces()
        made.defence_dock.undo_asked.connect(self.undo_last)
        made.exporters.told.connect(self.notices.say)
        made.audit.moment_asked.connect(self.show_moment)
        self.frame = furniture.frame_clock(self.window, made, self.store, self.clock, self.now_ns)
        self.frame.watch(self.window.curtain, lambda _now: self._show_age(), ("connection",))
        self.frame.start()
        made.fleet.moved.connect(handlers.show_enabled)
        handlers.show_enabled()
        self.handlers = handlers
        self.furnished.set()
        return link

    # ── time ────────────────────────────────────────────────────────────────────────────────────
    def now_ns(self) -> int:
        """The time on screen, by the engine's clock; it stands while frozen or cut off.

        A recording's time is its end: nothing of it may grow old while one looks.
        """
        connection = self.store.connection
        if connection.info is not None and connection.info.recording:
            return self.clock.now_ns(connection.info.recording_until_unix_nanos)
        local = time.time_ns() if connection.live else connection.last_message_ns
        return self.clock.now_ns(local + connection.clock_offset_ns)

    def toggle_freeze(self) -> None:
        """Freezes the views, or goes live."""
        if self.clock.frozen:
            self.go_live()
        else:
            self.clock.freeze(self.now_ns())
            self._refresh()

    def show_moment(self, time_ns: int) -> None:
        """Freezes the room with its time axes at a moment of the past."""
        self.clock.show_moment(time_ns)
        self._refresh()

    def go_live(self) -> None:
        """Catches up."""
        if self.clock.frozen:
            self.clock.go_live()
            self._refresh()

    def _refresh(self) -> None:
        if self.frame is not None:
            self.frame.refresh_now()

    def _show_age(self) -> None:
        self.window.curtain.show_age(time.time_ns())

    # ── connection ──────────────────────────────────────────────────────────────────────────────
    def _on_connection(self) -> None:
        """The link's state moved, or the stream has a gap."""
        connection = self.store.connection
        self.window.curtain.refresh()
        if self.furniture is not None:
            for dock in (self.furniture.sampling, self.furniture.defence_dock.settings):
                dock.setEnabled(connection.live)
        if connection.live or (connection.error and connection.state in {"idle", "lost"}):
            self.settled.set()
        now, was = connection.state, self._was
        self._was = now
        if now == "live" and was != "live":
            self._on_live(resumed=was == "reconnecting")
        elif now == "reconnecting" and was == "live":
            text = f"The engine went away: {connection.error or 'the stream broke'}"
            self._say("warning", text, connection.address)
        elif now == "lost" and was != "lost":
            details = f"{connection.error}\n{connection.remedy}"
            self._say("error", f"Gave up on the engine: {connection.error}", details=details)
        if connection.gaps and now == was == "live":
            gap = connection.gaps[-1].gap
            lost = max(gap.to_seq - gap.from_seq + 1, 1)
            self._say("warning", f"{lost:,} rows of the stream are missing here ({gap.cause}).")
        if self.frame is not None:
            self.handlers.show_enabled()
            self._refresh()

    def _on_live(self, *, resumed: bool) -> None:
        connection = self.store.connection
        same = self._instance == connection.instance_id
        self._instance = connection.instance_id
        if resumed:
            text = (
                "Reconnected: the stream goes on where it broke."
                if same
                else ("Reconnected to another life of the engine: a new snapshot was taken.")
            )
            self._say("done", text, connection.address)
        if same:
            return
        self.undo.clear()
        self._show_undo()
        running = any(row["state"] == "running" for row in self.store.missions.values())
        embedded = connection.mode == "embedded"
        if embedded and self.options.mission and not running and self.link is not None:
            self.link.send(start_mission("survey", json.dumps(FIRST_RUN), reason="first run"))

    # ── commands ────────────────────────────────────────────────────────────────────────────────
    def _on_ended(self, outcome: Outcome) -> None:
        command, error = outcome.command, outcome.error
        if error is not None:
            if command.quiet:
                return
            away = isinstance(error, Unavailable) or not self.store.connection.live
            if isinstance(error, Conflict):
                self._say("warning", f"{command.title}: {error.message}", remedy=error.remedy)
            elif not (away and command.method in _QUIET):
                self.notices.fail(command.title, error)
            return
        if command.changes:
            self.undo.ended(outcome)
            self._show_undo()
            undoable = command.undo is not None
            self.notices.say(Notice(level="done", text=f"{command.title}: done", undoable=undoable))

    def undo_last(self) -> None:
        """Sends the inverse of the last change."""
        inverse = self.undo.pop()
        self._show_undo()
        if inverse is not None and self.link is not None:
            self.link.send(inverse)

    def _show_undo(self) -> None:
        if self.furniture is not None:
            can = len(self.undo) > 0
            self.furniture.sampling.can_undo = can
            self.furniture.defence_dock.settings.can_undo = can
            self._refresh()
            self.handlers.show_enabled()

    def _say(
        self, level: str, text: str, subject: str = "", *, remedy: str = "", details: str = ""
    ) -> None:
        notice = Notice(level=level, text=text, subject=subject, remedy=remedy, details=details)  # type: ignore[arg-type]
        self.notices.say(notice)

    # ── looks ───────────────────────────────────────────────────────────────────────────────────
    def set_theme(self, choice: ThemeChoice) -> None:
        """Other colours, at once and for next time."""
        self.choice = choice
        self.settings.setValue("theme", choice)
        self._apply_theme()

    def _on_system_theme(self) -> None:
        if self.choice == "system":
            self._apply_theme()

    def _apply_theme(self) -> None:
        theme = style.chosen(self.choice)
        if theme is self.theme:
            return
        self.theme = theme
        style.apply(self.application, theme)
        self.window.set_theme(theme)
        if self.palette is not None:
            self.palette.set_theme(theme)
        if self.furniture is not None:
            for view in self.furniture.all():
                view.set_theme(theme)
        self._refresh()

"""What each action of the table does, and what the palette offers. Main thread only."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QLineEdit, QWidget

from app import targets
from app.actions import ACTIONS, DOCKS, PERSPECTIVES, Entry
from app.models.whystory import command_id_in, trace_id_in
from app.notices import Notice
from app.opening import ask_file, open_recording
from app.targets import Target
from app.views.connect import ConnectDialog
from app.views.fleet.view import key_of
from app.views.strict import set_strict
from app.views.why import WhyDialog

if TYPE_CHECKING:
    from app.furniture import Furniture
    from app.link import Link
    from app.room import ControlRoom

PALETTE_ROWS = 500
"""The most rows of each kind that the palette offers to go to."""


class Handlers:
    """Binds the action table to the room."""

    def __init__(self, room: ControlRoom, link: Link, furniture: Furniture) -> None:
        self._room = room
        self._link = link
        self._furniture = furniture

    def table(self) -> dict[str, Callable[[], object]]:
        """A handler for each action."""
        room, fleet = self._room, self._furniture.fleet
        return {
            **{f"go.{p.name}": partial(room.window.go, p.name) for p in PERSPECTIVES},
            **{f"dock.{name}": partial(self._toggle_dock, name) for name in DOCKS},
            "layout.reset": room.window.layout_.reset,
            "theme.dark": partial(room.set_theme, "dark"),
            "theme.light": partial(room.set_theme, "light"),
            "theme.system": partial(room.set_theme, "system"),
            "view.fullscreen": self._toggle_full_screen,
            "palette.open": self._open_palette,
            "clock.freeze": room.toggle_freeze,
            "clock.live": room.go_live,
            "engine.connect": self.connect,
            "engine.reconnect": self.reconnect,
            "engine.disconnect": self._link.disconnect,
            "recording.open": lambda: ask_file(room.window, self.open_recording),
            "mission.start": fleet.ask_mission,
            "sentinel.spawn": fleet.ask_spawn,
            **{name: partial(fleet.act, name) for name in fleet.action_names()},
            "trace.why": self.ask_why,
            "sampling.override": self._furniture.sampling.ask_override,
            "defence.strict": self._toggle_strict,
            "edit.undo": room.undo_last,
            "edit.filter": self._focus_filter,
            "app.quit": room.close,
        }

    def show_enabled(self) -> None:
        """Enables what can be done now."""
        live, fleet = self._room.store.connection.live, self._furniture.fleet
        fitting = {name: fleet.can(name) for name in fleet.action_names()}
        fitting["edit.undo"] = len(self._room.undo) > 0
        for action in ACTIONS:
            made = self._room.window.actions_by_name.get(action.name)
            if made is not None and action.needs_engine:
                made.setEnabled(live and fitting.get(action.name, True))
        strict = self._room.window.actions_by_name["defence.strict"]
        strict.setChecked(self._room.store.strict)

    # ── the palette ─────────────────────────────────────────────────────────────────────────────
    def entries(self) -> list[Entry]:
        """Every action, then everything one can go to."""
        actions = self._room.window.actions_by_name
        found = [
            Entry(
                name=action.name,
                title=action.title,
                detail=self._target(action.name) or action.hint,
                key=action.key,
                words=f"{action.words} {action.menu}",
                enabled=actions[action.name].isEnabled(),
            )
            for action in ACTIONS
            if action.name != "palette.open"
        ]
        store = self._room.store
        for topic, rows in (
            ("pool", store.pools),
            ("worker", store.workers),
            ("sentinel", store.sentinels),
            ("mission", store.missions),
            ("session", store.sessions),
            ("poison", store.poison),
        ):
            for row in list(rows.values())[:PALETTE_ROWS]:
                key = key_of(topic, row)
                name = row["tool"] if topic == "poison" else row.get("name") or key
                detail = f"{topic} · {row['state']}"
                found.append(Entry(name=f"row.{topic}:{key}", title=str(name), detail=detail))
        return found

    def _target(self, name: str) -> str:
        """What an action of Fleet would be done to: "python", "python-2 in python"."""
        fleet = self._furniture.fleet
        if name not in fleet.action_names() or (row := fleet.target(name)) is None:
            return ""
        topic = name.partition(".")[0]
        if topic == "pool":
            return str(row["name"])
        thing = row["tool"] if topic == "poison" else key_of(topic, row)
        return f"{thing} in {row['pool']}"

    def entries_for(self, query: str) -> list[Entry]:
        """What a typed trace or command id offers."""
        trace, command = trace_id_in(query), command_id_in(query)
        live = self._room.store.connection.live
        found: list[Entry] = []
        if trace:
            found.append(
                Entry(name=f"trace:{trace}", title=f"Open trace {trace[:8]}", detail=trace)
            )
        if trace or command:
            found.append(
                Entry(
                    name=f"why:{trace or command}",
                    title="Why is it missing?",
                    detail=trace or f"command {command}",
                    enabled=live,
                )
            )
        return found

    def choose(self, entry: Entry) -> None:
        """Does what was chosen in the palette."""
        kind, _, about = entry.name.partition(":")
        if kind == "trace":
            self.open_trace(about)
        elif kind == "why":
            self.ask_why(about)
        elif entry.name.startswith("row."):
            topic, _, key = entry.name.removeprefix("row.").partition(":")
            self.go_to_row(topic, key)
        else:
            self._room.window.actions_by_name[entry.name].trigger()

    def filter_by(self, text: str) -> None:
        """Filters the view on screen."""
        view = self._room.window.current()
        set_filter = getattr(view, "set_filter", None)
        if set_filter is not None:
            set_filter(text)
        elif (field := _filter_of(view)) is not None:
            field.setText(text)
            field.returnPressed.emit()

    def go_to_row(self, topic: str, key: str) -> bool:
        """Shows a row in Fleet, and so in the Inspector; whether it is there."""
        self._room.window.go("fleet")
        fleet = self._furniture.fleet
        fleet.refresh(self._room.now_ns())
        return fleet.show_row(topic, key)

    def _open_palette(self) -> None:
        if self._room.palette is not None:
            self.show_enabled()
            self._room.palette.open()

    def connect_traces(self) -> None:
        """Lets every view that names traces open them, or ask why they are missing."""
        made = self._furniture
        made.sampling.trace_asked.connect(self.follow_trace)
        made.cinema.why_asked.connect(self.ask_why)
        made.incidents.open_asked.connect(lambda path: self.open_recording(Path(path)))
        for menu in (made.events.menu, made.defence_dock.verdicts.menu, made.defence.verdicts.menu):
            menu.trace_asked.connect(self.open_trace)
            menu.why_asked.connect(self.ask_why)

    # ── traces ──────────────────────────────────────────────────────────────────────────────────
    def open_trace(self, trace_id: str) -> None:
        """Shows a trace in Cinema; one that is not there says so, and offers to ask why."""
        self._room.window.go("cinema")
        self._furniture.cinema.open_trace(trace_id)

    def follow_trace(self, trace_id: str, kept: bool) -> None:
        """Opens a trace that is kept, and explains one that is not."""
        if kept:
            self.open_trace(trace_id)
        else:
            self.ask_why(trace_id)

    def ask_why(self, about: str = "") -> WhyDialog:
        """Asks the engine whether a trace, by its id or a command's, was kept, and why."""
        dialog = WhyDialog(self._room.window, self._room.theme, self._link, about)
        dialog.trace_asked.connect(self.open_trace)
        dialog.rule_asked.connect(self.show_rule)
        dialog.keep_asked.connect(self._furniture.sampling.ask_override)
        dialog.finished.connect(lambda _code: dialog.deleteLater())
        dialog.open()
        return dialog

    def show_rule(self, name: str) -> None:
        """Shows a sampling rule in its dock."""
        self._room.window.show_dock("sampling", True)
        if not self._furniture.sampling.show_rule(name):
            self._room.notices.say(
                Notice(
                    level="info",
                    text=f"Rule {name} is no longer in the policy: the audit trail has it.",
                )
            )

    # ── connection ──────────────────────────────────────────────────────────────────────────────
    def connect(self) -> ConnectDialog:
        """Asks where to connect."""
        current = self._link.target or self._room.options.target
        recent = targets.recent(self._room.settings)
        dialog = ConnectDialog(self._room.window, current, recent)
        dialog.accepted_target.connect(lambda target: self._connect(dialog, target))
        dialog.finished.connect(lambda _code: dialog.deleteLater())
        dialog.open()
        return dialog

    def _connect(self, dialog: ConnectDialog, target: Target) -> None:
        if target.mode == "remote":
            target = targets.with_known_token(target)
            keep = dialog.remember.isChecked()
            targets.remember(self._room.settings, target, keep_token=keep)
        self._link.connect(target)

    def reconnect(self) -> None:
        """Tries again now; after a disconnect, the engine of the command line."""
        if self._link.target is None:
            self._link.connect(self._room.options.target)
        else:
            self._link.reconnect()

    def open_recording(self, path: Path) -> None:
        """Opens a recording in a control room of its own."""
        open_recording(path, self._room.notices.say)

    # ── the rest ────────────────────────────────────────────────────────────────────────────────
    def _toggle_dock(self, name: str) -> None:
        window = self._room.window
        window.show_dock(name, window.docks[name].isHidden())

    def _toggle_full_screen(self) -> None:
        window = self._room.window
        if window.isFullScreen():
            window.showNormal()
        else:
            window.showFullScreen()

    def _toggle_strict(self) -> None:
        store = self._room.store
        set_strict(self._room.window, store, self._link, not store.strict)
        self.show_enabled()

    def _focus_filter(self) -> None:
        view, inspector = self._room.window.current(), self._furniture.inspector
        if inspector.isAncestorOf(self._room.application.focusWidget() or view):
            view = inspector
        focus = getattr(view, "focus_filter", None)
        if focus is not None:
            focus()
        elif (field := _filter_of(view)) is not None:
            field.setFocus()


def _filter_of(view: QWidget) -> QLineEdit | None:
    """A view's own filter field: its first visible line of text."""
    return next((field for field in view.findChildren(QLineEdit) if field.isVisible()), None)

"""Asks before strict mode goes on, and says what it would have blocked. Main thread only."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtWidgets import QMessageBox, QWidget

from app.commands import (
    Command,
    CommandSink,
    Outcome,
    Then,
    apply_defense,
    layer_configs,
    preview_defense,
)
from app.store import FleetStore
from app.views.labels import set_role
from citadel.wire.messages import DefensePreview

PREVIEW_MINUTES = 5


def strict_command(store: FleetStore, strict: bool) -> Command | None:
    """The command that sets strict mode and nothing else; None before the engine sent a config."""
    row = store.defense
    if row is None:
        return None
    layers, revision = layer_configs(store.layers()), row["revision"]
    word = "on" if strict else "off"
    made = apply_defense(strict, layers, revision, f"strict mode turned {word}")
    inverse = apply_defense(not strict, layers, revision)
    return replace(made, title=f"Turn strict mode {word}", undo=inverse)


def preview_text(outcome: Outcome) -> str:
    """What strict mode would have done, in a sentence."""
    found = outcome.reply
    if not isinstance(found, DefensePreview):
        return "What it would have blocked could not be found out."
    if not found.requests:
        return f"No request passed the guards in the last {PREVIEW_MINUTES} minutes."
    return (
        f"Of the {found.requests:,} requests of the last {PREVIEW_MINUTES} minutes it would have "
        f"blocked {found.blocked_then:,}; {found.blocked_now:,} were blocked."
    )


def set_strict(
    parent: QWidget,
    store: FleetStore,
    sink: CommandSink,
    strict: bool,
    then: Then | None = None,
    cancelled: Then | None = None,
) -> QMessageBox | None:
    """Turns strict mode off at once, or on after asking; returns the question, if there is one."""
    command = strict_command(store, strict)
    if command is None:
        return None
    if not strict:
        sink.send(command, then)
        return None
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.NoIcon)
    box.setWindowTitle("Strict mode")
    box.setText("Turn strict mode on?")
    about = "Flags will block, and a layer that fails or times out will block."
    box.setInformativeText(f"{about}\n\nLooking at the last {PREVIEW_MINUTES} minutes…")
    turn_on = box.addButton("Turn on", QMessageBox.ButtonRole.AcceptRole)
    set_role(turn_on, "primary")
    turn_on.setObjectName("strict-on")
    box.addButton(QMessageBox.StandardButton.Cancel)
    box.accepted.connect(lambda: sink.send(command, then))
    if cancelled is not None:
        box.rejected.connect(lambda: cancelled(Outcome(command=command)))
    box.finished.connect(lambda _code: box.deleteLater())
    sink.send(
        preview_defense(True, layer_configs(store.layers()), PREVIEW_MINUTES),
        lambda outcome: box.setInformativeText(f"{about}\n\n{preview_text(outcome)}"),
    )
    box.open()
    return box

"""Sentinels and missions, and what can be done to them. Main thread only."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QInputDialog, QWidget

from app import commands
from app.commands import CommandSink
from app.models import fleet
from app.store import Row
from app.theme import Theme
from app.views.fleet.panel import FleetPanel, RowAction

MOST_RATE = 100_000.0
_ENDED = frozenset({"stopped", "quarantined"})


def sentinels_panel(theme: Theme, sink: CommandSink, spawn: Callable[[], object]) -> FleetPanel:
    """The Sentinels."""
    send = sink.send
    return FleetPanel(
        "Sentinels",
        fleet.SENTINELS,
        theme,
        "No Sentinels. Start a mission, or spawn one.",
        (
            RowAction(
                title="Spawn a Sentinel…",
                icon="spawn",
                run=lambda _row: spawn(),
                needs_row=False,
            ),
            RowAction(
                title="Stop the Sentinel",
                icon="stop",
                run=lambda row: send(commands.stop_sentinel(row["id"])),
                fits=lambda row: row["state"] not in _ENDED,
            ),
            RowAction(
                title="Restart the Sentinel",
                icon="reset",
                run=lambda row: send(commands.restart_sentinel(row["id"])),
            ),
        ),
        heading=False,
    )


def missions_panel(
    host: QWidget,
    theme: Theme,
    sink: CommandSink,
    start: Callable[[], object],
    results: Callable[[Row], object],
) -> FleetPanel:
    """The missions."""
    return FleetPanel(
        "Missions",
        fleet.MISSIONS,
        theme,
        "No missions yet. Start one: the survey reads a folder of Python source.",
        (
            RowAction(
                title="Start a mission…",
                icon="play",
                run=lambda _row: start(),
                needs_row=False,
            ),
            RowAction(title="Show the results", icon="table", run=results),
            RowAction(
                title="Set the rate…",
                icon="bridge",
                run=lambda row: ask_rate(host, row, sink),
                fits=lambda row: row["state"] == "running",
            ),
            RowAction(
                title="Cancel the mission",
                icon="stop",
                run=lambda row: sink.send(commands.cancel_mission(row["id"], row["name"])),
                fits=lambda row: row["state"] == "running",
            ),
        ),
        heading=False,
    )


def ask_rate(host: QWidget, row: Row, sink: CommandSink) -> QInputDialog:
    """Asks for a looping mission's rate."""
    dialog = QInputDialog(host)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.setWindowTitle("Set")
    dialog.setLabelText(f"Units a second of {row['name']}; 0 is as fast as it goes")
    dialog.setInputMode(QInputDialog.InputMode.DoubleInput)
    dialog.setDoubleRange(0, MOST_RATE)
    dialog.setDoubleDecimals(1)
    dialog.setDoubleValue(row["rate"])
    dialog.doubleValueSelected.connect(
        lambda rate: sink.send(commands.set_mission_rate(row["id"], rate, was=row["rate"]))
    )
    dialog.open()
    return dialog

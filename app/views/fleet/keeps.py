"""What pools keep: sessions and poison, and what can be done to them. Main thread only."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from app.commands import CommandSink
from app.models import pools
from app.poolcommands import end_session
from app.store import Row
from app.theme import Theme
from app.views.confirm import confirm
from app.views.fleet.panel import FleetPanel, RowAction
from app.views.fleet.poison import PoisonDialog


def sessions_panel(host: QWidget, theme: Theme, sink: CommandSink) -> FleetPanel:
    """The open sessions of all pools."""
    return FleetPanel(
        "Sessions",
        pools.SESSIONS,
        theme,
        "No session is open. A command that names a session opens one: its variables stay with it, "
        "and its commands go to one worker.",
        (
            RowAction(
                name="session.end",
                title="End the session…",
                icon="stop",
                run=lambda row: confirm(host, end_session(row), sink),
                tip=lambda row: end_session(row).consequence,
            ),
        ),
        heading=False,
    )


def poison_panel(host: QWidget, theme: Theme, sink: CommandSink) -> FleetPanel:
    """The commands that killed workers."""

    def show(row: Row) -> PoisonDialog:
        dialog = PoisonDialog(host, row, sink)
        dialog.open()
        return dialog

    return FleetPanel(
        "Poison",
        pools.POISON,
        theme,
        "No command has killed a worker. One that does is kept here with its input, and is refused "
        "once it killed as many as its pool allows.",
        (
            RowAction(
                name="poison.release",
                title="Show its input, release it…",
                icon="unlock",
                run=show,
            ),
        ),
        heading=False,
    )

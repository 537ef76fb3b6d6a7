"""What fills the window: the perspectives, the docks, the frame clock that refreshes them.

Imported after the first paint, because plots are slow to import. Main thread only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtWidgets import QWidget

from app.clock import RoomClock
from app.commands import CommandSink
from app.frame import TABLE_NS, FrameClock, View
from app.store import FleetStore
from app.theme import Theme
from app.views.audit import AuditDock
from app.views.bridge import BridgeView
from app.views.cinema import CinemaView
from app.views.defence import DefenceView
from app.views.defencedock import DefenceDock
from app.views.exporters import ExportersDock
from app.views.fleet import FleetView
from app.views.incidents import IncidentsDock
from app.views.inspector import Inspector
from app.views.logs import EventsDock
from app.views.sampling import SamplingDock
from app.views.window import MainWindow

CHARTS_NS = 100_000_000
"""Charts move ten times a second: smooth to the eye, and half of a core spared."""

BARS_NS = 250_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Furniture:
    """The views and docks of a window."""

    bridge: BridgeView
    fleet: FleetView
    cinema: CinemaView
    defence: DefenceView
    sampling: SamplingDock
    defence_dock: DefenceDock
    inspector: Inspector
    events: EventsDock
    audit: AuditDock
    incidents: IncidentsDock
    exporters: ExportersDock

    def views(self) -> dict[str, QWidget]:
        """The perspectives by name."""
        return {
            "bridge": self.bridge,
            "fleet": self.fleet,
            "cinema": self.cinema,
            "defence": self.defence,
        }

    def docks(self) -> dict[str, tuple[str, QWidget]]:
        """The docks by name, with their titles."""
        return {
            "sampling": ("Sampling", self.sampling),
            "defence": ("Defence", self.defence_dock),
            "inspector": ("Inspector", self.inspector),
            "events": ("Events", self.events),
            "audit": ("Audit", self.audit),
            "incidents": ("Incidents", self.incidents),
            "exporters": ("Exporters", self.exporters),
        }

    def all(self) -> list[View]:
        """Everything that takes a theme and a refresh."""
        parts = [*self.views().values(), *(widget for _, widget in self.docks().values())]
        return [part for part in parts if isinstance(part, View)]


def build(store: FleetStore, theme: Theme, sink: CommandSink) -> Furniture:
    """Makes the views, and lets what is chosen in them be inspected."""
    made = Furniture(
        bridge=BridgeView(store, theme, sink),
        fleet=FleetView(store, theme, sink),
        cinema=CinemaView(store, theme, sink),
        defence=DefenceView(store, theme, sink),
        sampling=SamplingDock(store, theme, sink),
        defence_dock=DefenceDock(store, theme, sink),
        inspector=Inspector(store, theme, sink),
        events=EventsDock(store, theme),
        audit=AuditDock(store, theme, sink),
        incidents=IncidentsDock(store, theme, sink),
        exporters=ExportersDock(store, theme, sink),
    )
    inspect = made.inspector.inspect
    made.fleet.inspected.connect(inspect)
    made.defence.inspected.connect(lambda row: inspect("verdict", row))
    made.defence_dock.chosen.connect(lambda row: inspect("verdict", row))
    made.events.chosen.connect(lambda row: inspect("event", row))
    made.audit.chosen.connect(lambda row: inspect("audit", row))
    made.incidents.chosen.connect(lambda row: inspect("recording", row))
    made.exporters.chosen.connect(lambda row: inspect("exporter", row))
    made.bridge.inspected.connect(inspect)
    made.cinema.inspected.connect(inspect)
    return made


def frame_clock(
    window: MainWindow,
    furniture: Furniture,
    store: FleetStore,
    clock: RoomClock,
    now_ns: Callable[[], int],
) -> FrameClock:
    """One clock for all that moves."""
    frame = FrameClock(store, now_ns, time.monotonic_ns, window)
    f = furniture
    frame.watch(window.top, window.top.refresh, interval_ns=BARS_NS)
    frame.watch(
        window.clock, window.clock.refresh, interval_ns=BARS_NS, also=lambda: clock.generation
    )
    frame.watch(f.bridge, f.bridge.refresh, interval_ns=CHARTS_NS)
    frame.watch(f.cinema, f.cinema.refresh, ("span",), CHARTS_NS)
    fleet = ("pool", "worker", "sentinel", "mission", "session", "poison")
    frame.watch(f.fleet, f.fleet.refresh, fleet, TABLE_NS)
    frame.watch(f.defence, f.defence.refresh, ("verdict", "defense", "counter"), TABLE_NS)
    policy = ("sampling", "connection")
    frame.watch(f.sampling, f.sampling.refresh, policy)
    frame.watch(f.defence_dock, f.defence_dock.refresh, ("defense", "verdict", "counter"), TABLE_NS)
    frame.watch(f.inspector, f.inspector.refresh, (*fleet, "event"), TABLE_NS)
    frame.watch(f.events, f.events.refresh, ("event",), TABLE_NS)
    frame.watch(f.audit, f.audit.refresh, ("audit", "connection"))
    frame.watch(f.incidents, f.incidents.refresh, ("recording", "connection"), TABLE_NS)
    frame.watch(f.exporters, f.exporters.refresh, ("exporter", "connection"), TABLE_NS)
    return frame

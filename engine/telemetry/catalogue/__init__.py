"""Every counter, duration, gauge and event that the engine emits, in one place.

The recorder refuses a name that is not here. Sentinel ids and command ids are never labels.
docs/reference/telemetry.md is made from it (`poe catalogue`).
"""

from engine.telemetry.catalogue.entry import Entry, Event
from engine.telemetry.catalogue.events import EVENTS, fits
from engine.telemetry.catalogue.metrics import COUNTERS, DURATIONS, GAUGES

__all__ = ["COUNTERS", "DURATIONS", "EVENTS", "GAUGES", "Entry", "Event", "fits"]

"""The Fleet perspective: pools and all that they run, with actions in place."""

from app.views.fleet.view import FleetView

__all__ = ["FleetView"]

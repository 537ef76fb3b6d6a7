"""Widgets, docks and painters; no I/O."""

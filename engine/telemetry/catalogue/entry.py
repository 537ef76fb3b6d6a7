"""What the catalogue says of one metric or event."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """One metric: what it says, the labels that it has, and the unit of its values."""

    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    """As in OpenMetrics, plural and without a prefix; empty: a number of things."""


class Event(NamedTuple):
    """One event: what it says, how grave it is, and the attributes that it may have."""

    help: str
    severities: tuple[str, ...] = ("info",)
    attributes: tuple[str, ...] = ()

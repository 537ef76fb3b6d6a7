"""Columns that most tables have: counts, ages, states. Pure but for the model's file."""

from __future__ import annotations

from app import figures
from app.models.table import ColumnSpec, column


def since_column(key: str, title: str = "Since") -> ColumnSpec:
    """How long ago; the full time on hover."""
    return ColumnSpec(
        title=title,
        text=lambda row, now: figures.ago(row[key], now),
        sort=lambda row: row[key],
        tip=lambda row, _now: figures.moment(row[key]),
        right=True,
        width=72,
        moves=True,
    )


def count_column(title: str, key: str, width: int = 72) -> ColumnSpec:
    """A number, at the right."""
    return column(
        title, key, text=lambda row, _now: figures.count(row[key]), right=True, width=width
    )


def state_column(width: int = 112) -> ColumnSpec:
    """A state, with its shape."""
    return column("State", "state", state=lambda row: row["state"], width=width)

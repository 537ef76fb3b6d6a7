"""The colours of spans: by source, and above all by what went wrong."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QColor

from app.models.waterfall import ERROR, FLAG, OPEN, SOURCES
from app.theme import Theme, to_rgb


def span_token(code: int) -> str:
    """The token of a span's code; see app/models/waterfall.py."""
    if code == ERROR:
        return "severity.error"
    if code == FLAG:
        return "decision.flag"
    if code == OPEN:
        return "text.muted"  # where no lane tells its source
    return f"source.{SOURCES[code - 1]}"


def source_code(source: str) -> int:
    """The code of a source; that of the first one for a source that is unknown."""
    return SOURCES.index(source) + 1 if source in SOURCES else 1


def lookup(theme: Theme) -> NDArray[np.uint32]:
    """ARGB by code, 0 transparent."""
    table = np.zeros(ERROR + 1, np.uint32)
    for code in range(1, ERROR + 1):
        red, green, blue = to_rgb(theme.color(span_token(code)))
        table[code] = 0xFF000000 | red << 16 | green << 8 | blue
    return table


def tone(theme: Theme, token: str, alpha: int = 255) -> QColor:
    """A token's colour; the muted text's for a source that has none."""
    made = QColor(theme.colors.get(token) or theme.color("text.muted"))
    made.setAlpha(alpha)
    return made

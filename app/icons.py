"""Icons: our own SVGs, drawn in a colour of the theme at the resolution that is asked for.

Main thread only.
"""

from __future__ import annotations

from functools import cache

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from app.theme import Theme
from citadel.resources import resource

SIZE = 20
_SCALES = (1, 2, 3)


def icon(name: str, theme: Theme, colour: str = "text.secondary") -> QIcon:
    """An icon of resources/icons in a colour of the theme; paler where disabled."""
    found = QIcon()
    pairs = (
        (QIcon.Mode.Normal, QIcon.State.Off, colour),
        (QIcon.Mode.Normal, QIcon.State.On, "text.primary"),
        (QIcon.Mode.Disabled, QIcon.State.Off, "text.disabled"),
    )
    for mode, state, shade in pairs:
        for scale in _SCALES:
            found.addPixmap(pixmap(name, theme.color(shade), scale), mode, state)
    return found


@cache
def pixmap(name: str, color: str, scale: int = 1, size: int = SIZE) -> QPixmap:
    """An icon as pixels."""
    renderer = QSvgRenderer(QByteArray(coloured(name, color).encode()))
    picture = QPixmap(QSize(size, size) * scale)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    renderer.render(painter, QRectF(0, 0, size * scale, size * scale))
    painter.end()
    picture.setDevicePixelRatio(scale)
    return picture


@cache
def coloured(name: str, color: str) -> str:
    """An icon's SVG in a colour."""
    text = resource(f"icons/{name}.svg").read_text(encoding="utf-8")
    return text.replace("currentColor", color)

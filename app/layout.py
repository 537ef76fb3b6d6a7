"""Keeps the window's layout: geometry, and the docks of each perspective. Main thread only.

Versioned: what another version wrote, or what Qt does not take, is left aside and the default
layout stays.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QByteArray, QSettings
from PySide6.QtWidgets import QMainWindow

VERSION = 5
"""Another number when docks or tool bars come or go, or a default layout is another."""


class Layout:
    """Saves and restores, a perspective at a time."""

    def __init__(
        self, window: QMainWindow, settings: QSettings, default: Callable[[str], None]
    ) -> None:
        self._window = window
        self._settings = settings
        self._default = default
        self.perspective = ""

    def open(self, perspective: str) -> None:
        """Leaves the present perspective as it is, and arranges another one."""
        if self.perspective:
            self.save()
        self.perspective = perspective
        state = self._settings.value(self._key(perspective))
        if not isinstance(state, QByteArray) or not self._window.restoreState(state, VERSION):
            self._default(perspective)

    def reset(self) -> None:
        """The default layout of the present perspective."""
        self._settings.remove(self._key(self.perspective))
        self._default(self.perspective)

    def save(self) -> None:
        """Writes the layout down."""
        self._settings.setValue("layout/geometry", self._window.saveGeometry())
        self._settings.setValue("layout/perspective", self.perspective)
        self._settings.setValue(self._key(self.perspective), self._window.saveState(VERSION))

    def restore_geometry(self) -> bool:
        """Puts the window where it was; returns whether that was known."""
        geometry = self._settings.value("layout/geometry")
        return isinstance(geometry, QByteArray) and self._window.restoreGeometry(geometry)

    def last_perspective(self, known: tuple[str, ...]) -> str:
        """The perspective that was open last, or the first one."""
        last = str(self._settings.value("layout/perspective", known[0]))
        return last if last in known else known[0]

    def _key(self, perspective: str) -> str:
        return f"layout/{VERSION}/{perspective}"

"""From a theme to Qt: Fusion, a palette, a style sheet and the base font. Main thread only."""

from __future__ import annotations

import string
import tempfile
from functools import cache
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

from app.icons import coloured
from app.theme import BASE_PX, Theme, ThemeChoice, load
from citadel.resources import resource

FAMILIES = (
    "Inter",
    "Segoe UI Variable Text",
    "Segoe UI",
    "SF Pro Text",
    "Noto Sans",
    "Ubuntu",
    "Cantarell",
    "DejaVu Sans Condensed",
    "DejaVu Sans",
)
MONO_FAMILIES = ("JetBrains Mono", "Cascadia Mono", "SF Mono", "Menlo", "DejaVu Sans Mono")

_QSS_ICONS = {"up": "text.secondary", "down": "text.secondary", "check": "text.on_accent"}


def chosen(choice: ThemeChoice) -> Theme:
    """The theme of a choice; "system" asks the desktop, and is dark where it does not say."""
    if choice != "system":
        return load(choice)
    scheme = QGuiApplication.styleHints().colorScheme()
    return load("light" if scheme == Qt.ColorScheme.Light else "dark")


def apply(application: QApplication, theme: Theme) -> None:
    """Puts a theme on the whole application, at once."""
    if application.style().objectName().lower() != "fusion":
        application.setStyle("Fusion")
    if application.font() != base_font():
        application.setFont(base_font())
    application.setPalette(palette(theme))
    application.setStyleSheet(style_sheet(theme))


def base_font(size: int = BASE_PX) -> QFont:
    """The text font, with figures of one width."""
    font = QFont()
    font.setFamilies(list(FAMILIES))
    font.setPixelSize(size)
    font.setFeature(QFont.Tag("tnum"), 1)
    return font


def mono_font(size: int = BASE_PX - 1) -> QFont:
    """The font of ids, code and evidence."""
    font = QFont()
    font.setFamilies(list(MONO_FAMILIES))
    font.setStyleHint(QFont.StyleHint.Monospace)
    font.setPixelSize(size)
    return font


def palette(theme: Theme) -> QPalette:
    """Qt's palette of a theme."""
    roles = {
        QPalette.ColorRole.Window: "surface.window",
        QPalette.ColorRole.WindowText: "text.primary",
        QPalette.ColorRole.Base: "surface.panel",
        QPalette.ColorRole.AlternateBase: "surface.raised",
        QPalette.ColorRole.Text: "text.primary",
        QPalette.ColorRole.PlaceholderText: "text.muted",
        QPalette.ColorRole.Button: "surface.raised",
        QPalette.ColorRole.ButtonText: "text.primary",
        QPalette.ColorRole.BrightText: "severity.error",
        QPalette.ColorRole.Highlight: "surface.selected",
        QPalette.ColorRole.HighlightedText: "text.primary",
        QPalette.ColorRole.Link: "accent.base",
        QPalette.ColorRole.ToolTipBase: "surface.raised",
        QPalette.ColorRole.ToolTipText: "text.primary",
        QPalette.ColorRole.Light: "surface.hover",
        QPalette.ColorRole.Mid: "line.border",
        QPalette.ColorRole.Dark: "line.border",
        QPalette.ColorRole.Shadow: "surface.sunken",
        QPalette.ColorRole.Accent: "accent.base",
    }
    made = QPalette()
    for role, token in roles.items():
        made.setColor(role, QColor(theme.color(token)))
    disabled = QColor(theme.color("text.disabled"))
    for role in (
        QPalette.ColorRole.WindowText,
        QPalette.ColorRole.Text,
        QPalette.ColorRole.ButtonText,
    ):
        made.setColor(QPalette.ColorGroup.Disabled, role, disabled)
    return made


def style_sheet(theme: Theme) -> str:
    """The style sheet with the theme's colours in it."""
    template = string.Template(resource("theme/style.qss").read_text(encoding="utf-8"))
    values = {token.replace(".", "_"): color for token, color in theme.colors.items()}
    for name, token in _QSS_ICONS.items():
        values[f"icon_{name}"] = _icon_file(name, theme.color(token)).as_posix()
    return template.substitute(values)


@cache
def _icon_folder() -> tempfile.TemporaryDirectory[str]:
    """Style sheets take pictures from files only; removed when the process ends."""
    return tempfile.TemporaryDirectory(prefix="citadel-icons-", ignore_cleanup_errors=True)


@cache
def _icon_file(name: str, color: str) -> Path:
    path = Path(_icon_folder().name) / f"{name}-{color[1:]}.svg"
    path.write_text(coloured(name, color), encoding="utf-8")
    return path

"""Whether a window can open here. Imports nothing of Qt."""

from __future__ import annotations

import os
import sys


def has_display() -> bool:
    """Whether there is a display; Qt may be told of one that is none, as tests do."""
    if not sys.platform.startswith("linux") or os.environ.get("QT_QPA_PLATFORM"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))

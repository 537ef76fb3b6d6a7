"""Opens recordings: each in a control room of its own, a process beside this one. Main thread only.

The engine that was watched is not left for it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QProcess
from PySide6.QtWidgets import QFileDialog, QWidget

from app.notices import Notice

FILTER = "Recordings (*.citadel);;All files (*)"

Starter = Callable[[str, list[str]], bool]


def detached(program: str, arguments: list[str]) -> bool:
    """Starts a process that outlives this one; whether it began."""
    began, _pid = QProcess.startDetached(program, arguments, "")
    return began


def open_recording(path: Path, say: Callable[[Notice], object], begin: Starter = detached) -> bool:
    """Starts a control room on a recording and says so; whether it began."""
    if not path.is_file():
        say(
            Notice(
                level="error",
                text=f"There is no file {path.name} on this machine",
                subject=str(path),
                remedy="Copy it from the engine's machine, then open the copy",
            )
        )
        return False
    if not begin(sys.executable, ["-m", "app.main", str(path.absolute())]):
        say(Notice(level="error", text=f"No control room could be started on {path.name}"))
        return False
    say(Notice(level="done", text=f"{path.name} opens in a window of its own"))
    return True


def ask_file(parent: QWidget, chosen: Callable[[Path], object]) -> QFileDialog:
    """Asks for a recording's file."""
    dialog = QFileDialog(parent, "Open a recording", "", FILTER)
    dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
    dialog.fileSelected.connect(lambda name: chosen(Path(name)))
    dialog.finished.connect(lambda _code: dialog.deleteLater())
    dialog.open()
    return dialog

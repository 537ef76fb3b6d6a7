"""The folder that one engine at a time owns: made, proven writable, and locked.

A second engine would overwrite the first one's policies, so it is refused; an embedded one (a
second window, a command line beside it) gets a folder of its own that goes when it ends. Runs at
start and at the end, on the main thread.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import IO

from citadel.errors import BadConfig

LOCK_NAME = "engine.lock"


@contextlib.contextmanager
def owned(folder: Path, *, spare: bool) -> Generator[Path]:
    """The folder, ours until the end; with `spare` a temporary one when another engine has it.

    Raises:
        BadConfig: it cannot be written, or another engine has it.
    """
    lock = _locked(folder)
    if lock is None and not spare:
        raise BadConfig(
            f"another engine uses the data folder {folder}",
            subject=str(folder),
            remedy="Stop it, or give another folder: --data-dir DIR",
        )
    if lock is None:
        with tempfile.TemporaryDirectory(prefix="citadel-") as own:
            yield Path(own)
        return
    with lock:
        yield folder


def _locked(folder: Path) -> IO[bytes] | None:
    """The open lock file, or None when another process holds it. Closing it gives it back."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK_NAME).open("ab")
    except OSError as error:
        raise BadConfig(
            f"the data folder {folder} cannot be written: {error.strerror}",
            subject=str(folder),
            remedy="Give a folder that can be written: --data-dir DIR",
        ) from error
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415 - only there

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415 - only there

            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file

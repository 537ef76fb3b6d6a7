"""A lock between processes: an open file that the system locks, and frees when its holder ends.

Also frees it when the holder is killed. One holder has it alone, or several share it. Any thread;
asking never blocks.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


_WINDOWS_BYTES = 1 << 20
"""Windows has no shared locks: who shares takes one of these bytes, who does not takes them all."""


class FileLock:
    """A file that is opened while this is entered, and locked once `taken` says so."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> Self:
        self._descriptor = os.open(
            self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def handed(self) -> tuple[int, ...]:
        """What a process is handed that is to have the lock too, until it ends; not on Windows."""
        return () if sys.platform == "win32" else (self._descriptor,)

    def close(self) -> None:
        """Lets go of it."""
        os.close(self._descriptor)

    def taken(self, *, shared: bool = False) -> bool:
        """Takes the lock if nobody has it, or if all who have it share it; whether it is ours."""
        try:
            if sys.platform == "win32":
                at, size = (secrets.randbelow(_WINDOWS_BYTES), 1) if shared else (0, _WINDOWS_BYTES)
                os.lseek(self._descriptor, at, os.SEEK_SET)
                msvcrt.locking(self._descriptor, msvcrt.LK_NBLCK, size)
            else:
                how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
                fcntl.flock(self._descriptor, how | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

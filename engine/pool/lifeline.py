"""Ends a worker when its engine is gone, however it went. Runs in the worker's process.

Linux: the kernel kills it. Elsewhere a daemon thread waits for the engine's end, since the worker
itself may be inside a command for long.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

POLL_SECONDS = 0.25
_PR_SET_PDEATHSIG = 1
_SYNCHRONIZE = 0x00100000
_FOREVER = 0xFFFFFFFF


def die_with(engine: int) -> None:
    """From now on this process does not outlive the engine with that process id."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != engine:
            os._exit(0)  # it died before we asked
    else:
        watch(engine)


def watch(engine: int) -> None:
    """Starts the thread that waits for the engine's end."""
    threading.Thread(target=_wait_for_end, args=(engine,), name="lifeline", daemon=True).start()


def _wait_for_end(engine: int) -> None:
    if sys.platform == "win32":
        kernel = ctypes.windll.kernel32
        handle = kernel.OpenProcess(_SYNCHRONIZE, False, engine)
        if handle:
            kernel.WaitForSingleObject(handle, _FOREVER)
    else:
        while os.getppid() == engine:
            time.sleep(POLL_SECONDS)
    os._exit(0)

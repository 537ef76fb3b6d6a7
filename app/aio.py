"""The one file that knows qasync: asyncio on the Qt loop. Should it fault, only this file changes.

Main thread only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import qasync
from PySide6.QtWidgets import QApplication


def run(application: QApplication, main: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """Runs a coroutine on the application's loop to its end, and returns its exit code."""
    loop = qasync.QEventLoop(application)
    asyncio.set_event_loop(loop)
    try:
        with loop:
            code: int = loop.run_until_complete(main())
            loop.run_until_complete(loop.shutdown_asyncgens())
            return code
    finally:
        asyncio.set_event_loop(None)

"""When an engine stops: signals, or its parent's end. Loop thread, and one that reads stdin."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading

ORPHAN_DRAIN_SECONDS = 1.0
"""How long work may go on when the program that wanted it is gone."""


class Lifetime:
    """`stop` is set when it is time to drain; `hurry` when that takes too long for somebody.

    A headless engine takes SIGTERM and SIGINT; a second one hurries. An embedded one leaves SIGINT
    to its parent, and ends when its standard input closes.
    """

    def __init__(self, *, embedded: bool, drain_seconds: float) -> None:
        self.stop = asyncio.Event()
        self.hurry = asyncio.Event()
        self.drain_seconds = drain_seconds
        self.cause = ""
        self._embedded = embedded
        self._loop = asyncio.get_running_loop()

    def begin(self) -> None:
        """Starts to listen for reasons to stop."""
        self._on(signal.SIGTERM)
        if self._embedded:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            # A thread, since not every loop can read a pipe; os.read, since a buffered reader
            # that is blocked at exit aborts the interpreter.
            threading.Thread(target=self._wait_for_parent, name="parent", daemon=True).start()
        else:
            self._on(signal.SIGINT)

    async def wait_hurry(self, seconds: float) -> None:
        """Returns when somebody hurries, at the latest after some seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self.hurry.wait()
        except TimeoutError:
            return

    def _on(self, number: signal.Signals) -> None:
        if sys.platform == "win32":
            signal.signal(
                number, lambda *_: self._loop.call_soon_threadsafe(self._end, number.name)
            )
        else:
            self._loop.add_signal_handler(number, self._end, number.name)

    def _end(self, cause: str) -> None:
        if self.stop.is_set():
            self.hurry.set()
        self.cause = self.cause or cause
        self.stop.set()

    def _wait_for_parent(self) -> None:
        while os.read(0, 4_096):
            pass
        try:
            self._loop.call_soon_threadsafe(self._orphaned)
        except RuntimeError:
            return  # the loop has ended already

    def _orphaned(self) -> None:
        self.drain_seconds = min(self.drain_seconds, ORPHAN_DRAIN_SECONDS)
        self._end("its standard input closed")

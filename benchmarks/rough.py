"""What the workers of `benchmarks.soak` host: light to import, for they are killed all the time."""

from __future__ import annotations

import os
import signal
import sys
import time

from citadel.adapter import Adapter, cancelled, tool


class Rough(Adapter):
    """What tools do in a bad day."""

    hoard: list[bytearray]

    def setup(self) -> None:
        """Begins without a leak."""
        self.hoard = []

    @tool
    def noop(self) -> None:
        """Does nothing."""

    @tool
    def add(self, a: int, b: int) -> int:
        """Adds two numbers."""
        return a + b

    @tool
    def leak(self, size: int) -> None:
        """Keeps memory until its worker is recycled."""
        self.hoard.append(bytearray(size))

    @tool
    def flood(self, lines: int) -> None:
        """Prints a lot."""
        sys.stdout.write("flood\n" * lines)

    @tool
    def fail(self) -> None:
        """Raises."""
        raise ValueError("as asked")

    @tool
    def die(self) -> None:
        """Kills its own worker."""
        os.kill(os.getpid(), signal.SIGKILL)

    @tool
    def wait(self) -> None:
        """Waits to be cancelled."""
        while not cancelled():
            time.sleep(0.001)

    @tool
    def large(self, data: bytes) -> bytes:
        """Gives back what it got."""
        return data

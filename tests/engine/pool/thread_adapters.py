"""An adapter for several threads."""

import asyncio
import os
import threading
import time
from pathlib import Path

import citadel
from citadel import telemetry
from citadel.adapter import Adapter, check_cancelled, tool


class Safe(Adapter):
    thread_safe = True

    def setup(self) -> None:
        self.lock = threading.Lock()
        self.barriers: dict[int, threading.Barrier] = {}
        self.inside = 0

    def barrier(self, parties: int) -> threading.Barrier:
        with self.lock:
            return self.barriers.setdefault(parties, threading.Barrier(parties, timeout=20))

    @tool
    def meet(self, parties: int) -> list[object]:
        """Returns when so many commands are here."""
        self.barrier(parties).wait()
        return [os.getpid(), threading.current_thread().name]

    @tool
    async def meet_async(self, parties: int) -> int:
        await asyncio.sleep(0)
        self.barrier(parties).wait()
        return id(asyncio.get_running_loop())

    @tool
    def crowd(self) -> int:
        """How many commands are here."""
        with self.lock:
            self.inside += 1
        time.sleep(0.01)
        with self.lock:
            found, self.inside = self.inside, self.inside - 1
        return found

    @tool
    def wait(self, started: str, until: str) -> str:
        Path(started).touch()
        while not Path(until).exists():
            check_cancelled()
            time.sleep(0.005)
        return "done"

    @tool
    def span(self, name: str, parties: int) -> float:
        with telemetry.span(name):
            self.barrier(parties).wait()
            return citadel.remaining()

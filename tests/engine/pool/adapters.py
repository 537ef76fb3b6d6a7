"""Adapters for the tests: what a user might write, and what a user should not."""

import ctypes
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import citadel
from citadel import telemetry
from citadel.adapter import Adapter, cancelled, check_cancelled, tool


@dataclass
class Point:
    x: int
    y: int


class Tools(Adapter):
    """Well and badly behaved tools."""

    @tool
    def noop(self) -> None:
        """Does nothing."""

    @tool
    def add(self, a: int, b: int = 0) -> int:
        """Adds two numbers."""
        return a + b

    @tool
    def point(self) -> Point:
        return Point(1, 2)

    @tool
    def modules(self) -> list[str]:
        return sorted(sys.modules)

    @tool
    def pid(self) -> int:
        return os.getpid()

    @tool
    def touch_and_wait(self, started: str, until: str) -> str:
        """Says that it runs, then waits for a file; stops when cancelled."""
        Path(started).write_text(str(os.getpid()))
        while not Path(until).exists():
            check_cancelled()
            time.sleep(0.005)
        return "done"

    @tool
    def stubborn(self, started: str) -> None:
        """Never looks whether it was cancelled."""
        Path(started).write_text(str(os.getpid()))
        while True:
            time.sleep(1)

    @tool
    def asks(self) -> bool:
        return cancelled()

    @tool
    def raises(self) -> None:
        raise RuntimeError("this tool is broken")

    @tool
    def exits(self, code: int) -> None:
        print("about to exit")
        os._exit(code)

    @tool
    def segfaults(self) -> None:
        ctypes.string_at(0)

    @tool
    def unsendable(self) -> object:
        return object()

    @tool
    def prints(self, text: str) -> None:
        print(text)

    @tool
    def spans(self) -> str:
        with telemetry.span("inner", size=3):
            telemetry.event("halfway")
        return telemetry.traceparent()


class Broken(Adapter):
    def setup(self) -> None:
        raise OSError("no licence found")

    @tool
    def noop(self) -> None: ...


class Hangs(Adapter):
    def setup(self) -> None:
        time.sleep(600)

    @tool
    def noop(self) -> None: ...


class NoTools(Adapter):
    pass


assert citadel

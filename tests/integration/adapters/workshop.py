"""Tools for the integration tests: quick, slow, deaf, deadly."""

import os
import signal
import time

import citadel
from citadel.adapter import Adapter, check_cancelled, tool


class Workshop(Adapter):
    """What workers of these tests host."""

    @tool
    def add(self, a: int, b: int) -> int:
        """Adds."""
        return a + b

    @tool
    def echo(self, text: str) -> str:
        """Gives back what it gets."""
        return text

    @tool
    def inflate(self, size: int) -> bytes:
        """Returns that many bytes."""
        return b"x" * size

    @tool
    def work(self, seconds: float) -> str:
        """Works for a while, and stops when asked."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            check_cancelled()
            time.sleep(0.005)
        return "done"

    @tool
    def say(self, lines: int) -> None:
        """Prints lines of two hundred characters."""
        for number in range(lines):
            print(f"{number:06d} " + "x" * 193)

    @tool
    def die(self) -> None:
        """Takes its own process down."""
        os.kill(os.getpid(), signal.SIGKILL)

    @tool
    def delegate(self, a: int, b: int) -> int:
        """Lets another worker add."""
        return citadel.call("workshop", "add", a=a, b=b)

    @tool
    def greet(self, sentinel: str) -> int:
        """Sends a signal; how many wait in that mailbox."""
        return citadel.send(sentinel, "hello", {"from": "a tool"})

    @tool
    def fail(self) -> None:
        """Raises."""
        raise RuntimeError("the tool's own fault")

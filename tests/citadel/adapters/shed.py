"""An adapter for the client's tests."""

import os
import time
from collections.abc import Iterator

from citadel import telemetry
from citadel.adapter import Adapter, check_cancelled, session, tool


class Shed(Adapter):
    """Simple tools, and some that misbehave."""

    @tool
    def add(self, a: int, b: int = 0) -> int:
        """Adds two numbers."""
        with telemetry.span("adding", numbers=2):
            return a + b

    @tool
    def echo(self, value: object) -> object:
        """Gives back what it got."""
        return value

    @tool
    def fail(self) -> None:
        """Raises."""
        raise LookupError("the shed is empty")

    @tool
    def leave(self) -> None:
        """Ends the worker's process."""
        os._exit(7)

    @tool
    def doze(self, seconds: float) -> str:
        """Sleeps until it is cancelled."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            check_cancelled()
            time.sleep(0.01)
        return "rested"

    @tool
    def steer(self) -> str:
        """A text that would steer a terminal."""
        return "\x1b[31mred\x07"

    @tool
    def count(self, up_to: int) -> Iterator[int]:
        """Gives numbers, and says how many."""
        yield from range(up_to)

    @tool
    def total(self, numbers: Iterator[int]) -> int:
        """Adds up what comes."""
        return sum(numbers)

    @tool
    def remember(self, name: str, value: object) -> dict[str, object]:
        """Sets a variable of the session, and returns all."""
        current = session()
        assert current is not None
        current.variables[name] = value
        return dict(current.variables)

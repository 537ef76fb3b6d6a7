"""Tools for the integration tests: quick, slow, deaf, deadly."""

import os
import signal
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import citadel
from citadel.adapter import Adapter, check_cancelled, session, tool


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
    def fetch(self, url: str) -> dict[str, str]:
        """Asks somebody else's service, in the same trace; returns the headers that it sent."""
        with citadel.telemetry.span("fetching"):
            headers = citadel.telemetry.headers()
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers)):
                return headers

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

    @tool
    def count(self, up_to: int, size: int = 0) -> Iterator[object]:
        """Gives numbers, or as many texts of a size."""
        for number in range(up_to):
            yield "x" * size if size else number

    @tool
    def total(self, numbers: Iterator[int]) -> int:
        """Adds up what comes."""
        return sum(numbers)

    @tool
    async def double(self, numbers: AsyncIterator[int]) -> AsyncIterator[int]:
        """Gives twice what comes."""
        async for number in numbers:
            yield 2 * number

    @tool
    def break_off(self, after: int) -> Iterator[int]:
        """Gives some numbers, and raises."""
        yield from range(after)
        raise RuntimeError("that was all")

    @tool
    def remember(self, name: str, value: object) -> dict[str, object]:
        """Sets a variable of the session, and returns all."""
        current = session()
        assert current is not None
        current.variables[name] = value
        return dict(current.variables)

    @tool
    def recall(self) -> dict[str, object]:
        """The variables of the session."""
        current = session()
        return dict(current.variables) if current else {}

    @tool
    def die_for(self, reason: str) -> None:
        """Takes its own process down: the same reason again is poison."""
        os.kill(os.getpid(), signal.SIGKILL)

    @tool
    def halve(self, values: object) -> object:
        """Half of an array."""
        return values / 2

    @tool
    def tally(self, path: str, size: int) -> Iterator[str]:
        """Gives texts for ever, and writes into a file how many it has given."""
        number = 0
        while True:
            number += 1
            Path(path).write_text(str(number), encoding="utf-8")
            yield "x" * size

    @tool
    def hold(self, items: Iterator[str], seconds: float) -> int:
        """Takes nothing of what comes."""
        del items
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            check_cancelled()
            time.sleep(0.005)
        return 0

    @tool
    def steps(self, count: int) -> Iterator[int]:
        """Gives numbers, each after a little work."""
        for number in range(count):
            yield number
            time.sleep(0.2)

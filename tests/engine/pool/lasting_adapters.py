"""Adapters whose tools keep variables, die, and are slow: for sessions and for what fails."""

import os
import signal
import time
from pathlib import Path

import citadel
from citadel.adapter import Adapter, check_cancelled, tool


def wait_for(until: str) -> None:
    while not Path(until).exists():
        check_cancelled()
        time.sleep(0.005)


class Lasting(Adapter):
    """Tools of sessions, and tools that fail in ways that can be told beforehand."""

    @tool
    def noop(self) -> None: ...

    @tool
    def count(self) -> list[int]:
        """Counts in the session; also says which process did."""
        session = citadel.session()
        assert session is not None
        session.variables["n"] = session.variables.get("n", 0) + 1
        return [session.variables["n"], os.getpid()]

    @tool
    def fills(self, size: int) -> None:
        session = citadel.session()
        assert session is not None
        session.variables["much"] = "x" * size

    @tool
    def holds(self, started: str, until: str) -> int:
        Path(started).touch()
        wait_for(until)
        return os.getpid()

    @tool
    def dies(self, text: str = "") -> None:
        del text
        os.kill(os.getpid(), signal.SIGKILL)

    @tool(idempotent=True)
    def dies_so_often(self, marks: str, times: int) -> int:
        """Kills its worker the first times; each life leaves a mark."""
        path = Path(marks)
        lives = len(path.read_text()) if path.exists() else 0
        with path.open("a") as file:
            file.write("x")
        if lives < times:
            os.kill(os.getpid(), signal.SIGKILL)
        return lives + 1

    @tool
    def dies_so_often_with_effect(self, marks: str, times: int) -> int:
        return self.dies_so_often(marks, times)

    @tool(idempotent=True)
    def slow(self, until: str) -> None:
        """Waits when it is told to, each time."""
        if until:
            wait_for(until)

    @tool(idempotent=True)
    def slow_once(self, mark: str, until: str) -> int:
        """The one who makes the mark waits; a second one is quick."""
        if mark:
            try:
                Path(mark).touch(exist_ok=False)
            except FileExistsError:
                return os.getpid()
            wait_for(until)
        return os.getpid()

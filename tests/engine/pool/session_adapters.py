"""Adapters that keep something for a session."""

import os
import time
from array import array
from pathlib import Path
from typing import Any

import citadel
from citadel.adapter import Adapter, check_cancelled, tool


def variables() -> dict[str, Any]:
    session = citadel.session()
    assert session is not None
    return session.variables


def wait_for(started: str, until: str) -> None:
    Path(started).touch()
    while not Path(until).exists():
        check_cancelled()
        time.sleep(0.005)


class Keeper(Adapter):
    thread_safe = True

    @tool
    def remember(self, name: str, value: Any = None) -> None:
        variables()[name] = value

    @tool
    def remember_slowly(self, name: str, started: str, until: str) -> None:
        variables()[name] = "slow"
        wait_for(started, until)

    @tool
    def append(self, name: str, value: Any) -> None:
        """Changes a value in its place."""
        variables().setdefault(name, []).append(value)

    @tool
    async def recall(self) -> dict[str, Any]:
        return variables()

    @tool
    def recall_texts(self) -> dict[str, str]:
        return {name: repr(value) for name, value in variables().items()}

    @tool
    def key(self) -> str:
        session = citadel.session()
        return session.key if session else ""

    @tool
    def remember_an_array(self, name: str) -> None:
        variables()[name] = array("d", range(1000))

    @tool
    def remember_and_fail(self, name: str) -> None:
        variables()[name] = "failed"
        raise RuntimeError("after that")

    @tool
    def remember_and_die(self, name: str) -> None:
        variables()[name] = "died"
        os._exit(3)

    @tool
    def remember_nonsense(self) -> None:
        variables()["nonsense"] = object()

    @tool
    def pid(self) -> int:
        return os.getpid()


class Each(Adapter):
    """One instance a session."""

    thread_safe = True
    per_session = True

    def setup(self) -> None:
        self.seen: list[str] = []

    def teardown(self) -> None:
        with Path(os.environ["EACH_LOG"]).open("a") as file:
            file.write(f"{','.join(self.seen)}\n")

    @tool
    def see(self, what: str) -> list[str]:
        self.seen.append(what)
        return self.seen

    @tool
    def see_slowly(self, what: str, started: str, until: str) -> list[str]:
        wait_for(started, until)
        return self.see(what)

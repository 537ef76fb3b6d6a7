"""The command that runs in this worker, as its tool sees it. Light: imported by workers.

A worker offers itself once: for its process, or for each thread that runs commands. What a tool
starts by itself (threads, tasks) finds it too, as long as one command runs at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

from citadel.values import Parcel


@dataclass(slots=True)
class Session:
    """What commands with one key share."""

    key: str
    variables: dict[str, Any] = field(default_factory=dict[str, Any])
    """Values that msgpack carries. The engine keeps them as they are when a command ends, shows
    them to who watches, and gives them to another worker when this one dies."""


class Running(Protocol):
    """What a worker offers to the tools that it runs."""

    def cancelled(self) -> bool:
        """Whether the running command was cancelled."""
        ...

    def remaining(self) -> float:
        """Seconds until its deadline; never less than 0."""
        ...

    def session(self) -> Session | None:
        """The session that it belongs to."""
        ...

    def ask(self, kind: str, *what: str | Parcel) -> Parcel:
        """Asks something of the engine and waits for the answer."""
        ...

    async def ask_async(self, kind: str, *what: str | Parcel) -> Parcel:
        """The same for an async tool: its loop goes on."""
        ...


_thread: ContextVar[Running | None] = ContextVar("citadel_running", default=None)
_process: list[Running] = []


def offer(running: Running) -> None:
    """From now on the tools of this process find it."""
    _process[:] = [running]


def offer_here(running: Running) -> None:
    """From now on the tools of this thread find it."""
    _thread.set(running)


def withdraw() -> None:
    """Nobody finds anything any more."""
    _process.clear()
    _thread.set(None)


def running() -> Running | None:
    """Where a tool is that asks; None outside of a worker."""
    return _thread.get() or (_process[0] if _process else None)


class Polled:
    """Knows of cancels and a session, and nothing else: for tests of tools without a worker."""

    def __init__(self, poll: Callable[[], bool], session: Session | None = None) -> None:
        self._poll = poll
        self._session = session

    def cancelled(self) -> bool:
        """What it was told."""
        return self._poll()

    def remaining(self) -> float:
        """No deadline."""
        return float("inf")

    def session(self) -> Session | None:
        """What it was told."""
        return self._session

    def ask(self, kind: str, *what: str | Parcel) -> Parcel:
        """Nobody answers."""
        raise LookupError(f"there is no engine to ask for {kind} {what}")

    async def ask_async(self, kind: str, *what: str | Parcel) -> Parcel:
        """Nobody answers."""
        return self.ask(kind, *what)

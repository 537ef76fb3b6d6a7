"""What a crew tells its pool, and asks it."""

from __future__ import annotations

from typing import Any, Protocol

from engine.pool.autoscale import Load
from engine.pool.worker import Worker


class CrewOwner(Protocol):
    """What a crew tells its pool."""

    def worker_ready(self, worker: Worker) -> None:
        """It can take commands."""

    def worker_retired(self, worker: Worker) -> None:
        """It is to get no more commands."""

    def worker_said(self, worker: Worker, item: list[Any]) -> None:
        """It said something about a command."""

    def worker_gone(self, worker: Worker) -> None:
        """Its process has ended."""

    def worker_holds(self, worker: Worker) -> bool:
        """Whether it still has commands."""
        ...

    def worker_runs_number(self, worker: Worker) -> int:
        """How many commands it runs at once."""
        ...

    def crew_load(self) -> Load:
        """What there is to do."""
        ...

    def worker_runs(self, worker: Worker) -> tuple[str, str]:
        """The id and the tool of the command that it runs, or two empty texts."""
        ...

    def crew_failed(self, worker: Worker, *, serving: int) -> None:
        """New workers do not stay; so many old ones serve."""

    def crew_changed(self) -> None:
        """Something that the pool's status shows is different."""

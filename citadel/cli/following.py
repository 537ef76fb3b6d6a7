"""Follows a mission to its end: progress on standard error, patience with a broken connection."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from contextlib import aclosing, suppress
from typing import Any, Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from citadel.cli import show
from citadel.client.client import Client
from citadel.client.watch import Lost
from citadel.errors import CitadelError
from citadel.wire.columns import Table, rows
from citadel.wire.messages import MissionStatus

PATIENCE_SECONDS = 60.0
"""How long a remote engine may be away before this gives up on it."""
CANCEL_SECONDS = 5.0


class Watcher:
    """Shows how far a mission is. Use it as a context manager."""

    def __init__(self, *, quiet: bool, patient: bool) -> None:
        self._patient = patient
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rest]}", markup=False),
            TimeElapsedColumn(),
            console=show.console(stderr=True),
            disable=quiet or not sys.stderr.isatty(),
            transient=True,
        )
        self._task: TaskID | None = None

    async def follow(self, client: Client, mission: MissionStatus) -> None:
        """Returns when the mission has ended; cancels it when this is interrupted.

        Raises:
            CitadelError: the engine went away, or forgot the mission.
        """
        self._task = self._progress.add_task(mission.name or mission.id, total=None, rest="")
        try:
            await self._until_ended(client, mission.id)
        except asyncio.CancelledError:
            with suppress(CitadelError, TimeoutError):
                async with asyncio.timeout(CANCEL_SECONDS):
                    await client.missions.cancel(mission.id, actor="cli", reason="interrupted")
            raise

    async def _until_ended(self, client: Client, mission_id: str) -> None:
        away = 0.0
        async with aclosing(client.watch(("mission",))) as updates:
            async for update in updates:
                if isinstance(update, Lost):
                    away += update.retry_seconds
                    if not self._patient or away > PATIENCE_SECONDS:
                        raise update.error
                    show.note(f"{update.error.message}; tries again")
                    continue
                away = 0.0
                row = _row(update.tables, mission_id)
                if row is None:
                    # Not in this batch; or, after a restart, not known any more, which raises.
                    if (await client.missions.get(mission_id)).state != "running":
                        return
                    continue
                self._show(row)
                if row["state"] != "running":
                    return

    def _show(self, row: Mapping[str, Any]) -> None:
        if self._task is not None:
            rest = f"{row['failed']} failed" if row["failed"] else ""
            self._progress.update(
                self._task, completed=row["done"], total=row["total"] or None, rest=rest
            )

    def __enter__(self) -> Self:
        """Shows the bar, where there is a terminal."""
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Takes the bar away."""
        self._progress.stop()


def _row(tables: Mapping[str, Table], mission_id: str) -> dict[str, Any] | None:
    if "mission" not in tables:
        return None
    found = [row for row in rows(tables["mission"]) if row["id"] == mission_id]
    return found[-1] if found else None

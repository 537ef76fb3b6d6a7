"""One pool: its life, its state, and what can be asked of it.

Loop thread only. `run` owns every task. The crew has the workers, `commands` what they are to run;
what workers say goes to the part that hears that kind of frame.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from citadel.errors import Cancelled, InvalidRequest
from citadel.vocabulary import PoolState
from citadel.wire.messages import CommandResult, PoolStatus
from engine.pool import frames
from engine.pool.admission import admit
from engine.pool.autoscale import Load
from engine.pool.commands import Commands
from engine.pool.crew import Crew
from engine.pool.display import PUBLISH_SECONDS, Coalesced, pool_row
from engine.pool.memory import Memory
from engine.pool.ray.cluster import Cluster
from engine.pool.settings import PoolCommand, PoolSettings
from engine.pool.spawn import Spawner
from engine.pool.worker import Worker
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder

Hears = Callable[[Worker, list[Any]], None]
"""A part of the pool that takes the frames of one kind."""


class Pool:
    """A named set of workers with one adapter and one queue."""

    def __init__(
        self,
        settings: PoolSettings,
        recorder: Recorder,
        hub: LiveHub,
        spawner: Spawner | None = None,
    ) -> None:
        self.name = settings.name
        self.settings = settings
        self.revision = 1
        self.state: PoolState = "serving"
        self.error = ""
        self._recorder = recorder
        self._hub = hub
        self._tools: frozenset[str] = frozenset()
        self._ready = asyncio.Event()
        self._publish = Coalesced(PUBLISH_SECONDS, self._show)
        self._place = spawner.running() if isinstance(spawner, Cluster) else nullcontext()
        self.memory = Memory(settings, recorder)
        self.crew = Crew(settings, self, recorder, hub, spawner, self.memory.hand_down)
        self.commands = Commands(settings, recorder, self.crew, self.memory, self._publish.soon)
        self.hears: dict[int, Hears] = {
            frames.DONE: self.commands.answered,
            frames.FAILED: self.commands.answered,
            frames.DROPPED: self.commands.dropped,
            frames.RELEASED: self.memory.released,
        }

    # ── life ─────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Serves until cancelled; then fails what is left."""
        if not self.settings.size:
            self._ready.set()
        try:
            async with self._place:
                await self.crew.run()
        finally:
            self.commands.close(Cancelled(f"pool {self.name} was stopped"))
            self.memory.close()
            self._publish.cancel()

    async def ready(self) -> None:
        """Returns once a worker is ready, or the pool is failed."""
        await self._ready.wait()

    async def drain(self, seconds: float) -> bool:
        """Takes no more commands and waits for those it has; whether all ended in time."""
        self.state = "draining"
        self._publish.soon()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.commands.idle.wait()
        return not self.commands.by_id

    def changed(self) -> None:
        """An operator changed it: a new revision."""
        self.revision += 1
        self._publish.soon()

    def status(self) -> PoolStatus:
        """The pool, as the wire has it."""
        scheduler = self.commands.scheduler
        return PoolStatus(
            name=self.name,
            revision=self.revision,
            state=self.state,
            adapter=self.settings.adapter,
            size=self.crew.size,
            queue_limit=self.settings.queue_limit,
            queued=scheduler.queued,
            running=scheduler.running,
            workers=self.crew.status(),
            error=self.error,
            slab_bytes=self.memory.slab_bytes,
            slab_used_bytes=self.memory.used_bytes,
            leases=self.memory.leases,
        )

    def _show(self) -> None:
        counts = self.commands.scheduler.counts
        self._hub.publish("pool", pool_row(self.status(), counts, self._recorder.clock()))

    # ── commands ─────────────────────────────────────────────────────────────────────────────

    async def submit(self, command: PoolCommand) -> CommandResult:
        """Runs a command to its end; a cancelled caller cancels it.

        Raises:
            CitadelError: see the table in citadel/errors.py.
        """
        future = self.begin(command)
        try:
            return await future
        except asyncio.CancelledError:
            self.cancel(command.id, "its caller went away")
            raise

    def begin(self, command: PoolCommand) -> asyncio.Future[CommandResult]:
        """Takes a command, without a task of its own: its future has the result, or the error.

        Who does not want it any more calls `cancel`.

        Raises:
            CitadelError: it is refused.
        """
        self.check(command)
        return self.commands.begin(command).future

    def check(self, command: PoolCommand) -> None:
        """Refuses a command that the pool cannot take, before anything is made for it.

        Raises:
            CitadelError: see `admit`; InvalidRequest too when its id is in use.
        """
        admit(command, state=self.state, error=self.error, tools=self._tools)
        if command.id in self.commands.by_id:
            raise InvalidRequest(f"command {command.id} is already here", subject=command.id)

    def cancel(self, command_id: str, reason: str) -> str:
        """Cancels a command by its id: what it was ("queued", "running" or "unknown")."""
        number = self.commands.by_id.get(command_id)
        return "unknown" if number is None else self.commands.give_up(number, reason)

    # ── what workers say ─────────────────────────────────────────────────────────────────────

    def worker_ready(self, worker: Worker) -> None:
        """A worker can take commands."""
        if self.state == "failed":
            self._recorder.event("pool.recovered", subject=self.name, context=None)
            self.state = "serving"
        self.error = ""
        self.memory.settled(worker.id)
        self._tools = frozenset(tool.name for tool in self.crew.tools)
        self._ready.set()
        self.commands.act(self.commands.scheduler.add_worker(worker.id))

    def worker_retired(self, worker: Worker) -> None:
        """A worker drains."""
        self.commands.scheduler.retire_worker(worker.id)

    def worker_said(self, worker: Worker, item: list[Any]) -> None:
        """A worker said something: the part that hears such frames takes it."""
        hears = self.hears.get(item[0])
        if hears is not None:
            hears(worker, item)
        else:
            worker.kill(f"it sent a frame of unknown kind {item[0]}")

    def worker_gone(self, worker: Worker) -> None:
        """A worker's process has ended."""
        self.commands.lost(worker)
        self.memory.gone(worker.id)

    def worker_holds(self, worker: Worker) -> bool:
        """Whether it has commands."""
        return self.commands.held_by(worker)

    def worker_runs(self, worker: Worker) -> tuple[str, str]:
        """The id and the tool of the command that it runs, or is about to."""
        return self.commands.run_by(worker)

    def worker_runs_number(self, worker: Worker) -> int:
        """How many commands it runs at once."""
        return self.commands.number_run_by(worker)

    # ── what the crew says ───────────────────────────────────────────────────────────────────

    def crew_failed(self, worker: Worker, *, serving: int) -> None:
        """New workers do not stay: without old ones, what waits and what comes fails."""
        error = worker.start_failure()
        news = error.message != self.error
        self.error = error.message
        if serving:
            if news:
                self._tell("pool.degraded", "warning")
            return
        if self.state == "serving":
            self.state = "failed"
            self._tell("pool.failed", "error")
        self._ready.set()
        self.commands.act(self.commands.scheduler.fail_all(error))

    def crew_load(self) -> Load:
        """What there is to do, for the pool's own size."""
        return self.commands.load()

    def crew_changed(self) -> None:
        """A worker more or less."""
        self._publish.soon()

    def _tell(self, event: str, severity: str) -> None:
        self._recorder.event(
            event, subject=self.name, severity=severity, message=self.error, context=None
        )

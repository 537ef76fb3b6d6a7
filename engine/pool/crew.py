"""The workers of one pool: keeps as many as wanted, replaces those that die or are not well.

Loop thread only. Knows nothing of commands: its pool hears when a worker is ready, says something,
or is gone.
"""

from __future__ import annotations

import asyncio
import json
import time
from itertools import count
from typing import Any, Protocol

from citadel.errors import InvalidRequest, NotFound
from citadel.wire.messages import Tool, WorkerStatus
from engine.pool import frames
from engine.pool.display import Display
from engine.pool.restarts import PROVED_SECONDS, Restarts
from engine.pool.settings import MAX_WORKERS, PoolSettings
from engine.pool.spawn import PlainSpawner, Spawner
from engine.pool.worker import HandDown, Worker, nothing
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder

TICK_SECONDS = 0.1
"""How often workers are looked after."""
MEASURE_TICKS = 10
HEALTH_TICKS = 50
"""Ticks between two health checks of an idle worker."""


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

    def worker_runs(self, worker: Worker) -> tuple[str, str]:
        """The id and the tool of the command that it runs, or two empty texts."""
        ...

    def crew_failed(self, worker: Worker, *, serving: int) -> None:
        """New workers do not stay; so many old ones serve."""

    def crew_changed(self) -> None:
        """Something that the pool's status shows is different."""


class Crew:
    """Starts, replaces, drains and kills workers."""

    def __init__(
        self,
        settings: PoolSettings,
        owner: CrewOwner,
        recorder: Recorder,
        hub: LiveHub,
        spawner: Spawner | None = None,
        hand_down: HandDown = nothing,
    ) -> None:
        self.size = settings.size
        self.workers: dict[str, Worker] = {}
        self.tools: tuple[Tool, ...] = ()
        self.display = Display(settings.name, hub, owner.worker_runs)
        self._settings = settings
        self._owner = owner
        self._recorder = recorder
        self._spawner = spawner or PlainSpawner()
        self._hand_down = hand_down
        self._numbers = count(1)
        self._tasks: asyncio.TaskGroup | None = None
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._restarts = Restarts()
        self._leaving: set[str] = set()

    async def run(self) -> None:
        """Keeps the workers until cancelled, then kills them."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                try:
                    self._fill()
                    for tick in count(1):
                        await asyncio.sleep(TICK_SECONDS)
                        self._look_after(tick)
                finally:
                    self._tasks = None  # workers that end from now on are not replaced
        finally:
            self.display.cancel()

    def status(self) -> tuple[WorkerStatus, ...]:
        """The workers, as the wire has them."""
        return tuple(self.display.status(worker) for worker in self.workers.values())

    # ── what operators do ────────────────────────────────────────────────────────────────────

    def resize(self, size: int) -> None:
        """Wants another number of workers; those too many end after the commands they have.

        Raises:
            InvalidRequest: the size is not 1 to MAX_WORKERS.
        """
        if not 1 <= size <= MAX_WORKERS:
            raise InvalidRequest(f"a pool cannot have {size} workers", remedy=f"1 to {MAX_WORKERS}")
        self.size = size
        self._trim()
        self._fill()

    def recycle(self, worker_id: str = "") -> None:
        """Replaces one worker, or all: the new ones start first, then the old ones drain."""
        leaving = [self._known(worker_id)] if worker_id else list(self.workers.values())
        self._restarts = Restarts()
        for worker in leaving:
            self._leaving.add(worker.id)
            self._recorder.event("worker.recycled", subject=worker.id)
            if worker.state == "starting":
                worker.to("draining", "recycled")
                self._keepers[worker.id].cancel()
        self._fill()

    def kill(self, worker_id: str, cause: str) -> None:
        """Kills a worker's process; its command fails and it is replaced."""
        worker = self._known(worker_id)
        if worker.pid:
            worker.kill(cause)
        else:
            worker.cause, worker.killed = cause, True
            self._keepers[worker.id].cancel()

    def _known(self, worker_id: str) -> Worker:
        if worker_id not in self.workers:
            raise NotFound(
                f"pool {self._settings.name} has no worker {worker_id!r}",
                subject=worker_id,
                remedy=f"It has {', '.join(self.workers) or 'none'}",
            )
        return self.workers[worker_id]

    # ── what workers say ─────────────────────────────────────────────────────────────────────

    def on_ready(self, worker: Worker, tools: list[list[Any]]) -> None:
        """A worker is set up; where workers died when they were, it must live a while first."""
        self.tools = tuple(
            Tool(
                name=name,
                description=description,
                input_schema=json.dumps(inputs),
                output_schema=json.dumps(outputs),
                idempotent=idempotent,
                streams_in=streams_in,
                streams_out=streams_out,
            )
            for name, description, inputs, outputs, idempotent, streams_in, streams_out in tools
        )
        self._restarts.became_ready()
        self._recorder.event("worker.ready", subject=worker.id, context=None, pid=worker.pid)
        self.display.touch(worker)
        if self._restarts.crash_loop:
            asyncio.get_running_loop().call_later(PROVED_SECONDS, self._admit, worker)
        else:
            self._admit(worker)

    def on_frame(self, worker: Worker, item: list[Any]) -> None:
        """A worker said something about a command, or about its health."""
        if item[0] == frames.TAINTED:
            self._replace(worker, str(item[1]))
        elif item[0] != frames.HEALTHY:
            self._owner.worker_said(worker, item)
        elif not item[1]:
            self._replace(worker, str(item[2]))

    def on_output(self, worker: Worker, line: str) -> None:
        """A worker printed a line."""
        self._recorder.event("worker.output", subject=worker.id, message=line, context=None)

    def on_exit(self, worker: Worker) -> None:
        """A worker's process has ended."""
        self.workers.pop(worker.id, None)
        self._keepers.pop(worker.id, None)
        asked = self._tasks is None or (
            (worker.state == "draining" and not self._owner.worker_holds(worker))
            or (worker.state == "starting" and worker.id in self._leaving)
        )
        if not asked:
            self._judge(worker)
        self._leaving.discard(worker.id)
        worker.to("stopped" if asked else "lost")
        self.display.gone(worker)
        self._tell_end(worker, asked=asked)
        self._owner.worker_gone(worker)
        if self._tasks is None:
            return
        if not asked and self._restarts.hopeless:
            self._leaving.clear()  # whoever serves stays
            self._owner.crew_failed(worker, serving=len(self._serving()))
        self._fill(replacing="" if asked else worker.id)

    def touch(self, worker: Worker) -> None:
        """Something about a worker changed; one that drains and has no more to do is stopped."""
        self.display.touch(worker)
        if worker.state == "draining" and not self._owner.worker_holds(worker):
            worker.send([frames.STOP])

    def _replace(self, worker: Worker, why: str) -> None:
        """A worker should not serve for much longer: another is started, then it drains."""
        if worker.id in self._leaving:
            return
        self._recorder.event(
            "worker.unhealthy", subject=worker.id, severity="warning", message=why, context=None
        )
        worker.cause = why
        self._leaving.add(worker.id)
        self._fill()

    # ── keeping the number ───────────────────────────────────────────────────────────────────

    def _admit(self, worker: Worker) -> None:
        if self.workers.get(worker.id) is worker and not worker.exited:
            if self._restarts.crash_loop:
                self._restarts.proved()
            worker.admitted = True
            self._owner.worker_ready(worker)
            self._trim()

    def _judge(self, worker: Worker) -> None:
        """Says whether an end that nobody asked for counts as a failure."""
        if worker.orphaned or (worker.killed and not worker.refusal):
            return  # we did it: an operator, or the grace of a cancelled command; or its zygote
        if not worker.ready_at:
            self._restarts.did_not_start()
            return
        self._restarts.died(
            time.monotonic() - worker.ready_at,
            answered=worker.done + worker.failed > 0,
            under_command=self._owner.worker_holds(worker),
        )

    def _tell_end(self, worker: Worker, *, asked: bool) -> None:
        if asked:
            self._recorder.event("worker.stopped", subject=worker.id, context=None)
            return
        self._recorder.count("citadel.worker.lost", pool=self._settings.name)
        self._recorder.event(
            "worker.lost",
            subject=worker.id,
            severity="error",
            message=worker.how_it_ended(),
            context=None,
        )

    def _serving(self) -> list[Worker]:
        workers = self.workers.values()
        return [each for each in workers if each.admitted and each.state in ("ready", "busy")]

    def _fill(self, replacing: str = "") -> None:
        """Starts what is missing; after failures in a row only one at a time, after a wait."""
        if self._tasks is None:
            return
        staying = sum(
            worker.state != "draining" and worker.id not in self._leaving
            for worker in self.workers.values()
        )
        missing = self.size - staying
        if self._restarts.failures and any(w.state == "starting" for w in self.workers.values()):
            missing = 0
        elif self._restarts.failures:
            missing = min(missing, 1)
        for _ in range(missing):
            worker_id = f"{self._settings.name}-{next(self._numbers)}"
            worker = self.workers[worker_id] = Worker(
                worker_id, self._settings, self, self._spawner, self._hand_down
            )
            keeper = self._tasks.create_task(
                self._keep(worker, self._restarts.wait), name=f"worker {worker_id}"
            )
            keeper.add_done_callback(lambda _, worker=worker: self._kept(worker))
            self._keepers[worker_id] = keeper
            self._recorder.count("citadel.worker.starts", pool=self._settings.name)
            if replacing:
                self._recorder.event(
                    "worker.replaced", subject=replacing, context=None, by=worker_id
                )
                replacing = ""
            self.touch(worker)
        self._owner.crew_changed()

    async def _keep(self, worker: Worker, wait: float) -> None:
        await asyncio.sleep(wait)
        self._recorder.event("worker.started", subject=worker.id, context=None)
        await worker.run()

    def _kept(self, worker: Worker) -> None:
        """Its task has ended: before its process began, when the crew still has it."""
        if self.workers.get(worker.id) is worker:
            self.on_exit(worker)

    def _trim(self) -> None:
        """Drains what is too many, oldest and leaving first, once enough others serve."""
        serving = self._serving()
        serving.sort(key=lambda worker: worker.id not in self._leaving)
        for worker in serving[: max(0, len(serving) - self.size)]:
            worker.to("draining", "recycled" if worker.id in self._leaving else "the pool shrank")
            self._owner.worker_retired(worker)
            self.touch(worker)

    def _look_after(self, tick: int) -> None:
        for worker in list(self.workers.values()):
            worker.nudge()
            if worker.state == "ready" and tick % HEALTH_TICKS == 0:
                worker.send([frames.HEALTH])
        if tick % MEASURE_TICKS == 0:
            self.display.measure(self.workers.values())

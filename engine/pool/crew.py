"""The workers of one pool: keeps as many as wanted, replaces those that die, measures them.

Loop thread only. Knows nothing of commands: its pool hears when a worker is ready, says something,
or is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from itertools import count
from typing import Any, Protocol

import psutil

from citadel.errors import InvalidRequest, NotFound
from citadel.vocabulary import GONE
from citadel.wire.messages import Tool, WorkerStatus
from engine.pool import frames
from engine.pool.settings import MAX_WORKERS, PoolSettings
from engine.pool.worker import Worker
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder

START_FAILURES = 3
"""Workers in a row that do not start before the pool is failed."""
BACKOFF_SECONDS = (0.05, 0.1, 0.5, 1.0, 2.0, 5.0)
"""Waits before a worker is started again after failures in a row; the last one repeats."""
PUBLISH_SECONDS = 0.1
"""A worker's counters are published at most this often."""
SAMPLE_SECONDS = 1.0


class CrewOwner(Protocol):
    """What a crew tells its pool."""

    def worker_ready(self, worker: Worker) -> None:
        """It can take commands."""

    def worker_said(self, worker: Worker, item: list[Any]) -> None:
        """It said something about a command."""

    def worker_gone(self, worker: Worker) -> None:
        """Its process has ended."""

    def worker_holds(self, worker: Worker) -> bool:
        """Whether it still has commands."""
        ...

    def crew_failed(self, worker: Worker) -> None:
        """Too many in a row did not start."""

    def crew_changed(self) -> None:
        """Something that the pool's status shows is different."""


class Crew:
    """Starts, replaces, drains, kills and measures workers."""

    def __init__(
        self, settings: PoolSettings, owner: CrewOwner, recorder: Recorder, hub: LiveHub
    ) -> None:
        self.size = settings.size
        self.workers: dict[str, Worker] = {}
        self.tools: tuple[Tool, ...] = ()
        self._settings = settings
        self._owner = owner
        self._recorder = recorder
        self._hub = hub
        self._numbers = count(1)
        self._tasks: asyncio.TaskGroup | None = None
        self._failures = 0
        self._leaving: set[str] = set()
        self._processes: dict[str, psutil.Process] = {}
        self._publish = Coalesced(PUBLISH_SECONDS, self._publish_changed)
        self._changed: dict[str, Worker] = {}

    async def run(self) -> None:
        """Keeps the workers until cancelled, then kills them."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                try:
                    self._fill()
                    while True:
                        await asyncio.sleep(SAMPLE_SECONDS)
                        self._measure()
                finally:
                    self._tasks = None  # workers that end from now on are not replaced
        finally:
            self._publish.cancel()

    # ── what operators do ────────────────────────────────────────────────────────────────────

    def resize(self, size: int) -> None:
        """Wants another number of workers; those too many end after the command they run.

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
        for worker in leaving:
            self._leaving.add(worker.id)
            self._recorder.event("worker.recycled", subject=worker.id)
        self._failures = 0
        self._fill()

    def kill(self, worker_id: str, cause: str) -> None:
        """Kills a worker's process; its command fails and it is replaced."""
        self._known(worker_id).kill(cause)

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
        """A worker can take commands."""
        self.tools = tuple(
            Tool(
                name=name,
                description=description,
                input_schema=json.dumps(inputs),
                output_schema=json.dumps(outputs),
            )
            for name, description, inputs, outputs in tools
        )
        self._failures = 0
        with contextlib.suppress(psutil.Error):
            self._processes[worker.id] = psutil.Process(worker.pid)
        self._recorder.event("worker.ready", subject=worker.id, context=None, pid=worker.pid)
        self.touch(worker)
        self._owner.worker_ready(worker)
        self._trim()

    def on_frame(self, worker: Worker, item: list[Any]) -> None:
        """A worker said something about a command."""
        self._owner.worker_said(worker, item)

    def on_output(self, worker: Worker, line: str) -> None:
        """A worker printed a line."""
        self._recorder.event("worker.output", subject=worker.id, message=line, context=None)

    def on_exit(self, worker: Worker) -> None:
        """A worker's process has ended."""
        self.workers.pop(worker.id, None)
        self._processes.pop(worker.id, None)
        self._changed.pop(worker.id, None)
        started = worker.state != "starting"
        asked = worker.state == "draining" and not self._owner.worker_holds(worker)
        how = worker.how_it_ended()
        worker.to("stopped" if asked else "lost")
        self._hub.publish("worker", self._row(worker))
        self._hub.publish("worker", self._row(worker, GONE))
        if asked or self._tasks is None:
            self._recorder.event("worker.stopped", subject=worker.id, context=None)
        else:
            self._recorder.count("citadel.worker.lost", pool=self._settings.name)
            self._recorder.event(
                "worker.lost", subject=worker.id, severity="error", message=how, context=None
            )
        self._leaving.discard(worker.id)
        self._owner.worker_gone(worker)
        if self._tasks is None:
            return
        self._failures = 0 if started else self._failures + 1
        if self._failures >= START_FAILURES:
            self._owner.crew_failed(worker)
        self._fill(replacing="" if asked else worker.id)

    def touch(self, worker: Worker) -> None:
        """Publishes a worker soon."""
        self._changed[worker.id] = worker
        self._publish.soon()
        if worker.state == "draining" and not self._owner.worker_holds(worker):
            worker.send([frames.STOP])

    # ── keeping the number ───────────────────────────────────────────────────────────────────

    def _fill(self, replacing: str = "") -> None:
        """Starts what is missing; after failures in a row only one at a time, after a wait."""
        if self._tasks is None:
            return
        staying = sum(
            worker.state != "draining" and worker.id not in self._leaving
            for worker in self.workers.values()
        )
        missing = self.size - staying
        if self._failures:
            missing = min(missing, 1) if staying < self.size else 0
        for _ in range(missing):
            worker_id = f"{self._settings.name}-{next(self._numbers)}"
            worker = Worker(worker_id, self._settings.name, self._settings.adapter, self)
            self.workers[worker_id] = worker
            wait = BACKOFF_SECONDS[min(self._failures, len(BACKOFF_SECONDS)) - 1]
            self._tasks.create_task(
                self._keep(worker, wait if self._failures else 0.0), name=f"worker {worker_id}"
            )
            self._recorder.count("citadel.worker.starts", pool=self._settings.name)
            if replacing:
                self._recorder.event(
                    "worker.replaced", subject=replacing, context=None, by=worker_id
                )
            self.touch(worker)
        self._owner.crew_changed()

    async def _keep(self, worker: Worker, wait: float) -> None:
        try:
            await asyncio.sleep(wait)
        except asyncio.CancelledError:
            self.on_exit(worker)
            raise
        self._recorder.event("worker.started", subject=worker.id, context=None)
        await worker.run(self._settings.start_timeout_seconds)

    def _trim(self) -> None:
        """Drains what is too many, oldest and leaving first, once enough others are ready."""
        serving = [w for w in self.workers.values() if w.state in ("ready", "busy")]
        serving.sort(key=lambda worker: worker.id not in self._leaving)
        for worker in serving[: max(0, len(serving) - self.size)]:
            worker.to("draining", "recycled" if worker.id in self._leaving else "the pool shrank")
            self.touch(worker)

    # ── measuring and showing ────────────────────────────────────────────────────────────────

    def status(self) -> tuple[WorkerStatus, ...]:
        """The workers, as the wire has them."""
        return tuple(
            WorkerStatus(
                id=worker.id,
                pid=worker.pid,
                state=worker.state,
                rss_bytes=worker.rss_bytes,
                done=worker.done,
                failed=worker.failed,
                command_id=worker.command_id,
                tool=worker.tool,
                started_unix_nanos=worker.started_ns,
            )
            for worker in self.workers.values()
        )

    def _measure(self) -> None:
        for worker in self.workers.values():
            process = self._processes.get(worker.id)
            if process is None:
                continue
            with contextlib.suppress(psutil.Error), process.oneshot():
                worker.rss_bytes = process.memory_info().rss
                worker.cpu = process.cpu_percent() / 100
            self.touch(worker)

    def _publish_changed(self) -> None:
        changed, self._changed = self._changed, {}
        self._hub.publish_many("worker", (self._row(worker) for worker in changed.values()))

    def _row(self, worker: Worker, state: str = "") -> tuple[Any, ...]:
        return (
            self._settings.name,
            worker.id,
            worker.pid,
            state or worker.state,
            worker.rss_bytes,
            worker.cpu,
            worker.done,
            worker.failed,
            worker.command_id,
            worker.tool,
            worker.started_ns,
            worker.since_ns,
            worker.cause,
        )


class Coalesced:
    """Calls something soon, but at most once an interval."""

    def __init__(self, seconds: float, call: Callable[[], None]) -> None:
        self._seconds = seconds
        self._call = call
        self._timer: asyncio.TimerHandle | None = None

    def soon(self) -> None:
        """Sets the timer unless it is set."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._fire)

    def cancel(self) -> None:
        """Forgets what was due."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._timer = None
        self._call()

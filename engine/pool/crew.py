"""The workers of one pool: keeps as many as wanted, replaces those that die or are not well.

Loop thread only. Knows nothing of commands: its pool hears when a worker is ready, says something,
or is gone. A worker that is to go although it lives is tainted: another one is set up first, or a
spare takes its place, and then it drains, so that as many as before serve all the time.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from itertools import count
from typing import Any

from citadel.errors import InvalidRequest, NotFound
from citadel.wire.messages import Tool, WorkerDetail, WorkerStatus
from engine.pool import frames
from engine.pool.display import Display
from engine.pool.owner import CrewOwner
from engine.pool.restarts import PROVED_SECONDS, Restarts
from engine.pool.settings import MAX_WORKERS, PoolSettings
from engine.pool.spawn import PlainSpawner, Spawner
from engine.pool.watch import Watch
from engine.pool.worker import HandDown, Worker, nothing
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder

TICK_SECONDS = 0.1
"""How often workers are looked after."""
MAX_ENDED = 64
"""Workers that ended of which the life is kept."""


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
        self.display = Display(settings.name, hub, owner.worker_runs, owner.worker_runs_number)
        self.spares = settings.scale.spares
        self.ended: deque[WorkerDetail] = deque(maxlen=MAX_ENDED)
        self.watch = Watch(self, settings, owner.crew_load, self._degraded)
        self._settings = settings
        self._owner = owner
        self._recorder = recorder
        self._spawner = spawner or PlainSpawner()
        self._hand_down = hand_down
        self._numbers = count(1)
        self._tasks: asyncio.TaskGroup | None = None
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._restarts = Restarts()

    async def run(self) -> None:
        """Keeps the workers until cancelled, then kills them."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                try:
                    self._fill()
                    for tick in count(1):
                        await asyncio.sleep(TICK_SECONDS)
                        self.watch.look(tick, tasks)
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
        self.scale(size)

    def rescale(self, size: int, low: int, high: int) -> None:
        """Lets the pool size itself within these bounds, from that size; a high of 0: it does not.

        Raises:
            InvalidRequest: the bounds are none.
        """
        if high and not (0 <= low <= high <= MAX_WORKERS):
            raise InvalidRequest(
                f"a pool cannot size itself between {low} and {high}",
                remedy=f"0 ≤ least ≤ most ≤ {MAX_WORKERS}",
            )
        if high:
            self.scale(min(max(size or self.size, low), high))
        else:
            self.resize(size)
        self.watch.bounds(low if high else 0, high)

    @property
    def bounds(self) -> tuple[int, int]:
        """Between which sizes the pool sizes itself; two zeros: it does not."""
        scale = self.watch.autoscale.options
        return (scale.min_size, scale.max_size) if scale.max_size else (0, 0)

    def scale(self, size: int) -> None:
        """Wants another number of workers, also none."""
        self.size = size
        self._place()
        self._fill()

    def recycle(self, worker_id: str = "") -> None:
        """Replaces one worker, or all: the new ones start first, then the old ones drain."""
        leaving = [self._known(worker_id)] if worker_id else list(self.workers.values())
        self._restarts = Restarts()
        self._spawner.renew()
        for worker in leaving:
            self._taint(worker, "recycled")
            if worker.state == "starting":
                worker.to("draining", "recycled")
                self._keepers[worker.id].cancel()
        self._place()
        self._fill()

    def taint(self, worker: Worker, cause: str) -> None:
        """A worker is to go although it lives: its replacement is ready before it drains."""
        self._taint(worker, cause)
        self._place()
        self._fill()

    def crowded(self) -> str:
        """The machine from which a worker should move to another one; empty: none."""
        return self._spawner.crowded()

    def _taint(self, worker: Worker, cause: str) -> None:
        if not worker.taint and worker.state != "draining":
            worker.taint = cause
            self._recorder.event("worker.recycled", subject=worker.id, message=cause, context=None)
            self.display.touch(worker)

    def inspect(self, worker_id: str) -> WorkerDetail:
        """The life of one worker, also of one that ended lately.

        Raises:
            NotFound: there is no such worker, or no more.
        """
        for detail in self.ended:
            if detail.status and detail.status.id == worker_id:
                return detail
        return self.display.detail(self._known(worker_id))

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
            self._unwell(worker, str(item[1]))
        elif item[0] != frames.HEALTHY:
            self._owner.worker_said(worker, item)
        elif not item[1]:
            self._unwell(worker, str(item[2]))

    def _unwell(self, worker: Worker, why: str) -> None:
        if not worker.taint:
            self._recorder.event(
                "worker.unhealthy", subject=worker.id, severity="warning", message=why, context=None
            )
            worker.cause = why
            self.taint(worker, why)

    def on_output(self, worker: Worker, line: str) -> None:
        """A worker printed a line."""
        self._recorder.event("worker.output", subject=worker.id, message=line, context=None)

    def on_exit(self, worker: Worker) -> None:
        """A worker's process has ended."""
        self.workers.pop(worker.id, None)
        self._keepers.pop(worker.id, None)
        asked = self._tasks is None or (
            (worker.state == "draining" and not self._owner.worker_holds(worker))
            or (worker.state == "starting" and bool(worker.taint))
        )
        if not asked:
            self._judge(worker)
        self.watch.gone(worker)
        worker.to("stopped" if asked else "lost")
        self.ended.append(self.display.gone(worker))
        self._tell_end(worker, asked=asked)
        self._owner.worker_gone(worker)
        if self._tasks is None:
            return
        if not asked and self._restarts.hopeless:
            for each in self.workers.values():
                each.taint = ""  # whoever serves stays
            self._owner.crew_failed(worker, serving=len(self._serving()))
        replacing = self._place("" if asked else worker.id)
        self._fill(replacing=replacing)

    def touch(self, worker: Worker) -> None:
        """Something about a worker changed; one that drains and has no more to do is stopped."""
        self.display.touch(worker)
        if worker.state == "draining" and not self._owner.worker_holds(worker):
            worker.stop()

    # ── keeping the number ───────────────────────────────────────────────────────────────────

    def _admit(self, worker: Worker) -> None:
        """A worker has proved itself: it serves, or stands by."""
        if self.workers.get(worker.id) is worker and not worker.exited:
            if self._restarts.crash_loop:
                self._restarts.proved()
            worker.proved = True
            self._place()

    def _place(self, replacing: str = "") -> str:
        """Lets spares serve where workers are missing, and drains what is too many.

        Returns what still has no replacement.
        """
        spares = [each for each in self.workers.values() if each.spare and each.proved]
        spares = [each for each in spares if not each.taint]
        missing = self.size - sum(not each.taint for each in self._serving())
        for worker in spares[: max(0, missing)]:
            if replacing:
                self._replaced(replacing, worker.id)
                replacing = ""
            worker.admitted = True
            self._owner.worker_ready(worker)
            self.touch(worker)
        self._trim()
        return replacing

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
        workers = self.workers.values()
        staying = sum(each.state != "draining" and not each.taint for each in workers)
        missing = self.size + self.spares - staying if self.size else -staying
        if self._restarts.failures and any(each.state == "starting" for each in workers):
            missing = 0
        elif self._restarts.failures:
            missing = min(missing, 1)
        for _ in range(missing):
            worker = self._begin(self._tasks)
            if replacing:
                self._replaced(replacing, worker.id)
                replacing = ""
        self._owner.crew_changed()

    def _begin(self, tasks: asyncio.TaskGroup) -> Worker:
        worker_id = f"{self._settings.name}-{next(self._numbers)}"
        worker = self.workers[worker_id] = Worker(
            worker_id, self._settings, self, self._spawner, self._hand_down
        )
        keeper = tasks.create_task(
            self._keep(worker, self._restarts.wait), name=f"worker {worker_id}"
        )
        keeper.add_done_callback(lambda _: self._kept(worker))
        self._keepers[worker_id] = keeper
        self._recorder.count("citadel.worker.starts", pool=self._settings.name)
        self.touch(worker)
        return worker

    def _replaced(self, lost: str, by: str) -> None:
        self._recorder.event("worker.replaced", subject=lost, context=None, by=by)

    async def _keep(self, worker: Worker, wait: float) -> None:
        await asyncio.sleep(wait)
        worker.limits = self.watch.limits(worker)
        self._recorder.event("worker.started", subject=worker.id, context=None)
        await worker.run()

    def _kept(self, worker: Worker) -> None:
        """Its task has ended: before its process began, when the crew still has it."""
        if self.workers.get(worker.id) is worker:
            self.on_exit(worker)

    def _trim(self) -> None:
        """Drains what is too many, tainted and oldest first, once enough others serve or wait."""
        serving = self._serving()
        serving.sort(key=lambda worker: not worker.taint)
        surplus = serving[: max(0, len(serving) - self.size)]
        spares = [each for each in self.workers.values() if each.spare and each.proved]
        spares.sort(key=lambda worker: not worker.taint)
        wanted = self.spares if self.size else 0
        staying = sum(not each.taint for each in spares)
        surplus += [each for each in spares if each.taint or staying > wanted][
            : max(0, len(spares) - wanted)
        ]
        for worker in surplus:
            served = worker.admitted
            worker.to("draining", worker.taint or "the pool shrank")
            if served:
                self._owner.worker_retired(worker)
            self.touch(worker)

    def _degraded(self, text: str) -> None:
        self._recorder.event(
            "pool.limits",
            subject=self._settings.name,
            severity="warning",
            message=text,
            context=None,
        )

    def scaled(self, size: int, cause: str) -> None:
        """The pool sizes itself."""
        self._recorder.event(
            "pool.scaled",
            subject=self._settings.name,
            message=f"from {self.size} to {size} workers: {cause}",
            context=None,
        )
        self.scale(size)

"""One pool: its life, its state, and what can be asked of it.

Loop thread only. `run` owns every task. The crew has the workers, `commands` what they are to run;
what workers say goes to the part that hears that kind of frame.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import aclosing, nullcontext
from typing import Any

from citadel.errors import AdapterFailed, Cancelled, InvalidRequest
from citadel.values import Parcel
from citadel.vocabulary import PoolState
from citadel.wire.messages import CommandResult, PoolStatus
from engine.pool import frames
from engine.pool.admission import admit
from engine.pool.autoscale import Load
from engine.pool.commands import Commands
from engine.pool.crew import Crew
from engine.pool.display import PUBLISH_SECONDS, Coalesced, pool_row
from engine.pool.errands import Errands
from engine.pool.memory import Memory
from engine.pool.ray.cluster import Cluster
from engine.pool.session_desk import SessionDesk
from engine.pool.settings import PoolCommand, PoolSettings
from engine.pool.spawn import Spawner
from engine.pool.streams import Streams
from engine.pool.waits import RecentWaits
from engine.pool.worker import Worker
from engine.telemetry.counter import Counter
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
        self._loop = asyncio.get_running_loop()
        self._recorder = recorder
        self._hub = hub
        self._tools: frozenset[str] = frozenset()
        self._ready = asyncio.Event()
        self._publish = Coalesced(PUBLISH_SECONDS, self._show)
        self._place = spawner.running() if isinstance(spawner, Cluster) else nullcontext()
        self.memory = Memory(settings, recorder)
        self.crew = Crew(settings, self, recorder, hub, spawner, self.memory.hand_down)
        self.commands = Commands(
            settings, recorder, self.crew, self.memory, hub, self._publish.soon
        )
        self.resilience = self.commands.resilience
        scheduler = self.commands.scheduler
        self.sessions = SessionDesk(scheduler, recorder, hub, self.commands.act)
        self.commands.sessions_changed = self.sessions.touch
        self.hears: dict[int, Hears] = {
            frames.DONE: self.commands.answered,
            frames.FAILED: self.commands.answered,
            frames.DROPPED: self.commands.dropped,
            frames.RETURNED: self.commands.returned,
            frames.VARIABLES: self.sessions.told,
            frames.RELEASED: self.memory.released,
        }
        self._errands = Errands()
        self._streams = Streams(
            self.commands, self.crew, self.memory, self._errands, self._items_of_streams
        )
        self.hears |= self._streams.hears
        self.crew_moved: Callable[[], None] = lambda: None
        """Hears of a worker more or less: set by who has what running commands wait for."""
        self._waits = RecentWaits(self.commands.waited)
        self._spared: set[str] = set()

    # ── life ─────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Serves until cancelled; then fails what is left."""
        if not self.settings.size:
            self._ready.set()
        try:
            async with self._place, self._errands:
                await self.crew.run()
        finally:
            self.commands.close(Cancelled(f"pool {self.name} was stopped"))
            self.sessions.close()
            self.memory.close()
            self._publish.cancel()

    async def ready(self) -> None:
        """Returns once a worker is ready, or the pool is failed."""
        await self._ready.wait()

    async def drain(self, seconds: float) -> bool:
        """Takes no more commands and waits for those it has; whether all ended in time."""
        self.set_state("draining")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.commands.idle.wait()
        return not self.commands.by_id

    def set_state(self, state: PoolState) -> None:
        """Serves; pauses: commands wait; or drains: new ones are refused, those here go on.

        Raises:
            InvalidRequest: it is none of these.
            AdapterFailed: the pool is failed; recycling it starts new workers.
        """
        if state not in ("serving", "paused", "draining"):
            raise InvalidRequest(
                f"{state!r} is no state that a pool can be given",
                subject=self.name,
                remedy="One of serving, paused, draining",
            )
        if self.state == "failed":
            if state == "draining":
                return
            raise AdapterFailed(
                f"pool {self.name} is failed: {self.error}",
                subject=self.name,
                remedy=f"Mend the adapter, then: citadel pool recycle {self.name}",
            )
        self.state = state
        if state == "paused":
            self.commands.scheduler.pause()
        else:
            self.commands.act(self.commands.scheduler.proceed())
        self._publish.soon()

    def kill(self, worker: str, cause: str) -> None:
        """Kills a worker's process: the commands that it runs are not to blame."""
        self.crew.kill(worker, cause)
        self._spared.add(worker)

    def changed(self) -> None:
        """An operator changed it: a new revision."""
        self.revision += 1
        self._publish.soon()

    def status(self) -> PoolStatus:
        """The pool, as the wire has it."""
        settings, scheduler = self.settings, self.commands.scheduler
        urgent, normal, later = scheduler.room.queued_by_priority()
        return PoolStatus(
            name=self.name,
            revision=self.revision,
            state=self.state,
            adapter=settings.hosts,
            size=self.crew.size,
            queue_limit=settings.queue_limit,
            queued=scheduler.queued,
            running=scheduler.running,
            workers=self.crew.status(),
            error=self.error,
            backend=settings.backend,
            profile=settings.profile,
            min_size=self.crew.bounds[0],
            max_size=self.crew.bounds[1],
            queue_policy=settings.queue.policy,
            queued_urgent=urgent,
            queued_normal=normal,
            queued_later=later,
            breaker=self.resilience.breaker.state,
            sessions=len(scheduler.sessions.sessions),
            poisoned=self.resilience.poisoned,
            queue_wait_seconds=self.queue_wait_seconds(),
            slab_bytes=self.memory.slab_bytes,
            slab_used_bytes=self.memory.used_bytes,
            leases=self.memory.leases,
        )

    def queue_wait_seconds(self) -> float:
        """How long the commands that ended in the last seconds had waited: the median."""
        return self._waits.median(self._loop.time())

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

    async def stream(
        self, command: PoolCommand, items: AsyncIterable[bytes | Parcel] | None = None
    ) -> AsyncGenerator[bytes | Parcel | CommandResult]:
        """Runs a command that takes or gives a stream: what it gives, and last its result.

        Only who takes parts is given parcels: large items, not copied. A reader that closes it,
        or goes away, cancels the command.

        Raises:
            CitadelError: it was refused, or how it ended.
        """
        self.check(command)
        async with aclosing(self._streams.stream(command, items)) as found:
            async for each in found:
                yield each

    def may_grow(self) -> bool:
        """Whether a worker may become free that is not there yet, or a paused pool go on."""
        starting = any(worker.state == "starting" for worker in self.crew.workers.values())
        return starting or self.crew.bounds[1] > self.crew.size or self.state == "paused"

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
        self.resilience.attempts.know(tool.name for tool in self.crew.tools if tool.idempotent)
        self._ready.set()
        settings = self.settings
        capacity = 1 if settings.profile == "process" else settings.threads
        self.commands.act(self.commands.scheduler.add_worker(worker.id, capacity, worker.node))

    def worker_retired(self, worker: Worker) -> None:
        """A worker drains."""
        self.commands.act(self.commands.scheduler.retire_worker(worker.id))
        self.sessions.touch()

    def worker_said(self, worker: Worker, item: list[Any]) -> None:
        """A worker said something: the part that hears such frames takes it."""
        hears = self.hears.get(item[0])
        if hears is not None:
            hears(worker, item)
        else:
            worker.kill(f"it sent a frame of unknown kind {item[0]}")

    def worker_gone(self, worker: Worker) -> None:
        """A worker's process has ended."""
        self.commands.lost(worker, guilty=worker.id not in self._spared)
        self.memory.gone(worker.id)
        self._spared.discard(worker.id)

    def worker_holds(self, worker: Worker) -> bool:
        """Whether it has commands."""
        return self.commands.held_by(worker)

    def worker_runs(self, worker: Worker) -> tuple[str, str]:
        """The id and the tool of the command that it runs, or is about to."""
        return self.commands.run_by(worker)

    def worker_runs_number(self, worker: Worker) -> int:
        """How many commands it runs at once."""
        return self.commands.number_run_by(worker)

    def crew_load(self) -> Load:
        """What there is to do, for the pool's own size."""
        return self.commands.load()

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

    def crew_changed(self) -> None:
        """A worker more or less."""
        self._publish.soon()
        self.crew_moved()

    def _items_of_streams(self, direction: str) -> Counter:
        return self._recorder.counter("citadel.stream.items", pool=self.name, direction=direction)

    def _tell(self, event: str, severity: str) -> None:
        self._recorder.event(
            event, subject=self.name, severity=severity, message=self.error, context=None
        )

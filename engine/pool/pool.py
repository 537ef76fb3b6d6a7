"""One pool: the scheduler's shell. Sends what the scheduler says, and tells the callers.

Loop thread only. `run` owns every task; commands themselves have none: a command is a future that
the frames of a worker complete.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

import citadel.errors
from citadel.errors import (
    Cancelled,
    CitadelError,
    EngineError,
    InvalidRequest,
)
from citadel.vocabulary import PoolState
from citadel.wire.messages import CommandResult, PoolStatus
from engine.pool import frames
from engine.pool.admission import admit
from engine.pool.crew import Coalesced, Crew
from engine.pool.scheduler import Call, Fail, Instruction, Recall, Scheduler, Send
from engine.pool.settings import PoolCommand, PoolSettings
from engine.pool.worker import Worker
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder, Span
from engine.telemetry.sampling import Root

PUBLISH_SECONDS = 0.1
"""A pool's counters are published at most this often."""


@dataclass(slots=True)
class _Waiting:
    """A command from the caller's side."""

    command: PoolCommand
    future: asyncio.Future[CommandResult]
    span: Span
    submitted: float
    deadline: float
    started: float = 0.0
    worker: str = ""


class Pool:
    """A named set of workers with one adapter and one queue."""

    def __init__(self, settings: PoolSettings, recorder: Recorder, hub: LiveHub) -> None:
        self.name = settings.name
        self.settings = settings
        self.revision = 1
        self.state: PoolState = "serving"
        self.error = ""
        self._recorder = recorder
        self._hub = hub
        self._loop = asyncio.get_running_loop()
        self._scheduler = Scheduler(self.name, settings.queue_limit)
        self._waiting: dict[str, _Waiting] = {}
        self._expiry: asyncio.TimerHandle | None = None
        self._ready = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._publish = Coalesced(PUBLISH_SECONDS, self._show)
        self.crew = Crew(settings, self, recorder, hub)

    # ── life ─────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Serves until cancelled; then fails what is left."""
        try:
            await self.crew.run()
        finally:
            self._act(self._scheduler.fail_all(Cancelled(f"pool {self.name} was stopped")))
            self._publish.cancel()
            if self._expiry:
                self._expiry.cancel()

    async def ready(self) -> None:
        """Returns once a worker is ready, or the pool is failed."""
        await self._ready.wait()

    async def drain(self, seconds: float) -> bool:
        """Takes no more commands and waits for those it has; whether all ended in time."""
        self.state = "draining"
        self._publish.soon()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        return not self._waiting

    def changed(self) -> None:
        """An operator changed it: a new revision."""
        self.revision += 1
        self._publish.soon()

    def status(self) -> PoolStatus:
        """The pool, as the wire has it."""
        return PoolStatus(
            name=self.name,
            revision=self.revision,
            state=self.state,
            adapter=self.settings.adapter,
            size=self.crew.size,
            queue_limit=self.settings.queue_limit,
            queued=self._scheduler.queued,
            running=self._scheduler.running,
            workers=self.crew.status(),
            error=self.error,
        )

    def _show(self) -> None:
        counts = self._scheduler.counts
        self._hub.publish(
            "pool",
            (
                self.name,
                self.revision,
                self.state,
                self.settings.adapter,
                self.crew.size,
                self.settings.queue_limit,
                self._scheduler.queued,
                self._scheduler.running,
                counts.submitted,
                counts.done,
                counts.failed,
                counts.cancelled,
                counts.rejected,
                self.error,
                self._recorder.clock(),
            ),
        )

    # ── commands ─────────────────────────────────────────────────────────────────────────────

    async def submit(self, command: PoolCommand) -> CommandResult:
        """Runs a command to its end; a cancelled caller cancels it.

        Raises:
            CitadelError: see the table in citadel/errors.py.
        """
        admit(command, state=self.state, error=self.error, tools=self.crew.tools)
        if command.id in self._waiting:
            raise InvalidRequest(f"command {command.id} is already here", subject=command.id)
        seconds = command.deadline_seconds or self.settings.default_deadline_seconds
        now = self._loop.time()
        span = self._recorder.span(
            f"command {command.tool}",
            parent=command.parent,
            source="pool",
            service=self.name,
            pool=self.name,
            mission=command.mission,
            mission_class=command.mission_class,
            sentinel=command.sentinel,
            attributes={"citadel.command.id": command.id, "citadel.tool": command.tool},
        )
        waiting = _Waiting(command, self._loop.create_future(), span, now, now + seconds)
        self._waiting[command.id] = waiting
        self._idle.clear()
        try:
            self._act(self._scheduler.submit(Call(id=command.id, deadline=waiting.deadline)))
        except CitadelError as error:
            self._end(waiting, error, "rejected")
            raise
        self._arm()
        try:
            return await waiting.future
        except asyncio.CancelledError:
            self.cancel(command.id, "its caller went away")
            raise

    def cancel(self, command_id: str, reason: str) -> str:
        """Cancels a command by its id: what it was ("queued", "running" or "unknown")."""
        error = Cancelled(
            f"command {command_id} was cancelled" + (f": {reason}" if reason else ""),
            subject=command_id,
        )
        was, instructions = self._scheduler.give_up(command_id, error)
        self._act(instructions)
        return was

    # ── what the scheduler says ──────────────────────────────────────────────────────────────

    def _act(self, instructions: list[Instruction]) -> None:
        for instruction in instructions:
            match instruction:
                case Send(call_id, worker):
                    self._give(self._waiting[call_id], self.crew.workers[worker])
                case Recall(call_id, worker):
                    self._recall(call_id, worker)
                case Fail(call_id, error):
                    if waiting := self._waiting.get(call_id):
                        outcome = "cancelled" if isinstance(error, Cancelled) else "failed"
                        self._end(waiting, error, outcome)
        self._publish.soon()

    def _give(self, waiting: _Waiting, worker: Worker) -> None:
        command = waiting.command
        waiting.worker = worker.id
        worker.send(
            [
                frames.CALL,
                command.id,
                command.tool,
                command.arguments,
                waiting.span.context.traceparent(),
                waiting.span.mission,
                waiting.span.mission_class,
                waiting.span.sentinel,
                waiting.deadline - self._loop.time(),
            ]
        )

    def _recall(self, call_id: str, worker_id: str) -> None:
        worker = self.crew.workers.get(worker_id)
        if worker is not None:
            worker.send([frames.CANCEL, call_id])
            self._loop.call_later(self.settings.grace_seconds, self._insist, call_id, worker)

    def _insist(self, call_id: str, worker: Worker) -> None:
        if worker.command_id == call_id and worker.state in ("busy", "draining"):
            worker.kill(
                f"it did not stop command {call_id} within {self.settings.grace_seconds:g} s"
            )

    def _end(self, waiting: _Waiting, error: CitadelError, outcome: str) -> None:
        """Ends a command with an error."""
        command = waiting.command
        self._waiting.pop(command.id, None)
        waiting.span.error(error)
        waiting.span.end()
        if not waiting.future.done():
            waiting.future.set_exception(error)
            if outcome == "rejected":
                waiting.future.exception()  # the caller gets it raised
        self._recorder.count("citadel.commands", pool=self.name, outcome=outcome)
        self._recorder.event(
            "command.cancelled" if outcome == "cancelled" else "command.failed",
            subject=command.id,
            severity="info" if outcome == "cancelled" else "warning",
            message=str(error),
            context=waiting.span,
            tool=command.tool,
            error=type(error).__name__,
        )
        if not self._waiting:
            self._idle.set()

    def _arm(self) -> None:
        """Sets one timer for the nearest deadline."""
        due = self._scheduler.next_deadline()
        if due is None or (self._expiry and self._expiry.when() <= due):
            return
        if self._expiry:
            self._expiry.cancel()
        self._expiry = self._loop.call_at(due, self._expire)

    def _expire(self) -> None:
        self._expiry = None
        self._act(self._scheduler.expire(self._loop.time()))
        self._arm()

    # ── what workers say ─────────────────────────────────────────────────────────────────────

    def worker_ready(self, worker: Worker) -> None:
        """A worker can take commands."""
        if self.state == "failed":
            self.state, self.error = "serving", ""
            self._recorder.event("pool.recovered", subject=self.name, context=None)
        self._ready.set()
        self._act(self._scheduler.add_worker(worker.id))

    def worker_said(self, worker: Worker, item: list[Any]) -> None:
        """A worker started, answered or dropped a command."""
        match item[0]:
            case frames.START:
                self._started(worker, item[1])
            case frames.DONE | frames.FAILED:
                self._answered(worker, item)
            case frames.DROPPED:
                self._act(self._scheduler.finished(worker.id, item[1], 0.0, ok=False))
                self.crew.touch(worker)
            case _:
                worker.kill(f"it sent a frame of unknown kind {item[0]}")

    def worker_gone(self, worker: Worker) -> None:
        """A worker's process has ended."""
        error = worker.lost(worker.command_id)
        self._act(self._scheduler.remove_worker(worker.id, error))

    def worker_holds(self, worker: Worker) -> bool:
        """Whether it has commands; one that drains is given no more."""
        seat = self._scheduler.seats.get(worker.id)
        if seat is not None and worker.state == "draining":
            seat.accepting = False
        return bool(seat and seat.calls)

    def crew_failed(self, worker: Worker) -> None:
        """No worker starts: what waits fails now, and new commands are refused until one does."""
        error = worker.start_failure()
        if self.state == "serving":
            self._recorder.event(
                "pool.failed", subject=self.name, severity="error", message=str(error), context=None
            )
            self.state = "failed"
        self.error = error.message
        self._ready.set()
        self._act(self._scheduler.fail_all(error))

    def crew_changed(self) -> None:
        """A worker more or less."""
        self._publish.soon()

    def _started(self, worker: Worker, call_id: str) -> None:
        self._scheduler.started(call_id)
        worker.command_id = call_id
        if worker.state == "ready":
            worker.to("busy")
        if waiting := self._waiting.get(call_id):
            waiting.started = self._loop.time()
            worker.tool = waiting.command.tool
            self._recorder.observe(
                "citadel.command.queued", waiting.started - waiting.submitted, self.name
            )
        self.crew.touch(worker)

    def _answered(self, worker: Worker, item: list[Any]) -> None:
        """Takes [DONE, id, value, seconds, rows] or [FAILED, id, kind, ...]."""
        call_id, seconds, rows = item[1], item[-2], item[-1]
        ok = item[0] == frames.DONE
        worker.command_id = worker.tool = ""
        if worker.state == "busy":
            worker.to("ready")
        if ok:
            worker.done += 1
        else:
            worker.failed += 1
        self._recorder.observe("citadel.command.duration", seconds, self.name)
        waiting = self._waiting.get(call_id)
        if waiting is not None:
            self._ingest(waiting, rows)
            if ok:
                self._succeed(waiting, worker, item[2], seconds)
            else:
                self._end(waiting, _error(item, worker), "failed")
        self._act(self._scheduler.finished(worker.id, call_id, seconds, ok=ok))
        self.crew.touch(worker)

    def _succeed(self, waiting: _Waiting, worker: Worker, value: bytes, seconds: float) -> None:
        command, span = waiting.command, waiting.span
        del self._waiting[command.id]
        queued = waiting.started - waiting.submitted
        span.set("citadel.worker", worker.id)
        span.set("citadel.queued_ms", round(queued * 1e3, 3))
        span.end()
        self._recorder.count("citadel.commands", pool=self.name, outcome="done")
        if not waiting.future.done():
            waiting.future.set_result(
                CommandResult(
                    id=command.id,
                    value=value,
                    worker=worker.id,
                    queued_seconds=queued,
                    run_seconds=seconds,
                    trace_id=span.context.trace_hex,
                )
            )
        if not self._waiting:
            self._idle.set()

    def _ingest(self, waiting: _Waiting, rows: list[list[Any]]) -> None:
        about = Root(pool=self.name, source="worker")
        for row in rows:
            self._recorder.ingest_row(waiting.span.context.trace_id, about, tuple(row))


def _error(item: list[Any], worker: Worker) -> CitadelError:
    """The typed error of a FAILED frame."""
    _, call_id, kind, message, remedy, details, *_ = item
    cls = getattr(citadel.errors, str(kind), EngineError)
    if not (isinstance(cls, type) and issubclass(cls, CitadelError)):
        cls = EngineError
    return cls(
        str(message),
        subject=str(call_id),
        remedy=str(remedy),
        details={**{str(key): str(value) for key, value in details.items()}, "worker": worker.id},
    )

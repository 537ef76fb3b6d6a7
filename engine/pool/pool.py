"""One pool: the scheduler's shell. Sends what the scheduler says, and tells the callers.

Loop thread only. `run` owns every task; commands themselves have none: a command is a future that
the frames of a worker complete.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any, cast

from citadel.errors import Cancelled, CitadelError, InvalidRequest, QueueFull
from citadel.vocabulary import PoolState
from citadel.wire.messages import CommandResult, PoolStatus
from engine.pool import frames
from engine.pool.admission import PRIORITY_OF_CLASS, admit
from engine.pool.answers import error_of, ingest
from engine.pool.crew import Crew
from engine.pool.display import PUBLISH_SECONDS, Coalesced, pool_row
from engine.pool.scheduler import NORMAL, Call, Instruction, Recall, Scheduler, Send
from engine.pool.settings import PoolCommand, PoolSettings
from engine.pool.worker import Worker
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder, Span


@dataclass(slots=True, kw_only=True, eq=False)
class _Command(Call):
    """A command with its caller's side."""

    command: PoolCommand
    future: asyncio.Future[CommandResult]
    span: Span
    submitted: float


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
        self._newest = 0
        self._by_id: dict[str, int] = {}
        self._tools: frozenset[str] = frozenset()
        self._expiry: asyncio.TimerHandle | None = None
        self._ready = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._publish = Coalesced(PUBLISH_SECONDS, self._show)
        self.crew = Crew(settings, self, recorder, hub)

    # ── life ─────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Serves until cancelled; then fails what is left."""
        if not self.settings.size:
            self._ready.set()
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
        return not self._by_id

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
        row = pool_row(self.status(), self._scheduler.counts, self._recorder.clock())
        self._hub.publish("pool", row)

    # ── commands ─────────────────────────────────────────────────────────────────────────────

    async def submit(self, command: PoolCommand) -> CommandResult:
        """Runs a command to its end; a cancelled caller cancels it.

        Raises:
            CitadelError: see the table in citadel/errors.py.
        """
        admit(command, state=self.state, error=self.error, tools=self._tools)
        if command.id in self._by_id:
            raise InvalidRequest(f"command {command.id} is already here", subject=command.id)
        try:
            self._scheduler.check_room()
        except QueueFull:
            self._recorder.count("citadel.commands", pool=self.name, outcome="rejected")
            self._publish.soon()
            raise
        call = self._call(command)
        self._by_id[command.id] = call.number
        self._idle.clear()
        self._act(self._scheduler.submit(call))
        if self._expiry is None or call.deadline < self._expiry.when():
            self._arm()
        try:
            return await call.future
        except asyncio.CancelledError:
            self._give_up(call.number, "its caller went away")
            raise

    def cancel(self, command_id: str, reason: str) -> str:
        """Cancels a command by its id: what it was ("queued", "running" or "unknown")."""
        number = self._by_id.get(command_id)
        return "unknown" if number is None else self._give_up(number, reason)

    def _give_up(self, number: int, reason: str) -> str:
        call = self._scheduler.calls.get(number)
        if call is None:
            return "unknown"
        text = f"command {call.name} was cancelled" + (f": {reason}" if reason else "")
        error = Cancelled(text, subject=call.name)
        was, instructions = self._scheduler.give_up(number, error, runs=self._runs(call))
        self._act(instructions)
        return was

    def _call(self, command: PoolCommand) -> _Command:
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
        )
        if span.sampled:
            span.set("citadel.tool", command.tool)
            span.set("citadel.command.id", command.id)
        self._newest += 1
        return _Command(
            number=self._newest,
            name=command.id,
            tool=command.tool,
            deadline=now + (command.deadline_seconds or self.settings.default_deadline_seconds),
            priority=PRIORITY_OF_CLASS.get(span.mission_class, NORMAL),
            command=command,
            future=self._loop.create_future(),
            span=span,
            submitted=now,
        )

    # ── what the scheduler says ──────────────────────────────────────────────────────────────

    def _act(self, instructions: list[Instruction]) -> None:
        self._publish.soon()
        for instruction in instructions:
            call = cast("_Command", instruction.call)
            if isinstance(instruction, Send):
                self._give(call, self.crew.workers[call.worker])
            elif isinstance(instruction, Recall):
                self._recall(call)
            else:
                outcome = "cancelled" if isinstance(instruction.error, Cancelled) else "failed"
                self._fail(call, instruction.error, outcome)

    def _give(self, call: _Command, worker: Worker) -> None:
        command, span = call.command, call.span
        about: dict[str, Any] | None = None
        if span.sampled:
            trace = span.trace_id.to_bytes(16, "big") + span.span_id.to_bytes(8, "big")
            mission = [span.mission, span.mission_class, span.sentinel]
            about = {frames.TRACE: trace, frames.MISSION: mission}
        worker.send([frames.CALL, call.number, call.tool, command.arguments, call.deadline, about])
        if worker.state == "ready":
            worker.to("busy")
            self.crew.touch(worker)

    def _recall(self, call: Call) -> None:
        worker = self.crew.workers.get(call.worker)
        if worker is not None:
            worker.send([frames.CANCEL, call.number])
            self._loop.call_later(self.settings.grace_seconds, self._insist, call, worker)

    def _insist(self, call: Call, worker: Worker) -> None:
        if worker.runs(call.number) and self._has(worker, call.number):
            grace = self.settings.grace_seconds
            worker.kill(f"it did not stop command {call.name} within {grace:g} s")

    def _has(self, worker: Worker, number: int) -> bool:
        seat = self._scheduler.seats.get(worker.id)
        return seat is not None and number in seat.calls

    def _runs(self, call: Call) -> bool:
        """Whether its worker has begun it and not answered."""
        worker = self.crew.workers.get(call.worker)
        return worker is not None and worker.runs(call.number)

    def _fail(self, call: _Command, error: CitadelError, outcome: str) -> None:
        """Ends a command with an error."""
        self._forget(call)
        if call.worker:
            call.span.set("citadel.worker", call.worker)
        call.span.error(error)
        call.span.end()
        if not call.future.done():
            call.future.set_exception(error)
        self._recorder.count("citadel.commands", pool=self.name, outcome=outcome)
        self._recorder.event(
            "command.cancelled" if outcome == "cancelled" else "command.failed",
            subject=call.name,
            severity="info" if outcome == "cancelled" else "warning",
            message=str(error),
            context=call.span,
            tool=call.tool,
            error=type(error).__name__,
        )

    def _forget(self, call: _Command) -> None:
        del self._by_id[call.name]
        if not self._by_id:
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
        for call in self._scheduler.expire(self._loop.time()):
            self._act(self._scheduler.late(call, runs=self._runs(call)))
        self._arm()

    # ── what workers say ─────────────────────────────────────────────────────────────────────

    def worker_ready(self, worker: Worker) -> None:
        """A worker can take commands."""
        if self.state == "failed":
            self._recorder.event("pool.recovered", subject=self.name, context=None)
            self.state = "serving"
        self.error = ""
        self._tools = frozenset(tool.name for tool in self.crew.tools)
        self._ready.set()
        self._act(self._scheduler.add_worker(worker.id))

    def worker_retired(self, worker: Worker) -> None:
        """A worker drains."""
        self._scheduler.retire_worker(worker.id)

    def worker_said(self, worker: Worker, item: list[Any]) -> None:
        """A worker answered or dropped a command."""
        kind = item[0]
        if kind in (frames.DONE, frames.FAILED):
            self._answered(worker, item)
        elif kind == frames.DROPPED:
            if (call := self._scheduler.calls.get(item[1])) is not None:  # its deadline has passed
                self._act(self._scheduler.late(call, runs=False))
            self._act(self._scheduler.dropped(worker.id, item[1]))
            self._settle(worker)
        else:
            worker.kill(f"it sent a frame of unknown kind {kind}")

    def worker_gone(self, worker: Worker) -> None:
        """A worker's process has ended."""
        seat = self._scheduler.seats.get(worker.id)
        began = worker.running
        held = seat.calls if seat else {}
        ran = next((number for number in began if number in held), 0)
        error = worker.lost(held[ran].name if ran else "")
        # A number that was never given was not written by the worker's loop.
        ran = None if any(number > self._newest for number in began) else ran
        self._act(self._scheduler.remove_worker(worker.id, error, ran=ran))

    def worker_holds(self, worker: Worker) -> bool:
        """Whether it has commands."""
        seat = self._scheduler.seats.get(worker.id)
        return bool(seat and seat.calls)

    def worker_runs(self, worker: Worker) -> tuple[str, str]:
        """The id and the tool of the command that it runs, or is about to."""
        seat = self._scheduler.seats.get(worker.id)
        if seat is None or not seat.calls:
            return "", ""
        running = (seat.calls.get(number) for number in worker.running)
        call = next(filter(None, running), None) or next(iter(seat.calls.values()))
        return call.name, call.tool

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
        self._act(self._scheduler.fail_all(error))

    def crew_changed(self) -> None:
        """A worker more or less."""
        self._publish.soon()

    def _tell(self, event: str, severity: str) -> None:
        self._recorder.event(
            event, subject=self.name, severity=severity, message=self.error, context=None
        )

    def _answered(self, worker: Worker, item: list[Any]) -> None:
        """Takes [DONE, number, seconds, value, rows] or [FAILED, number, seconds, kind, ...]."""
        number, seconds, ok = item[1], item[2], item[0] == frames.DONE
        if not self._has(worker, number):
            return  # told twice: it was on the slate and on the link
        call = cast("_Command | None", self._scheduler.calls.get(number))
        if isinstance(item[-1], list):
            ingest(self._recorder, self.name, item[-1])
        if ok:
            worker.done += 1
        else:
            worker.failed += 1
        self._recorder.observe("citadel.command.duration", seconds, self.name)
        instructions = self._scheduler.finished(worker.id, number, seconds, ok=ok)
        if call is not None:
            queued = max(0.0, self._loop.time() - call.submitted - seconds)
            self._recorder.observe("citadel.command.queued", queued, self.name)
            if call.span.sampled:
                call.span.set("citadel.queued_ms", round(queued * 1e3, 3))
            if ok:
                self._succeed(call, item[3], queued, seconds)
            else:
                self._fail(call, error_of(item, call.name, worker.id), "failed")
        self._act(instructions)
        self._settle(worker)

    def _succeed(self, call: _Command, value: bytes, queued: float, seconds: float) -> None:
        self._forget(call)
        span = call.span
        if span.sampled:
            span.set("citadel.worker", call.worker)
        span.end()
        self._recorder.count("citadel.commands", pool=self.name, outcome="done")
        if not call.future.done():
            call.future.set_result(
                CommandResult(
                    id=call.name,
                    value=value,
                    worker=call.worker,
                    queued_seconds=queued,
                    run_seconds=seconds,
                    trace_id=f"{span.trace_id:032x}",
                )
            )

    def _settle(self, worker: Worker) -> None:
        """After an answer: a worker without commands is ready, or stops when it drains."""
        if worker.state == "busy" and not self.worker_holds(worker):
            worker.to("ready")
        self.crew.touch(worker)

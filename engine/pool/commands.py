"""The commands of one pool: carries out what the scheduler says, takes what workers answer.

Loop thread only. A command has no task: it is a future that the frames of a worker complete. Its
span, its counters and its event are written here, once, however it ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

from citadel.errors import Cancelled, CitadelError, QueueFull, WireError
from citadel.values import Parcel
from citadel.wire.messages import CommandResult
from engine.pool import frames
from engine.pool.admission import PRIORITY_OF_CLASS
from engine.pool.answers import error_of, ingest
from engine.pool.autoscale import Load
from engine.pool.crew import Crew
from engine.pool.memory import Memory, Placed, PoolResult
from engine.pool.scheduler import NORMAL, Call, Instruction, Recall, Scheduler, Send
from engine.pool.settings import PoolCommand, PoolSettings
from engine.pool.worker import Worker
from engine.telemetry.recorder import Recorder, Span


@dataclass(slots=True, kw_only=True, eq=False)
class Command(Call):
    """A command with its caller's side."""

    command: PoolCommand
    future: asyncio.Future[CommandResult]
    span: Span
    submitted: float
    placed: Placed | None = None
    """Its arguments, when they are large."""


class Commands:
    """What a pool was given and has not answered."""

    def __init__(
        self,
        settings: PoolSettings,
        recorder: Recorder,
        crew: Crew,
        memory: Memory,
        changed: Callable[[], None],
    ) -> None:
        self.scheduler = Scheduler(settings.name, settings.queue_limit)
        self.idle = asyncio.Event()
        self.idle.set()
        self.newest = 0
        """The last number given: a higher one was not written by a worker's loop."""
        self.by_id: dict[str, int] = {}
        self._settings = settings
        self._recorder = recorder
        self._crew = crew
        self._memory = memory
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._expiry: asyncio.TimerHandle | None = None
        self._ended = {
            outcome: recorder.counter("citadel.commands", pool=settings.name, outcome=outcome)
            for outcome in ("done", "failed", "cancelled", "rejected")
        }
        self._span = recorder.starter(source="pool", service=settings.name, pool=settings.name)
        self._took = recorder.duration("citadel.command.duration", settings.name)
        self._waited = recorder.duration("citadel.command.queued", settings.name)

    # ── callers ──────────────────────────────────────────────────────────────────────────────

    def begin(self, command: PoolCommand) -> Command:
        """Queues an admitted command, or gives it to a worker at once.

        Raises:
            QueueFull: as many are waiting as the pool's limit says.
            MessageTooLarge: neither shared memory nor the link has room for the arguments.
        """
        try:
            self.scheduler.check_room()
        except QueueFull:
            self._ended["rejected"].add()
            self._changed()
            raise
        placed = None
        if command.buffers or len(command.arguments) >= self._memory.threshold:
            placed = self._memory.place(command.arguments, command.buffers)
            # They are in the slab now: who holds the command holds no lease.
            command = replace(command, buffers=())
        call = self._call(command)
        call.placed = placed
        self.by_id[command.id] = call.number
        self.idle.clear()
        self.act(self.scheduler.submit(call))
        if self._expiry is None or call.deadline < self._expiry.when():
            self._arm()
        return call

    def give_up(self, number: int, reason: str) -> str:
        """Cancels a command: what it was ("queued", "running" or "unknown")."""
        call = self.scheduler.calls.get(number)
        if call is None:
            return "unknown"
        text = f"command {call.name} was cancelled" + (f": {reason}" if reason else "")
        error = Cancelled(text, subject=call.name)
        was, instructions = self.scheduler.give_up(number, error, runs=self._runs(call))
        self.act(instructions)
        return was

    def close(self, error: CitadelError) -> None:
        """Fails what is left; nothing happens here any more."""
        self.act(self.scheduler.fail_all(error))
        if self._expiry:
            self._expiry.cancel()

    def _call(self, command: PoolCommand) -> Command:
        now = self._loop.time()
        span = self._span(
            f"command {command.tool}",
            command.parent,
            command.mission,
            command.mission_class,
            command.sentinel,
        )
        if span.sampled:
            span.set("citadel.tool", command.tool)
            span.set("citadel.command.id", command.id)
        self.newest += 1
        return Command(
            number=self.newest,
            name=command.id,
            tool=command.tool,
            deadline=now + (command.deadline_seconds or self._settings.default_deadline_seconds),
            priority=PRIORITY_OF_CLASS.get(span.mission_class, NORMAL),
            command=command,
            future=self._loop.create_future(),
            span=span,
            submitted=now,
        )

    # ── what the scheduler says ──────────────────────────────────────────────────────────────

    def act(self, instructions: list[Instruction]) -> None:
        """Carries out instructions, in their order."""
        self._changed()
        for instruction in instructions:
            call = cast("Command", instruction.call)
            if isinstance(instruction, Send):
                self._give(call, self._crew.workers[call.worker])
            elif isinstance(instruction, Recall):
                self._recall(call)
            else:
                outcome = "cancelled" if isinstance(instruction.error, Cancelled) else "failed"
                self._fail(call, instruction.error, outcome)

    def _give(self, call: Command, worker: Worker) -> None:
        command, span = call.command, call.span
        about: dict[str, Any] | None = None
        if span.sampled:
            trace = span.trace_id.to_bytes(16, "big") + span.span_id.to_bytes(8, "big")
            mission = [span.mission, span.mission_class, span.sentinel]
            about = {frames.TRACE: trace, frames.MISSION: mission}
        arguments: bytes | None = command.arguments
        if command.parts or call.placed is not None:
            about = {**(about or {}), frames.PARTS: command.parts}
            if call.placed is not None:
                arguments = call.placed.head
                about[frames.BUFFERS] = self._memory.sent(call.placed, worker.id)
        self._memory.tell(worker)
        worker.send([frames.CALL, call.number, call.tool, arguments, call.deadline, about])
        if worker.state == "ready":
            worker.to("busy")
            self._crew.touch(worker)

    def _recall(self, call: Call) -> None:
        worker = self._crew.workers.get(call.worker)
        if worker is not None:
            worker.send([frames.CANCEL, call.number])
            self._loop.call_later(self._settings.grace_seconds, self._insist, call, worker)

    def _insist(self, call: Call, worker: Worker) -> None:
        if worker.runs(call.number) and self.scheduler.holds(worker.id, call.number):
            grace = self._settings.grace_seconds
            worker.kill(f"it did not stop command {call.name} within {grace:g} s")

    def _runs(self, call: Call) -> bool:
        """Whether its worker has begun it and not answered."""
        worker = self._crew.workers.get(call.worker)
        return worker is not None and worker.runs(call.number)

    def _arm(self) -> None:
        """Sets one timer for the nearest deadline."""
        due = self.scheduler.next_deadline()
        if due is None or (self._expiry and self._expiry.when() <= due):
            return
        if self._expiry:
            self._expiry.cancel()
        self._expiry = self._loop.call_at(due, self._expire)

    def _expire(self) -> None:
        self._expiry = None
        for call in self.scheduler.expire(self._loop.time()):
            self.act(self.scheduler.late(call, runs=self._runs(call)))
        self._arm()

    # ── what workers say ─────────────────────────────────────────────────────────────────────

    def answered(self, worker: Worker, item: list[Any]) -> None:
        """Takes [DONE, number, seconds, value, rows] or [FAILED, number, seconds, kind, ...]."""
        number, seconds, ok = item[1], item[2], item[0] == frames.DONE
        if not self.scheduler.holds(worker.id, number):
            return  # told twice: it was on the slate and on the link
        call = cast("Command | None", self.scheduler.calls.get(number))
        value = item[3]
        if ok and type(value) is not bytes:
            try:
                value = self._large(worker, value, call)
            except WireError as error:
                worker.kill(f"it sent garbage: {error}")
                return
        name, recorder = self._settings.name, self._recorder
        if isinstance(item[-1], list):
            ingest(recorder, name, item[-1])
        if ok:
            worker.done += 1
        else:
            worker.failed += 1
        self._took.record(seconds)
        instructions = self.scheduler.finished(worker.id, number, seconds, ok=ok)
        if call is not None:
            queued = max(0.0, self._loop.time() - call.submitted - seconds)
            self._waited.record(queued)
            if call.span.sampled:
                call.span.set("citadel.queued_ms", round(queued * 1e3, 3))
            if ok:
                self._succeed(call, value, queued, seconds)
            else:
                self._fail(call, error_of(item, call.name, worker.id), "failed")
        self.act(instructions)
        self._settle(worker)

    def _large(self, worker: Worker, value: Any, call: Command | None) -> bytes | Parcel:
        """A result in the worker's slab; when nobody waits for it, nothing."""
        if call is None:
            self._memory.discard(worker, value)
            return b""
        parts = call.command.parts
        return self._memory.taken(worker, value, call.name, call.tool, parts=parts)

    def dropped(self, worker: Worker, item: list[Any]) -> None:
        """Takes [DROPPED, number]: cancelled, or past its deadline, before the worker began it."""
        if (call := self.scheduler.calls.get(item[1])) is not None:
            self.act(self.scheduler.late(call, runs=False))
        self.act(self.scheduler.dropped(worker.id, item[1]))
        self._settle(worker)

    def lost(self, worker: Worker) -> None:
        """A worker's process has ended: what it ran is lost, what it had beside goes elsewhere."""
        seat = self.scheduler.seats.get(worker.id)
        running = worker.running
        held = seat.calls if seat else {}
        names = ", ".join(held[number].name for number in running if number in held)
        # A number that was never given was not written by the worker's loop.
        ran = running if max(running, default=0) <= self.newest else None
        self.act(self.scheduler.remove_worker(worker.id, worker.lost(names), ran=ran))

    def _settle(self, worker: Worker) -> None:
        """After an answer: a worker without commands is ready, or stops when it drains."""
        if worker.state == "busy" and not self.held_by(worker):
            worker.to("ready")
        self._crew.touch(worker)

    # ── what is known of a worker's commands ─────────────────────────────────────────────────

    def held_by(self, worker: Worker) -> bool:
        """Whether it has commands."""
        seat = self.scheduler.seats.get(worker.id)
        return bool(seat and seat.calls)

    def run_by(self, worker: Worker) -> tuple[str, str]:
        """The id and the tool of the command that it runs, or is about to; empty: none."""
        seat = self.scheduler.seats.get(worker.id)
        if seat is None or not seat.calls:
            return "", ""
        for number in worker.running:
            if call := seat.calls.get(number):
                return call.name, call.tool
        call = next(iter(seat.calls.values()))
        return call.name, call.tool

    def number_run_by(self, worker: Worker) -> int:
        """How many commands it runs at once."""
        seat = self.scheduler.seats.get(worker.id)
        return sum(number in seat.calls for number in worker.running) if seat else 0

    def load(self) -> Load:
        """What there is to do, for the pool's own size."""
        queued = self.scheduler.queued
        waits = (call for call in self.scheduler.calls.values() if not call.worker)
        oldest = cast("Command | None", next(waits, None)) if queued else None
        return Load(
            queued=queued,
            wait_seconds=self._loop.time() - oldest.submitted if oldest else 0.0,
            busy=sum(bool(seat.calls) for seat in self.scheduler.seats.values()),
        )

    # ── ends ─────────────────────────────────────────────────────────────────────────────────

    def _succeed(self, call: Command, value: bytes | Parcel, queued: float, seconds: float) -> None:
        self._forget(call)
        span = call.span
        if span.sampled:
            span.set("citadel.worker", call.worker)
        span.end()
        self._ended["done"].add()
        if call.future.done():
            return
        result = CommandResult(
            id=call.name,
            value=value if isinstance(value, bytes) else b"",
            worker=call.worker,
            queued_seconds=queued,
            run_seconds=seconds,
            trace_id=f"{span.trace_id:032x}",
            sampled=span.sampled,
        )
        if not isinstance(value, bytes):
            result = PoolResult.of(result, value)
        call.future.set_result(result)

    def _fail(self, call: Command, error: CitadelError, outcome: str) -> None:
        self._forget(call)
        if call.worker:
            call.span.set("citadel.worker", call.worker)
        call.span.error(error)
        call.span.end()
        if not call.future.done():
            call.future.set_exception(error)
        self._ended[outcome].add()
        self._recorder.event(
            "command.cancelled" if outcome == "cancelled" else "command.failed",
            subject=call.name,
            severity="info" if outcome == "cancelled" else "warning",
            message=str(error),
            context=call.span,
            tool=call.tool,
            error=type(error).__name__,
        )

    def _forget(self, call: Command) -> None:
        del self.by_id[call.name]
        if call.placed is not None:
            self._memory.ended(call.placed, call.name, call.tool)
        if not self.by_id:
            self.idle.set()

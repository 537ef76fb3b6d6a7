"""The commands of one pool: takes them from callers, takes the answers from workers.

Loop thread only. A command has no task: it is a future that the frames of a worker complete. Its
span, its counters and its event are written here, once, however it ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, cast

from citadel import semconv
from citadel.errors import Cancelled, CitadelError, Shed, WireError
from citadel.values import Parcel
from citadel.vocabulary import PRIORITIES
from citadel.wire.messages import CommandResult
from engine.pool import frames
from engine.pool.admission import PRIORITY_OF_CLASS
from engine.pool.answers import error_of, ingest
from engine.pool.autoscale import Load
from engine.pool.crew import Crew
from engine.pool.delivery import Command, Delivery
from engine.pool.memory import Memory, Placed
from engine.pool.results import PoolResult
from engine.pool.scheduler import NORMAL, Call
from engine.pool.settings import PoolCommand, PoolSettings
from engine.pool.worker import Worker
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder, Span

__all__ = ("Command", "Commands")


class Commands(Delivery):
    """What a pool was given and has not answered."""

    def __init__(
        self,
        settings: PoolSettings,
        recorder: Recorder,
        crew: Crew,
        memory: Memory,
        hub: LiveHub,
        changed: Callable[[], None],
    ) -> None:
        super().__init__(settings, recorder, crew, memory, hub, changed)
        self.idle = asyncio.Event()
        self.idle.set()
        self.by_id: dict[str, int] = {}
        self.sessions_changed: Callable[[], None] = changed
        self._suspects = self.resilience.suspects
        self._breaker = self.resilience.breaker
        self._expiry: asyncio.TimerHandle | None = None
        self._ended = {
            outcome: recorder.counter("citadel.commands", pool=settings.name, outcome=outcome)
            for outcome in ("done", "failed", "cancelled", "rejected", "shed")
        }
        self._span = recorder.starter(
            "command ", source="pool", service=settings.name, pool=settings.name
        )
        self._took = recorder.duration("citadel.command.duration", settings.name)
        self.waited = recorder.duration("citadel.command.queued", settings.name)

    # ── callers ──────────────────────────────────────────────────────────────────────────────

    def begin(self, command: PoolCommand, about: Mapping[str, Any] | None = None) -> Command:
        """Queues an admitted command, or gives it to a worker at once.

        Raises:
            QueueFull: as many are waiting as the pool's limit says.
            BreakerOpen, Quarantined: it is not tried.
            QuotaExceeded, SessionBusy, SessionLost: its session cannot take it.
            MessageTooLarge: neither shared memory nor the link has room for the arguments.
        """
        priority = _priority(command)
        fingerprint, session, probe = "", None, False
        placed: Placed | None = None
        try:
            if command.tool in self._suspects:
                given = command.arguments, command.buffers
                fingerprint = self.resilience.fingerprint(command.tool, *given)
            if command.session:
                session = self.scheduler.check_session(command.session, command.affinity)
            self.scheduler.check_room(priority, session)
            if self._breaker.state != "closed":
                probe = self.resilience.enter(self._loop.time())
            if command.buffers or len(command.arguments) >= self._memory.threshold:
                placed = self._memory.place(command.arguments, command.buffers)
        except CitadelError:
            if probe:
                self._breaker.abandoned()
            self.scheduler.refused()
            self._ended["rejected"].add()
            self._changed()
            raise
        call = self._call(command, priority)
        if about is not None or placed is not None:
            call.about, call.placed = about, placed
        if fingerprint or probe or command.tool in self.resilience.attempts.hedging:
            call.fingerprint, call.probe, call.watched = fingerprint, probe, True
        if command.callers:
            call.called = True
        if command.session:
            call.session = self.scheduler.sessions.enter(command.session, command.affinity)
            call.strict = command.affinity != "hint"
            self.sessions_changed()
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
        was, instructions = self.scheduler.give_up(number, error, runs=self.runs(call))
        self.act(instructions)
        return was

    def close(self, error: CitadelError) -> None:
        """Fails what is left; nothing happens here any more."""
        self.act(self.scheduler.fail_all(error))
        if self._expiry:
            self._expiry.cancel()

    def _call(self, command: PoolCommand, priority: int) -> Command:
        now = self._loop.time()
        span = self._span(
            command.tool,
            command.parent,
            command.mission,
            command.mission_class,
            command.sentinel,
        )
        if span.sampled:
            span.set(semconv.CITADEL_TOOL, command.tool)
            span.set(semconv.CITADEL_COMMAND_ID, command.id)
            if command.sentinel:  # an agent's tool call, as the GenAI conventions know it
                span.set(semconv.GEN_AI_OPERATION_NAME, semconv.EXECUTE_TOOL)
                span.set(semconv.GEN_AI_TOOL_NAME, command.tool)
                span.set(semconv.GEN_AI_TOOL_CALL_ID, command.id)
        self._recorder.commands.append((command.id, span.trace_id))
        self.newest += 1
        return Command(
            number=self.newest,
            name=command.id,
            tool=command.tool,
            deadline=now + (command.deadline_seconds or self._settings.default_deadline_seconds),
            priority=priority,
            flow=span.mission,
            command=command,
            future=self._loop.create_future(),
            span=span,
            submitted=now,
        )

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
        now = self._loop.time()
        for call in self.scheduler.expire(now):
            self._late(call, runs=self.runs(call))
        self._arm()

    def _late(self, call: Call, *, runs: bool) -> None:
        if call.worker:
            self.resilience.late(call, self._loop.time())
        self.act(self.scheduler.late(call, runs=runs))

    # ── what workers say ─────────────────────────────────────────────────────────────────────

    def answered(self, worker: Worker, item: list[Any]) -> None:
        """Takes [DONE, number, seconds, value, rows] or [FAILED, number, seconds, kind, ...]."""
        number, seconds, ok = item[1], item[2], item[0] == frames.DONE
        held = self.scheduler.holds(worker.id, number)
        if held is None:
            return  # told twice: it was on the slate and on the link
        call = cast("Command", held.of or held)
        alive = call.number in self.scheduler.calls
        value = item[3]
        if ok and (type(value) is not bytes or (alive and call.command.parts)):
            try:
                value = self._large(worker, value, call if alive else None)
            except WireError as error:
                worker.kill(f"it sent garbage: {error}")
                return
        if len(item) > 4 and isinstance(item[-1], list):  # a shorter DONE has no spans
            ingest(self._recorder, self._settings.name, item[-1])
        if ok:
            worker.done += 1
        else:
            worker.failed += 1
        ok = ok and held.refusal is None
        self._took.record(seconds)
        instructions = self.scheduler.finished(worker.id, number, seconds, ok=ok)
        if alive:
            now = self._loop.time()
            queued = max(0.0, now - call.submitted - seconds)
            self.waited.record(queued)
            if now >= self._breaker.turn:
                self._breaker.told(now, self.scheduler.counts.ended)
            if call.watched:
                self.resilience.answered(call, seconds)
            if call.span.sampled:
                call.span.set(semconv.CITADEL_QUEUED_MS, round(queued * 1e3, 3))
                call.span.set(semconv.CITADEL_WORKER, worker.id)
            if ok:
                self._succeed(call, value, worker.id, queued, seconds)
            else:
                self.fail(call, held.refusal or error_of(item, call.name, worker.id))
        self.act(instructions)
        self._settle(worker)

    def _large(self, worker: Worker, value: Any, call: Command | None) -> bytes | Parcel:
        """A result as its caller takes it; in the worker's slab, when nobody waits, nothing."""
        if isinstance(value, bytes):
            return Parcel.of(value)
        if call is None:
            self._memory.discard(worker, value)
            return b""
        parts = call.command.parts
        return self._memory.taken(worker, value, call, parts=parts)

    def dropped(self, worker: Worker, item: list[Any]) -> None:
        """Takes [DROPPED, number]: cancelled, or past its deadline, before the worker began it."""
        held = self.scheduler.holds(worker.id, item[1])
        call = (held.of or held) if held else None
        if call is not None and call.number in self.scheduler.calls:
            self._late(call, runs=self.runs(call))
        self.act(self.scheduler.dropped(worker.id, item[1]))
        self._settle(worker)

    def returned(self, worker: Worker, item: list[Any]) -> None:
        """Takes [RETURNED, [number, ...]]: not begun, for other workers."""
        self.act(self.scheduler.returned(worker.id, item[1]))

    def lost(self, worker: Worker, *, guilty: bool) -> None:
        """A worker's process has ended: what it ran is lost, what it had beside goes elsewhere.

        What it ran is not guilty of that when somebody killed it.
        """
        seat = self.scheduler.seats.get(worker.id)
        running = worker.running
        held = seat.calls if seat else {}
        names = ", ".join(held[number].name for number in running if number in held)
        error = worker.lost(names)
        # A number that was never given was not written by the worker's loop.
        ran = running if max(running, default=0) <= self.newest else None
        again: dict[int, float] = {}
        for number in ran or ():
            call = cast("Command | None", held.get(number))
            owner = cast("Command", call.of or call) if call else None
            if owner is None or owner.number not in self.scheduler.calls:
                continue
            seconds = self.resilience.lost(
                owner,
                self._memory.given(owner.placed) if owner.placed else (owner.command.arguments,),
                error.message,
                self._loop.time(),
                guilty=guilty,
            )
            if seconds is not None and owner.about is None:
                again[number] = seconds
        self.act(self.scheduler.remove_worker(worker.id, error, ran=ran, again=again))
        self.sessions_changed()

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
        """What there is to do, for the pool's own size; while it is paused there is nothing."""
        oldest = None if self.scheduler.paused else self.scheduler.room.oldest()
        waits = self._loop.time() - cast("Command", oldest).submitted if oldest else 0.0
        return Load(
            queued=self.scheduler.queued if oldest else 0,
            wait_seconds=waits,
            busy=sum(bool(seat.calls) for seat in self.scheduler.seats.values()),
        )

    # ── ends ─────────────────────────────────────────────────────────────────────────────────

    def _succeed(
        self, call: Command, value: bytes | Parcel, worker: str, queued: float, seconds: float
    ) -> None:
        self._forget(call)
        call.span.end()
        self._ended["done"].add()
        if call.future.done():
            return
        told: dict[str, Any] = {
            "id": call.name,
            "worker": worker,
            "queued_seconds": queued,
            "run_seconds": seconds,
            "trace_id": call.span.trace_id.to_bytes(16, "big").hex(),
            "sampled": call.span.sampled,
        }
        if call.command.parts:
            call.future.set_result(PoolResult(**told, parcel=cast("Parcel", value)))
        else:
            whole = value if isinstance(value, bytes) else value.joined()
            call.future.set_result(CommandResult(**told, value=whole))

    def fail(self, call: Command, error: CitadelError) -> None:
        """Ends a command with an error."""
        self._forget(call)
        self.resilience.over(call)
        if call.worker:
            call.span.set(semconv.CITADEL_WORKER, call.worker)
        call.span.error(error)
        call.span.end()
        if not call.future.done():
            call.future.set_exception(error)
        outcome = "failed"
        if isinstance(error, Cancelled | Shed):
            outcome = "cancelled" if isinstance(error, Cancelled) else "shed"
        self._ended[outcome].add()
        cancelled = outcome == "cancelled"
        self._recorder.event(
            "command.cancelled" if cancelled else "command.failed",
            subject=call.name,
            severity="info" if cancelled else "warning",
            message=str(error),
            context=call.span,
            tool=call.tool,
            error=type(error).__name__,
        )

    def _forget(self, call: Command) -> None:
        if call.slow is not None:
            call.slow.cancel()
        if call.session is not None:
            self.sessions_changed()
        del self.by_id[call.name]
        if call.placed is not None:
            self._memory.ended(call.placed, call.name, call.tool)
        if not self.by_id:
            self.idle.set()


def _priority(command: PoolCommand) -> int:
    """Its own, or that of its mission's class, which may be its parent's."""
    if command.priority is not None:
        return PRIORITIES.index(command.priority)
    given = command.mission_class
    if not given and isinstance(command.parent, Span):
        given = command.parent.mission_class
    return PRIORITY_OF_CLASS.get(given, NORMAL)

"""Carries out what the scheduler says: gives commands to workers, recalls them, tries them again.

Loop thread only. The half of `commands` that looks at workers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from citadel import semconv
from citadel.errors import CitadelError
from citadel.wire.messages import CommandResult
from engine.pool import frames
from engine.pool.crew import Crew
from engine.pool.memory import Memory, Placed
from engine.pool.resilience import Resilience
from engine.pool.scheduler import Again, Call, Fail, Instruction, Recall, Scheduler, Send
from engine.pool.settings import PoolCommand, PoolSettings
from engine.pool.worker import Worker
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder, Span

HEDGE_SECONDS = 0.005
"""How soon a command is looked at again that could have no second copy yet."""


@dataclass(slots=True, kw_only=True, eq=False)
class Command(Call):
    """A command with its caller's side."""

    command: PoolCommand
    future: asyncio.Future[CommandResult]
    span: Span
    submitted: float
    about: Mapping[str, Any] | None = None
    """What its frame says beside; such a command has a stream and is never run twice."""
    placed: Placed | None = None
    """Its arguments, when they are large."""
    slow: asyncio.TimerHandle | None = None
    """Runs a second copy."""


class Delivery:
    """What becomes of the scheduler's instructions."""

    def __init__(
        self,
        settings: PoolSettings,
        recorder: Recorder,
        crew: Crew,
        memory: Memory,
        hub: LiveHub,
        changed: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.scheduler = Scheduler(
            settings.name,
            settings.queue_limit,
            queue=settings.queue,
            sessions=settings.sessions,
            clock=self._loop.time,
        )
        self.resilience = Resilience(settings, recorder, hub, self.scheduler.counts)
        self.newest = 0
        """The last number given: a higher one was not written by a worker's loop."""
        self._settings = settings
        self._recorder = recorder
        self._crew = crew
        self._memory = memory
        self._changed = changed

    def fail(self, call: Command, error: CitadelError) -> None:
        """Ends a command with an error."""
        raise NotImplementedError

    def act(self, instructions: list[Instruction]) -> None:
        """Carries out instructions, in their order."""
        self._changed()
        for instruction in instructions:
            if isinstance(instruction, Send):
                call = cast("Command", instruction.call)
                self._give(call, self._crew.workers[call.worker])
            elif isinstance(instruction, Recall):
                self._recall(instruction.call, patient=instruction.patient)
            elif isinstance(instruction, Fail):
                self.fail(cast("Command", instruction.call), instruction.error)
            elif isinstance(instruction, Again):
                self._again(cast("Command", instruction.call), instruction.seconds)
            else:
                worker = self._crew.workers.get(instruction.worker)
                if worker is not None:
                    worker.send([frames.SESSION_END, instruction.key])

    def _give(self, call: Command, worker: Worker) -> None:
        command, span = call.command, call.span
        about: dict[str, Any] | None = None
        if span.sampled:
            trace = _packed(span)
            mission = [span.mission, span.mission_class, span.sentinel]
            about = {frames.TRACE: trace, frames.MISSION: mission}
        if call.session is not None or call.about is not None:
            about = {**(about or {}), **(call.about or {}), **_of_session(call, worker)}
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
        if call.watched and call.slow is None:
            self._watch(call)

    def _watch(self, call: Command) -> None:
        """A second copy is to run when this one is slow."""
        seconds = self.resilience.attempts.slow_after(call.tool)
        if seconds is not None and call.of is None and call.about is None and call.session is None:
            call.slow = self._loop.call_later(seconds, self._hedge, call)

    def _hedge(self, call: Command) -> None:
        if call.number not in self.scheduler.calls:
            return
        twin = replace(call, number=self.newest + 1, worker="", expected=0.0, probe=False)
        instructions = self.scheduler.hedge(call, twin) if self.runs(call) else []
        if not instructions:  # it has not begun, or nobody is idle: perhaps soon
            call.slow = self._loop.call_later(HEDGE_SECONDS, self._hedge, call)
            return
        self.newest += 1
        self._recorder.count("citadel.command.attempts", pool=self._settings.name, kind="hedge")
        self._tell("command.hedged", call, f"{call.tool} is slow: a second copy runs")
        self.act(instructions)

    def _again(self, call: Command, seconds: float) -> None:
        self._recorder.count("citadel.command.attempts", pool=self._settings.name, kind="retry")
        call.span.set(semconv.CITADEL_ATTEMPT, call.attempts)
        self._tell("command.retried", call, f"attempt {call.attempts} in {seconds:.3f} s")
        self._loop.call_later(seconds, lambda: self.act(self.scheduler.resume(call.number)))

    def _recall(self, call: Call, *, patient: bool) -> None:
        worker = self._crew.workers.get(call.worker)
        if worker is not None:
            worker.send([frames.CANCEL, call.number])
            due = self._loop.time() + self._settings.grace_seconds
            due = max(due, call.deadline) if patient else due
            self._loop.call_at(due, self._insist, call, worker)

    def _insist(self, call: Call, worker: Worker, before: tuple[int, ...] = ()) -> None:
        """Kills a worker that does not stop a command; one that hangs between commands too."""
        seat = self.scheduler.seats.get(worker.id)
        if seat is None or self.scheduler.holds(worker.id, call.number) is not call:
            return
        running = worker.running
        # A hook of the adapter, run between commands, may take as long as its setup.
        seconds = self._settings.start_timeout_seconds
        if call.number in running:
            grace = self._settings.grace_seconds
            worker.kill(f"it did not stop command {call.name} within {grace:g} s")
        elif running == before and not any(number in seat.calls for number in running):
            worker.kill(f"it hangs: it began nothing for {seconds:g} s")
        else:
            self._loop.call_later(seconds, self._insist, call, worker, running)

    def runs(self, call: Call) -> bool:
        """Whether its worker has begun it and not answered."""
        for each in (call, call.copy):
            worker = self._crew.workers.get(each.worker) if each else None
            if each is not None and worker is not None and worker.runs(each.number):
                return True
        return False

    def _tell(self, event: str, call: Command, message: str) -> None:
        self._recorder.event(
            event, subject=call.name, message=message, context=call.span, tool=call.tool
        )


def _packed(span: Span) -> bytes:
    """Where a recorded span is, as a worker takes it."""
    context = span.outward()
    ids = context.trace_id << 72 | context.span_id << 8 | context.sampled
    return ids.to_bytes(25, "big") + context.trace_state.encode()


def _of_session(call: Call, worker: Worker) -> dict[str, Any]:
    """What a frame says of a command's session."""
    if call.session is None:
        return {}
    variables = call.session.news_for(worker.id)
    about: dict[str, Any] = {frames.SESSION: call.session.key}
    if variables is not None:
        about[frames.VALUES] = variables
    return about

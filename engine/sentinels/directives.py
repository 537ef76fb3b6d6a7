"""Performs what behaviours return: commands on pools, guarded questions to models, signals.

What came of a command or a question returns to the Sentinel as a signal. Everything performed holds
the turn that caused it, so that the turn's span covers it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import msgpack

from citadel import semconv
from citadel.behaviour import (
    ASK_DONE,
    ASK_FAILED,
    COMMAND_DONE,
    COMMAND_FAILED,
    Ask,
    Directive,
    Emit,
    Fail,
    Finish,
    RunCommand,
    Schedule,
    Signal,
    Spawn,
    Stop,
)
from citadel.errors import CitadelError, InvalidRequest
from citadel.wire.messages import CommandResult
from engine.guards.chain import Chain
from engine.guards.contract import GuardRequest
from engine.pool.settings import PoolCommand
from engine.providers.chat import ChatRequest
from engine.providers.providers import Providers
from engine.sentinels.sentinel import Sentinel
from engine.sentinels.unit import Unit
from engine.telemetry.recorder import Recorder

if TYPE_CHECKING:
    from engine.sentinels.runtime import SentinelRuntime

MAX_OUTSTANDING = 1_000
"""Commands, questions and timers that one Sentinel may wait for."""


class CommandRunner(Protocol):
    """What runs commands: the pools."""

    def submit(self, command: PoolCommand) -> Coroutine[Any, Any, CommandResult]:
        """Runs a command to its end."""
        ...


@dataclass(frozen=True, slots=True)
class Work:
    """The turn that caused something, and the unit of work that it is part of."""

    turn: Unit
    unit: Unit | None


class Performer:
    """Knows the pools, the guards and the providers."""

    def __init__(
        self, recorder: Recorder, pools: CommandRunner, chain: Chain, providers: Providers
    ) -> None:
        self._recorder = recorder
        self._pools = pools
        self._chain = chain
        self._providers = providers
        self._numbers = itertools.count(1)

    def perform(
        self,
        runtime: SentinelRuntime,
        sentinel: Sentinel,
        directives: Sequence[Directive],
        work: Work,
    ) -> None:
        """Performs the directives of one turn, in order.

        Raises:
            CitadelError: a signal could not be delivered, or too much is outstanding.
        """
        for directive in directives:
            match directive:
                case RunCommand():
                    self._begin(runtime, sentinel, self._command(sentinel, directive, work), work)
                case Ask():
                    self._begin(runtime, sentinel, self._ask(sentinel, directive, work), work)
                case Schedule():
                    self._begin(runtime, sentinel, _wait(directive), work, outlives=True)
                case Emit():
                    self._emit(runtime, sentinel, directive, work)
                case Spawn():
                    runtime.spawn(
                        directive.behaviour,
                        sentinel_id=directive.id,
                        options=directive.options,
                        mission_id=sentinel.mission_id,
                        mission=sentinel.mission,
                        mission_class=sentinel.mission_class,
                    )
                case Stop(id=target):
                    if target and target != sentinel.id:
                        runtime.stop(target, f"stopped by {sentinel.id}")
                    else:
                        runtime.end(sentinel, "it stopped itself")
                case Finish(result=result):
                    if sentinel.mission_id:
                        done = Signal(type="sentinel.finished", data=result, source=sentinel.id)
                        runtime.send(sentinel.mission_id, done, work.unit)
                    runtime.end(sentinel, "it finished")
                case Fail(message=message):
                    runtime.fail(sentinel, message)

    def _begin(
        self,
        runtime: SentinelRuntime,
        sentinel: Sentinel,
        answer: Any,
        work: Work,
        *,
        outlives: bool = False,
    ) -> None:
        """Waits for an answer beside the turn; a timer holds the unit, but not the turn."""
        if sentinel.waiting_for >= MAX_OUTSTANDING:
            answer.close()
            raise InvalidRequest(
                f"Sentinel {sentinel.id} waits for {MAX_OUTSTANDING} answers already",
                subject=sentinel.id,
            )
        sentinel.waiting_for += 1
        holder = work.unit if outlives else work.turn
        if holder:
            holder.hold()
        delivery = self._deliver(runtime, sentinel, answer, work.unit, holder)
        runtime.spawn_task(delivery, f"{sentinel.id} waits")

    async def _deliver(
        self,
        runtime: SentinelRuntime,
        sentinel: Sentinel,
        answer: Any,
        unit: Unit | None,
        holder: Unit | None,
    ) -> None:
        signal: Signal | None = None
        try:
            signal = await answer
        except Exception as error:  # noqa: BLE001 - one answer's fault is not the others'
            self._recorder.count("citadel.incidents", where="sentinel")
            self._recorder.event(
                "engine.incident",
                subject=sentinel.id,
                severity="error",
                message=f"{type(error).__name__}: {error}",
                mission=sentinel.mission,
            )
        finally:
            sentinel.waiting_for -= 1
            if signal and not sentinel.ended:
                self._return(runtime, sentinel, signal, unit)
            if holder:
                holder.release()
            runtime.settle(sentinel)

    def _return(
        self, runtime: SentinelRuntime, sentinel: Sentinel, signal: Signal, unit: Unit | None
    ) -> None:
        try:
            runtime.send(sentinel.id, signal, unit)
        except CitadelError as error:
            name = sentinel.behaviour.name
            self._recorder.count("citadel.signal.dropped", behaviour=name, cause="refused")
            self._recorder.event(
                "signal.dropped",
                subject=sentinel.id,
                severity="error",
                message=f"{signal.type}: {error}",
                mission=sentinel.mission,
            )

    async def _command(self, sentinel: Sentinel, directive: RunCommand, work: Work) -> Signal:
        command = PoolCommand(
            id=f"d{next(self._numbers)}-{sentinel.since_ns & 0xFFFFFF:x}",
            pool=directive.pool,
            tool=directive.tool,
            arguments=msgpack.packb(dict(directive.arguments)) or b"",
            deadline_seconds=directive.deadline_seconds,
            parent=work.turn.span,
        )
        try:
            result = await self._pools.submit(command)
        except CitadelError as error:
            return _failed(COMMAND_FAILED, directive.tag, error, work)
        value = msgpack.unpackb(result.value)
        data = {"tag": directive.tag, "value": value, "tool": directive.tool}
        return Signal(type=COMMAND_DONE, data=data, source=directive.pool)

    async def _ask(self, sentinel: Sentinel, directive: Ask, work: Work) -> Signal:
        """Prompt → guards → provider → guards → answer."""
        span = work.turn.span
        about: dict[str, Any] = {
            "mission": sentinel.mission,
            "mission_class": sentinel.mission_class,
            "sentinel": sentinel.id,
            "parent": span,
            "system_prompt": directive.system,
        }
        try:
            prompt = await self._chain.passed(GuardRequest(text=directive.prompt, **about))
            request = ChatRequest(
                prompt=prompt, system=directive.system, max_tokens=directive.max_tokens
            )
            reply = await self._providers.chat(request, span)
            answer = GuardRequest(text=reply.text, channel="output", **about)
            text = await self._chain.passed(answer)
        except CitadelError as error:
            return _failed(ASK_FAILED, directive.tag, error, work)
        data = {
            "tag": directive.tag,
            "text": text,
            "model": reply.model,
            "simulated": reply.simulated,
        }
        return Signal(type=ASK_DONE, data=data, source=reply.model)

    def _emit(
        self, runtime: SentinelRuntime, sentinel: Sentinel, directive: Emit, work: Work
    ) -> None:
        signal = Signal(
            type=directive.type,
            data=directive.data,
            subject=directive.subject,
            source=sentinel.id,
        )
        if not directive.unit:
            runtime.send(directive.to, signal, work.unit)
            return
        unit = self._new_unit(runtime, sentinel, directive, work)
        unit.hold()
        try:
            runtime.send(directive.to, signal, unit)
        finally:
            unit.release()

    def _new_unit(
        self, runtime: SentinelRuntime, sentinel: Sentinel, directive: Emit, work: Work
    ) -> Unit:
        span = self._recorder.span(
            directive.unit,
            root=True,
            source="engine",
            service=sentinel.mission_id or sentinel.id,
            mission=sentinel.mission,
            mission_class=sentinel.mission_class,
            attributes={semconv.CITADEL_UNIT: directive.subject},
            links=(work.turn.span.context,),
        )

        def ended(unit: Unit) -> None:
            data: Mapping[str, Any] = {"failed": unit.failed}
            told = Signal(type="unit.done", data=data, subject=unit.key, source=directive.to)
            if sentinel.mission_id and runtime.has(sentinel.mission_id):
                runtime.send(sentinel.mission_id, told)

        return Unit(span, directive.subject, ended)


def _failed(kind: str, tag: str, error: CitadelError, work: Work) -> Signal:
    work.turn.span.error(error)
    data = {"tag": tag, "error": type(error).__name__, "message": str(error)}
    return Signal(type=kind, data=data)


async def _wait(directive: Schedule) -> Signal:
    await asyncio.sleep(directive.seconds)
    return Signal(type=directive.type, data=directive.data, source="timer")

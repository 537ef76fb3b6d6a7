"""The runtime: a task a Sentinel, directives performed, failures supervised. Loop thread only.

A turn is one signal handled: a span that lasts until the commands and questions that it caused have
answered. Turns of one Sentinel begin one after the other; what they caused runs beside them.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any

from citadel import semconv
from citadel.behaviour import Behaviour, Context, Directive, Signal
from citadel.errors import InvalidRequest, NotFound
from citadel.vocabulary import GONE, SentinelState
from citadel.wire.messages import SentinelDetail, SentinelStatus
from engine.sentinels.directives import Performer, Work
from engine.sentinels.sentinel import Letter, Sentinel
from engine.sentinels.supervisor import Quarantine, RestartPolicy, on_failure
from engine.sentinels.unit import Unit
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder

MAX_SENTINELS = 10_000
SLOW_SECONDS = 0.05
"""A behaviour that takes longer holds the whole engine's loop, and is named."""
FORGET_SECONDS = 60.0
"""A stopped Sentinel is shown this long."""
PUBLISH_SECONDS = 0.1

Sink = Callable[[Signal, Unit | None], None]


class SentinelRuntime:
    """All Sentinels of an engine."""

    def __init__(
        self,
        behaviours: Mapping[str, Callable[[], Behaviour[Any]]],
        recorder: Recorder,
        hub: LiveHub,
        performer: Performer,
        policy: RestartPolicy | None = None,
    ) -> None:
        self._behaviours = dict(behaviours)
        self._recorder = recorder
        self._hub = hub
        self._performer = performer
        self._policy = policy or RestartPolicy()
        self._sentinels: dict[str, Sentinel] = {}
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._sinks: dict[str, Sink] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._started = asyncio.Event()
        self._numbers = itertools.count(1)
        self._changed: dict[str, Sentinel] = {}
        self._random = random.Random()  # noqa: S311 - jitter is no secret

    async def run(self) -> None:
        """Runs Sentinels until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                self._started.set()
                while True:
                    await asyncio.sleep(PUBLISH_SECONDS)
                    self._publish()
        finally:
            self._tasks = None
            self._publish()

    async def started(self) -> None:
        """Returns once Sentinels can be spawned."""
        await self._started.wait()

    # ── what others ask ──────────────────────────────────────────────────────────────────────

    @property
    def behaviours(self) -> tuple[str, ...]:
        """The names that `spawn` knows."""
        return tuple(self._behaviours)

    def list(self, mission_id: str = "") -> tuple[SentinelStatus, ...]:
        """Every Sentinel, or those of a mission."""
        return tuple(
            sentinel.status()
            for sentinel in self._sentinels.values()
            if not mission_id or sentinel.mission_id == mission_id
        )

    def inspect(self, sentinel_id: str) -> SentinelDetail:
        """Its state and its last transitions."""
        sentinel = self._known(sentinel_id)
        return SentinelDetail(
            status=sentinel.status(),
            state_json=sentinel.state_json(),
            history=tuple(json.dumps(each) for each in sentinel.history),
        )

    def spawn(
        self,
        behaviour: str,
        *,
        sentinel_id: str = "",
        options: Mapping[str, Any] | None = None,
        mission_id: str = "",
        mission: str = "",
        mission_class: str = "",
    ) -> SentinelStatus:
        """Starts a Sentinel.

        Raises:
            NotFound: there is no such behaviour.
            InvalidRequest: the id is taken, the options make no sense, or there are too many.
        """
        make = self._behaviour(behaviour)
        sentinel_id = sentinel_id or f"{behaviour}-{next(self._numbers)}"
        known = self._sentinels.get(sentinel_id)
        if known is not None and not known.ended:
            raise InvalidRequest(f"there is a Sentinel {sentinel_id} already", subject=sentinel_id)
        if len(self._sentinels) >= MAX_SENTINELS or self._tasks is None:
            raise InvalidRequest(
                f"there are {len(self._sentinels)} Sentinels, at most {MAX_SENTINELS}"
                if self._tasks
                else "the engine is stopping",
                subject=sentinel_id,
            )
        try:
            sentinel = Sentinel(
                sentinel_id,
                make(),
                dict(options or {}),
                mission_id=mission_id,
                mission=mission,
                mission_class=mission_class,
            )
        except (ValueError, TypeError, KeyError) as error:
            what = f"option {error} is missing" if isinstance(error, KeyError) else str(error)
            raise InvalidRequest(
                f"behaviour {behaviour} refuses its options: {what}", subject=behaviour
            ) from error
        self._sentinels[sentinel_id] = sentinel
        self._recorder.event(
            "sentinel.spawned", subject=sentinel_id, mission=mission, behaviour=behaviour
        )
        self._start(sentinel)
        return sentinel.status()

    def stop(self, sentinel_id: str, cause: str = "stopped by an operator") -> SentinelStatus:
        """Ends a Sentinel: its signals are dropped, what it had begun runs to its end."""
        sentinel = self._known(sentinel_id)
        if not sentinel.ended:
            self.end(sentinel, cause)
        return sentinel.status()

    def restart(self, sentinel_id: str) -> SentinelStatus:
        """Starts it with a clean count and its last state: the way out of quarantine."""
        sentinel = self._known(sentinel_id)
        if (run := self._runs.pop(sentinel_id, None)) is not None:
            run.cancel()
        sentinel.restart_times = ()
        self._to(sentinel, "restarting", "by an operator")
        self._start(sentinel)
        return sentinel.status()

    def send(self, to: str, signal: Signal, unit: Unit | None = None) -> int:
        """Puts a signal into a mailbox; how many wait there.

        Raises:
            NotFound: nobody has that address, or it has ended.
            QueueFull: the mailbox is full.
        """
        signal = replace(
            signal,
            id=signal.id or f"s{next(self._numbers)}",
            time_ns=signal.time_ns or self._recorder.clock(),
        )
        if (sink := self._sinks.get(to)) is not None:
            sink(signal, unit)
            return 0
        sentinel = self._known(to)
        if sentinel.ended:
            raise NotFound(
                f"Sentinel {to} is {sentinel.state}: {sentinel.cause}",
                subject=to,
                remedy=f"Start it again: citadel sentinel restart {to}",
            )
        depth = sentinel.put(Letter(signal, unit))
        self._changed[to] = sentinel
        return depth

    def has(self, address: str) -> bool:
        """Whether somebody is there."""
        return address in self._sinks or address in self._sentinels

    def add_sink(self, address: str, sink: Sink) -> None:
        """An address that is no Sentinel: a mission that collects results."""
        self._sinks[address] = sink

    def forget(self, mission_id: str) -> None:
        """Stops the Sentinels of a mission that ended, and takes their addresses away."""
        self._sinks.pop(mission_id, None)
        for sentinel in list(self._sentinels.values()):
            if sentinel.mission_id == mission_id and not sentinel.ended:
                self.end(sentinel, "its mission ended")

    # ── running ──────────────────────────────────────────────────────────────────────────────

    def _start(self, sentinel: Sentinel, wait: float = 0.0) -> None:
        assert self._tasks is not None
        self._runs[sentinel.id] = self._tasks.create_task(
            self._serve(sentinel, wait), name=f"sentinel {sentinel.id}"
        )

    async def _serve(self, sentinel: Sentinel, wait: float) -> None:
        try:
            await asyncio.sleep(wait)
            self._to(sentinel, "waiting" if sentinel.waiting_for else "idle")
            while not sentinel.ended:
                letter = await sentinel.take()
                try:
                    self._turn(sentinel, letter)
                finally:
                    if letter.unit:
                        letter.unit.release()
                self.settle(sentinel)
                if sentinel.mailbox:
                    await asyncio.sleep(0)  # others have a turn too
        except _Failed as failure:
            self.fail(sentinel, str(failure))

    def _turn(self, sentinel: Sentinel, letter: Letter) -> None:
        """Handles one signal; what it causes holds the turn's span, and the unit's."""
        signal, unit = letter.signal, letter.unit
        self._to(sentinel, "working")
        span = self._recorder.span(
            f"{sentinel.behaviour.name} {signal.type}",
            parent=unit.span if unit else None,
            source="sentinel",
            service=sentinel.id,
            sentinel=sentinel.id,
            mission=sentinel.mission,
            mission_class=sentinel.mission_class,
            attributes={
                semconv.GEN_AI_OPERATION_NAME: semconv.INVOKE_AGENT,
                semconv.GEN_AI_AGENT_NAME: sentinel.behaviour.name,
                semconv.GEN_AI_AGENT_ID: sentinel.id,
                semconv.CITADEL_SIGNAL_ID: signal.id,
                semconv.CITADEL_SIGNAL_TYPE: signal.type,
            },
        )
        turn = Unit(span, on_end=lambda _: unit.release() if unit else None).hold()
        if unit:
            unit.hold()
        began = time.perf_counter()
        outcome = "failed"
        try:
            directives = self._handle(sentinel, signal)
            outcome = "handled"
            self._performer.perform(self, sentinel, directives, Work(turn, unit))
        except Exception as error:
            span.error(error)
            if unit:
                unit.failed = True
            raise _Failed(f"{signal.type}: {type(error).__name__}: {error}") from error
        finally:
            sentinel.handled += 1
            turn.release()
            self._measure(sentinel, signal, outcome, time.perf_counter() - began)

    def _handle(self, sentinel: Sentinel, signal: Signal) -> Sequence[Directive]:
        context = Context(
            sentinel=sentinel.id, mission=sentinel.mission, now_ns=self._recorder.clock()
        )
        answer: Any = sentinel.behaviour.handle(sentinel.data, signal, context)
        if not isinstance(answer, tuple) or len(answer) != 2:  # pyright: ignore[reportUnknownArgumentType]
            raise TypeError(f"handle returned {type(answer).__name__}, not (state, directives)")
        state, directives = answer
        for directive in directives:
            if not isinstance(directive, Directive):
                raise TypeError(f"handle returned {directive!r}, which is no directive")
        sentinel.data = state
        return directives

    def settle(self, sentinel: Sentinel) -> None:
        """Says what a Sentinel does when it handles nothing: waits for answers, or idles."""
        if sentinel.state in ("working", "idle", "waiting"):
            self._to(sentinel, "waiting" if sentinel.waiting_for else "idle")

    def _measure(self, sentinel: Sentinel, signal: Signal, outcome: str, seconds: float) -> None:
        name = sentinel.behaviour.name
        self._recorder.observe("citadel.sentinel.handle", seconds, name)
        self._recorder.count("citadel.sentinel.signals", behaviour=name, outcome=outcome)
        if seconds > SLOW_SECONDS:
            what = f"handling {signal.type} held the engine for {seconds * 1e3:.0f} ms"
            self._tell("sentinel.slow", "warning", sentinel, what)

    # ── endings ──────────────────────────────────────────────────────────────────────────────

    def fail(self, sentinel: Sentinel, what: str) -> None:
        """A Sentinel cannot go on: restart it after a wait, or quarantine it."""
        self._tell("sentinel.failed", "error", sentinel, what)
        now = time.monotonic()
        sentinel.restart_times, decision = on_failure(
            self._policy, sentinel.restart_times, now, self._random.random(), what
        )
        if (
            run := self._runs.pop(sentinel.id, None)
        ) is not None and run is not asyncio.current_task():
            run.cancel()
        if isinstance(decision, Quarantine):
            self._tell("sentinel.quarantined", "error", sentinel, decision.reason)
            self._to(sentinel, "quarantined", decision.reason)
            if sink := self._sinks.get(sentinel.mission_id):
                data = {"sentinel": sentinel.id, "reason": decision.reason}
                sink(Signal(type="sentinel.quarantined", data=data, source=sentinel.id), None)
            return
        sentinel.restarts += 1
        self._recorder.count("citadel.sentinel.restarts", behaviour=sentinel.behaviour.name)
        wait = f"in {decision.wait_seconds:.2f} s"
        self._tell("sentinel.restarting", "warning", sentinel, wait)
        self._to(sentinel, "restarting", what)
        if self._tasks is not None:
            self._start(sentinel, decision.wait_seconds)

    def end(self, sentinel: Sentinel, cause: str) -> None:
        """A Sentinel ends for good."""
        if sentinel.ended and sentinel.state != "quarantined":
            return
        run = self._runs.pop(sentinel.id, None)
        if run is not None and run is not asyncio.current_task():
            run.cancel()
        if dropped := sentinel.empty():
            what = f"{dropped} signals were still waiting"
            name = sentinel.behaviour.name
            self._recorder.count("citadel.signal.dropped", dropped, behaviour=name, cause="stopped")
            self._tell("signal.dropped", "warning", sentinel, what)
        self._tell("sentinel.stopped", "info", sentinel, cause)
        self._to(sentinel, "stopped", cause)

    def spawn_task(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Runs what a directive asks for, beside the turn."""
        assert self._tasks is not None
        return self._tasks.create_task(work, name=name)

    def _tell(self, name: str, severity: str, sentinel: Sentinel, message: str) -> None:
        self._recorder.event(
            name,
            subject=sentinel.id,
            severity=severity,
            message=message,
            mission=sentinel.mission,
            context=None,
        )

    def _to(self, sentinel: Sentinel, state: SentinelState, cause: str = "") -> None:
        if sentinel.to(state, cause):
            self._changed[sentinel.id] = sentinel
            if state not in ("working", "idle", "waiting"):
                self._publish()

    def _publish(self) -> None:
        """Publishes what changed; Sentinels that stopped a while ago are no longer shown."""
        changed, self._changed = self._changed, {}
        self._hub.publish_many("sentinel", (each.row() for each in changed.values()))
        old = time.time_ns() - int(FORGET_SECONDS * 1e9)
        for sentinel in list(self._sentinels.values()):
            if sentinel.state == "stopped" and sentinel.since_ns < old:
                del self._sentinels[sentinel.id]
                self._hub.publish("sentinel", sentinel.row(GONE))

    def _behaviour(self, name: str) -> Callable[[], Behaviour[Any]]:
        if name not in self._behaviours:
            raise NotFound(
                f"there is no behaviour {name!r}",
                subject=name,
                remedy=f"Behaviours are {', '.join(self._behaviours)}",
            )
        return self._behaviours[name]

    def _known(self, sentinel_id: str) -> Sentinel:
        if sentinel_id not in self._sentinels:
            raise NotFound(
                f"there is no Sentinel {sentinel_id!r}",
                subject=sentinel_id,
                remedy="List them: citadel sentinel list",
            )
        return self._sentinels[sentinel_id]


class _Failed(Exception):
    """A turn failed; never leaves this file."""

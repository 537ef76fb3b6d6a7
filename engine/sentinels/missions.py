"""Missions: started, watched, paced, cancelled; what they found is kept. Loop thread only.

A kind of mission is a class that plans Sentinels and collects what they find: not known here.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from pydantic import BaseModel, ValidationError

from citadel import semconv
from citadel.behaviour import Signal
from citadel.errors import BadArguments, CitadelError, Conflict, NotFound, UnknownMission
from citadel.trace import SpanContext
from citadel.vocabulary import MISSION_CLASSES, MissionState
from citadel.wire.messages import (
    ColumnBatch,
    MissionKind,
    MissionResult,
    MissionStatus,
    StartMissionRequest,
)
from engine.sentinels.mission_status import mission_row
from engine.sentinels.runtime import SentinelRuntime
from engine.sentinels.unit import Unit
from engine.storage.store import OperationalStore
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder, Span

RESULTS_KEPT = 20
"""Ended missions whose table of results is kept; the status of more is remembered."""
PUBLISH_SECONDS = 0.2


class Mission(Protocol):
    """One running mission of some kind."""

    async def check(self) -> None:
        """Looks whether it can run at all, before anything is started.

        Raises:
            CitadelError: it cannot, and why.
        """

    def begin(self) -> None:
        """Spawns its Sentinels and sends the first signal."""

    def receive(self, signal: Signal, unit: Unit | None) -> None:
        """Takes what its Sentinels found."""

    def set_rate(self, rate: float) -> None:
        """Paces it."""

    def table(self) -> ColumnBatch:
        """What it found so far."""
        ...


class Kind(Protocol):
    """A kind of mission."""

    name: str
    description: str
    parameters: type[BaseModel]
    mission_class: str

    def __call__(self, run: MissionRun, parameters: Any) -> Mission:
        """Makes one."""
        ...


class MissionRun:
    """What a mission has to do with: its status, its span, the runtime."""

    def __init__(
        self,
        status: MissionStatus,
        span: Span,
        runtime: SentinelRuntime,
        recorder: Recorder,
        on_end: Callable[[MissionRun], None],
    ) -> None:
        self.status = status
        self.runtime = runtime
        self.recorder = recorder
        self.unit = Unit(span, status.id).hold()
        self.mission: Mission | None = None
        self.changed = asyncio.Event()
        self._on_end = on_end

    @property
    def id(self) -> str:
        """The mission's id, which is its address too."""
        return self.status.id

    def update(self, **changes: Any) -> None:
        """Changes the status."""
        self.status = replace(self.status, **changes)
        self.changed.set()

    def count_unit(self, outcome: str) -> None:
        """Counts a unit of work."""
        self.recorder.count("citadel.mission.units", kind=self.status.kind, outcome=outcome)

    def spawn(self, name: str, behaviour: str, options: Mapping[str, Any]) -> str:
        """Starts a Sentinel of this mission; returns its id."""
        status = self.runtime.spawn(
            behaviour,
            sentinel_id=f"{self.id}/{name}",
            options=options,
            mission_id=self.id,
            mission=self.status.name,
            mission_class=self.status.mission_class,
        )
        return status.id

    def send(self, name: str, signal: Signal, unit: Unit | None = None) -> None:
        """Sends a signal to one of its Sentinels, as part of a unit, or the mission's own trace."""
        self.runtime.send(f"{self.id}/{name}", signal, unit or self.unit)

    def new_unit(self, name: str) -> Unit:
        """A part of the mission with a trace of its own; the caller holds it."""
        span = self.recorder.span(
            name,
            root=True,
            source="engine",
            service=self.id,
            mission=self.status.name,
            mission_class=self.status.mission_class,
            links=(self.unit.span.context,),
        )
        return Unit(span, self.id).hold()

    def end(self, state: MissionState, error: str = "") -> None:
        """Ends it, once."""
        if self.status.state != "running":
            return
        if error:
            self.unit.span.error(error)
        self.update(state=state, error=error, ended_unix_nanos=self.recorder.clock())
        self.recorder.count("citadel.missions", kind=self.status.kind, state=state)
        self.recorder.event(
            "mission.ended",
            subject=self.id,
            severity="error" if state == "failed" else "info",
            message=f"{state}{': ' + error if error else ''}",
            mission=self.status.name,
            context=self.unit.span,
        )
        self._on_end(self)
        self.unit.release()


class Missions:
    """All missions of an engine: those that run, and the last ones that ended."""

    def __init__(
        self,
        kinds: Sequence[Kind],
        runtime: SentinelRuntime,
        store: OperationalStore,
        recorder: Recorder,
        hub: LiveHub,
    ) -> None:
        self._kinds = {kind.name: kind for kind in kinds}
        self._runtime = runtime
        self._store = store
        self._recorder = recorder
        self._hub = hub
        self._runs: OrderedDict[str, MissionRun] = OrderedDict()
        self._past: OrderedDict[str, MissionStatus] = OrderedDict()
        self._published: dict[str, MissionStatus] = {}
        self._unsaved: dict[str, MissionStatus] = {}
        self._numbers = itertools.count(1)

    async def load(self) -> None:
        """Remembers earlier missions; those that were running did not survive their engine."""
        for body in await self._store.missions():
            status = MissionStatus(**json.loads(body))
            if status.state == "running":
                status = replace(
                    status,
                    state="failed",
                    error="the engine stopped while it ran",
                    ended_unix_nanos=self._recorder.clock(),
                )
                self._unsaved[status.id] = status
            self._past[status.id] = status
            self._hub.publish("mission", mission_row(status))
        self._numbers = itertools.count(len(self._past) + 1)

    async def run(self) -> None:
        """Publishes and stores what changed, until cancelled."""
        try:
            while True:
                await asyncio.sleep(PUBLISH_SECONDS)
                self._publish()
                await self._save()
        finally:
            for run in self._runs.values():
                run.end("failed", "the engine stopped while it ran")
            self._publish()

    async def close(self) -> None:
        """Stores what is not stored yet."""
        await self._save()

    # ── what others ask ──────────────────────────────────────────────────────────────────────

    def kinds(self) -> tuple[MissionKind, ...]:
        """What there is to start."""
        return tuple(
            MissionKind(
                name=kind.name,
                description=kind.description,
                parameters_schema=json.dumps(kind.parameters.model_json_schema()),
            )
            for kind in self._kinds.values()
        )

    async def start(
        self, request: StartMissionRequest, parent: Span | SpanContext | None = None
    ) -> MissionStatus:
        """Starts a mission; its trace continues the caller's.

        Raises:
            UnknownMission: there is no such kind.
            BadArguments: its parameters do not fit.
            CitadelError: it cannot run: nothing was started.
        """
        kind = self._kinds.get(request.kind)
        if kind is None:
            raise UnknownMission(
                f"there is no kind of mission {request.kind!r}",
                subject=request.kind,
                remedy=f"Kinds are {', '.join(self._kinds)}",
            )
        parameters = _parameters(kind, request.parameters_json)
        mission_class = request.mission_class or kind.mission_class
        if mission_class not in MISSION_CLASSES:
            raise BadArguments(
                f"{mission_class!r} is no class of missions",
                subject="mission_class",
                remedy=f"One of {', '.join(MISSION_CLASSES)}",
            )
        run = self._opened(kind, parameters, request, mission_class, parent)
        run.mission = kind(run, parameters)
        try:
            await run.mission.check()
        except CitadelError as error:
            run.unit.span.error(error)
            run.unit.release()
            raise
        self._runs[run.id] = run
        self._runtime.add_sink(run.id, run.mission.receive)
        self._recorder.event(
            "mission.started",
            subject=run.id,
            mission=run.status.name,
            context=run.unit.span,
            kind=kind.name,
        )
        run.mission.begin()
        self._publish()
        return run.status

    def list(self) -> tuple[MissionStatus, ...]:
        """Newest last."""
        return (*self._past.values(), *(run.status for run in self._runs.values()))

    def get(self, mission_id: str) -> MissionStatus:
        """One mission."""
        if mission_id in self._runs:
            return self._runs[mission_id].status
        if mission_id in self._past:
            return self._past[mission_id]
        raise UnknownMission(
            f"there is no mission {mission_id!r}",
            subject=mission_id,
            remedy="List them: citadel mission list",
        )

    def result(self, mission_id: str) -> MissionResult:
        """What it found, so far or in the end."""
        status = self.get(mission_id)
        run = self._runs.get(mission_id)
        if run is None or run.mission is None:
            raise NotFound(
                f"the results of mission {mission_id} are no longer kept",
                subject=mission_id,
                remedy=f"An engine keeps those of the last {RESULTS_KEPT}, until it stops",
            )
        return MissionResult(status=status, table=run.mission.table())

    def cancel(self, mission_id: str, reason: str = "") -> MissionStatus:
        """Stops its Sentinels; commands that run are cancelled with them."""
        run = self._running(mission_id)
        run.end("cancelled", reason)
        return run.status

    def set_rate(self, mission_id: str, rate: float, revision: int = 0) -> MissionStatus:
        """Paces it: units a second, 0 for as fast as it goes."""
        if not 0 <= rate <= 100_000:
            raise BadArguments(f"a rate of {rate:g} makes no sense", remedy="0 to 100000")
        run = self._running(mission_id)
        if revision not in (0, run.status.revision):
            raise Conflict(
                f"mission {mission_id} is at revision {run.status.revision},"
                f" the change was based on {revision}",
                subject=mission_id,
                details={"current": str(run.status.revision)},
            )
        run.update(rate=rate, revision=run.status.revision + 1)
        if run.mission:
            run.mission.set_rate(rate)
        return run.status

    def _opened(
        self,
        kind: Kind,
        parameters: BaseModel,
        request: StartMissionRequest,
        mission_class: str,
        parent: Span | SpanContext | None,
    ) -> MissionRun:
        """A run with its status and its span, before anything has begun."""
        number = next(self._numbers)
        status = MissionStatus(
            id=f"{kind.name}-{number}",
            kind=kind.name,
            name=request.name or f"{kind.name}-{number}",
            mission_class=mission_class,
            state="running",
            rate=float(getattr(parameters, "rate", 0.0)),
            started_unix_nanos=self._recorder.clock(),
            revision=1,
            parameters_json=parameters.model_dump_json(),
        )
        span = self._recorder.span(
            f"mission {kind.name}",
            parent=parent,
            source="engine",
            service=status.id,
            mission=status.name,
            mission_class=mission_class,
            attributes={semconv.CITADEL_MISSION_ID: status.id},
        )
        status = replace(status, trace_id=span.context.trace_hex)
        return MissionRun(status, span, self._runtime, self._recorder, self._ended)

    def _running(self, mission_id: str) -> MissionRun:
        status = self.get(mission_id)
        if status.state != "running":
            raise NotFound(f"mission {mission_id} is {status.state} already", subject=mission_id)
        return self._runs[mission_id]

    def _ended(self, run: MissionRun) -> None:
        self._runtime.forget(run.id)
        ended = [each for each in self._runs.values() if each.status.state != "running"]
        for old in ended[: max(0, len(ended) - RESULTS_KEPT)]:
            self._past[old.id] = self._runs.pop(old.id).status

    def _publish(self) -> None:
        for run in self._runs.values():
            if self._published.get(run.id) != run.status:
                self._published[run.id] = run.status
                self._unsaved[run.id] = run.status
                self._hub.publish("mission", mission_row(run.status))

    async def _save(self) -> None:
        """Stores what began or ended; progress itself is not worth a write."""
        for mission_id, status in list(self._unsaved.items()):
            del self._unsaved[mission_id]
            before = self._past.get(mission_id)
            if status.state == "running" and before is not None:
                continue
            body = json.dumps({f: getattr(status, f) for f in status.__dataclass_fields__})
            await self._store.save_mission(mission_id, status.started_unix_nanos, body)


def _parameters(kind: Kind, text: str) -> BaseModel:
    try:
        return kind.parameters.model_validate_json(text or "{}")
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, part['loc'])) or 'parameters'}: {part['msg']}"
            for part in error.errors()
        )
        raise BadArguments(
            f"parameters of mission {kind.name} do not fit: {wrong}",
            subject=kind.name,
            remedy="See their schema: citadel mission kinds",
        ) from error

"""Service Missions: what work is grouped under. Loop thread only."""

from __future__ import annotations

from dataclasses import dataclass

from citadel.errors import Conflict, InvalidRequest
from citadel.vocabulary import MISSION_CLASSES
from citadel.wire.messages import (
    CancelMissionRequest,
    Change,
    GetMissionRequest,
    ListMissionsRequest,
    MissionKindList,
    MissionKindsRequest,
    MissionList,
    MissionResult,
    MissionResultRequest,
    MissionStatus,
    SetRateRequest,
    StartMissionRequest,
)
from engine.api.dispatch import Call
from engine.api.trail import Trail
from engine.sentinels.missions import Missions


@dataclass(frozen=True, slots=True, kw_only=True)
class MissionsServicer:
    """Missions' RPCs."""

    missions: Missions
    trail: Trail

    async def kinds(self, request: MissionKindsRequest, call: Call) -> MissionKindList:
        """What missions there are to start."""
        del request, call
        return MissionKindList(kinds=self.missions.kinds())

    async def start(self, request: StartMissionRequest, call: Call) -> MissionStatus:
        """Starts a mission; its trace is the caller's."""
        if request.mission_class not in ("", *MISSION_CLASSES):
            raise InvalidRequest(
                f"{request.mission_class!r} is no mission class",
                subject=request.mission_class,
                remedy=f"Classes are {', '.join(MISSION_CLASSES)}",
            )
        status = await self.missions.start(request, call.span)
        await self.trail.append(
            call,
            "mission.start",
            status.id,
            change=request.change,
            after={"kind": status.kind, "parameters": status.parameters_json},
        )
        return status

    async def list(self, request: ListMissionsRequest, call: Call) -> MissionList:
        """Missions that run, and the last ones that ended."""
        del request, call
        return MissionList(missions=self.missions.list())

    async def get(self, request: GetMissionRequest, call: Call) -> MissionStatus:
        """One mission."""
        del call
        return self.missions.get(request.id)

    async def result(self, request: MissionResultRequest, call: Call) -> MissionResult:
        """Its table of results."""
        del call
        return self.missions.result(request.id)

    async def cancel(self, request: CancelMissionRequest, call: Call) -> MissionStatus:
        """Stops its Sentinels and their commands."""
        before = self._checked(request.id, request.change)
        reason = request.change.reason if request.change else ""
        after = self.missions.cancel(request.id, reason)
        await self.trail.append(
            call,
            "mission.cancel",
            request.id,
            change=request.change,
            before={"state": before.state},
            after={"state": after.state},
        )
        return after

    async def set_rate(self, request: SetRateRequest, call: Call) -> MissionStatus:
        """The rate that a mission aims at."""
        before = self._checked(request.id, request.change)
        after = self.missions.set_rate(request.id, request.rate)
        await self.trail.append(
            call,
            "mission.set_rate",
            request.id,
            change=request.change,
            before={"rate": before.rate},
            after={"rate": after.rate},
        )
        return after

    def _checked(self, mission_id: str, change: Change | None) -> MissionStatus:
        """The mission as it is, when the change was based on that.

        Raises:
            Conflict: it was based on another revision.
        """
        status = self.missions.get(mission_id)
        if change is not None and change.revision not in (0, status.revision):
            raise Conflict(
                f"mission {mission_id} is at revision {status.revision},"
                f" the change was based on {change.revision}",
                subject=mission_id,
                details={"current": str(status.revision)},
            )
        return status

"""Service Sentinels: supervised agents. Loop thread only."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, cast

from citadel.behaviour import Signal
from citadel.errors import InvalidRequest
from citadel.trace import new_span_id
from citadel.wire.messages import (
    Change,
    InspectRequest,
    ListSentinelsRequest,
    RestartRequest,
    SendReply,
    SendRequest,
    SentinelDetail,
    SentinelList,
    SentinelStatus,
    SpawnRequest,
    StopRequest,
)
from engine.api.dispatch import Call
from engine.api.trail import Trail
from engine.sentinels.missions import Missions
from engine.sentinels.runtime import SentinelRuntime
from engine.sentinels.unit import Unit

_ID = re.compile(r"[A-Za-z0-9._/-]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SentinelsServicer:
    """Sentinels' RPCs."""

    runtime: SentinelRuntime
    missions: Missions
    trail: Trail

    async def list(self, request: ListSentinelsRequest, call: Call) -> SentinelList:
        """Every Sentinel, or those of a mission."""
        del call
        return SentinelList(sentinels=self.runtime.list(request.mission_id))

    async def inspect(self, request: InspectRequest, call: Call) -> SentinelDetail:
        """Its state and its last transitions."""
        del call
        return self.runtime.inspect(request.id)

    async def spawn(self, request: SpawnRequest, call: Call) -> SentinelStatus:
        """Starts a Sentinel with a behaviour that the engine knows."""
        _no_revision(request.change)
        options = json_object(request.options_json, "options_json")
        mission = self.missions.get(request.mission_id) if request.mission_id else None
        status = self.runtime.spawn(
            request.behaviour,
            sentinel_id=checked_id(request.id),
            options=options,
            mission_id=request.mission_id,
            mission=mission.name if mission else "",
            mission_class=mission.mission_class if mission else "",
        )
        await self.trail.append(
            call,
            "sentinel.spawn",
            status.id,
            change=request.change,
            after={"behaviour": request.behaviour, "options": options},
        )
        return status

    async def stop(self, request: StopRequest, call: Call) -> SentinelStatus:
        """Ends a Sentinel."""
        _no_revision(request.change)
        before = self.runtime.inspect(request.id).status
        status = self.runtime.stop(request.id, f"stopped by {call.actor(request.change)}")
        await self._changed(call, "sentinel.stop", request.change, before, status)
        return status

    async def restart(self, request: RestartRequest, call: Call) -> SentinelStatus:
        """Starts it again with a fresh restart count: the way out of quarantine."""
        _no_revision(request.change)
        before = self.runtime.inspect(request.id).status
        status = self.runtime.restart(request.id)
        await self._changed(call, "sentinel.restart", request.change, before, status)
        return status

    async def send(self, request: SendRequest, call: Call) -> SendReply:
        """Acknowledged once the signal is in the mailbox."""
        told = request.signal
        if told is None or not told.type:
            raise InvalidRequest("a signal needs a type", subject=request.to, remedy="Give one")
        signal = Signal(
            type=told.type,
            data=json_object(told.data_json if told.data_json != "null" else "", "data_json"),
            source=told.source or call.identity.name,
            subject=told.subject,
            id=told.id or f"s{new_span_id():016x}",
            time_ns=told.time_unix_nanos,
        )
        unit = Unit(call.span) if call.span else None
        depth = self.runtime.send(request.to, signal, unit)
        return SendReply(signal_id=signal.id, mailbox=depth)

    async def _changed(
        self,
        call: Call,
        action: str,
        change: Change | None,
        before: SentinelStatus | None,
        after: SentinelStatus,
    ) -> None:
        await self.trail.append(
            call,
            action,
            after.id,
            change=change,
            before={"state": before.state} if before else None,
            after={"state": after.state},
        )


def checked_id(sentinel_id: str) -> str:
    """An id that can be an address; empty: the engine gives one.

    Raises:
        InvalidRequest: it has other characters, or is too long.
    """
    if sentinel_id and not _ID.fullmatch(sentinel_id):
        raise InvalidRequest(
            f"{sentinel_id!r} is no id for a Sentinel",
            subject=sentinel_id,
            remedy="1 to 128 of A-Z, a-z, 0-9, and . _ / -",
        )
    return sentinel_id


def json_object(text: str, what: str) -> dict[str, Any]:
    """A JSON object; an empty text is an empty one.

    Raises:
        InvalidRequest: it is something else.
    """
    try:
        value = json.loads(text or "{}")
    except ValueError as error:
        raise InvalidRequest(f"{what} is no JSON: {error}", subject=what) from error
    if not isinstance(value, dict):
        raise InvalidRequest(f"{what} is no JSON object", subject=what, remedy="Give {…}")
    return cast("dict[str, Any]", value)


def _no_revision(change: Change | None) -> None:
    """Sentinels have no revision to be stale: a change that names one is a misunderstanding."""
    if change is not None and change.revision:
        raise InvalidRequest(
            f"Sentinels have no revisions, and the change names {change.revision}",
            subject="revision",
            remedy="Send revision 0",
        )

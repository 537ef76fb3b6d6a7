"""Service Sentinels: supervised agents. Loop thread only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast

from citadel.errors import InvalidRequest
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
from engine.sentinels.runtime import SentinelRuntime


@dataclass(frozen=True, slots=True, kw_only=True)
class SentinelsServicer:
    """Sentinels' RPCs."""

    runtime: SentinelRuntime
    trail: Trail

    async def list(self, request: ListSentinelsRequest, call: Call) -> SentinelList:
        """Every Sentinel, or those of a mission."""
        del call
        wanted = request.mission_id
        found = self.runtime.list()
        return SentinelList(
            sentinels=tuple(each for each in found if wanted in ("", each.mission_id))
        )

    async def inspect(self, request: InspectRequest, call: Call) -> SentinelDetail:
        """Its state and its last transitions."""
        del call
        return self.runtime.inspect(request.id)

    async def spawn(self, request: SpawnRequest, call: Call) -> SentinelStatus:
        """Starts a Sentinel with a behaviour that the engine knows."""
        _no_revision(request.change)
        options = json_object(request.options_json, "options_json")
        status = await self.runtime.spawn(
            request.behaviour, id=request.id, mission_id=request.mission_id, options=options
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
        status = await self.runtime.stop(request.id)
        await self._changed(call, "sentinel.stop", request.change, before, status)
        return status

    async def restart(self, request: RestartRequest, call: Call) -> SentinelStatus:
        """Starts it again with a fresh restart count: the way out of quarantine."""
        _no_revision(request.change)
        before = self.runtime.inspect(request.id).status
        status = await self.runtime.restart(request.id)
        await self._changed(call, "sentinel.restart", request.change, before, status)
        return status

    async def send(self, request: SendRequest, call: Call) -> SendReply:
        """Acknowledged once the signal is in the mailbox."""
        if request.signal is None or not request.signal.type:
            raise InvalidRequest(
                "a signal needs a type",
                subject=request.to,
                remedy="Give one: citadel sentinel send",
            )
        return await self.runtime.send(request.to, request.signal, parent=call.span)

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

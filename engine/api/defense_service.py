"""Service Defense: the guards' configuration, and trying a text. Loop thread only."""

from __future__ import annotations

import time
from dataclasses import dataclass

from citadel.errors import InvalidRequest
from citadel.vocabulary import CHANNELS
from citadel.wire.messages import (
    ApplyDefenseRequest,
    CheckReply,
    CheckRequest,
    DefenseConfig,
    DefensePreview,
    GetDefenseRequest,
    PreviewDefenseRequest,
)
from engine.api.dispatch import Call
from engine.api.sampling_service import checked_minutes
from engine.guards.chain import Chain
from engine.guards.contract import GuardRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class DefenseServicer:
    """Defense's RPCs."""

    chain: Chain

    async def get(self, request: GetDefenseRequest, call: Call) -> DefenseConfig:
        """The configuration in force, or an earlier one."""
        del call
        return await self.chain.config(request.revision)

    async def apply(self, request: ApplyDefenseRequest, call: Call) -> DefenseConfig:
        """Puts another configuration in force."""
        change = request.change
        return await self.chain.apply(
            strict=request.strict,
            layers=request.layers,
            based_on=change.revision if change else 0,
            actor=call.actor(change),
            reason=change.reason if change else "",
        )

    async def preview(self, request: PreviewDefenseRequest, call: Call) -> DefensePreview:
        """What a configuration would have done to the last minutes' requests."""
        del call
        since = time.time_ns() - checked_minutes(request.minutes) * 60_000_000_000
        return self.chain.preview(strict=request.strict, layers=request.layers, since_ns=since)

    async def check(self, request: CheckRequest, call: Call) -> CheckReply:
        """Tries a text against the chain; nothing is sent to a model."""
        del call
        if request.channel not in ("", *CHANNELS):
            raise InvalidRequest(
                f"{request.channel!r} is no channel",
                subject="channel",
                remedy=f"Channels are {', '.join(CHANNELS)}",
            )
        channel = request.channel or "prompt"
        return await self.chain.try_text(GuardRequest(text=request.text, channel=channel))

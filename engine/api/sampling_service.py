"""Service Sampling: the policy that says which traces are kept. Loop thread only.

Also puts each new policy in force: the sampler takes it at once, watchers see it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from citadel.errors import InvalidRequest
from citadel.wire.messages import (
    ApplySamplingRequest,
    GetSamplingRequest,
    PreviewSamplingRequest,
    SamplingPolicy,
    SamplingPreview,
    SamplingRule,
)
from engine.api.dispatch import Call
from engine.storage.versioned import Versioned, VersionedDocument
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder
from engine.telemetry.sampling import validated

DEFAULT_MINUTES = 5
MAX_MINUTES = 60
Rules = tuple[SamplingRule, ...]


def encode_rules(rules: Rules) -> list[dict[str, Any]]:
    """Rules as JSON values."""
    return [asdict(rule) for rule in rules]


def decode_rules(values: Sequence[dict[str, Any]]) -> Rules:
    """Rules from JSON values."""
    return tuple(SamplingRule(**value) for value in values)


class SamplingServicer:
    """Sampling's RPCs."""

    def __init__(
        self, document: VersionedDocument[Rules], recorder: Recorder, hub: LiveHub
    ) -> None:
        self._document = document
        self._recorder = recorder
        self._hub = hub
        document.on_change.append(self._put_in_force)

    async def get(self, request: GetSamplingRequest, call: Call) -> SamplingPolicy:
        """The policy in force, or an earlier one."""
        del call
        return _policy(await self._document.get(request.revision))

    async def apply(self, request: ApplySamplingRequest, call: Call) -> SamplingPolicy:
        """Puts another policy in force."""
        change = request.change
        applied = await self._document.apply(
            validated(request.rules),
            based_on=change.revision if change else 0,
            actor=call.actor(change),
            reason=change.reason if change else "",
        )
        return _policy(applied)

    async def preview(self, request: PreviewSamplingRequest, call: Call) -> SamplingPreview:
        """What a policy would have kept of the last minutes' traces."""
        del call
        minutes = checked_minutes(request.minutes)
        since = time.time_ns() - minutes * 60_000_000_000
        return self._recorder.sampler.preview(request.rules, since)

    def _put_in_force(self, current: Versioned[Rules]) -> None:
        self._recorder.sampler.replace(current.body)
        rules = json.dumps(encode_rules(current.body))
        self._hub.publish(
            "sampling",
            (
                "sampling",
                current.revision,
                rules,
                current.actor,
                current.reason,
                current.time_ns,
            ),
        )
        if current.revision > 1:
            self._recorder.event(
                "sampling.changed",
                subject=f"revision {current.revision}",
                message=f"by {current.actor}: {current.reason}".removesuffix(": "),
                revision=current.revision,
            )


def checked_minutes(minutes: int) -> int:
    """How far a preview looks back.

    Raises:
        InvalidRequest: further than it can.
    """
    if minutes > MAX_MINUTES:
        raise InvalidRequest(
            f"a preview of {minutes} minutes is longer than {MAX_MINUTES}", subject="minutes"
        )
    return minutes or DEFAULT_MINUTES


def _policy(versioned: Versioned[Rules]) -> SamplingPolicy:
    return SamplingPolicy(
        revision=versioned.revision,
        rules=versioned.body,
        actor=versioned.actor,
        reason=versioned.reason,
        time_unix_nanos=versioned.time_ns,
    )

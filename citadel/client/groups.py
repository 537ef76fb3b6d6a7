"""The client's methods, a group a service: thin and typed. Each raises the engine's own errors."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from citadel.client.group import Group, change
from citadel.wire import messages as m


class SentinelsGroup(Group):
    """Supervised agents."""

    async def list(self, mission_id: str = "") -> tuple[m.SentinelStatus, ...]:
        """Every Sentinel, or those of a mission."""
        request = m.ListSentinelsRequest(mission_id=mission_id)
        return (await self._call("Sentinels.List", request, traced=False)).sentinels

    async def inspect(self, sentinel: str) -> m.SentinelDetail:
        """Its state and history."""
        return await self._call("Sentinels.Inspect", m.InspectRequest(id=sentinel), traced=False)

    async def spawn(
        self,
        behaviour: str,
        *,
        sentinel: str = "",
        mission_id: str = "",
        options: Mapping[str, Any] | None = None,
        actor: str = "",
        reason: str = "",
    ) -> m.SentinelStatus:
        """Starts a Sentinel with a behaviour that the engine knows."""
        request = m.SpawnRequest(
            id=sentinel,
            behaviour=behaviour,
            mission_id=mission_id,
            options_json=json.dumps(dict(options or {})),
            change=change(0, actor, reason),
        )
        return await self._call("Sentinels.Spawn", request)

    async def stop(self, sentinel: str, *, actor: str = "", reason: str = "") -> m.SentinelStatus:
        """Ends a Sentinel."""
        request = m.StopRequest(id=sentinel, change=change(0, actor, reason))
        return await self._call("Sentinels.Stop", request)

    async def restart(
        self, sentinel: str, *, actor: str = "", reason: str = ""
    ) -> m.SentinelStatus:
        """Starts it again: the way out of quarantine."""
        request = m.RestartRequest(id=sentinel, change=change(0, actor, reason))
        return await self._call("Sentinels.Restart", request)

    async def send(
        self, to: str, type_: str, data: Any = None, *, subject: str = ""
    ) -> m.SendReply:
        """Puts a signal into a mailbox."""
        signal = m.Signal(type=type_, subject=subject, data_json=json.dumps(data), source="sdk")
        return await self._call("Sentinels.Send", m.SendRequest(to=to, signal=signal))


class MissionsGroup(Group):
    """Missions."""

    async def kinds(self) -> tuple[m.MissionKind, ...]:
        """What missions there are to start."""
        return (await self._call("Missions.Kinds", m.MissionKindsRequest(), traced=False)).kinds

    async def start(
        self,
        kind: str,
        *,
        name: str = "",
        mission_class: str = "",
        actor: str = "",
        reason: str = "",
        **parameters: Any,
    ) -> m.MissionStatus:
        """Starts a mission; see `kinds` for its parameters."""
        request = m.StartMissionRequest(
            kind=kind,
            name=name,
            mission_class=mission_class,
            parameters_json=json.dumps(parameters),
            change=change(0, actor, reason),
        )
        return await self._call("Missions.Start", request)

    async def list(self) -> tuple[m.MissionStatus, ...]:
        """Missions that run, and the last ones that ended."""
        return (await self._call("Missions.List", m.ListMissionsRequest(), traced=False)).missions

    async def get(self, mission: str) -> m.MissionStatus:
        """One mission."""
        return await self._call("Missions.Get", m.GetMissionRequest(id=mission), traced=False)

    async def result(self, mission: str) -> m.MissionResult:
        """Its table of results."""
        request = m.MissionResultRequest(id=mission)
        return await self._call("Missions.Result", request, traced=False)

    async def cancel(self, mission: str, *, actor: str = "", reason: str = "") -> m.MissionStatus:
        """Stops its Sentinels and their commands."""
        request = m.CancelMissionRequest(id=mission, change=change(0, actor, reason))
        return await self._call("Missions.Cancel", request)

    async def set_rate(
        self, mission: str, rate: float, *, revision: int = 0, actor: str = "", reason: str = ""
    ) -> m.MissionStatus:
        """Units a second that it aims at; 0: as fast as it goes."""
        request = m.SetRateRequest(id=mission, rate=rate, change=change(revision, actor, reason))
        return await self._call("Missions.SetRate", request)


class SamplingGroup(Group):
    """The sampling policy."""

    async def get(self, revision: int = 0) -> m.SamplingPolicy:
        """The policy in force, or an earlier one."""
        request = m.GetSamplingRequest(revision=revision)
        return await self._call("Sampling.Get", request, traced=False)

    async def apply(
        self,
        rules: Iterable[m.SamplingRule],
        *,
        keep: Iterable[m.KeepRule] | None = None,
        revision: int = 0,
        actor: str = "",
        reason: str = "",
    ) -> m.SamplingPolicy:
        """Puts rules in force, and keep-rules where they are given; overrides stay.

        `revision` is what the change was based on: a stale one is refused.
        """
        request = m.ApplySamplingRequest(
            rules=tuple(rules),
            keep=tuple(keep or ()),
            sets_keep=keep is not None,
            change=change(revision, actor, reason),
        )
        return await self._call("Sampling.Apply", request)

    async def preview(
        self,
        rules: Iterable[m.SamplingRule],
        *,
        keep: Iterable[m.KeepRule] | None = None,
        minutes: int = 5,
    ) -> m.SamplingPreview:
        """What the rules would have kept of the last minutes' traces."""
        request = m.PreviewSamplingRequest(
            rules=tuple(rules),
            keep=tuple(keep or ()),
            sets_keep=keep is not None,
            minutes=minutes,
        )
        return await self._call("Sampling.Preview", request, traced=False)

    async def override(
        self, rule: m.SamplingRule, seconds: float, *, reason: str, actor: str = ""
    ) -> m.SamplingPolicy:
        """Puts a rule before all others, for so many seconds; then it ends by itself."""
        request = m.OverrideSamplingRequest(
            rule=rule, seconds=seconds, change=change(0, actor, reason)
        )
        return await self._call("Sampling.Override", request)

    async def revert(
        self, override_id: str, *, actor: str = "", reason: str = ""
    ) -> m.SamplingPolicy:
        """Ends an override now."""
        request = m.RevertSamplingRequest(override_id=override_id, change=change(0, actor, reason))
        return await self._call("Sampling.Revert", request)

    async def why(self, trace_id: str = "", *, command_id: str = "") -> m.WhyReply:
        """Whether a trace, or a command's, was kept; who decided so, when, and why.

        Raises:
            NotFound: no command of that id is known. An unknown trace is an answer, and no error.
        """
        request = m.WhyRequest(trace_id=trace_id, command_id=command_id)
        return await self._call("Sampling.Why", request, traced=False)


class DefenseGroup(Group):
    """The guards."""

    async def get(self, revision: int = 0) -> m.DefenseConfig:
        """The configuration in force, or an earlier one."""
        request = m.GetDefenseRequest(revision=revision)
        return await self._call("Defense.Get", request, traced=False)

    async def apply(
        self,
        *,
        strict: bool,
        layers: Iterable[m.LayerConfig],
        revision: int = 0,
        actor: str = "",
        reason: str = "",
    ) -> m.DefenseConfig:
        """Puts a configuration in force."""
        request = m.ApplyDefenseRequest(
            strict=strict, layers=tuple(layers), change=change(revision, actor, reason)
        )
        return await self._call("Defense.Apply", request)

    async def preview(
        self, *, strict: bool, layers: Iterable[m.LayerConfig], minutes: int = 5
    ) -> m.DefensePreview:
        """What it would have done to the last minutes' requests."""
        request = m.PreviewDefenseRequest(strict=strict, layers=tuple(layers), minutes=minutes)
        return await self._call("Defense.Preview", request, traced=False)

    async def check(self, text: str, channel: str = "prompt") -> m.CheckReply:
        """Tries a text against the chain; nothing reaches a model."""
        return await self._call("Defense.Check", m.CheckRequest(text=text, channel=channel))

"""The words that the wire carries as text: one concept, one word."""

from __future__ import annotations

from typing import Literal, get_args

WorkerState = Literal["starting", "ready", "busy", "draining", "stopped", "lost"]
SentinelState = Literal[
    "spawning",
    "idle",
    "working",
    "waiting",
    "degraded",
    "restarting",
    "stopped",
    "quarantined",
]
MissionState = Literal["running", "finished", "failed", "cancelled"]
MissionClass = Literal["critical", "standard", "training"]
PoolState = Literal["serving", "draining", "failed"]
Decision = Literal["allow", "flag", "redact", "block"]
Severity = Literal["debug", "info", "warning", "error"]
Channel = Literal["prompt", "document", "output"]
Role = Literal["viewer", "operator", "admin"]
Source = Literal[
    "client",
    "api",
    "engine",
    "sentinel",
    "guard",
    "provider",
    "pool",
    "worker",
    "user",
]

WORKER_STATES: tuple[WorkerState, ...] = get_args(WorkerState)
SENTINEL_STATES: tuple[SentinelState, ...] = get_args(SentinelState)
MISSION_STATES: tuple[MissionState, ...] = get_args(MissionState)
MISSION_CLASSES: tuple[MissionClass, ...] = get_args(MissionClass)
DECISIONS: tuple[Decision, ...] = get_args(Decision)
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
CHANNELS: tuple[Channel, ...] = get_args(Channel)
ROLES: tuple[Role, ...] = get_args(Role)

GONE = "gone"
"""The `state` of a row that takes its key out of a state topic."""

STATUS_UNSET, STATUS_OK, STATUS_ERROR = 0, 1, 2
"""OpenTelemetry's span status codes."""

KIND_INTERNAL, KIND_SERVER, KIND_CLIENT, KIND_PRODUCER, KIND_CONSUMER = 1, 2, 3, 4, 5
"""OTLP's span kinds."""

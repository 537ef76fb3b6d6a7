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
PoolState = Literal["serving", "paused", "draining", "failed"]
Affinity = Literal["hint", "strict_queue", "strict_fail"]
Priority = Literal["urgent", "normal", "later"]
QueuePolicy = Literal["reject", "wait", "shed_oldest"]
Profile = Literal["process", "thread", "free_threaded"]
Backend = Literal["local", "ray"]
RayCode = Literal["auto", "installed", "shared", "upload"]
BreakerState = Literal["closed", "open", "half_open"]
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

KeepCause = Literal["rule", "keep_rule", "override", "parent", "default"]
"""Why a trace is kept; `parent`: who began it had decided."""
DropCause = Literal[
    "rule",  # a rule's rate
    "override",  # an override's rate
    "ceiling",  # a rule's spans a second
    "parent",  # who began it had decided
    "decided_incomplete",  # a keep-rule might have kept it, but its spans could not be held so long
    "queue_full",
    "store_full",
    "store_failed",
    "invalid",  # its spans made no sense
    "exporter_error",
    "retention",  # it was kept, and is older than what is kept
    "crash_window",  # the engine was killed then, and cannot know
    "never_seen",
]
"""Why a trace, or some of its spans, cannot be found."""
ExporterState = Literal["idle", "sending", "retrying", "failed", "paused"]

WORKER_STATES: tuple[WorkerState, ...] = get_args(WorkerState)
SENTINEL_STATES: tuple[SentinelState, ...] = get_args(SentinelState)
MISSION_STATES: tuple[MissionState, ...] = get_args(MissionState)
MISSION_CLASSES: tuple[MissionClass, ...] = get_args(MissionClass)
AFFINITIES: tuple[Affinity, ...] = get_args(Affinity)
PRIORITIES: tuple[Priority, ...] = get_args(Priority)
DECISIONS: tuple[Decision, ...] = get_args(Decision)
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
CHANNELS: tuple[Channel, ...] = get_args(Channel)
ROLES: tuple[Role, ...] = get_args(Role)

KEEP_CAUSES: tuple[KeepCause, ...] = get_args(KeepCause)
DROP_CAUSES: tuple[DropCause, ...] = get_args(DropCause)

GONE = "gone"
"""The `state` of a row that takes its key out of a state topic."""

STATUS_UNSET, STATUS_OK, STATUS_ERROR = 0, 1, 2
"""OpenTelemetry's span status codes."""

KIND_INTERNAL, KIND_SERVER, KIND_CLIENT, KIND_PRODUCER, KIND_CONSUMER = 1, 2, 3, 4, 5
"""OTLP's span kinds."""

"""What a pool is told: its settings, and the commands it is given."""

from __future__ import annotations

from dataclasses import dataclass

from citadel.trace import SpanContext
from engine.telemetry.recorder import Span

MAX_WORKERS = 1_024
MAX_DEADLINE_SECONDS = 7 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """A pool, as the operator set it up. Times are in seconds."""

    name: str
    adapter: str
    """`module:Class`; only what is named here can ever be imported."""
    size: int = 2
    queue_limit: int = 1024
    """Commands that may wait; more are refused with QueueFull."""
    default_deadline_seconds: float = 60.0
    start_timeout_seconds: float = 30.0
    grace_seconds: float = 1.0
    """How long a cancelled command may take to stop before its worker is killed."""
    max_result_bytes: int = 15 * 2**20
    """A larger result fails its command: what gRPC carries in one message, less some room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolCommand:
    """One request to run a tool."""

    id: str
    pool: str
    tool: str
    arguments: bytes
    """A msgpack map of keyword arguments."""
    deadline_seconds: float = 0.0
    """0: the pool's default."""
    mission: str = ""
    mission_class: str = ""
    """Critical commands go before standard ones, and those before training's."""
    sentinel: str = ""
    parent: Span | SpanContext | None = None

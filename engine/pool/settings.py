"""What a pool is told: its settings, and the commands it is given."""

from __future__ import annotations

from dataclasses import dataclass, field

from citadel.bridge import HOSTED
from citadel.trace import SpanContext
from citadel.vocabulary import Affinity, Backend, Priority, Profile
from engine.pool.options import (
    EnvironmentOptions,
    HeartbeatOptions,
    LimitOptions,
    MemoryOptions,
    QueueOptions,
    RayOptions,
    RecycleOptions,
    ResilienceOptions,
    ScaleOptions,
    SessionOptions,
)
from engine.telemetry.recorder import Span

MAX_WORKERS = 1_024
MAX_DEADLINE_SECONDS = 7 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """A pool, as the operator set it up. Times are in seconds."""

    name: str
    adapter: str = ""
    """`module:Class`; only what is named here, or in the bridge, can ever be imported."""
    bridge: str = ""
    """The path of a bridge's manifest: instead of an adapter."""
    backend: Backend = "local"
    profile: Profile = "process"
    threads: int = 4
    """Commands that a worker runs at once in the profiles thread and free_threaded."""
    size: int = 2
    queue_limit: int = 1024
    """Commands that may wait; what happens to more is the queue's policy."""
    default_deadline_seconds: float = 60.0
    start_timeout_seconds: float = 30.0
    grace_seconds: float = 1.0
    """How long a cancelled command may take to stop before its worker is killed."""
    max_result_bytes: int = 15 * 2**20
    """A larger result fails its command: what gRPC carries in one message, less some room."""
    queue: QueueOptions = field(default_factory=QueueOptions)
    scale: ScaleOptions = field(default_factory=ScaleOptions)
    sessions: SessionOptions = field(default_factory=SessionOptions)
    recycle: RecycleOptions = field(default_factory=RecycleOptions)
    heartbeat: HeartbeatOptions = field(default_factory=HeartbeatOptions)
    limits: LimitOptions = field(default_factory=LimitOptions)
    resilience: ResilienceOptions = field(default_factory=ResilienceOptions)
    environment: EnvironmentOptions = field(default_factory=EnvironmentOptions)
    memory: MemoryOptions = field(default_factory=MemoryOptions)
    ray: RayOptions = field(default_factory=RayOptions)

    @property
    def hosts(self) -> str:
        """What its workers host, as they are told and people see it."""
        return self.adapter or f"{HOSTED}{self.bridge}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolCommand:
    """One request to run a tool."""

    id: str
    pool: str
    tool: str
    arguments: bytes
    """A msgpack map of keyword arguments; the head of a `citadel.values.Parcel`."""
    buffers: tuple[memoryview, ...] = ()
    """The parcel's buffers; they stay as they are until the command has begun."""
    parts: bool = False
    """Its caller is in this process, and takes a large result as a `PoolResult`."""
    deadline_seconds: float = 0.0
    """0: the pool's default."""
    mission: str = ""
    mission_class: str = ""
    """Critical commands go before standard ones, and those before training's."""
    priority: Priority | None = None
    """None: by the mission's class."""
    session: str = ""
    """The key that keeps commands on one worker; empty: any worker."""
    affinity: Affinity = "hint"
    sentinel: str = ""
    parent: Span | SpanContext | None = None
    callers: tuple[str, ...] = ()
    """The pools of the commands above it that called one another, and wait; the first one first."""
    finishes: bool = False
    """One of these pools drains: what runs there needs it, so that a draining pool takes it."""

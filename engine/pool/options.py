"""What an operator may set of a pool, by subject: tables below `[[pools]]` of the settings file.

Every key has a help text and every number a range; times are in seconds, sizes in bytes.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from citadel.vocabulary import QueuePolicy, RayCode
from engine.section import Section

Weight = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]


class QueueOptions(Section):
    """Who waits how."""

    policy: QueuePolicy = Field(
        default="reject",
        description="When full: reject the new command, let it wait, or shed_oldest.",
    )
    prefetch: int = Field(
        default=32,
        ge=0,
        le=32,
        description="Short commands that may wait in a worker; 0: each waits in the queue.",
    )
    weights: dict[str, Weight] = Field(
        default_factory=dict[str, float],
        description="Shares of missions by name or id; a mission that is not named has 1.",
    )
    mission_limit: int = Field(
        default=0, ge=0, le=1_000_000, description="Commands of one mission at once; 0: no limit."
    )


class ScaleOptions(Section):
    """How many workers there are, when the pool decides."""

    min_size: int = Field(default=1, ge=0, le=1024, description="Never fewer workers.")
    max_size: int = Field(
        default=0, ge=0, le=1024, description="Never more workers; 0: the pool keeps its size."
    )
    wait_seconds: float = Field(
        default=0.25, gt=0, le=3600, description="Commands that wait longer call for a worker."
    )
    idle_seconds: float = Field(
        default=30.0, gt=0, le=86_400, description="A worker more than needed for so long goes."
    )
    spares: int = Field(
        default=0, ge=0, le=64, description="Workers that stand by, set up, to replace lost ones."
    )

    @model_validator(mode="after")
    def _ordered(self) -> ScaleOptions:
        if self.max_size and self.max_size < self.min_size:
            raise ValueError(f"max_size {self.max_size} is less than min_size {self.min_size}")
        return self


class SessionOptions(Section):
    """State that stays with a key."""

    ttl_seconds: float = Field(
        default=900.0, gt=0, le=7 * 86_400, description="A session unused for so long ends."
    )
    limit: int = Field(default=1024, ge=1, le=100_000, description="Sessions that may be open.")
    variables_bytes: int = Field(
        default=1 << 20, ge=0, le=1 << 26, description="Variables that a session may hold."
    )


class RecycleOptions(Section):
    """When a worker is replaced before it fails; the new one is ready before the old one drains."""

    after_seconds: float = Field(
        default=0.0, ge=0, le=30 * 86_400, description="Its age; 0: never."
    )
    after_commands: int = Field(
        default=0, ge=0, le=10**12, description="Commands it ran; 0: never."
    )
    rss_bytes: int = Field(
        default=0, ge=0, le=1 << 50, description="Its own resident memory; 0: never."
    )
    jitter: float = Field(
        default=0.1, ge=0, le=1, description="Share by which the limits differ among workers."
    )


class HeartbeatOptions(Section):
    """How a worker that hangs is found, also while a long command runs."""

    interval_seconds: float = Field(default=1.0, gt=0, le=600, description="Between two beats.")
    misses: int = Field(
        default=30, ge=0, le=10_000, description="Beats in a row before it is killed; 0: never."
    )


class LimitOptions(Section):
    """What one worker may use. 0: no limit. Where the system has no such limit, it says so."""

    memory_bytes: int = Field(
        default=0, ge=0, le=1 << 50, description="Address space, or cgroup memory.max."
    )
    cpu_seconds: int = Field(default=0, ge=0, le=10**9, description="CPU time over its whole life.")
    open_files: int = Field(default=0, ge=0, le=1 << 30, description="Open descriptors.")
    processes: int = Field(
        default=0, ge=0, le=1 << 30, description="Processes of the user (RLIMIT_NPROC)."
    )
    cgroup: str = Field(
        default="",
        description="A writable cgroup v2 folder; each worker gets a group below it.",
    )


class ResilienceOptions(Section):
    """What is done about failures."""

    retries: int = Field(
        default=2, ge=0, le=10, description="More tries of an idempotent tool whose worker died."
    )
    retry_backoff_seconds: float = Field(
        default=0.05, ge=0, le=60, description="Before the first retry; it doubles, with jitter."
    )
    hedge_quantile: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="An idempotent command slower than this quantile is run twice; 0: never.",
    )
    breaker_share: float = Field(
        default=0.5, ge=0, le=1, description="Share of commands lost or late that opens; 0: never."
    )
    breaker_commands: int = Field(
        default=20, ge=1, le=100_000, description="Of at least so many within breaker_seconds."
    )
    breaker_seconds: float = Field(default=10.0, gt=0, le=3600, description="The window.")
    breaker_open_seconds: float = Field(
        default=5.0, gt=0, le=3600, description="Until one command is tried again."
    )
    poison_kills: int = Field(
        default=3, ge=0, le=1000, description="Workers that a command may kill; 0: no limit."
    )


class EnvironmentOptions(Section):
    """The Python that the workers run."""

    python: str = Field(default="", description="An interpreter; empty: the engine's own.")
    requirements: tuple[str, ...] = Field(
        default=(), description="Requirements that uv installs into an environment of the pool."
    )
    variables: dict[str, str] = Field(
        default_factory=dict[str, str], description="Environment variables of the workers."
    )
    preload: tuple[str, ...] = Field(
        default=(),
        description="Modules imported once, before workers are forked; they must start no thread.",
    )
    preload_adapter: bool = Field(
        default=True,
        description="Whether the adapter's module is imported once, too; else by each worker.",
    )


class MemoryOptions(Section):
    """Shared memory for values too large for a worker's link."""

    slab_bytes: int = Field(
        default=256 << 20,
        ge=0,
        le=1 << 40,
        description="Of the pool, and of each worker for its answers; 0: none.",
    )
    threshold_bytes: int = Field(
        default=128 << 10, ge=4096, le=1 << 26, description="Larger values go through it."
    )
    leak_seconds: float = Field(
        default=60.0,
        gt=0,
        le=86_400,
        description="How long a value may be held after its command before it is reported.",
    )


class RayOptions(Section):
    """The cluster of a pool whose backend is ray."""

    address: str = Field(default="", description="ray.init's address; empty: a local cluster.")
    nodes: int = Field(default=1, ge=1, le=1024, description="Nodes that the workers spread over.")
    cpus_per_worker: float = Field(default=1.0, ge=0, le=1024, description="Asked of Ray.")
    code: RayCode = Field(
        default="auto",
        description=(
            "How nodes get the code: installed, shared (same files), upload; "
            "auto: shared with a local cluster, else installed."
        ),
    )
    modules: tuple[str, ...] = Field(
        default=(), description="Modules that upload takes along, beside the adapter's."
    )
    listen: str = Field(
        default="", description="host:port where nodes reach the engine; empty: any free port."
    )
    timeout_seconds: float = Field(
        default=60.0, gt=0, le=3600, description="For a cluster to answer, and for a node to come."
    )

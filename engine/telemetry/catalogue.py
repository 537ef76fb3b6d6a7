"""Every counter, duration and event that the engine emits: its name, help text and labels.

The recorder refuses a name that is not here. Sentinel ids and command ids are never labels.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple


class Entry(NamedTuple):
    """One metric: what it says, and the labels that it has."""

    help: str
    labels: tuple[str, ...] = ()


COUNTERS = MappingProxyType(
    {
        "citadel.commands": Entry("Commands ended, by outcome", ("pool", "outcome")),
        "citadel.command.attempts": Entry(
            "Commands tried again (retry) or twice at once (hedge)", ("pool", "kind")
        ),
        "citadel.worker.starts": Entry("Worker processes started", ("pool",)),
        "citadel.worker.lost": Entry("Worker processes that died", ("pool",)),
        "citadel.sentinel.signals": Entry("Signals handled", ("behaviour", "outcome")),
        "citadel.sentinel.restarts": Entry("Sentinel restarts", ("behaviour",)),
        "citadel.missions": Entry("Missions ended, by state", ("kind", "state")),
        "citadel.mission.units": Entry("Units of work that missions ended", ("kind", "outcome")),
        "citadel.guard.verdicts": Entry("Verdicts of guards", ("layer", "decision")),
        "citadel.guard.requests": Entry("Requests that passed the chain", ("channel", "decision")),
        "citadel.provider.requests": Entry("Chat requests", ("provider", "outcome")),
        "citadel.provider.tokens": Entry("Tokens of chat requests", ("provider", "direction")),
        "citadel.rpc.requests": Entry("gRPC calls ended", ("method", "code")),
        "citadel.spans.started": Entry("Spans started"),
        "citadel.spans.kept": Entry("Spans kept"),
        "citadel.spans.dropped": Entry("Spans dropped, by cause", ("cause",)),
        "citadel.exporter.sent": Entry(
            "Spans, metric points and log records that a receiver acknowledged",
            ("exporter", "signal"),
        ),
        "citadel.exporter.dropped": Entry(
            "Spans, metric points and log records that an exporter lost, by cause",
            ("exporter", "cause"),
        ),
        "citadel.exporter.retries": Entry("Requests of an exporter sent again", ("exporter",)),
        "citadel.exporter.bytes": Entry(
            "Bytes that a receiver acknowledged, before compression", ("exporter",)
        ),
        "citadel.events.dropped": Entry("Live rows that slow watchers missed", ()),
        "citadel.events.sampled_out": Entry("Events that a sampling rule dropped", ()),
    }
)

DURATIONS = MappingProxyType(
    {
        "citadel.command.duration": Entry("Run time of commands in a worker", ("pool",)),
        "citadel.command.queued": Entry("Time of commands in a queue", ("pool",)),
        "citadel.guard.duration": Entry("Time of a guard layer", ("layer",)),
        "citadel.provider.duration": Entry("Time of a chat request", ("provider",)),
        "citadel.sentinel.handle": Entry(
            "Time a behaviour took to handle a signal", ("behaviour",)
        ),
        "citadel.rpc.duration": Entry("Time of a gRPC call", ("method",)),
    }
)

GAUGES = MappingProxyType(
    {
        "citadel.pool.queued": Entry("Commands in a queue", ("pool",)),
        "citadel.pool.running": Entry("Commands running", ("pool",)),
        "citadel.pool.workers": Entry("Workers of a pool", ("pool", "state")),
        "citadel.pool.slab": Entry("Shared memory that somebody has, in bytes", ("pool",)),
        "citadel.pool.leases": Entry("Values in shared memory that somebody has", ("pool",)),
        "citadel.exporter.queued": Entry(
            "Spans, metric points and log records that wait for an exporter", ("exporter",)
        ),
        "citadel.process.rss": Entry("Resident memory of the engine, in bytes"),
        "citadel.process.cpu": Entry("CPU of the engine, in cores"),
        "citadel.spans.in_flight": Entry("Spans that have not ended"),
    }
)

EVENTS = MappingProxyType(
    {
        "engine.started": "The engine serves",
        "engine.stopping": "The engine drains",
        "engine.incident": "Something that the engine did not expect",
        "pool.failed": "A pool cannot start workers",
        "pool.degraded": "New workers of a pool do not stay; the old ones serve",
        "pool.recovered": "A failed pool serves again",
        "pool.state": "A pool serves, is paused, or drains",
        "pool.resized": "A pool has another size",
        "pool.scaled": "A pool changed its own size",
        "pool.limits": "A limit of a pool's workers has no effect here",
        "environment.building": "uv makes the environment of a pool",
        "environment.progress": "Something uv said meanwhile",
        "environment.ready": "The environment of a pool is made",
        "environment.removed": "An environment that no pool has used for long is removed",
        "environment.failed": "The environment of a pool cannot be made",
        "zygote.refused": "A zygote cannot fork workers; they start without what it preloads",
        "adapter.not_preloaded": "An adapter cannot be imported once for all; each worker does",
        "zygote.lost": "A zygote died, and its workers with it",
        "node.joined": "A node of a Ray cluster hosts workers",
        "node.lost": "A node of a Ray cluster was lost, and the workers there",
        "worker.started": "A worker process was started",
        "worker.ready": "A worker is ready for commands",
        "worker.lost": "A worker process died",
        "worker.replaced": "A lost worker has a replacement",
        "worker.unhealthy": "A worker's health check failed; it is replaced",
        "worker.recycled": "A worker was replaced on purpose",
        "worker.stopped": "A worker ended as asked",
        "worker.output": "Something a worker printed",
        "command.failed": "A command ended with an error",
        "command.cancelled": "A command was cancelled",
        "command.retried": "A command is tried again: its worker was lost",
        "command.hedged": "A slow command runs a second time",
        "breaker.open": "A pool fails too often: its commands are refused",
        "breaker.half_open": "A pool that failed too often is tried again",
        "breaker.closed": "A pool that failed too often works again",
        "poison.quarantined": "A command killed too many workers: it is refused",
        "poison.released": "A quarantined command is let through again",
        "session.ended": "A session ended",
        "slab.leaked": "A value in shared memory was held long after its command",
        "sentinel.spawned": "A Sentinel began",
        "sentinel.restarting": "A Sentinel is restarted by its supervisor",
        "sentinel.quarantined": "A Sentinel failed too often",
        "sentinel.stopped": "A Sentinel ended",
        "sentinel.failed": "A behaviour raised or returned something wrong",
        "sentinel.slow": "A behaviour held the loop for too long",
        "signal.dropped": "A signal could not be delivered",
        "mission.started": "A mission began",
        "mission.pass": "A looping mission ended one pass",
        "mission.ended": "A mission ended",
        "guard.blocked": "A guard blocked a request",
        "guard.flagged": "A guard flagged a request",
        "guard.failed": "A guard layer failed or timed out",
        "provider.failed": "A chat provider answered with an error",
        "sampling.changed": "Another sampling policy is in force",
        "exporters.changed": "There are other exporters, or one is configured anew",
        "exporter.failed": "A receiver refuses what an exporter sends, or cannot be reached",
        "exporter.recovered": "A receiver takes again what an exporter sends",
        "exporter.dropped": "An exporter lost something",
        "defense.changed": "Another defence configuration is in force",
        "store.failed": "The span store could not write",
        "store.set_aside": "A corrupt span database was set aside",
        "action": "An operator changed something",
    }
)

"""The events of the catalogue, by area: errors are grave, warnings may become so."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from engine.telemetry.catalogue.entry import Event

_WARNING, _ERROR = ("warning",), ("error",)

EVENTS = MappingProxyType(
    {
        "engine.started": Event("The engine serves"),
        "engine.stopping": Event("The engine drains"),
        "engine.incident": Event(
            "Something that the engine did not expect", _ERROR, ("incident", "traceback")
        ),
        "pool.failed": Event("A pool cannot start workers", _ERROR),
        "pool.degraded": Event("New workers of a pool do not stay; the old ones serve", _WARNING),
        "pool.recovered": Event("A failed pool serves again"),
        "pool.state": Event("A pool serves, is paused, or drains"),
        "pool.resized": Event("A pool has another size"),
        "pool.scaled": Event("A pool changed its own size"),
        "pool.limits": Event("A limit of a pool's workers has no effect here", _WARNING),
        "environment.building": Event("uv makes the environment of a pool"),
        "environment.progress": Event("Something uv said meanwhile", ("debug",)),
        "environment.ready": Event("The environment of a pool is made"),
        "environment.removed": Event("An environment that no pool has used for long is removed"),
        "environment.failed": Event("The environment of a pool cannot be made", _ERROR),
        "zygote.refused": Event(
            "A zygote cannot fork workers; they start without what it preloads", _WARNING
        ),
        "adapter.not_preloaded": Event(
            "An adapter cannot be imported once for all; each worker does"
        ),
        "zygote.lost": Event("A zygote died, and its workers with it", _WARNING),
        "node.joined": Event("A node of a Ray cluster hosts workers"),
        "node.lost": Event("A node of a Ray cluster was lost, and the workers there", _ERROR),
        "worker.started": Event("A worker process was started"),
        "worker.ready": Event("A worker is ready for commands", attributes=("pid",)),
        "worker.lost": Event("A worker process died", _ERROR),
        "worker.replaced": Event("A lost worker has a replacement", attributes=("by",)),
        "worker.unhealthy": Event("A worker's health check failed; it is replaced", _WARNING),
        "worker.recycled": Event("A worker was replaced on purpose"),
        "worker.stopped": Event("A worker ended as asked"),
        "worker.output": Event("Something a worker printed"),
        "command.failed": Event("A command ended with an error", _WARNING, ("tool", "error")),
        "command.cancelled": Event("A command was cancelled", attributes=("tool", "error")),
        "command.retried": Event(
            "A command is tried again: its worker was lost", attributes=("tool",)
        ),
        "command.hedged": Event("A slow command runs a second time", attributes=("tool",)),
        "breaker.open": Event("A pool fails too often: its commands are refused", _ERROR),
        "breaker.half_open": Event("A pool that failed too often is tried again"),
        "breaker.closed": Event("A pool that failed too often works again"),
        "poison.quarantined": Event(
            "A command killed too many workers: it is refused", _ERROR, ("pool", "command")
        ),
        "poison.released": Event(
            "A quarantined command is let through again", attributes=("tool",)
        ),
        "session.ended": Event("A session ended"),
        "slab.leaked": Event(
            "A value in shared memory was held long after its command",
            _WARNING,
            ("command", "tool", "bytes", "holders"),
        ),
        "sentinel.spawned": Event("A Sentinel began", attributes=("behaviour",)),
        "sentinel.restarting": Event("A Sentinel is restarted by its supervisor", _WARNING),
        "sentinel.quarantined": Event("A Sentinel failed too often", _ERROR),
        "sentinel.stopped": Event("A Sentinel ended"),
        "sentinel.failed": Event("A behaviour raised or returned something wrong", _ERROR),
        "sentinel.slow": Event("A behaviour held the loop for too long", _WARNING),
        "signal.dropped": Event("A signal could not be delivered", ("warning", "error")),
        "mission.started": Event("A mission began", attributes=("kind",)),
        "mission.pass": Event("A looping mission ended one pass"),
        "mission.ended": Event("A mission ended", ("info", "error")),
        "guard.blocked": Event(
            "A guard blocked a request; not one that is tried by Defense.Check", _WARNING
        ),
        "guard.flagged": Event("A guard flagged a request; not one that is tried", _WARNING),
        "guard.failed": Event(
            "A guard layer failed or timed out on a request; not on one that is tried", _WARNING
        ),
        "provider.failed": Event("A chat provider answered with an error", _WARNING),
        "sampling.changed": Event("Another sampling policy is in force", attributes=("revision",)),
        "exporters.changed": Event(
            "There are other exporters, or one is configured anew", attributes=("revision",)
        ),
        "exporter.failed": Event(
            "A receiver refuses what an exporter sends, or cannot be reached", _WARNING
        ),
        "exporter.recovered": Event("A receiver takes again what an exporter sends"),
        "exporter.dropped": Event("An exporter lost something", _WARNING),
        "defense.changed": Event(
            "Another defence configuration is in force", attributes=("actor",)
        ),
        "store.failed": Event("The span store could not write", _ERROR),
        "store.set_aside": Event("A corrupt span database was set aside", ("warning", "error")),
        "incident.recorded": Event(
            "The flight recorder kept what led to something", ("warning",), ("trigger",)
        ),
        "otlp.log": Event(
            "A log record that another program sent by OTLP; attributes are its own",
            ("debug", "info", "warning", "error"),
        ),
        "action": Event("An operator changed something", attributes=("action", "actor", "reason")),
    }
)


def fits(name: str, severity: str, attributes: Iterable[str]) -> bool:
    """Whether an event is as the catalogue says; a name that is not in it fits nothing."""
    entry = EVENTS.get(name)
    if entry is None or severity not in entry.severities:
        return False
    return set(attributes) <= set(entry.attributes)

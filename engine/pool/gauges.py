"""The sampled values of pools, for metrics: sums over a pool, never a label for each worker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from citadel.wire.messages import PoolStatus
from engine.pool.worker import Worker
from engine.telemetry.pulse import Gauge

_BREAKERS = {"closed": 0, "half_open": 1, "open": 2}


def pool_gauges(status: PoolStatus, workers: Iterable[Worker]) -> Iterator[Gauge]:
    """What one pool is like now."""
    labels = {"pool": status.name}
    values = {
        "pool.queued": status.queued,
        "pool.running": status.running,
        "queue.limit": status.queue_limit,
        "queue.wait": status.queue_wait_seconds,
        "pool.size": status.size,
        "pool.up": status.state == "serving",
        "pool.breaker": _BREAKERS[status.breaker],
        "pool.sessions": status.sessions,
        "pool.poisoned": status.poisoned,
        "pool.slab": status.slab_used_bytes,
        "pool.leases": status.leases,
    }
    for name, value in values.items():
        yield f"citadel.{name}", labels, float(value)
    living = list(workers)
    for state in ("starting", "ready", "busy", "draining"):
        number = sum(worker.state == state for worker in living)
        yield "citadel.pool.workers", {**labels, "state": state}, number
    yield "citadel.worker.rss", labels, sum(each.used.rss_bytes for each in living)
    yield "citadel.worker.cpu", labels, sum(each.used.cpu for each in living)
    yield "citadel.worker.fds", labels, sum(each.used.fds for each in living)
    yield "citadel.worker.threads", labels, sum(each.used.threads for each in living)
    yield "citadel.worker.missed", labels, sum(each.missed for each in living)

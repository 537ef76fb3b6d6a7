"""Shows the workers of a pool: topic `worker`, and the wire's statuses.

Loop thread only. A worker's row is published when something changed, at most once an interval.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from citadel.vocabulary import GONE
from citadel.wire.messages import PoolStatus, WorkerDetail, WorkerStatus
from engine.pool.scheduler import Counts
from engine.pool.worker import Worker
from engine.telemetry.hub import LiveHub

PUBLISH_SECONDS = 0.1
"""A row is published at most this often."""

Runs = Callable[[Worker], tuple[str, str]]
"""The id and the tool of the command that a worker runs, or two empty texts."""
Number = Callable[[Worker], int]
"""The commands that a worker runs at once."""


class Display:
    """What the outside sees of one pool's workers."""

    def __init__(self, pool: str, hub: LiveHub, runs: Runs, number: Number) -> None:
        self._pool = pool
        self._number = number
        self._hub = hub
        self._runs = runs
        self._changed: dict[str, Worker] = {}
        self._publish = Coalesced(PUBLISH_SECONDS, self._publish_changed)

    def touch(self, worker: Worker) -> None:
        """Publishes a worker soon."""
        if worker.id not in self._changed:
            self._changed[worker.id] = worker
            self._publish.soon()

    def gone(self, worker: Worker) -> WorkerDetail:
        """Publishes the last row of a worker and takes it away; what is kept of its life."""
        self._changed.pop(worker.id, None)
        self._hub.publish("worker", self._row(worker, worker.state))
        self._hub.publish("worker", self._row(worker, GONE))
        return self.detail(worker)

    def cancel(self) -> None:
        """Publishes no more."""
        self._publish.cancel()

    def status(self, worker: Worker) -> WorkerStatus:
        """A worker, as the wire has it."""
        command_id, tool = self._runs(worker)
        return WorkerStatus(
            id=worker.id,
            pid=worker.pid,
            state=worker.state,
            rss_bytes=worker.rss_bytes,
            done=worker.done,
            failed=worker.failed,
            command_id=command_id,
            tool=tool,
            started_unix_nanos=worker.started_ns,
            node=worker.node,
            missed_heartbeats=worker.missed,
            taint=worker.taint,
            running=self._number(worker),
        )

    def detail(self, worker: Worker) -> WorkerDetail:
        """The life of a worker."""
        return WorkerDetail(
            pool=self._pool,
            status=self.status(worker),
            history=worker.record.history(time.time_ns()),
            memory=worker.record.memory(),
            output=tuple(worker.output),
            ended=worker.how_it_ended() if worker.state in ("stopped", "lost") else "",
        )

    def _publish_changed(self) -> None:
        changed, self._changed = self._changed, {}
        for worker in changed.values():
            self._hub.publish("worker", self._row(worker, worker.state))

    def _row(self, worker: Worker, state: str) -> tuple[Any, ...]:
        command_id, tool = self._runs(worker)
        return (
            self._pool,
            worker.id,
            worker.pid,
            state,
            worker.rss_bytes,
            worker.used.cpu,
            worker.done,
            worker.failed,
            command_id,
            tool,
            worker.started_ns,
            worker.since_ns,
            worker.cause or ("stands by" if worker.proved and worker.spare else ""),
            worker.node,
            worker.pss_bytes,
            worker.missed,
            worker.taint,
            self._number(worker),
            worker.used.fds,
            worker.used.threads,
            time.time_ns(),
        )


class Coalesced:
    """Calls something soon, but at most once an interval."""

    def __init__(self, seconds: float, call: Callable[[], None]) -> None:
        self._seconds = seconds
        self._call = call
        self._timer: asyncio.TimerHandle | None = None

    def soon(self) -> None:
        """Sets the timer unless it is set."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._fire)

    def cancel(self) -> None:
        """Forgets what was due."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._timer = None
        self._call()


def pool_row(status: PoolStatus, counts: Counts, time_ns: int) -> tuple[Any, ...]:
    """The columns of topic `pool`."""
    return (
        status.name,
        status.revision,
        status.state,
        status.adapter,
        status.size,
        status.queue_limit,
        status.queued,
        status.running,
        counts.submitted,
        counts.done,
        counts.failed,
        counts.cancelled,
        counts.rejected,
        status.error,
        time_ns,
        status.backend,
        status.profile,
        status.min_size,
        status.max_size,
        status.queue_policy,
        status.queued_urgent,
        status.queued_normal,
        status.queued_later,
        status.breaker,
        status.sessions,
        status.poisoned,
        status.queue_wait_seconds,
        status.slab_bytes,
        status.slab_used_bytes,
        status.leases,
        counts.shed,
        counts.retried,
        counts.hedged,
    )

"""Measures the workers of a pool and shows them: topic `worker`, and the wire's statuses.

Loop thread only. A worker's row is published when something changed, at most once an interval.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from typing import Any

import psutil

from citadel.vocabulary import GONE
from citadel.wire.messages import PoolStatus, WorkerStatus
from engine.pool.scheduler import Counts
from engine.pool.worker import Worker
from engine.telemetry.hub import LiveHub

PUBLISH_SECONDS = 0.1
"""A row is published at most this often."""

Runs = Callable[[Worker], tuple[str, str]]
"""The id and the tool of the command that a worker runs, or two empty texts."""


class Display:
    """What the outside sees of one pool's workers."""

    def __init__(self, pool: str, hub: LiveHub, runs: Runs) -> None:
        self._pool = pool
        self._hub = hub
        self._runs = runs
        self._changed: dict[str, Worker] = {}
        self._processes: dict[str, psutil.Process] = {}
        self._publish = Coalesced(PUBLISH_SECONDS, self._publish_changed)

    def touch(self, worker: Worker) -> None:
        """Publishes a worker soon."""
        self._changed[worker.id] = worker
        self._publish.soon()

    def gone(self, worker: Worker) -> None:
        """Publishes the last row of a worker, and takes it away."""
        self._changed.pop(worker.id, None)
        self._processes.pop(worker.id, None)
        self._hub.publish("worker", self._row(worker, worker.state))
        self._hub.publish("worker", self._row(worker, GONE))

    def cancel(self) -> None:
        """Publishes no more."""
        self._publish.cancel()

    def measure(self, workers: Iterable[Worker]) -> None:
        """Reads memory and CPU of the workers' processes."""
        for worker in workers:
            if not worker.pid or worker.exited:
                continue
            if (usage := worker.usage) is not None:
                self._used(worker, *usage)
                continue
            with contextlib.suppress(psutil.Error):
                process = self._processes.get(worker.id)
                if process is None:
                    process = self._processes[worker.id] = psutil.Process(worker.pid)
                with process.oneshot():
                    rss, cpu = process.memory_info().rss, process.cpu_percent() / 100
                self._used(worker, rss, cpu)

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
        )

    def _used(self, worker: Worker, rss: int, cpu: float) -> None:
        if (rss, cpu) != (worker.rss_bytes, worker.cpu):
            worker.rss_bytes, worker.cpu = rss, cpu
            self.touch(worker)

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
            worker.cpu,
            worker.done,
            worker.failed,
            command_id,
            tool,
            worker.started_ns,
            worker.since_ns,
            worker.cause,
            "",
            0,
            0,
            "",
            int(worker.state == "busy"),
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
        0,
        0,
        0,
    )

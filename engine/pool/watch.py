"""Looks after the workers of one pool: hearts, health, terms, limits, and the pool's own size.

Loop thread only. Decides nothing itself: the cores do (heart.py, recycling.py, autoscale.py), and
its crew acts.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from engine.pool import frames, limits
from engine.pool.autoscale import Autoscale, Load
from engine.pool.cgroups import Cgroups
from engine.pool.display import Display
from engine.pool.measure import Measure
from engine.pool.settings import PoolSettings
from engine.pool.worker import Worker

MEASURE_TICKS = 10
SHARE_TICKS = 100
"""Ticks between two readings of PSS."""
HEALTH_TICKS = 50
"""Ticks between two health checks of an idle worker."""


class Watched(Protocol):
    """What is asked of a crew."""

    size: int

    @property
    def workers(self) -> Mapping[str, Worker]:
        """By id."""
        ...

    @property
    def display(self) -> Display:
        """Shows them."""
        ...

    def taint(self, worker: Worker, cause: str) -> None:
        """Replaces a worker that lives."""

    def scaled(self, size: int, cause: str) -> None:
        """Takes another size."""

    def crowded(self) -> str:
        """The machine from which a worker should move to another one; empty: none."""
        ...


class Watch:
    """The eyes of a crew."""

    def __init__(
        self,
        crew: Watched,
        settings: PoolSettings,
        load: Callable[[], Load],
        degraded: Callable[[str], None],
    ) -> None:
        self.autoscale = Autoscale(settings.scale)
        self._crew = crew
        self._settings = settings
        self._load = load
        self._measure = Measure()
        # A cgroup of this machine limits nobody on another one.
        here = {} if settings.backend == "local" else {"cgroup": ""}
        self._cgroups = Cgroups(settings.limits.model_copy(update=here), degraded)

    def look(self, tick: int, tasks: asyncio.TaskGroup) -> None:
        """Does what is due at that tick."""
        now = time.monotonic()
        workers = list(self._crew.workers.values())
        for worker in workers:
            worker.nudge()
            self._listen(worker, now)
            if worker.state == "ready" and tick % HEALTH_TICKS == 0:
                worker.send([frames.HEALTH])
        if tick % MEASURE_TICKS == 0:
            for worker in self._measure.take(workers):
                self._crew.display.touch(worker)
            self._end_terms(workers, now)
            self._spread(workers)
        if tick % SHARE_TICKS == MEASURE_TICKS:
            tasks.create_task(self._measure.take_shares(workers), name="shares of memory")
        if self.autoscale.on:
            size, cause = self.autoscale.step(now, self._crew.size, self._load())
            if cause:
                self._crew.scaled(size, cause)

    def bounds(self, low: int, high: int) -> None:
        """The pool sizes itself between these from now on; a high of 0: it does not."""
        options = self.autoscale.options.model_copy(update={"min_size": low, "max_size": high})
        self.autoscale = Autoscale(options)

    def limits(self, worker: Worker) -> dict[str, int | str]:
        """What a worker that is about to start may use, as its charge says it."""
        told = self._settings.limits
        found: dict[str, int | str] = {
            limits.MEMORY: told.memory_bytes,
            limits.CPU: told.cpu_seconds,
            limits.FILES: told.open_files,
            limits.PROCESSES: told.processes,
            limits.CGROUP: self._cgroups.create(worker.id),
        }
        if self._cgroups.limits_memory(worker.id):
            del found[limits.MEMORY]
        return {name: value for name, value in found.items() if value}

    def gone(self, worker: Worker) -> None:
        """A worker has ended: which limit ended it, if one did, becomes its cause."""
        self._measure.forget(worker)
        cause = self._cgroups.killed(worker.id)
        if worker.code == -getattr(signal, "SIGXCPU", 0) and self._settings.limits.cpu_seconds:
            cause = f"its limits.cpu_seconds is {self._settings.limits.cpu_seconds}"
        worker.cause = cause or worker.cause
        self._cgroups.remove(worker.id)

    def _listen(self, worker: Worker, now: float) -> None:
        if worker.state == "starting" or worker.exited:
            return
        missed = worker.heart.listen(now, worker.beats)
        if missed != worker.missed:
            worker.missed = missed
            self._crew.display.touch(worker)
        if verdict := worker.heart.verdict(missed):
            worker.kill(verdict)

    def _end_terms(self, workers: list[Worker], now: float) -> None:
        """One at a time: while a worker waits for its replacement no other is told to go."""
        if any(each.taint for each in workers):
            return
        for worker in workers:
            if worker.state in ("ready", "busy"):
                done = worker.done + worker.failed
                if cause := worker.term.over(worker.age(now), done, worker.rss_bytes):
                    self._crew.taint(worker, cause)
                    return

    def _spread(self, workers: list[Worker]) -> None:
        """Moves a worker to a machine that came, an idle one first; the next when it has moved."""
        if any(each.taint or each.state not in ("ready", "busy") for each in workers):
            return
        if node := self._crew.crowded():
            there = [each for each in workers if each.node == node]
            there.sort(key=lambda worker: worker.state == "busy")
            for worker in there[:1]:
                self._crew.taint(worker, f"node {node} has more workers than another")

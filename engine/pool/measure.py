"""Reads what the workers of a pool use: memory, CPU, descriptors, threads.

All but PSS is read on the loop thread: some 100 µs a worker. PSS makes the kernel walk all of a
process's pages, so it is read more rarely and on a thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from engine.pool.usage import Usage, usage_of
from engine.pool.worker import Worker


class Measure:
    """What the workers of one pool use."""

    def __init__(self) -> None:
        self._processes: dict[str, psutil.Process] = {}
        self._reading = False

    def take(self, workers: Iterable[Worker]) -> list[Worker]:
        """Reads all but PSS; the workers of which it changed."""
        changed: list[Worker] = []
        for worker in workers:
            if not worker.pid or worker.exited:
                continue
            used = worker.usage or self._read(worker)
            if used is None:
                continue
            if used != worker.used:
                worker.used = used
                changed.append(worker)
            worker.record.measured(time.time_ns(), worker.rss_bytes, worker.pss_bytes)
        return changed

    async def take_shares(self, workers: Iterable[Worker]) -> None:
        """Reads PSS, where the system tells it, unless that is being done."""
        local = [each for each in workers if each.pid and not each.exited and not each.node]
        if self._reading or not local:
            return
        self._reading = True
        try:
            shares = await asyncio.to_thread(_shares, [each.pid for each in local])
        finally:
            self._reading = False
        for worker in local:
            worker.pss_bytes = shares.get(worker.pid, worker.pss_bytes)

    def forget(self, worker: Worker) -> None:
        """It has ended."""
        self._processes.pop(worker.id, None)

    def _read(self, worker: Worker) -> Usage | None:
        with suppress(psutil.Error):
            process = self._processes.get(worker.id)
            if process is None:
                process = self._processes[worker.id] = psutil.Process(worker.pid)
            return usage_of(process)
        return None


def _shares(pids: list[int]) -> dict[int, int]:
    """Bytes by process, those of shared pages divided among the processes that share them."""
    found: dict[int, int] = {}
    for pid in pids:
        with suppress(OSError, ValueError, IndexError):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
            line = next(line for line in text.splitlines() if line.startswith("Pss:"))
            found[pid] = int(line.split()[1]) * 1024
    return found

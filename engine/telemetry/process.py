"""What the engine's own process uses: memory, CPU, descriptors, threads, collections, loop lag.

Loop thread only; reading it takes some 100 µs, so the pulse does it once a second.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import suppress

import psutil

Labels = tuple[tuple[str, str], ...]


class ProcessMeter:
    """Looks at this process."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._worst = 0.0

    def late(self, seconds: float) -> None:
        """The loop ran something so much later than it was due."""
        self._worst = max(self._worst, seconds)

    def gauges(self) -> Iterator[tuple[str, float]]:
        """What there is now; the worst lag is that since the last look."""
        with suppress(psutil.Error), self._process.oneshot():
            yield "citadel.process.rss", self._process.memory_info().rss
            yield "citadel.process.cpu", self._process.cpu_percent() / 100
            yield "citadel.process.fds", descriptors(self._process)
            yield "citadel.process.threads", self._process.num_threads()
        worst, self._worst = self._worst, 0.0
        yield "citadel.process.loop_lag", round(worst, 4)

    def counters(self) -> Iterator[tuple[str, Labels, float]]:
        """Collections of Python's garbage collector, by generation."""
        for generation, stats in enumerate(gc.get_stats()):
            labels = (("generation", str(generation)),)
            yield "citadel.process.gc", labels, float(stats["collections"])


def descriptors(process: psutil.Process) -> int:
    """A process's open file descriptors; on Windows, its handles."""
    if psutil.WINDOWS:
        handles: int = process.num_handles()  # pyright: ignore[reportAttributeAccessIssue] - Windows
        return handles
    return process.num_fds()

"""What a process uses, as psutil says. No state; the engine and the nodes of a cluster read it."""

from __future__ import annotations

from typing import NamedTuple

import psutil

from engine.telemetry.process import descriptors


class Usage(NamedTuple):
    """Resident bytes, share of a CPU, open descriptors (on Windows handles), threads."""

    rss_bytes: int = 0
    cpu: float = 0.0
    fds: int = 0
    threads: int = 0


def usage_of(process: psutil.Process) -> Usage:
    """Reads it: some 100 µs.

    Raises:
        psutil.Error: it has ended, or is not ours to look at.
    """
    with process.oneshot():
        cpu = process.cpu_percent() / 100
        return Usage(process.memory_info().rss, cpu, descriptors(process), process.num_threads())

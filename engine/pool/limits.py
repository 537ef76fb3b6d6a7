"""What a worker may use, applied by the worker to itself before it imports its adapter.

Imported by the worker's process: light. Where the system has no such limit (Windows) it says so on
standard error, which becomes an event. Memory is counted beyond what the worker's own code takes.
"""

from __future__ import annotations

import errno
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

if sys.platform != "win32":
    import resource

MEMORY, CPU, FILES, PROCESSES, CGROUP = "memory", "cpu", "files", "processes", "cgroup"
"""The keys of a charge's limits; a cgroup's value is its folder."""
PROCS = "cgroup.procs"

_applied: dict[str, int] = {}


def apply(limits: Mapping[str, int | str]) -> None:
    """Limits this process. A limit that the system refuses is said on standard error."""
    if not limits:
        return
    if sys.platform == "win32":
        _say(f"this system has no limits: {', '.join(limits)}")
        return
    _applied.clear()
    if CGROUP in limits:
        try:
            (Path(str(limits[CGROUP])) / PROCS).write_text("0")
        except OSError as error:
            _say(f"it is in no cgroup of its own: {error}")
    memory = int(limits.get(MEMORY, 0))
    if memory:
        base = _address_space()
        _set(MEMORY, resource.RLIMIT_AS, memory, memory + base)
    _set(FILES, resource.RLIMIT_NOFILE, int(limits.get(FILES, 0)))
    _set(PROCESSES, getattr(resource, "RLIMIT_NPROC", -1), int(limits.get(PROCESSES, 0)))
    # A second more: the kernel first sends SIGXCPU, which names itself, then SIGKILL.
    cpu = int(limits.get(CPU, 0))
    if cpu:
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    _set(CPU, resource.RLIMIT_CPU, cpu, cpu, cpu + 1)


def named(error: BaseException) -> str:
    """The limit that an error of a tool comes from, in words; empty: from none of ours."""
    if isinstance(error, MemoryError) and MEMORY in _applied:
        return f"the worker's limits.memory_bytes is {_applied[MEMORY]}"
    number = error.errno if isinstance(error, OSError) else 0
    if number == errno.EMFILE and FILES in _applied:
        return f"the worker's limits.open_files is {_applied[FILES]}"
    if number == errno.EAGAIN and PROCESSES in _applied:
        return f"the worker's limits.processes is {_applied[PROCESSES]}"
    if number == errno.ENOMEM and MEMORY in _applied:
        return f"the worker's limits.memory_bytes is {_applied[MEMORY]}"
    return ""


def _set(name: str, kind: int, told: int, soft: int = 0, hard: int = 0) -> None:
    if not told or kind < 0:
        return
    soft = soft or told
    hard = hard or soft
    _, most = resource.getrlimit(kind)
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), min(hard, most)
    try:
        resource.setrlimit(kind, (soft, hard))
    except (OSError, ValueError) as error:
        _say(f"limit {name} cannot be set: {error}")
    else:
        _applied[name] = told


def _address_space() -> int:
    """Bytes that this process has mapped so far; 0 where the system does not tell."""
    with suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        return pages * resource.getpagesize()
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"limits: {text}\n")
    sys.stderr.flush()

"""A cgroup v2 group for each worker, below a folder that the operator gives. Linux only.

Called on the loop thread: a handful of writes to kernel files. The worker joins its group itself,
before it imports its adapter. Where a group or a limit of it cannot be made, the pool goes on
without, and says so once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from engine.pool.options import LimitOptions


class Cgroups:
    """The groups of one pool's workers."""

    def __init__(self, options: LimitOptions, tell: Callable[[str], None]) -> None:
        self._options = options
        self._tell = tell
        self._told: set[str] = set()
        self._groups: dict[str, Path] = {}

    def create(self, worker: str) -> str:
        """The folder of a new group, limited; empty: there is none."""
        if not self._options.cgroup:
            return ""
        group = Path(self._options.cgroup) / f"citadel-{os.getpid()}-{worker}"
        try:
            group.mkdir(exist_ok=True)
        except OSError as error:
            self._degrade("create", f"workers get no cgroup below {self._options.cgroup}: {error}")
            return ""
        self._groups[worker] = group
        self._limit(group, "memory.max", self._options.memory_bytes)
        self._limit(group, "memory.swap.max", 0 if self._options.memory_bytes else None)
        self._limit(group, "pids.max", self._options.processes)
        return str(group)

    def limits_memory(self, worker: str) -> bool:
        """Whether the kernel counts a worker's memory: an address space needs no limit then."""
        group = self._groups.get(worker)
        return group is not None and (group / "memory.max").exists()

    def killed(self, worker: str) -> str:
        """Which limit of its group a worker was killed for, in words; empty: none."""
        group = self._groups.get(worker)
        if group is None:
            return ""
        with suppress(OSError, ValueError):
            for line in (group / "memory.events").read_text(encoding="ascii").splitlines():
                name, _, number = line.partition(" ")
                if name == "oom_kill" and int(number):
                    return f"out of memory: limits.memory_bytes is {self._options.memory_bytes}"
        return ""

    def remove(self, worker: str) -> None:
        """Removes a group after its worker has ended; one that is not empty yet stays behind."""
        group = self._groups.pop(worker, None)
        if group is not None:
            try:
                group.rmdir()
            except OSError as error:
                self._degrade("remove", f"cgroup {group} cannot be removed: {error}")

    def _limit(self, group: Path, name: str, value: int | None) -> None:
        if value is None or (not value and name != "memory.swap.max"):
            return
        file = group / name
        try:
            # Opened, not created: a file that is not there is a controller that is not enabled.
            with file.open("r+", encoding="ascii") as opened:
                opened.write(str(value))
        except OSError as error:
            if name != "memory.swap.max":
                self._degrade(name, f"{name} has no effect below {self._options.cgroup}: {error}")

    def _degrade(self, what: str, text: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self._tell(text)

"""Blocks of shared memory that somebody holds after their command: watched, reported once.

Loop thread only.
"""

from __future__ import annotations

import asyncio

from engine.pool.leases import Block
from engine.telemetry.recorder import Recorder


class Leaks:
    """What is held for too long in the slabs of one pool."""

    def __init__(self, pool: str, seconds: float, recorder: Recorder) -> None:
        self._pool = pool
        self._seconds = seconds
        self._recorder = recorder
        self._loop = asyncio.get_running_loop()
        self._ended: dict[Block, tuple[float, str, str]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, block: Block, command: str, tool: str) -> None:
        """The block's command has ended, and somebody has it still."""
        now = self._loop.time()
        self._ended[block] = (now, command, tool)
        if self._timer is None:
            self._timer = self._loop.call_at(now + self._seconds, self._report)

    def forget(self, block: Block) -> None:
        """Nobody has the block any more."""
        self._ended.pop(block, None)

    def close(self) -> None:
        """Nothing is reported any more."""
        if self._timer:
            self._timer.cancel()
        self._ended.clear()

    def _report(self) -> None:
        self._timer = None
        since = self._loop.time() - self._seconds
        for block, (ended, command, tool) in list(self._ended.items()):
            if ended > since:
                continue
            del self._ended[block]
            holders = ", ".join(holder or "its caller" for holder in sorted(block.holders))
            self._recorder.event(
                "slab.leaked",
                subject=self._pool,
                severity="warning",
                message=f"{block.length} bytes of {tool} are held by {holders},"
                f" {self._seconds:g} s after command {command}",
                context=None,
                command=command,
                tool=tool,
                bytes=block.length,
                holders=holders,
            )
        if self._ended:
            oldest = min(ended for ended, _, _ in self._ended.values())
            self._timer = self._loop.call_at(oldest + self._seconds, self._report)

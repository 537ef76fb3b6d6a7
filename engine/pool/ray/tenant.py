"""One worker of a node: its process, its link as a stream of bytes, its slate. Runs in the agent.

The engine's side of it is in `remote.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import deque
from typing import Any, Protocol

import psutil

from engine.pool.hosting import Charge
from engine.pool.link import Relay
from engine.pool.output import Throttle
from engine.pool.ray import protocol
from engine.pool.spawn import Ears, Hosted, Spawner
from engine.pool.usage import Usage, usage_of

LAST_LINES = 20
"""Lines of a worker that printed too many which are told at its end."""


class Engine(Protocol):
    """How a tenant speaks to the engine."""

    def send(self, worker: int, data: bytes) -> None:
        """Queues bytes of a worker's stream."""

    def tell(self, item: list[Any]) -> None:
        """Queues a frame of the node's own."""


class Tenant:
    """The life of one worker, as the node sees it."""

    def __init__(
        self, number: int, charge: dict[str, Any], spawner: Spawner, engine: Engine
    ) -> None:
        self._number = number
        own: dict[str, Any] = {"engine": os.getpid()}
        self._charge = Charge(**(charge | own))
        self._spawner = spawner
        self._engine = engine
        self._hosted: Hosted | None = None
        self._link: Relay | None = None
        self._killed = self._held = False
        self._seen: tuple[int, ...] = ()
        self._told = b""
        self._measured: psutil.Process | None = None
        self._throttle = Throttle()
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        """What it printed last, and the engine was not told."""
        self._untold = 0
        """Lines that the engine was not told, these included."""

    async def run(self) -> None:
        """Starts it, watches it to its end, and tells both."""
        ears = Ears(
            on_line=self._printed, on_frame=_no_frames, on_garbage=_no_garbage, on_data=self._said
        )
        try:
            await self._spawner.ready()
            hosted = await self._spawner.spawn(self._charge, ears, {})
        except OSError as error:
            self._engine.tell([protocol.UNSTARTED, self._number, str(error)])
            return
        assert isinstance(hosted.link, Relay)
        self._hosted, self._link = hosted, hosted.link
        self._engine.tell([protocol.STARTED, self._number, hosted.process.pid])
        self.hold(self._held)
        with contextlib.suppress(psutil.Error):
            self._measured = psutil.Process(hosted.process.pid)
            self._measured.cpu_percent()
        if self._killed:
            hosted.process.kill()
        try:
            await asyncio.wait({hosted.process.exited})
        finally:
            await self._settle(hosted)

    def relay(self, data: bytes) -> None:
        """Passes on bytes that the engine sent."""
        if self._link:
            self._link.pass_on(data)

    def kill(self) -> None:
        """Kills it, at once or as soon as it has a process."""
        self._killed = True
        if self._hosted:
            self._hosted.process.kill()

    def hold(self, held: bool) -> None:
        """Stops to read what it says, or goes on."""
        self._held = held
        if self._link:
            self._link.hold(held)

    def nudge(self) -> None:
        """Sends the answers that wait in a worker which has begun nothing since the last time."""
        if self._hosted is None:
            return
        board = self._hosted.slate
        running = board.running
        if running == self._seen:
            unsent = board.unsent()
            # A worker overwrites answers only after it has begun another command.
            if unsent and unsent != self._told and board.running == running:
                self._told = unsent
                self._engine.tell([protocol.UNSENT, self._number, unsent])
        self._seen = running

    def measure(self) -> list[Any]:
        """Its number, heartbeats, and what it uses."""
        used = Usage()
        if self._measured:
            with contextlib.suppress(psutil.Error):
                used = usage_of(self._measured)
        return [self._number, self._hosted.slate.beats if self._hosted else 0, *used]

    async def _settle(self, hosted: Hosted) -> None:
        hosted.process.kill()
        await hosted.process.end()
        await hosted.link.end()
        exited = hosted.process.exited
        code = exited.result() if exited.done() else -9
        for line in self._last:
            self._tell(line, self._untold - len(self._last))
        ran, unsent = list(hosted.slate.running), hosted.slate.left()
        self._hosted = None
        hosted.slate.close()
        self._engine.tell([protocol.ENDED, self._number, code, ran, unsent])

    def _said(self, data: bytes) -> None:
        self._engine.send(self._number, data)

    def _printed(self, line: str) -> None:
        """Tells the engine, unless they are too many: no pressure holds back what is printed."""
        if self._throttle.passes(time.monotonic()):
            self._tell(line, self._untold)
            self._last.clear()
        else:
            self._untold += 1
            self._last.append(line)

    def _tell(self, line: str, untold: int) -> None:
        self._engine.tell([protocol.PRINTED, self._number, line, untold])
        self._untold -= untold


def _no_frames(item: list[Any]) -> None:
    raise AssertionError(f"a relay splits no frames: {item[0]}")


def _no_garbage(what: str) -> None:
    raise AssertionError(f"a relay looks at nothing: {what}")

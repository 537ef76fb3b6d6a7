"""A worker on another machine, as the engine sees it, and the connection to its node. Loop thread.

A `Remote` is process, link and slate in one. What its node tells of its end is exact; before that
the engine goes by what it sent and what came back: a worker takes commands in their order, so the
oldest that are not answered are those that run. When a node is lost nobody knows: then all that it
held may have run.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from itertools import count, islice
from typing import Any, cast

from citadel.errors import WireError
from engine.pool import frames
from engine.pool.hosting import Charge
from engine.pool.link import EXIT_SECONDS
from engine.pool.ray import protocol
from engine.pool.spawn import UNKNOWN_EXIT, Ears, Hosted
from engine.pool.usage import Usage

CLOCK_SAMPLES = 16
"""Pings of which the fastest says how the clocks differ."""
_ANSWERS = frozenset((frames.DONE, frames.FAILED, frames.DROPPED))

Notice = Callable[[str, str, str], None]
"""Hears of an event on the node: its name, its subject, its text."""
_log = logging.getLogger("citadel.pool")


class Remote:
    """One worker of a node."""

    def __init__(self, node: Node, number: int, ears: Ears, threads: int) -> None:
        self.pid = 0
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.why_not = ""
        """Why it did not start."""
        self.beats = 0
        self._node = node
        self._number = number
        self._ears = ears
        self._threads = threads
        self._splitter = frames.Splitter()
        self._open: dict[int, None] = {}
        self._ran: tuple[int, ...] | None = None
        self._unsent = b""
        self._usage = Usage()

    # ── process ──────────────────────────────────────────────────────────────────────────────

    def kill(self) -> None:
        """Has its node kill it and what it started."""
        if not self.exited.done():
            self._node.tell([protocol.KILL, self._number])

    async def end(self) -> None:
        """Kills it, and waits within a bound for its node's word: nothing comes after that."""
        self.kill()
        await asyncio.wait({self.exited}, timeout=EXIT_SECONDS)

    def usage(self) -> Usage:
        """What it uses, as its node measured it last."""
        return self._usage

    # ── link ─────────────────────────────────────────────────────────────────────────────────

    def send(self, item: list[Any]) -> None:
        """Queues a frame; a command's deadline is told in the time of its node."""
        if item[0] == frames.CALL:
            item = [*item[:4], item[4] + self._node.ahead, *item[5:]]
            self._open[item[1]] = None
        self._node.send(self._number, frames.frame(item))

    # ── slate ────────────────────────────────────────────────────────────────────────────────

    @property
    def running(self) -> tuple[int, ...]:
        """The numbers of the commands that it runs, or may run."""
        return tuple(islice(self._open, self._threads)) if self._ran is None else self._ran

    def unsent(self) -> bytes:
        """The answers that it had not sent when it ended."""
        return self._unsent

    def left(self) -> bytes:
        """The same, and items."""
        return self._unsent

    def close(self) -> None:
        """Lets go of it; its node forgets it by itself."""

    # ── what its node tells ──────────────────────────────────────────────────────────────────

    def said(self, piece: bytes) -> None:
        """It wrote to its link."""
        self._hear(self._splitter, piece)

    def waits(self, answers: bytes) -> None:
        """Answers are on its slate, and no command begins behind them."""
        self._hear(frames.Splitter(), answers)

    def printed(self, line: str, untold: int) -> None:
        """It printed a line, and before it so many that its node did not tell."""
        if untold and self._ears.on_untold:
            self._ears.on_untold(untold)
        self._ears.on_line(line)

    def measured(self, beats: int, usage: Usage) -> None:
        """What it uses."""
        self.beats, self._usage = beats, usage

    def ended(self, code: int, ran: tuple[int, ...], unsent: bytes) -> None:
        """Its process has ended, and this is what its slate said."""
        self._ran, self._unsent = ran, unsent
        if not self.exited.done():
            self.exited.set_result(code)

    def lost(self, why: str) -> None:
        """Its node is out of reach: each command that it has may have run."""
        self.why_not = why
        if self._ears.on_lost:
            self._ears.on_lost(why)
        self.ended(UNKNOWN_EXIT, tuple(self._open), b"")

    def _hear(self, splitter: frames.Splitter, data: bytes) -> None:
        try:
            for item in splitter.feed(data):
                if item[0] in _ANSWERS:
                    self._open.pop(item[1], None)
                self._ears.on_frame(item)
        except WireError as error:
            self._ears.on_garbage(str(error))
        except frames.MISSHAPEN as error:
            _log.exception("a frame of a remote worker could not be taken")
            self._ears.on_garbage(f"a frame of a wrong shape ({type(error).__name__}: {error})")


class Node(asyncio.Protocol):
    """The engine's end of the connection to a node, and the workers there."""

    def __init__(self) -> None:
        self.name = ""
        self.ping_seconds = protocol.PING_SECONDS
        self.ahead = 0.0
        """Seconds by which the node's clock is before ours."""
        self.gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done when the node is lost, with the cause."""
        self.on_notice: Notice = _unheard
        self._loop = asyncio.get_running_loop()
        self._remotes: dict[int, Remote] = {}
        self._old: set[int] = set()
        self._numbers = count(1)
        self._records = protocol.Records()
        self._splitter = frames.Splitter()
        self._out: dict[int, list[bytes]] = {}
        self._transport: asyncio.Transport | None = None
        self._heard = self._loop.time()
        self._samples: deque[tuple[float, float]] = deque(maxlen=CLOCK_SAMPLES)
        self._timer: asyncio.TimerHandle | None = None

    @property
    def load(self) -> tuple[int, int]:
        """Workers there that are not to be renewed, and all of them: the lower, the more room."""
        return len(self._remotes.keys() - self._old), len(self._remotes)

    def renew(self) -> None:
        """Those that are there now are to be replaced: their places count as free."""
        self._old = set(self._remotes)

    async def spawn(self, charge: Charge, ears: Ears) -> Hosted:
        """Starts a worker there.

        Raises:
            OSError: its process cannot be started, or the node was lost.
        """
        if self.gone.done():
            raise ConnectionError(f"node {self.name} was lost: {self.gone.result()}")
        number = next(self._numbers)
        remote = self._remotes[number] = Remote(self, number, ears, charge.threads)
        told = {**asdict(charge), "descriptors": {}}
        self.tell([protocol.SPAWN, number, told])
        try:
            ends = {remote.started, remote.exited}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            remote.kill()
            raise
        if not remote.started.done():
            raise OSError(remote.why_not or "it ended while it started")
        return Hosted(remote, remote, remote, node=self.name, usage=remote.usage)

    def lose(self, cause: str) -> None:
        """Takes the node for lost, and all workers with it."""
        if self.gone.done():
            return
        self.gone.set_result(cause)
        if self._timer:
            self._timer.cancel()
        if self._transport:
            self._transport.abort()
        remotes, self._remotes = self._remotes, {}
        for remote in remotes.values():
            remote.lost(f"node {self.name} was lost: {cause}")

    def leave(self) -> None:
        """Tells the node to kill its workers and to end."""
        self.tell([protocol.LEAVE])
        self._flush()

    # ── the connection ───────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The node has proved itself."""
        self._transport = cast("asyncio.Transport", transport)
        self._heard = self._loop.time()
        self._ping()

    def connection_lost(self, exc: Exception | None) -> None:
        """The node is gone, or was let go."""
        self.lose(f"its connection ended{f': {exc}' if exc else ''}")

    def data_received(self, data: bytes) -> None:
        """Workers, or the node, said something."""
        self._heard = self._loop.time()
        try:
            for number, piece in self._records.feed(data):
                if number:
                    if remote := self._remotes.get(number):
                        remote.said(piece)
                else:
                    for item in self._splitter.feed(piece):
                        self._told(item)
        except (WireError, ValueError, TypeError, LookupError) as error:
            self.lose(f"it sent garbage: {error}")

    def send(self, number: int, data: bytes) -> None:
        """Queues bytes; all that is queued in a loop tick leaves in one write."""
        if not self._out:
            self._loop.call_soon(self._flush)
        queued = self._out.get(number)
        if queued is None:
            self._out[number] = [data]
        else:
            queued.append(data)

    def tell(self, item: list[Any]) -> None:
        """Queues a frame for the node itself."""
        self.send(protocol.NODE, frames.frame(item))

    def _flush(self) -> None:
        out, self._out = self._out, {}
        if out and self._transport and not self._transport.is_closing():
            self._transport.writelines(
                [part for number, queued in out.items() for part in protocol.record(number, queued)]
            )

    def _told(self, item: list[Any]) -> None:
        """Takes a frame of the node's own."""
        if item[0] == protocol.PONG:
            self._ponged(*item[1:])
            return
        if item[0] == protocol.NOTICE:
            self.on_notice(*map(str, item[1:4]))
            return
        kind, number = item[0], int(item[1])
        remote = self._remotes.get(number)
        if remote is None:
            return
        match kind:
            case protocol.STARTED:
                remote.pid = int(item[2])
                remote.started.set_result(None)
            case protocol.UNSTARTED:
                del self._remotes[number]
                remote.why_not = str(item[2])
                remote.ended(UNKNOWN_EXIT, (), b"")
            case protocol.PRINTED:
                remote.printed(str(item[2]), int(item[3]))
            case protocol.UNSENT:
                remote.waits(item[2])
            case protocol.ENDED:
                del self._remotes[number]
                remote.ended(int(item[2]), tuple(item[3]), item[4])
            case _:
                raise WireError(f"a frame of unknown kind {kind}")

    def _ping(self) -> None:
        silent = self._loop.time() - self._heard
        if silent > protocol.SILENCE_SECONDS:
            self.lose(f"it was silent for {silent:.0f} s")
            return
        self.tell([protocol.PING, time.monotonic()])
        self._timer = self._loop.call_later(self.ping_seconds, self._ping)

    def _ponged(self, sent: float, there: float, measures: list[list[Any]]) -> None:
        now = time.monotonic()
        self._samples.append((now - sent, there - (sent + now) / 2))
        self.ahead = min(self._samples)[1]
        for number, beats, *usage in measures:
            if remote := self._remotes.get(number):
                remote.measured(beats, Usage(*usage))


def _unheard(event: str, subject: str, text: str) -> None:
    """Nobody listens yet."""
    del event, subject, text

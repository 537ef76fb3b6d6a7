"""One worker: the life of its process, from spawn to the last answer. The shell around a seat.

Loop thread only. A worker is started, given commands, and watched until its process has ended; then
its crew hears `on_exit` once, after everything that the worker still had to say.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from citadel.errors import AdapterFailed, CitadelError, WireError, WorkerLost
from citadel.vocabulary import WorkerState
from engine.pool import frames
from engine.pool.heart import Heart
from engine.pool.hosting import Charge
from engine.pool.output import Throttle
from engine.pool.record import Record
from engine.pool.recycling import Term
from engine.pool.settings import PoolSettings
from engine.pool.spawn import UNKNOWN_EXIT, Ears, Hosted, Spawner
from engine.pool.usage import Usage

OUTPUT_LINES = 50
"""Lines a worker printed that are kept for error messages."""


class Owner(Protocol):
    """What a worker tells its crew."""

    def on_ready(self, worker: Worker, tools: list[list[Any]]) -> None:
        """It can take commands; its tools are [name, description, input, output schema]."""

    def on_frame(self, worker: Worker, item: list[Any]) -> None:
        """It said something about a command, or about its health."""

    def on_output(self, worker: Worker, line: str) -> None:
        """It printed a line."""

    def on_exit(self, worker: Worker) -> None:
        """Its process has ended; called once."""


HandDown = Callable[[str], Mapping[str, int]]
"""The descriptors, by name, that the worker with that id is handed when it is spawned."""


def nothing(worker: str) -> Mapping[str, int]:
    """Hands no descriptors down."""
    del worker
    return {}


class Worker:
    """A process that hosts the pool's adapter."""

    def __init__(
        self,
        worker_id: str,
        settings: PoolSettings,
        owner: Owner,
        spawner: Spawner,
        hand_down: HandDown = nothing,
    ) -> None:
        self.id = worker_id
        self.state: WorkerState = "starting"
        self.since_ns = self.started_ns = time.time_ns()
        self.record = Record(self.started_ns)
        self.heart = Heart(settings.heartbeat)
        self.term = Term(settings.recycle, random.random())  # noqa: S311 - jitter
        self.ready_at = 0.0
        self.done = self.failed = 0
        self.used, self.pss_bytes = Usage(), 0
        self.missed = 0
        """Heartbeats in a row that did not come."""
        self.taint = ""
        """Why it is to be replaced although it lives."""
        self.limits: dict[str, int | str] = {}
        self.cause = ""
        self.output: deque[str] = deque(maxlen=OUTPUT_LINES)
        self.refusal = self.traceback = self.remedy = ""
        self.killed = False
        """By us: an operator, a grace that ran out, garbage."""
        self.proved = False
        """Whether it may serve: where workers died when they were ready, it lived for a while."""
        self.admitted = False
        """Whether it is given commands."""
        self._settings = settings
        self._owner = owner
        self._spawner = spawner
        self._hand_down = hand_down
        self._throttle = Throttle()
        self._hosted: Hosted | None = None
        self._settled = self._stopping = False
        self._early: list[list[Any]] = []
        self._became_ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._seen: tuple[int, ...] = ()
        self._ran: tuple[int, ...] = ()
        self._threads = settings.threads if settings.profile != "process" else 1

    @property
    def pid(self) -> int:
        """Its process id, 0 before there is one."""
        return self._hosted.process.pid if self._hosted else 0

    @property
    def running(self) -> tuple[int, ...]:
        """The number of the command that it began last, in each of its threads."""
        return self._hosted.slate.running if self._hosted and not self._settled else self._ran

    @property
    def beats(self) -> int:
        """Its heartbeats so far."""
        return self._hosted.slate.beats if self._hosted and not self._settled else 0

    @property
    def node(self) -> str:
        """The machine that it is on; empty: this one."""
        return self._hosted.node if self._hosted else ""

    @property
    def rss_bytes(self) -> int:
        """Resident memory, as last measured."""
        return self.used.rss_bytes

    @property
    def usage(self) -> Usage | None:
        """What it uses, when another machine tells; None: measure it."""
        return self._hosted.usage() if self._hosted and self._hosted.usage else None

    def age(self, now: float) -> float:
        """Seconds since it was ready, at that time of the monotonic clock."""
        return now - self.ready_at if self.ready_at else 0.0

    def runs(self, number: int) -> bool:
        """Whether it has begun a command, and none after it in the same thread."""
        return number in self.running

    async def run(self) -> None:
        """Spawns the process and watches it until it ends, however it ends."""
        try:
            await self._start()
            if self._hosted:
                await asyncio.wait({self._hosted.process.exited})
        finally:
            self.kill()
            await self._settle()
            self._owner.on_exit(self)

    def send(self, item: list[Any]) -> None:
        """Queues a frame; those of one loop tick leave in one write."""
        if self._hosted:
            self._hosted.link.send(item)

    def to(self, state: WorkerState, cause: str = "") -> None:
        """Goes to another state."""
        if state != self.state:
            self.state, self.since_ns = state, time.time_ns()
            self.record.to(state, self.since_ns, cause)
        self.cause = cause or self.cause

    def kill(self, cause: str = "") -> None:
        """Kills the process and what it started."""
        if self._hosted and not self.exited:
            self.cause, self.killed = cause or self.cause, True
        if self._hosted:
            self._hosted.process.kill()

    def stop(self) -> None:
        """Tells it to end; its teardown may take as long as its start."""
        self.send([frames.STOP])
        if not self._stopping:
            self._stopping = True
            seconds = self._settings.start_timeout_seconds
            asyncio.get_running_loop().call_later(seconds, self._insist, seconds)

    def _insist(self, seconds: float) -> None:
        if self._hosted and not self.exited:
            self.kill(f"it did not end within {seconds:g} s")

    def nudge(self) -> None:
        """Takes the answers that wait in a worker which has run one command since the last time."""
        # Threads let no answer wait.
        if self._hosted is None or self._settled or self._threads > 1:
            return
        board = self._hosted.slate
        running = board.running
        if running == self._seen:
            unsent = board.unsent()
            # A worker overwrites answers only after it has begun another command.
            if unsent and board.running == running:
                self._take(unsent)
        self._seen = running

    def how_it_ended(self) -> str:
        """The exit in words: the signal or the exit code, and what was printed last."""
        if self.refusal:
            return self.refusal
        code = self.code
        if code is None:
            text = "its process did not start"
        elif code == UNKNOWN_EXIT:
            text = "its process is gone"
        elif code < 0:
            text = f"its process was killed by {_signal_name(-code)}"
        else:
            text = f"its process exited with code {code}"
        if self.cause:
            text += f" ({self.cause})"
        if self.output:
            text += f"; it printed last: {self.output[-1]}"
        return text

    @property
    def spare(self) -> bool:
        """Whether it stands by, set up, outside the schedule."""
        return self.state == "ready" and not self.admitted

    @property
    def exited(self) -> bool:
        """Whether its process has ended."""
        return bool(self._hosted and self._hosted.process.exited.done())

    @property
    def orphaned(self) -> bool:
        """Whether it ended with its machine, or with the zygote that it was forked from."""
        return self.code == UNKNOWN_EXIT

    @property
    def code(self) -> int | None:
        """Its exit code, or the signal's number, negative; None before its end."""
        return self._hosted.process.exited.result() if self._hosted and self.exited else None

    def lost(self, command: str) -> CitadelError:
        """The error of the command that ran when it died."""
        return WorkerLost(
            f"worker {self.id} died while it ran command {command}: {self.how_it_ended()}",
            subject=self.id,
            details={
                "worker": self.id,
                "node": self.node,
                "pid": str(self.pid),
                "output": "\n".join(self.output),
            },
        )

    def start_failure(self) -> CitadelError:
        """The error of commands when no worker stays."""
        return AdapterFailed(
            f"adapter {self._settings.hosts} cannot be hosted: {self.how_it_ended()}",
            subject=self._settings.hosts,
            remedy=self.remedy
            or f"Mend the adapter, then: citadel pool recycle {self._settings.name}",
            details={
                "worker": self.id,
                "output": "\n".join(self.output),
                "traceback": self.traceback,
            },
        )

    # ── inside ───────────────────────────────────────────────────────────────────────────────

    async def _start(self) -> None:
        seconds = self._settings.start_timeout_seconds
        try:
            await self._spawner.ready()
            async with asyncio.timeout(seconds):
                hosted = await self._spawn()
                ends = {self._became_ready, hosted.process.exited}
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            self.kill("start timeout")
            self.refusal = f"the adapter did not set up within {seconds:g} s"
        except OSError as error:
            self.refusal = f"its process could not be started: {error}"
        except CitadelError as error:
            self.refusal, self.remedy = error.message, str(error.remedy)
            self.output.extend(error.details.get("output", "").splitlines())

    async def _spawn(self) -> Hosted:
        settings = self._settings
        charge = Charge(
            worker=self.id,
            pool=settings.name,
            adapter=settings.hosts,
            engine=os.getpid(),
            max_result_bytes=settings.max_result_bytes,
            profile=settings.profile,
            threads=self._threads,
            beat_seconds=settings.heartbeat.interval_seconds,
            session_limit=settings.sessions.limit,
            variables_bytes=settings.sessions.variables_bytes,
            threshold_bytes=settings.memory.threshold_bytes,
            limits=self.limits,
        )
        ears = Ears(
            on_line=self._printed,
            on_frame=self._heard,
            on_garbage=self._sent_garbage,
            on_lost=self._lost_with,
            on_untold=self._throttle.hold,
        )
        self._hosted = await self._spawner.spawn(charge, ears, self._hand_down(self.id))
        early, self._early = self._early, []
        for item in early:
            self._said(item)
        return self._hosted

    async def _settle(self) -> None:
        """Waits, within a bound, for the end of all that the process said; then lets go of it."""
        if self._hosted:
            await self._hosted.process.end()
            await self._hosted.link.end()
        for line in self._throttle.held_back():
            self._owner.on_output(self, line)
        if self._hosted:
            self._take(self._hosted.slate.left())
            self._ran = self._hosted.slate.running
            self._settled = True
            self._hosted.slate.close()

    def _heard(self, item: list[Any]) -> None:
        """A frame; one that comes before the spawner has returned waits until it has."""
        if self._hosted is None:
            self._early.append(item)
        else:
            self._said(item)

    def _take(self, unsent: bytes) -> None:
        with contextlib.suppress(WireError, *frames.MISSHAPEN):
            for item in frames.Splitter().feed(unsent):
                self._said(item)

    def _said(self, item: list[Any]) -> None:
        if item[0] == frames.READY and self.state != "starting":
            return  # told to leave while it started: it is on its way out
        if item[0] == frames.READY:
            self.ready_at = time.monotonic()
            self.to("ready")
            if not self._became_ready.done():
                self._became_ready.set_result(None)
            self._owner.on_ready(self, item[1])
        elif item[0] == frames.REFUSED:
            self.refusal, self.traceback = item[1], item[2]
        else:
            self._owner.on_frame(self, item)

    def _sent_garbage(self, what: str) -> None:
        self.kill(f"it sent garbage: {what}")

    def _lost_with(self, node: str) -> None:
        self.cause = node

    def _printed(self, line: str) -> None:
        self.output.append(line)
        for shown in self._throttle.take(line, time.monotonic()):
            self._owner.on_output(self, shown)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

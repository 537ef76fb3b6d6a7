"""A worker of profile process: one command at a time, in the main thread. Worker's process.

Answers to short commands leave together, and at once before a command that may be long. So do items
of a stream that are made quickly: at once before anything is waited for, and when their producer
is slow for once, a thread of its own sends them. While a
command runs nobody reads the link but who asks for something: `cancelled`, a stream, a callback.
Commands that wait behind one which waits itself are given back.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from citadel import _running
from engine.pool import frames, slate
from engine.pool.credit import WINDOW_ITEMS
from engine.pool.lane import Host, Lane

if TYPE_CHECKING:
    from engine.pool.awaiting import Loop

RECEIVE_BYTES = 256 * 1024
SHORT_SECONDS = 0.001
"""Answers wait for company only before commands of tools that took less last time."""
FLUSH_SECONDS = 0.0005
"""Answers and items wait no longer than this for company."""
MAX_HELD = WINDOW_ITEMS // 4
"""Items that wait for company: the engine takes some while others are made."""


class Single:
    """The loop of one worker; the post of its lane."""

    def __init__(self, link: socket.socket, board: slate.Slate, host: Host) -> None:
        self._link = link
        self._slate = board
        self._host = host
        self._workspace = host.workspace
        self._lane = Lane(host, self)
        self._splitter = frames.Splitter()
        self._turn = threading.Condition(threading.Lock())
        self._reading = False
        self._sending = threading.Lock()
        self._waiting: deque[list[Any]] = deque()
        self._next_number = 0
        """Of the command that is about to begin: neither waiting nor running."""
        self._cancelled: set[int] = set()
        self._ended: list[str] = []
        self._out: list[bytes] = []
        self._oldest = 0.0
        self._held = 0
        """Items of a stream among what waits."""
        self._since = 0.0
        self._holds = threading.Event()
        self._keeper: threading.Thread | None = None
        self._waits = 0
        self._spoke = False
        """Whether the running command has sent something: its answer then goes the same way."""
        self._stopping = False
        self._took: dict[str, float] = {}

    def serve(self) -> None:
        """Runs commands until told to stop or the engine is gone."""
        _running.offer(self._lane)
        while True:
            if self._waiting:
                self._next(self._waiting.popleft())
            elif self._ended:
                self._end_sessions()
            elif self._stopping:
                break
            else:
                self._flush()
                self._pump(self._has_work)
        self._flush()
        self._lane.close()
        self._host.sessions.end_all()

    def _has_work(self) -> bool:
        return bool(self._waiting) or bool(self._ended) or self._stopping

    # ── commands ─────────────────────────────────────────────────────────────────────────────

    def _next(self, call: list[Any]) -> None:
        number, name = call[1], call[2]
        self._next_number = number
        if self._took.get(name, SHORT_SECONDS) >= SHORT_SECONDS:
            self._flush()
            self.poll()
        if self._ended:
            self._end_sessions()
        self._next_number = 0
        if number in self._cancelled or call[4] < time.monotonic():
            self._cancelled.discard(number)
            self._workspace.skip([call])
            self._out.append(frames.frame([frames.DROPPED, number]))
            return
        self._slate.begin(number)
        self._spoke = False
        self._lane.begin(call)
        began = time.perf_counter()
        data = self._lane.answer(call, began)
        ended = time.perf_counter()
        self._took[name] = ended - began
        self._keep(data, ended)

    def _end_sessions(self) -> None:
        ended, self._ended = self._ended, []
        for key in ended:
            self._host.sessions.end(key)

    # ── the link ─────────────────────────────────────────────────────────────────────────────

    def _pump(self, over: Callable[[], bool]) -> None:
        """Reads once, or lets the thread that reads do so; nothing when it is over."""
        with self._turn:
            if over():
                return
            if self._reading:
                self._turn.wait()
                return
            self._reading = True
        try:
            self._receive()
        finally:
            with self._turn:
                self._reading = False
                self._turn.notify_all()

    def poll(self) -> None:
        """Takes what has come, without waiting; nothing when another thread reads."""
        with self._turn:
            if self._reading:
                return
            self._reading = True
        try:
            while select.select([self._link], [], [], 0)[0]:
                self._receive()
        finally:
            with self._turn:
                self._reading = False
                self._turn.notify_all()

    def _receive(self) -> None:
        data = self._link.recv(RECEIVE_BYTES)
        if not data:
            os._exit(0)  # the engine is gone: nobody waits for an orderly end
        for item in self._splitter.feed(data):
            self._heard(item)

    def _heard(self, item: list[Any]) -> None:
        lane = self._lane
        match item[0]:
            case frames.CALL:
                self._waiting.append(item)
                if self._waits:
                    self._give_back()
            case frames.CANCEL:
                if item[1] == lane.number:
                    lane.stop()
                elif item[1] == self._next_number or any(
                    call[1] == item[1] for call in self._waiting
                ):
                    self._cancelled.add(item[1])
            case frames.CREDIT | frames.ITEM | frames.END | frames.REPLY:
                if item[1] == lane.number:
                    lane.hear(item)
                else:
                    self._workspace.skip_late(item)
            case frames.SESSION_END:
                self._ended.append(item[1])
            case frames.HEALTH:
                if not lane.number:
                    self.say([frames.HEALTHY, *health(self._host)])
            case frames.RELEASE:
                self._workspace.release(item[1])
            case _:
                self._stopping = True

    def _give_back(self) -> None:
        """Commands that wait behind one which waits for the engine go to other workers."""
        if not self._waiting:
            return
        numbers = [call[1] for call in self._waiting]
        self._workspace.skip(self._waiting)
        self._waiting.clear()
        self._cancelled.difference_update(numbers)
        self.say([frames.RETURNED, numbers])

    def _keep(self, answer: bytes, now: float) -> None:
        """Keeps an answer for company; on the slate it outlives this process."""
        # What the running command sent has emptied the slate: the engine may be reading there.
        if self._spoke or not self._slate.put(answer):
            self._flush()
            if self._spoke or not self._slate.put(answer):
                with self._sending:
                    self._link.sendall(answer)
                return
        if not self._out:
            self._oldest = now
        self._out.append(answer)
        if now - self._oldest > FLUSH_SECONDS:
            self._flush()

    def _flush(self) -> None:
        if self._out or self._workspace.done:
            with self._sending:
                if self._workspace.done:
                    self._out.append(frames.frame(self._workspace.released()))
                if self._out:
                    self._send()

    def _send(self) -> None:
        out, self._out = self._out, []
        self._held = 0
        self._link.sendall(b"".join(out))
        self._slate.sent()

    # ── the post of the lane: see `engine.pool.lane` ─────────────────────────────────────────

    frame = staticmethod(frames.frame)

    def say(self, *items: list[Any]) -> None:
        """Sends frames at once; a tool's own threads may do so too."""
        with self._sending:
            self._spoke = True
            self._out += map(frames.frame, items)
            if self._workspace.done:
                self._out.append(frames.frame(self._workspace.released()))
            self._send()

    def give(self, item: list[Any], *, quick: bool) -> bool:
        """Sends a frame of a stream; one that was made quickly may wait a moment for company."""
        frame = frames.frame(item)
        with self._sending:
            self._spoke = True
            held = quick and self._slate.hold(frame)
            self._out.append(frame)
            now = time.perf_counter()
            if held and not self._held:
                self._since = now
                held = self._holds.is_set() or self._watch()
            self._held += 1
            if held and self._held < MAX_HELD and now - self._since < FLUSH_SECONDS:
                return False
            self._send()
            return True

    def flush(self) -> None:
        """Sends what waits for company."""
        self._flush()

    def _watch(self) -> bool:
        """From now on items that wait are looked at; False: nobody can, so none may wait."""
        if self._keeper is None:
            keeper = threading.Thread(target=self._keep_time, name="items", daemon=True)
            try:
                keeper.start()
            except RuntimeError:  # limits.processes counts threads too
                return False
            self._keeper = keeper
        self._holds.set()
        return True

    def _keep_time(self) -> None:
        """Sends items whose producer was quick and is so no more. A thread of its own."""
        while self._holds.wait():
            time.sleep(FLUSH_SECONDS)
            with self._sending:
                if not self._held:
                    self._holds.clear()
                elif time.perf_counter() - self._since > FLUSH_SECONDS:
                    try:
                        self._send()
                    except OSError:
                        return  # the engine is gone: the main thread finds out

    def wait(self, over: Callable[[], bool]) -> None:
        """Takes what comes until it is over."""
        if over():
            return
        self._flush()
        self.awaits(begins=True)
        try:
            while not over():
                self._pump(over)
        finally:
            self.awaits(begins=False)

    def awaits(self, begins: bool) -> None:
        """The running command begins, or ends, to wait for the engine."""
        self._waits += 1 if begins else -1
        if begins:
            self._give_back()

    def loop(self) -> Loop:
        """A loop for async tools: it watches the link too."""
        from engine.pool.awaiting import Loop  # noqa: PLC0415 - workers of plain tools need none

        return Loop(self._link.fileno(), self.poll)


def health(host: Host) -> tuple[bool, str]:
    """Whether the adapter is well, and why not."""
    try:
        return (True, "") if host.adapter.health() else (False, "its health check says no")
    except Exception as error:  # noqa: BLE001 - a user's check may raise anything
        return False, f"its health check raised {type(error).__qualname__}: {error}"

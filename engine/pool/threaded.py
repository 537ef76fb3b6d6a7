"""A worker of profile thread or free_threaded: several commands at once. Worker's process.

The main thread alone reads the link; each lane is a thread. An answer is sent when it is there, so
nothing waits on the slate but the numbers of the commands that run. Commands of one session run one
after another. One lock guards what the reader and the lanes share, another the sending.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from citadel import _running
from engine.pool import frames, slate
from engine.pool.lane import Host, Lane
from engine.pool.single import RECEIVE_BYTES, health

if TYPE_CHECKING:
    from engine.pool.awaiting import Loop


class Threaded:
    """The reader, and what its lanes share."""

    def __init__(self, link: socket.socket, board: slate.Slate, host: Host) -> None:
        self._link = link
        self._slate = board
        self._host = host
        self._workspace = host.workspace
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._sending = threading.Lock()
        self._splitter = frames.Splitter()
        self._waiting: deque[list[Any]] = deque()
        self._busy: set[str] = set()
        """Sessions of which a command runs, or that end just now."""
        self._ended: set[str] = set()
        """Sessions that end when their command does."""
        self._farewells: deque[str] = deque()
        """Sessions to be ended by who holds no lock: their teardown is a user's."""
        self._asked_health = self._stopping = False
        self._waits = 0
        """Lanes whose command waits for the engine."""
        self._posts = [_Post(self, self._lock) for _ in range(host.charge.threads)]
        self._lanes = [Lane(host, post) for post in self._posts]
        self._left = len(self._lanes)

    def serve(self) -> None:
        """Runs commands until told to stop or the engine is gone."""
        threads = [
            threading.Thread(target=self._serve, args=(slot,), name=f"lane {slot}", daemon=True)
            for slot in range(len(self._lanes))
        ]
        for thread in threads:
            thread.start()
        while data := self._link.recv(RECEIVE_BYTES):
            with self._lock:
                for item in self._splitter.feed(data):
                    self._heard(item)
                if self._workspace.done:
                    self.say()
                idle = not any(lane.number for lane in self._lanes)
            self._end_sessions()
            if self._asked_health and idle:
                self.say([frames.HEALTHY, *health(self._host)])
            self._asked_health = False
        if self._left:
            os._exit(0)  # the engine is gone: nobody waits for an orderly end
        for thread in threads:
            thread.join()
        self._host.sessions.end_all()

    # ── lanes ────────────────────────────────────────────────────────────────────────────────

    def _serve(self, slot: int) -> None:
        lane = self._lanes[slot]
        _running.offer_here(lane)
        while (call := self._take(lane)) is not None:
            self._slate.begin(call[1], slot)
            data = lane.answer(call, time.perf_counter())
            self._put(data)
            self._done(call)
            self._end_sessions()
        lane.close()
        with self._lock:
            self._left -= 1
            if not self._left:
                self._link.shutdown(socket.SHUT_RD)  # the reader is to end

    def _take(self, lane: Lane) -> list[Any] | None:
        """The next command of a lane; waits for one. None: there will be none."""
        with self._lock:
            while True:
                if (call := self._next()) is not None:
                    if key := _session(call):
                        self._busy.add(key)
                    lane.begin(call)
                    return call
                if self._stopping and not self._waiting:
                    return None
                self._work.wait()

    def _next(self) -> list[Any] | None:
        now = time.monotonic()
        for call in list(self._waiting):
            if call[4] < now:
                self._waiting.remove(call)
                self._workspace.skip([call])
                self.say([frames.DROPPED, call[1]])
            elif _session(call) not in self._busy:
                self._waiting.remove(call)
                return call
        return None

    def _done(self, call: list[Any]) -> None:
        with self._lock:
            if key := _session(call):
                if key in self._ended:
                    self._farewells.append(key)
                else:
                    self._free(key)
            elif self._stopping:
                self._work.notify_all()

    def _end_sessions(self) -> None:
        with suppress(IndexError):
            while True:
                key = self._farewells.popleft()
                self._host.sessions.end(key)
                with self._lock:
                    self._ended.discard(key)
                    self._free(key)

    def _free(self, key: str) -> None:
        """No command of the session runs; another may wait."""
        self._busy.discard(key)
        self._work.notify_all()

    # ── the reader ───────────────────────────────────────────────────────────────────────────

    def _heard(self, item: list[Any]) -> None:
        match item[0]:
            case frames.CALL:
                self._waiting.append(item)
                if self._waits and all(lane.number for lane in self._lanes):
                    self._give_back()
                else:
                    self._work.notify()
            case frames.CANCEL:
                self._cancel(item[1])
            case frames.CREDIT | frames.ITEM | frames.END | frames.REPLY:
                heard = False
                for lane, post in zip(self._lanes, self._posts, strict=True):
                    if lane.number == item[1]:
                        heard = True
                        lane.hear(item)
                        post.changed.notify_all()
                if not heard:
                    self._workspace.skip_late(item)
            case frames.SESSION_END:
                if item[1] in self._busy:
                    self._ended.add(item[1])
                else:
                    self._busy.add(item[1])
                    self._farewells.append(item[1])
            case frames.HEALTH:
                self._asked_health = True
            case frames.RELEASE:
                self._workspace.release(item[1])
            case _:
                self._stopping = True
                self._work.notify_all()

    def _cancel(self, number: int) -> None:
        for call in self._waiting:
            if call[1] == number:
                self._waiting.remove(call)
                self._workspace.skip([call])
                self.say([frames.DROPPED, number])
                return
        for lane, post in zip(self._lanes, self._posts, strict=True):
            if lane.number == number:
                lane.stop()
                post.changed.notify_all()

    def _give_back(self) -> None:
        """Commands that wait behind some which wait for the engine go to other workers."""
        if self._waiting:
            numbers = [call[1] for call in self._waiting]
            self._workspace.skip(self._waiting)
            self._waiting.clear()
            self.say([frames.RETURNED, numbers])

    # ── for the posts ────────────────────────────────────────────────────────────────────────

    def frame(self, item: list[Any]) -> bytes:
        """One frame; the packer is shared."""
        with self._sending:
            return frames.frame(item)

    def say(self, *items: list[Any]) -> None:
        """Sends frames."""
        with self._sending:
            out = [*map(frames.frame, items)]
            if self._workspace.done:
                out.append(frames.frame(self._workspace.released()))
            self._link.sendall(b"".join(out))

    def awaits(self, begins: bool) -> None:
        """One more lane's command waits for the engine, or one less. The lock is held."""
        self._waits += 1 if begins else -1
        if begins:
            self._give_back()

    def _put(self, data: bytes) -> None:
        with self._sending:
            self._link.sendall(data)
            if self._workspace.done:
                self._link.sendall(frames.frame(self._workspace.released()))


class _Post:
    """How the running command of one lane speaks with the engine: see `engine.pool.lane`."""

    def __init__(self, worker: Threaded, lock: threading.Lock) -> None:
        self.changed = threading.Condition(lock)
        self._worker = worker
        self._lock = lock

    def frame(self, item: list[Any]) -> bytes:
        """One frame."""
        return self._worker.frame(item)

    def say(self, *items: list[Any]) -> None:
        """Sends frames."""
        self._worker.say(*items)

    def give(self, item: list[Any], *, quick: bool) -> bool:
        """Sends a frame of a stream, at once: nothing of a thread waits on the slate."""
        del quick
        self._worker.say(item)
        return True

    def flush(self) -> None:
        """Nothing to do: nothing waits."""

    def poll(self) -> None:
        """Nothing to do: the reader takes what comes."""

    def wait(self, over: Callable[[], bool]) -> None:
        """Until it is over."""
        with self._lock:
            if over():
                return
            self._worker.awaits(begins=True)
            try:
                while not over():
                    self.changed.wait()
            finally:
                self._worker.awaits(begins=False)

    def awaits(self, begins: bool) -> None:
        """The running async command begins, or ends, to wait for the engine."""
        with self._lock:
            self._worker.awaits(begins=begins)

    def loop(self) -> Loop:
        """A loop for async tools; the reader wakes it."""
        from engine.pool.awaiting import Loop  # noqa: PLC0415 - workers of plain tools need none

        return Loop()


def _session(call: list[Any]) -> str:
    about = call[5]
    return about.get(frames.SESSION, "") if about else ""

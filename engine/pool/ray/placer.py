"""The engine's hold on Ray's driver process: one for each cluster, shared by the pools there.

Its threads read and write the driver's pipes, so that no loop ever waits for Ray. Handlers are
called by the reading thread.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from citadel.errors import NotReady, WireError
from engine.pool.frames import MISSHAPEN, Splitter, frame
from engine.pool.ray import driver

_ROOT = str(Path(__file__).resolve().parents[3])
STOP_SECONDS = 15.0
"""How long Ray may take to shut down before its driver is killed."""
LAST_LINES = 20

Handler = Callable[[list[Any]], None]

_placers: dict[tuple[str, tuple[str, ...]], Placer] = {}
_lock = threading.Lock()


class Placer:
    """A driver process. Made by `acquire`, let go of by `release`, which blocks."""

    def __init__(self, address: str, uploads: tuple[str, ...] = ()) -> None:
        self.key = address, uploads
        self.connected: Future[str] = Future()
        """This machine's address in the cluster; or why there is none (NotReady)."""
        self.alive = True
        self.users = 0
        self._lock = threading.Lock()
        self._handlers: dict[bytes, Handler] = {}
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._process = subprocess.Popen(  # noqa: S603 - ourselves
            [
                *(sys.executable, "-P", "-m"),
                "engine.pool.ray.driver",
                json.dumps({"address": address, "uploads": uploads}),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **_environment()},
            start_new_session=True,  # Ctrl+C is the engine's to handle
        )
        self._threads = [
            threading.Thread(target=target, name=f"ray {target.__name__}", daemon=True)
            for target in (self._read, self._write, self._listen)
        ]
        for thread in self._threads:
            thread.start()

    def place(self, key: bytes, handler: Handler, about: list[Any]) -> None:
        """Asks for an actor; the handler hears PLACED and GONE. `about` is the rest of PLACE."""
        with self._lock:
            alive = self.alive
            if alive:
                self._handlers[key] = handler
        if alive:
            self._outbox.put(frame([driver.PLACE, key, *about]))
        else:
            handler([driver.GONE, key, "Ray's driver has ended"])

    def remove(self, key: bytes) -> None:
        """Lets go of an actor."""
        self._handlers.pop(key, None)
        self._outbox.put(frame([driver.REMOVE, key]))

    def close(self) -> None:
        """Stops the driver, and the cluster that it started. Blocks for STOP_SECONDS at most."""
        self._outbox.put(frame([driver.STOP]))
        self._outbox.put(None)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join(STOP_SECONDS)

    # ── threads ──────────────────────────────────────────────────────────────────────────────

    def _write(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError), self._process.stdin as pipe:
            while (data := self._outbox.get()) is not None:
                pipe.write(data)
                pipe.flush()

    def _listen(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as pipe:
            for line in pipe:
                if text := line.decode("utf-8", "replace").strip():
                    self._last.append(text)

    def _read(self) -> None:
        assert self._process.stdout is not None
        splitter = Splitter()
        try:
            with self._process.stdout as pipe:
                while data := os.read(pipe.fileno(), driver.READ_BYTES):
                    for item in splitter.feed(data):
                        self._heard(item)
        except (WireError, *MISSHAPEN) as error:
            self._last.append(f"it sent garbage: {error}")
            self._process.kill()
        self._ended()

    def _heard(self, item: list[Any]) -> None:
        match item:
            case [driver.CONNECTED, str(address)]:
                self.connected.set_result(address)
            case [driver.FAILED, str(what), str(remedy)]:
                self.connected.set_exception(NotReady(what, remedy=remedy))
            case [driver.PLACED | driver.GONE, bytes(key), *_]:
                if handler := self._handlers.get(key):
                    handler(item)
            case _:
                raise WireError(f"{item!r}"[:200])

    def _ended(self) -> None:
        with self._lock:
            self.alive = False
            handlers, self._handlers = self._handlers, {}
        self._outbox.put(None)
        said = f": {self._last[-1]}" if self._last else ""
        if not self.connected.done():
            self.connected.set_exception(NotReady(f"Ray's driver ended before it connected{said}"))
        for key, handler in handlers.items():
            handler([driver.GONE, key, f"Ray's driver has ended{said}"])


def acquire(address: str, uploads: tuple[str, ...] = ()) -> Placer:
    """The driver of a cluster, with the modules it uploads; the first to ask starts it."""
    key = address, uploads
    with _lock:
        placer = _placers.get(key)
        if placer is None or not placer.alive:
            placer = _placers[key] = Placer(*key)
        placer.users += 1
        return placer


def release(placer: Placer) -> None:
    """Gives a driver back; the last who does stops it, and waits for its end."""
    with _lock:
        placer.users -= 1
        last = placer.users == 0
        if last and _placers.get(placer.key) is placer:
            del _placers[placer.key]
    if last:
        placer.close()


def _environment() -> dict[str, str]:
    paths = [_ROOT, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        "PYTHONPATH": os.pathsep.join(paths),
        "RAY_USAGE_STATS_ENABLED": "0",  # nothing is told to anyone
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }

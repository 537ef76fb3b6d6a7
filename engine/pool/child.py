"""The worker's process: `python -m engine.pool.child`. Imports no gRPC and starts no thread.

It connects its socket, imports its adapter, then receives, runs and answers commands one by one.
The answer to one command and the start of the next leave in one send. `cancelled()` in a tool polls
the socket for a cancel of the running command. The process ends when its socket does.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections import deque
from pathlib import Path
from typing import Any, NoReturn, cast

import msgpack

from citadel import telemetry
from citadel.adapter import Adapter, BoundTool, bound_tools, plain, watch_cancellation
from citadel.errors import AdapterFailed, BadArguments, CitadelError, UnknownTool
from citadel.trace import parse_traceparent
from engine.pool import frames

RECEIVE_BYTES = 256 * 1024
_PR_SET_PDEATHSIG = 1
MAX_TRACEBACK = 8_000


class Worker:
    """The loop of one worker."""

    def __init__(self, link: socket.socket, worker_id: str, pool: str) -> None:
        self._link = link
        self._id = worker_id
        self._pool = pool
        self._splitter = frames.Splitter()
        self._waiting: deque[list[Any]] = deque()
        self._cancelled: set[str] = set()
        self._running = ""
        self._out = bytearray()
        self._stopping = False

    def serve(self, adapter: Adapter, tools: dict[str, BoundTool]) -> None:
        """Runs commands until told to stop or the engine is gone."""
        watch_cancellation(self._poll)
        self._send([frames.READY, [_described(tool) for tool in tools.values()]])
        while True:
            while not self._waiting and not self._stopping:
                self._flush()
                self._receive()
            if not self._waiting:
                break
            call = self._waiting.popleft()
            if call[1] in self._cancelled:
                self._cancelled.discard(call[1])
                self._send([frames.DROPPED, call[1]])
                continue
            self._send([frames.START, call[1]])
            self._flush()
            self._run(call, tools)
        adapter.teardown()
        self._flush()

    def refuse(self, error: AdapterFailed) -> NoReturn:
        """Says why there will be no worker, and exits."""
        self._send([frames.REFUSED, error.message, error.details.get("traceback", "")])
        self._flush()
        sys.exit(3)

    def _run(self, call: list[Any], tools: dict[str, BoundTool]) -> None:
        _, call_id, name, arguments, traceparent, mission, mission_class, sentinel, _ = call
        self._running = call_id
        scope = telemetry.Scope(
            source="worker",
            service=self._id,
            pool=self._pool,
            mission=mission,
            mission_class=mission_class,
            sentinel=sentinel,
        )
        began = time.perf_counter()
        try:
            # The span ends before the frame is made, so that it is in the frame.
            with telemetry.command(f"run {name}", parse_traceparent(traceparent), scope):
                tool = tools.get(name)
                if tool is None:
                    raise UnknownTool(
                        f"pool {self._pool} has no tool {name}; it has {', '.join(tools)}",
                        subject=name,
                    )
                packed = _packed(tool.run(_unpacked(arguments, name)))
            answer = [frames.DONE, call_id, packed, time.perf_counter() - began, scope.rows]
            data = frames.frame(answer)
        except Exception as error:  # noqa: BLE001 - a tool may raise anything; the caller gets it
            took = time.perf_counter() - began
            data = frames.frame([frames.FAILED, call_id, *_told(error, name), took, scope.rows])
        self._out += data
        self._running = ""
        self._cancelled.discard(call_id)

    def _poll(self) -> bool:
        readable, _, _ = select.select([self._link], [], [], 0)
        if readable:
            self._receive()
        return self._running in self._cancelled

    def _receive(self) -> None:
        data = self._link.recv(RECEIVE_BYTES)
        if not data:
            os._exit(0)  # the engine is gone: nobody waits for an orderly end
        for item in self._splitter.feed(data):
            if item[0] == frames.CALL:
                self._waiting.append(item)
            elif item[0] == frames.CANCEL:
                if item[1] == self._running or any(call[1] == item[1] for call in self._waiting):
                    self._cancelled.add(item[1])
            elif item[0] == frames.STOP:
                self._stopping = True

    def _send(self, item: list[Any]) -> None:
        self._out += frames.frame(item)

    def _flush(self) -> None:
        if self._out:
            self._link.sendall(self._out)
            self._out.clear()


class _Unsendable(Exception):
    """A result that msgpack does not carry."""


def _unpacked(data: bytes, tool: str) -> dict[str, Any]:
    """Keyword arguments; an empty text is none.

    Raises:
        BadArguments: the bytes are no msgpack map with texts for keys.
    """
    try:
        found = msgpack.unpackb(data) if data else {}
    except ValueError as error:
        raise BadArguments(
            f"arguments of {tool} are no msgpack: {type(error).__name__}", subject=tool
        ) from error
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise BadArguments(f"arguments of {tool} are no map of names", subject=tool)
    return found


def _packed(value: Any) -> bytes:
    try:
        return cast("bytes", msgpack.packb(value, default=plain))
    except (TypeError, ValueError, OverflowError) as error:
        raise _Unsendable(str(error)) from error


def _described(tool: BoundTool) -> list[Any]:
    return [tool.name, tool.description, dict(tool.input_schema), dict(tool.output_schema)]


def _told(error: Exception, tool: str) -> list[Any]:
    """An error as class name, message, remedy and details."""
    if isinstance(error, CitadelError):
        return [type(error).__name__, error.message, error.remedy, error.details]
    text = "".join(traceback.format_exception(error))[-MAX_TRACEBACK:]
    kind = type(error).__qualname__
    message = f"{tool} raised {kind}: {error}"
    if isinstance(error, _Unsendable):
        message = f"{tool} returned something that cannot be sent: {error}"
    return ["CommandFailed", message, "", {"type": kind, "traceback": text}]


def load(name: str) -> Adapter:
    """An adapter by `module:Class`.

    Raises:
        AdapterFailed: it does not import, is no Adapter, or does not set up.
    """
    module_name, _, class_name = name.partition(":")
    try:
        made = getattr(importlib.import_module(module_name), class_name)()
        if not isinstance(made, Adapter):
            raise AdapterFailed(f"{name} is no citadel.Adapter", subject=name)
        made.setup()
    except AdapterFailed:
        raise
    except (Exception, SystemExit) as error:
        raise AdapterFailed(
            f"adapter {name} failed: {type(error).__qualname__}: {error}",
            subject=name,
            details={"traceback": "".join(traceback.format_exception(error))[-MAX_TRACEBACK:]},
        ) from error
    return made


def _die_with_parent(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(0)  # it died before we asked


def _connect(where: str, token: str) -> socket.socket:
    if where.startswith("fd:"):
        return socket.socket(fileno=int(where.removeprefix("fd:")))
    host, _, port = where.rpartition(":")
    link = socket.create_connection((host, int(port)))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.sendall(bytes.fromhex(token))
    return link


def main() -> None:
    """Reads what it is from its arguments and environment, then serves."""
    where, worker_id, pool, adapter_name, parent = sys.argv[1:6]
    _die_with_parent(int(parent))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the engine's to handle
    link = _connect(where, os.environ.pop("CITADEL_WORKER_TOKEN", ""))
    worker = Worker(link, worker_id, pool)
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        adapter = load(adapter_name)
        tools = bound_tools(adapter)
    except AdapterFailed as error:
        worker.refuse(error)
    try:
        worker.serve(adapter, tools)
    except (ConnectionError, BrokenPipeError):
        os._exit(0)


if __name__ == "__main__":
    main()

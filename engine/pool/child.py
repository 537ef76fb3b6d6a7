"""The worker's process: `python -m engine.pool.child`. Imports no gRPC, and on Linux no thread.

It connects its link, imports its adapter, then receives, runs and answers commands one by one.
Answers to short commands leave together, and at once before a command that may be long. `cancelled`
in a tool polls the link for a cancel of the running command. The process ends when its link does.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import threading
import time
from collections import deque
from contextlib import nullcontext
from typing import Any, NoReturn

import msgpack

from citadel import telemetry
from citadel.adapter import Adapter, BoundTool, bound_tools, plain, watch_cancellation
from citadel.errors import AdapterFailed, MessageTooLarge, UnknownTool
from citadel.trace import SpanContext
from engine.pool import frames, slate
from engine.pool.hosting import TOKEN_VARIABLE, Charge, Unsendable, load, told, unpacked
from engine.pool.lifeline import die_with

RECEIVE_BYTES = 256 * 1024
SHORT_SECONDS = 0.001
"""Answers wait for company only before commands of tools that took less last time."""
FLUSH_SECONDS = 0.0005
"""Answers wait no longer than this for company."""


class Worker:
    """The loop of one worker."""

    def __init__(self, link: socket.socket, board: slate.Slate, charge: Charge) -> None:
        self._link = link
        self._slate = board
        self._charge = charge
        self._splitter = frames.Splitter()
        self._receiving = threading.Lock()
        self._waiting: deque[list[Any]] = deque()
        self._cancelled: set[int] = set()
        self._running = 0
        self._out: list[bytes] = []
        self._oldest = 0.0
        self._stopping = False
        self._took: dict[str, float] = {}
        self._packer = msgpack.Packer(default=plain)
        self._adapter: Adapter | None = None
        self._tools: dict[str, BoundTool] = {}

    def serve(self, adapter: Adapter, tools: dict[str, BoundTool]) -> None:
        """Runs commands until told to stop or the engine is gone."""
        self._adapter, self._tools = adapter, tools
        watch_cancellation(self._poll)
        self._say([frames.READY, [_described(tool) for tool in tools.values()]])
        while True:
            if self._waiting:
                self._next(self._waiting.popleft())
            elif self._stopping:
                break
            else:
                self._flush()
                with self._receiving:
                    self._receive()
        self._flush()
        adapter.teardown()

    def refuse(self, error: AdapterFailed) -> NoReturn:
        """Says why there will be no worker, and exits."""
        self._say([frames.REFUSED, error.message, error.details.get("traceback", "")])
        sys.exit(3)

    # ── commands ─────────────────────────────────────────────────────────────────────────────

    def _next(self, call: list[Any]) -> None:
        number, name = call[1], call[2]
        if self._took.get(name, SHORT_SECONDS) >= SHORT_SECONDS:
            self._flush()
            self._poll()
        if number in self._cancelled or call[4] < time.monotonic():
            self._cancelled.discard(number)
            self._out.append(frames.frame([frames.DROPPED, number]))
            return
        self._slate.begin(number)
        self._running = number
        began = time.perf_counter()
        data = self._answer(call, began)
        ended = time.perf_counter()
        self._running = 0
        self._cancelled.discard(number)
        self._took[name] = ended - began
        self._keep(data, ended)

    def _answer(self, call: list[Any], began: float) -> bytes:
        """Runs a command to its DONE or FAILED frame."""
        number, name = call[1], call[2]
        scope = self._scope(call) if call[5] is not None else None
        context = scope[0] if scope else nullcontext()
        rows = scope[1].rows if scope else []
        try:
            # The span ends before the frame is made, so that it is in the frame.
            with context:
                value = self._run(name, call[3])
            answer = [frames.DONE, number, time.perf_counter() - began, value]
            return frames.frame([*answer, rows] if rows else answer)
        except BaseException as error:  # noqa: BLE001 - a tool may raise anything; the caller gets it
            took = time.perf_counter() - began
            failed = [frames.FAILED, number, took, *told(error, name)]
            try:
                return frames.frame([*failed, rows])
            except MessageTooLarge:
                return frames.frame([*failed, []])

    def _run(self, name: str, arguments: bytes) -> bytes:
        tool = self._tools.get(name)
        if tool is None:
            raise UnknownTool(
                f"pool {self._charge.pool} has no tool {name!r}; it has {', '.join(self._tools)}",
                subject=name,
            )
        result = tool.run(unpacked(arguments, name))
        try:
            value: bytes = self._packer.pack(result)
        except BaseException as error:
            self._packer.reset()
            raise Unsendable(str(error)) from error
        if len(value) > self._charge.max_result_bytes:
            raise MessageTooLarge(
                f"{name} returned {len(value)} bytes, more than {self._charge.max_result_bytes}",
                subject=name,
                remedy="Return less, or write a file and return its path",
            )
        return value

    def _scope(self, call: list[Any]) -> tuple[Any, telemetry.Scope]:
        """The worker's span of a command whose trace is kept, and what it records."""
        trace = call[5][frames.TRACE]
        mission, mission_class, sentinel = call[5][frames.MISSION]
        scope = telemetry.Scope(
            source="worker",
            service=self._charge.worker,
            pool=self._charge.pool,
            mission=mission,
            mission_class=mission_class,
            sentinel=sentinel,
        )
        parent = SpanContext(int.from_bytes(trace[:16], "big"), int.from_bytes(trace[16:], "big"))
        return telemetry.command(f"run {call[2]}", parent, scope), scope

    # ── the link ─────────────────────────────────────────────────────────────────────────────

    def _poll(self) -> bool:
        """Whether the running command was cancelled; a tool's own threads may ask too."""
        if self._receiving.acquire(blocking=False):
            try:
                while select.select([self._link], [], [], 0)[0]:
                    self._receive()
            finally:
                self._receiving.release()
        return self._running in self._cancelled

    def _receive(self) -> None:
        data = self._link.recv(RECEIVE_BYTES)
        if not data:
            os._exit(0)  # the engine is gone: nobody waits for an orderly end
        for item in self._splitter.feed(data):
            match item[0]:
                case frames.CALL:
                    self._waiting.append(item)
                case frames.CANCEL:
                    if item[1] == self._running or any(
                        call[1] == item[1] for call in self._waiting
                    ):
                        self._cancelled.add(item[1])
                case frames.HEALTH:
                    if not self._running:
                        self._say([frames.HEALTHY, *self._health()])
                case _:
                    self._stopping = True

    def _health(self) -> tuple[bool, str]:
        try:
            assert self._adapter is not None
            return (True, "") if self._adapter.health() else (False, "its health check says no")
        except Exception as error:  # noqa: BLE001 - a user's check may raise anything
            return False, f"its health check raised {type(error).__qualname__}: {error}"

    def _keep(self, answer: bytes, now: float) -> None:
        """Keeps an answer for company; on the slate it outlives this process."""
        if not self._slate.put(answer):
            self._flush()
            if not self._slate.put(answer):
                self._link.sendall(answer)
                return
        if not self._out:
            self._oldest = now
        self._out.append(answer)
        if now - self._oldest > FLUSH_SECONDS:
            self._flush()

    def _say(self, item: list[Any]) -> None:
        self._out.append(frames.frame(item))
        self._flush()

    def _flush(self) -> None:
        if self._out:
            self._link.sendall(b"".join(self._out))
            self._out.clear()
            self._slate.sent()


def _described(tool: BoundTool) -> list[Any]:
    return [tool.name, tool.description, dict(tool.input_schema), dict(tool.output_schema)]


def _connect(where: str, token: str) -> socket.socket:
    kind, _, place = where.partition(":")
    if kind == "fd":
        return socket.socket(fileno=int(place))
    host, _, port = place.rpartition(":")
    link = socket.create_connection((host, int(port)))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.sendall(bytes.fromhex(token))
    return link


def run(charge: Charge, link: socket.socket, board: slate.Slate) -> None:
    """Hosts the adapter until told to stop, in a process that is a worker's already."""
    worker = Worker(link, board, charge)
    sys.path[:] = [*charge.path, *(each for each in sys.path if each not in charge.path)]
    try:
        adapter = load(charge.adapter)
        tools = bound_tools(adapter)
    except AdapterFailed as error:
        worker.refuse(error)
    try:
        worker.serve(adapter, tools)
    except ConnectionError:
        os._exit(0)


def main() -> None:
    """Reads what it is from its argument and environment, then serves."""
    charge = Charge(**json.loads(sys.argv[1]))
    die_with(charge.engine)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the engine's to handle
    link = _connect(charge.link, os.environ.pop(TOKEN_VARIABLE, ""))
    run(charge, link, slate.connect(charge.slate))


if __name__ == "__main__":
    main()

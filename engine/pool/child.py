"""The worker's process: `python -m engine.pool.child`, or `run` in one that was forked for it.

Imports no gRPC, and starts no thread before it is itself. It connects its link, sets its adapter
up, then runs commands until it is told to stop; the process ends when its link does. A thread of
its own counts heartbeats on the slate, also while a long command runs.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from itertools import count
from typing import Any, NoReturn

from citadel.adapter import Adapter
from citadel.errors import AdapterFailed
from citadel.tools import BoundTool
from citadel.values import lend_memory
from engine.pool import frames, limits, slate
from engine.pool.hosting import TOKEN_VARIABLE, Charge, load
from engine.pool.kept import Sessions
from engine.pool.lane import Host
from engine.pool.lifeline import die_with
from engine.pool.single import Single
from engine.pool.threaded import Threaded
from engine.pool.workspace import Workspace


def run(charge: Charge, link: socket.socket, board: slate.Slate) -> None:
    """Hosts the adapter until told to stop, in a process that is a worker's already."""
    beat(board, charge.beat_seconds)
    sys.path[:] = [*charge.path, *(each for each in sys.path if each not in charge.path)]
    try:
        workspace = Workspace(charge)
        limits.apply(charge.limits)  # what is mapped by then does not count
        lend_memory(workspace.empty)
        adapter, tools = load(charge.adapter)
        serving = _profile(charge, adapter)
    except AdapterFailed as error:
        _refuse(link, error)
    try:
        sessions = Sessions(adapter, tools, charge.session_limit)
        host = Host(charge, adapter, tools, sessions, workspace)
        link.sendall(frames.frame([frames.READY, [_described(tool) for tool in tools.values()]]))
        serving(link, board, host).serve()
    except ConnectionError:
        os._exit(0)


def beat(board: slate.Slate, seconds: float) -> None:
    """Starts the thread that counts heartbeats."""

    def beats() -> None:
        for number in count(1):
            board.beat(number)
            time.sleep(seconds)

    threading.Thread(target=beats, name="heartbeat", daemon=True).start()


def _profile(charge: Charge, adapter: Adapter) -> type[Single | Threaded]:
    """How its commands run.

    Raises:
        AdapterFailed: the adapter, or this interpreter, cannot be run in the pool's profile.
    """
    if charge.profile == "process":
        return Single
    if not adapter.thread_safe:
        raise AdapterFailed(
            f"adapter {charge.adapter} does not say that it is thread-safe",
            subject=charge.adapter,
            remedy="Set `thread_safe = True` in its class, or the pool's profile to process",
        )
    if charge.profile == "free_threaded" and gil_enabled():
        raise AdapterFailed(
            f"profile free_threaded needs a Python without GIL; {sys.executable} has one",
            subject=charge.adapter,
            remedy="Name such an interpreter, python3.13t or newer, as environment.python of the"
            " pool, or set its profile to thread",
        )
    return Threaded


def gil_enabled() -> bool:
    """Whether threads of this interpreter run Python one at a time."""
    ask = getattr(sys, "_is_gil_enabled", None)
    return True if ask is None else bool(ask())


def _refuse(link: socket.socket, error: AdapterFailed) -> NoReturn:
    """Says why there will be no worker, and exits."""
    text = f"{error.message} ({error.remedy})" if error.remedy else error.message
    link.sendall(frames.frame([frames.REFUSED, text, error.details.get("traceback", "")]))
    sys.exit(3)


def _described(tool: BoundTool) -> list[Any]:
    return [
        tool.name,
        tool.description,
        dict(tool.input_schema),
        dict(tool.output_schema),
        tool.idempotent,
        tool.streams_in,
        tool.streams_out,
    ]


def _connect(where: str, token: str) -> socket.socket:
    kind, _, place = where.partition(":")
    if kind == "fd":
        return socket.socket(fileno=int(place))
    host, _, port = place.rpartition(":")
    link = socket.create_connection((host, int(port)))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.sendall(bytes.fromhex(token))
    return link


def main() -> None:
    """Reads what it is from its argument and environment, then serves."""
    charge = Charge(**json.loads(sys.argv[1]))
    die_with(charge.engine)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the engine's to handle
    link = _connect(charge.link, os.environ.pop(TOKEN_VARIABLE, ""))
    run(charge, link, slate.connect(charge.slate))


if __name__ == "__main__":
    main()

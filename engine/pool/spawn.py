"""Brings a worker to life: what every way to do it offers, and the plain way, a process of its own.

Loop thread only. A spawner gives a `Hosted`: the process, the link and the slate of one worker. The
plain one starts `python -m engine.pool.child` and connects it over a socket pair, or over loopback
TCP with a token where descriptors cannot be handed down. What was begun is undone when the start
fails or is cancelled.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import sys
import sysconfig
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from engine.pool import slate
from engine.pool.hosting import TOKEN_VARIABLE, Charge
from engine.pool.link import Link, Process, Relay
from engine.pool.usage import Usage

_ROOT = str(Path(__file__).resolve().parents[2])
_THREAD_LIMITS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)

_GRAFT = """
import sys, runpy
from importlib.machinery import PathFinder
root, module = sys.argv[1:3]
del sys.argv[1:3]
class Graft:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return PathFinder.find_spec(name, [root]) if name in ("citadel", "engine") else None
sys.meta_path.insert(0, Graft)
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
"""Gives a foreign interpreter the engine's own code, and nothing that stands beside it."""

UNKNOWN_EXIT = 256
"""No exit code: nobody is left who saw how the process ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ears:
    """Who hears what a worker says. Frames may come before its spawner has returned."""

    on_line: Callable[[str], None]
    on_frame: Callable[[list[Any]], None]
    on_garbage: Callable[[str], None]
    on_lost: Callable[[str], None] | None = None
    """Its machine is gone, and it with it: which, and why."""
    on_untold: Callable[[int], None] | None = None
    """It printed so many lines that its machine did not pass on."""
    on_data: Callable[[bytes], None] | None = None
    """Takes what its link carries as it comes, instead of frames: for who passes it on."""


class Running(Protocol):
    """The process of a worker, wherever it is."""

    @property
    def pid(self) -> int:
        """Its process id."""
        ...

    @property
    def exited(self) -> asyncio.Future[int]:
        """Done at its end: the exit code, the signal's number, negative, or UNKNOWN_EXIT."""
        ...

    def kill(self) -> None:
        """Kills it and what it started."""

    async def end(self) -> None:
        """Kills it, waits for its end and for what it still says, each within a bound."""


class Wire(Protocol):
    """What carries frames to a worker."""

    def send(self, item: list[Any]) -> None:
        """Queues a frame."""

    async def end(self) -> None:
        """Waits, within a bound, for the last that the worker said; then lets go."""


class Board(Protocol):
    """The engine's view of what a worker writes that outlives it; see `engine.pool.slate`."""

    @property
    def running(self) -> tuple[int, ...]:
        """The number of the command that was begun last in each thread; 0 before the first."""
        ...

    @property
    def beats(self) -> int:
        """The worker's heartbeats so far."""
        ...

    def left(self) -> bytes:
        """The frames that a dead worker did not surely send."""
        ...

    def unsent(self) -> bytes:
        """The frames of answers that were not, or not surely, sent."""
        ...

    def close(self) -> None:
        """Lets go of the memory."""


@dataclass(frozen=True, slots=True)
class Hosted:
    """A worker that lives somewhere."""

    process: Running
    link: Wire
    slate: Board
    node: str = ""
    """The machine that it is on; empty: the engine's."""
    usage: Callable[[], Usage] | None = None
    """What it uses, where the engine cannot measure it."""


class Spawner(Protocol):
    """A way to bring workers to life."""

    async def ready(self) -> None:
        """Waits until there is a place for workers; a worker's start is timed from then on.

        Raises:
            CitadelError: there is none, and why.
        """

    def renew(self) -> None:
        """Code may have changed: workers that are spawned from now on import it anew."""

    def crowded(self) -> str:
        """The machine from which a worker should move to another one; empty: none."""
        ...

    async def spawn(self, charge: Charge, ears: Ears, descriptors: Mapping[str, int]) -> Hosted:
        """Starts one; `charge.descriptors` tells it the numbers of those it is handed, by name.

        The descriptors stay the caller's to close; -1 is none.

        Raises:
            OSError: it cannot be started.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """The Python that workers run, and what it is told by its environment variables."""

    python: str = ""
    """Its path; empty: the engine's own, with all that the engine can import."""
    variables: tuple[tuple[str, str], ...] = ()

    def command(self, module: str, *arguments: str) -> list[str]:
        """The command that runs a module of the engine."""
        if not self.python:
            return [sys.executable, "-m", module, *arguments]
        return [self.python, "-c", _GRAFT, _ROOT, module, *arguments]

    def path(self) -> list[str]:
        """Where modules are looked for: what the engine can import, its workers can.

        A foreign interpreter gets the folders of the operator's own code, and no packages.
        """
        if not self.python:
            return [str(each) for each in sys.path]
        paths = sysconfig.get_paths()
        packages = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
        return [
            each
            for each in map(str, sys.path)
            if each != _ROOT and not each.endswith(".zip") and not _below(each, packages)
        ]

    def environment(self) -> dict[str, str]:
        """The environment variables: the engine's, and what the pool sets."""
        variables = dict(self.variables)
        paths = [variables.get("PYTHONPATH", os.environ.get("PYTHONPATH", ""))]
        if not self.python:
            paths.insert(0, _ROOT)
        return {
            **dict.fromkeys(_THREAD_LIMITS, "1"),
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            **variables,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        }


class PlainSpawner:
    """A new interpreter for each worker: where there is no fork, or no zygote."""

    def __init__(self, interpreter: Interpreter | None = None) -> None:
        self._interpreter = interpreter or Interpreter()

    async def ready(self) -> None:
        """There is always a place here."""

    def renew(self) -> None:
        """Each is new anyway."""

    def crowded(self) -> str:
        """There is one machine."""
        return ""

    async def spawn(self, charge: Charge, ears: Ears, descriptors: Mapping[str, int]) -> Hosted:
        """The way that this system offers; see `Spawner.spawn`."""
        way = self.over_tcp if sys.platform == "win32" else self.over_pair
        return await way(charge, ears, descriptors)

    async def over_pair(self, charge: Charge, ears: Ears, descriptors: Mapping[str, int]) -> Hosted:
        """A socket pair whose other end the process inherits."""
        loop, process = asyncio.get_running_loop(), Process(ears.on_line)
        async with AsyncExitStack() as undo:
            with ExitStack() as lent:
                board, word, memory = slate.create(charge.threads)
                undo.callback(board.close)
                lent.callback(_close, memory)
                ours, theirs = socket.socketpair()
                undo.callback(ours.close)
                lent.callback(theirs.close)
                ours.setblocking(False)
                handed = {name: each for name, each in descriptors.items() if each >= 0}
                told = replace(charge, link=f"fd:{theirs.fileno()}", slate=word, descriptors=handed)
                undo.push_async_callback(process.end)
                await self._start(process, told, (theirs.fileno(), memory, *handed.values()))
            _, link = await loop.create_unix_connection(lambda: link_of(ears), sock=ours)
            undo.pop_all()
        return Hosted(process, link, board)

    async def over_tcp(self, charge: Charge, ears: Ears, descriptors: Mapping[str, int]) -> Hosted:
        """Where descriptors cannot be handed down: loopback, and a token proves the process."""
        del descriptors
        token = secrets.token_bytes(32)
        link, process = link_of(ears, token), Process(ears.on_line)
        board, word, memory = slate.create(charge.threads)
        free = [link]

        def only_one() -> asyncio.Protocol:
            return free.pop() if free else asyncio.Protocol()

        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(only_one, "127.0.0.1", 0)
            async with server:
                host, port = server.sockets[0].getsockname()[:2]
                told = replace(charge, link=f"tcp:{host}:{port}", slate=word)
                await self._start(process, told, (memory,), token=token.hex())
                ends = {link.proved, process.exited}
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            await process.end()
            link.close()
            board.close()
            raise
        finally:
            _close(memory)
        return Hosted(process, link, board)

    async def _start(
        self, process: Process, charge: Charge, descriptors: tuple[int, ...], token: str = ""
    ) -> None:
        environment = self._interpreter.environment()
        charge = replace(charge, path=self._interpreter.path())
        told = json.dumps(asdict(charge))
        if token:
            environment[TOKEN_VARIABLE] = token
        start = partial(
            asyncio.get_running_loop().subprocess_exec,
            lambda: process,
            *self._interpreter.command("engine.pool.child", told),
            stdin=asyncio.subprocess.DEVNULL,
            env=environment,
        )
        if sys.platform == "win32":
            await start()
        else:
            handed = tuple(each for each in descriptors if each >= 0)
            await start(pass_fds=handed, start_new_session=True)


def link_of(ears: Ears, token: bytes = b"") -> Link:
    """The engine's end of a link."""
    if ears.on_data:
        return Relay(ears.on_data, token=token)
    return Link(ears.on_frame, ears.on_garbage, token=token)


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)


def _below(path: str, folders: set[str]) -> bool:
    return any(path == each or path.startswith(each + os.sep) for each in folders)

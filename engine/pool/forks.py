"""The engine's side of zygotes: starts them, asks them for workers, hears how those end.

Loop thread only. Linux only; elsewhere, and where a zygote refuses, workers are started plainly. A
zygote that dies takes its workers with it; the next worker gets a new one. An end is known at once
by its pidfd; the exit code comes from the zygote, which alone may ask for it.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
import subprocess
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from itertools import count
from typing import Any

import msgpack

from engine.pool import slate, zygote
from engine.pool.forked import ForkedProcess, read
from engine.pool.hosting import Charge
from engine.pool.output import Lines
from engine.pool.spawn import (
    Ears,
    Hosted,
    Interpreter,
    PlainSpawner,
    link_of,
)

LAST_LINES = 20
"""Lines a zygote printed that are kept for error messages."""
START_SECONDS = 120.0
"""A zygote whose imports take longer is killed, and workers are started plainly."""
FORK_SECONDS = 5.0
"""A zygote that does not fork within this is killed: its workers are replaced."""
TRIES = 2
"""Zygotes that a worker's start may see die."""

Tell = Callable[[str, str, str], None]
"""Hears of an event: its name, its subject, its text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What workers must have in common to be forked from one zygote."""

    interpreter: Interpreter
    preload: tuple[str, ...] = ()


class Zygotes:
    """The zygotes of one engine, by key; started when first needed."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._zygotes: dict[Key, Zygote] = {}
        self._retired: list[Zygote] = []

    async def ready(self, key: Key) -> Zygote:
        """The zygote with that key, started when there is none; it may have refused.

        Raises:
            OSError: its process cannot be started.
        """
        found = self._zygotes.get(key)
        if found is None or found.ended:
            found = self._zygotes[key] = Zygote(key, self._tell)
        await found.begun()
        return found

    def renew(self, key: Key) -> None:
        """Workers from now on see what preloaded modules are now: they get another zygote."""
        found = self._zygotes.pop(key, None) if key.preload else None
        if found is not None:
            self._retired = [each for each in self._retired if not each.ended]
            self._retired.append(found)
            found.retire()

    def close(self) -> None:
        """Ends them, and what they forked."""
        for each in (*self._zygotes.values(), *self._retired):
            each.close()
        self._zygotes.clear()
        self._retired.clear()


class Zygote:
    """One zygote's process, and the socket to it."""

    def __init__(self, key: Key, tell: Tell) -> None:
        """Starts it.

        Raises:
            OSError: it cannot be started.
        """
        self.refusal = ""
        self.ended = False
        self._retiring = False
        self._hello: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._name = " ".join([key.interpreter.python or "zygote", *key.preload])
        self._tell = tell
        self._numbers = count(1)
        self._waiting: dict[int, ForkedProcess] = {}
        self._alive: dict[int, ForkedProcess] = {}
        self._out: deque[tuple[int, bytes, tuple[int, ...]]] = deque()
        self._lines = Lines()
        self._said: deque[str] = deque(maxlen=LAST_LINES)
        self._loop = asyncio.get_running_loop()
        with ExitStack() as undo:
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            undo.callback(self._control.close)
            with theirs:
                self._process = undo.enter_context(_start(key, theirs))
            undo.callback(self._process.kill)
            self._watch = os.pidfd_open(self._process.pid)
            undo.pop_all()
        self.pid = self._process.pid
        assert self._process.stdout is not None
        self._output = self._process.stdout.fileno()
        for descriptor in (self._control.fileno(), self._output, self._watch):
            os.set_blocking(descriptor, False)
        self._loop.add_reader(self._control, self._receive)
        self._loop.add_reader(self._output, self._printed)
        self._loop.add_reader(self._watch, self._gone)

    async def begun(self) -> None:
        """Waits until it serves, or has said why it does not; one that takes too long is killed."""
        try:
            async with asyncio.timeout(START_SECONDS):
                await asyncio.shield(self._hello)
        except TimeoutError:
            self.kill()
            await self._hello

    async def fork(
        self,
        charge: Charge,
        process: ForkedProcess,
        standard: tuple[int, int, int, int],
        handed: Mapping[str, int],
    ) -> None:
        """Forks a worker; the descriptors are link, slate, stdout and stderr, then the named ones.

        Raises:
            OSError: it cannot be asked, cannot fork, or died.
        """
        number = next(self._numbers)
        request = bytes(msgpack.packb([number, asdict(charge), list(handed)]) or b"")
        if len(request) > zygote.MAX_REQUEST:
            raise OSError(errno.EMSGSIZE, f"its charge has {len(request)} bytes: is sys.path long?")
        # Duplicates: the caller may close its own before these are sent.
        copies = _duplicates(*standard, *handed.values())
        self._waiting[number] = process
        process.asked()
        self._out.append((number, request, copies))
        if len(self._out) == 1:
            self._send()
        try:
            async with asyncio.timeout(FORK_SECONDS):
                await asyncio.shield(process.forked)
        except TimeoutError as error:
            self.kill()
            raise OSError(f"its zygote did not fork within {FORK_SECONDS:g} s") from error

    def kill(self) -> None:
        """Kills it, and so its workers."""
        if not self.ended:
            self._process.kill()

    def retire(self) -> None:
        """Ends it once the last of its workers has ended."""
        self._retiring = True
        if not self._alive and not self._waiting:
            self.close()

    def close(self) -> None:
        """Ends it now, and waits for its end: the kernel's time."""
        self.kill()
        if not self.ended:
            self._process.wait()
            self._gone(asked=True)

    # ── inside ───────────────────────────────────────────────────────────────────────────────

    def _send(self) -> None:
        while self._out:
            number, data, descriptors = self._out[0]
            try:
                socket.send_fds(self._control, [data], descriptors)
            except BlockingIOError:
                self._loop.add_writer(self._control, self._send)
                return
            except ConnectionError:  # it is gone, which its pidfd tells
                break
            except OSError as error:  # this one cannot be sent: others can
                self._failed(number, error)
            _close(*self._out.popleft()[2])
        self._loop.remove_writer(self._control)

    def _failed(self, number: int, error: OSError) -> None:
        self._waiting.pop(number).failed(error)

    def _receive(self) -> None:
        while not self.ended:
            try:
                data, descriptors, _, _ = socket.recv_fds(
                    self._control, zygote.MAX_REQUEST, 1, socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                return
            except OSError:
                data, descriptors = b"", []
            if not data:
                self._loop.remove_reader(self._control)
                return
            self._heard(msgpack.unpackb(data), descriptors)

    def _heard(self, item: list[Any], descriptors: list[int]) -> None:
        match item[0]:
            case zygote.READY:
                self.refusal = item[1]
                if self.refusal:
                    self._tell("zygote.refused", self._name, self.refusal)
                self._hello.set_result(None)
            case zygote.FORKED:
                process = self._alive[item[2]] = self._waiting.pop(item[1])
                process.began(item[2], descriptors[0] if descriptors else -1)
            case zygote.FAILED:
                self._failed(item[1], OSError(item[2]))
            case _:
                if process := self._alive.pop(item[1], None):
                    process.ended(item[2])
        if self._retiring:
            self.retire()

    def _printed(self) -> None:
        data = read(self._output)
        if data is None:
            return
        self._said += self._lines.feed(data) if data else self._lines.end()
        if not data:
            self._loop.remove_reader(self._output)

    def _gone(self, *, asked: bool = False) -> None:
        """Its process has ended: what it still said counts, then its workers are gone too."""
        if self.ended:
            return
        self._receive()
        self._printed()
        self.ended = True
        for descriptor in (self._control.fileno(), self._output, self._watch):
            self._loop.remove_reader(descriptor)
        self._loop.remove_writer(self._control)
        code = self._process.wait()
        self._control.close()
        os.close(self._watch)
        assert self._process.stdout is not None
        self._process.stdout.close()
        for _, _, copies in self._out:
            _close(*copies)
        self._out.clear()
        last = f"; it printed last: {self._said[-1]}" if self._said else ""
        if not self._hello.done():
            self.refusal = f"it ended with code {code} before it was ready{last}"
            self._tell("zygote.refused", self._name, self.refusal)
            self._hello.set_result(None)
        elif not self.refusal and not asked:
            self._tell("zygote.lost", self._name, f"it ended with code {code}{last}")
        waiting, self._waiting = self._waiting, {}
        for process in waiting.values():
            process.failed(ZygoteLost(f"its zygote ended with code {code}{last}"))
        alive, self._alive = self._alive, {}
        for process in alive.values():
            process.orphaned()


class ZygoteLost(OSError):
    """The zygote died before it forked."""


class ForkSpawner:
    """Forks workers from a zygote; plainly where that refuses. See `engine.pool.spawn.Spawner`."""

    def __init__(self, zygotes: Zygotes, key: Key, plain: PlainSpawner) -> None:
        self._zygotes = zygotes
        self._key = key
        self._plain = plain

    async def ready(self) -> None:
        """Waits for the zygote; a start that fails is told by the spawn."""
        with suppress(OSError):
            await self._zygotes.ready(self._key)

    def renew(self) -> None:
        """Sees changes in preloaded modules from now on."""
        self._zygotes.renew(self._key)

    async def spawn(self, charge: Charge, ears: Ears, descriptors: Mapping[str, int]) -> Hosted:
        """Forks one; when zygotes die again and again, starts it plainly."""
        for _ in range(TRIES):
            found = await self._zygotes.ready(self._key)
            if found.refusal:
                break
            with suppress(ZygoteLost):
                return await self._fork(found, charge, ears, descriptors)
        return await self._plain.spawn(charge, ears, descriptors)

    async def _fork(
        self, found: Zygote, charge: Charge, ears: Ears, descriptors: Mapping[str, int]
    ) -> Hosted:
        loop, process, link = asyncio.get_running_loop(), ForkedProcess(ears), link_of(ears)
        handed = {name: each for name, each in descriptors.items() if each >= 0}
        told = replace(charge, descriptors={}, path=self._key.interpreter.path())
        async with AsyncExitStack() as undo:
            with ExitStack() as lent:
                board, _, memory = slate.create(charge.threads)
                undo.callback(board.close)
                lent.callback(os.close, memory)
                ours, theirs = socket.socketpair()
                undo.callback(ours.close)
                lent.callback(theirs.close)
                outputs = process.outputs()
                lent.callback(_close, *outputs)
                undo.push_async_callback(link.end)
                undo.push_async_callback(process.end)
                ours.setblocking(False)
                # The link listens before the worker can speak.
                await loop.create_unix_connection(lambda: link, sock=ours)
                standard = (theirs.fileno(), memory, *outputs)
                await found.fork(told, process, standard, handed)
            undo.pop_all()
        return Hosted(process, link, board)


def _start(key: Key, control: socket.socket) -> subprocess.Popen[bytes]:
    interpreter = key.interpreter
    told = json.dumps({"path": interpreter.path(), "preload": key.preload})
    arguments = (str(control.fileno()), str(os.getpid()), told)
    return subprocess.Popen(  # noqa: S603 - the operator's own interpreter
        interpreter.command("engine.pool.zygote", *arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=interpreter.environment(),
        pass_fds=(control.fileno(),),
        start_new_session=True,
    )


def _duplicates(*descriptors: int) -> tuple[int, ...]:
    found: list[int] = []
    try:
        found.extend(map(os.dup, descriptors))  # those before one that fails are in it
    except OSError:
        _close(*found)
        raise
    return tuple(found)


def _close(*descriptors: int) -> None:
    for each in descriptors:
        os.close(each)

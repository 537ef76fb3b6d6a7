"""The engine's side of zygotes: starts them, asks them for workers, hears how those end.

Loop thread only. Linux only. The first zygote of an interpreter imports what all workers need;
those with preloaded modules are forked from it. One that refuses is passed by: its workers come
from the one below it, and where that is none, they are started plainly. A zygote that dies takes
its workers with it; the next worker gets a new one. An end is known at once by its pidfd; the exit
code comes from the zygote, which alone may ask for it.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import count
from typing import Any

import msgpack

from engine.pool import zygote
from engine.pool.forked import ForkedProcess
from engine.pool.hosting import Charge
from engine.pool.spawn import UNKNOWN_EXIT, Interpreter
from engine.pool.zygote_process import ForkOfAnother, NewProcess, ZygoteProcess

LAST_LINES = 20
"""Lines a zygote printed that are kept for error messages."""
START_SECONDS = 120.0
"""The first zygote that takes longer is killed, and workers are started plainly."""
PRELOAD_SECONDS = 120.0
"""A zygote whose preloaded modules take longer is killed, and passed by."""
FORK_SECONDS = 5.0
"""A zygote that does not fork within this is killed: its workers are replaced."""

Tell = Callable[[str, str, str], None]
"""Hears of an event: its name, its subject, its text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What workers must have in common to be forked from one zygote."""

    interpreter: Interpreter
    preload: tuple[str, ...] = ()
    """Modules that its operator wants imported once."""
    adapter: str = ""
    """The module of the adapter: imported once too, when that can be; empty: by each worker."""

    @property
    def below(self) -> Key | None:
        """That of the zygote which this one is forked from; None: it is a new interpreter."""
        if self.adapter:
            return replace(self, adapter="")
        return replace(self, preload=()) if self.preload else None

    @property
    def modules(self) -> tuple[str, ...]:
        """What it imports that the one below has not."""
        return (self.adapter,) if self.adapter else self.preload

    @property
    def name(self) -> str:
        """What people read."""
        python = self.interpreter.python or "zygote"
        return " ".join(filter(None, (python, *self.preload, self.adapter)))


class Zygotes:
    """The zygotes of one engine, by key; started when first needed."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._zygotes: dict[Key, Zygote] = {}
        self._retired: list[Zygote] = []

    async def ready(self, key: Key, seconds: float = START_SECONDS) -> Zygote:
        """The zygote with that key, started when there is none; else the nearest below that serves.

        When the lowest refuses too, that. The adapter's import gets so many seconds.

        Raises:
            OSError: its process cannot be started.
        """
        found = self._zygotes.get(key)
        if found is None or found.over:
            below = await self.ready(key.below) if key.below else None
            if below is not None and below.refusal:
                return below
            found = self._zygotes.get(key)  # somebody else may have been faster
            if found is None or found.over:
                found = self._zygotes[key] = Zygote(key, self._tell, below)
        imports = seconds if key.adapter else PRELOAD_SECONDS
        await found.begun(imports if key.below else START_SECONDS)
        return await self.ready(key.below) if found.refusal and key.below else found

    def renew(self, key: Key) -> None:
        """Workers from now on see what modules are now: their zygotes are replaced."""
        above = key
        while above.below:
            found = self._zygotes.pop(above, None)
            if found is not None:
                self._retired = [each for each in self._retired if not each.ended]
                self._retired.append(found)
                found.retire()
            above = above.below

    def close(self) -> None:
        """Ends them, and what they forked."""
        for each in (*self._retired, *reversed(self._zygotes.values())):
            each.close()  # those that were forked before those that forked them
        self._zygotes.clear()
        self._retired.clear()


class Zygote:
    """One zygote's process, and the socket to it."""

    def __init__(self, key: Key, tell: Tell, below: Zygote | None = None) -> None:
        """Starts it, or has the one below fork it.

        Raises:
            OSError: it cannot be started.
        """
        self.refusal = ""
        self.ended = False
        self._retiring = False
        self._late = ""
        self._key = key
        self._below = below
        self._passing = False
        self._hello: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tell = tell
        self._numbers = count(1)
        self._waiting: dict[int, ForkedProcess] = {}
        self._alive: dict[int, ForkedProcess] = {}
        self._out: deque[tuple[int, bytes, tuple[int, ...]]] = deque()
        self._said: deque[str] = deque(maxlen=LAST_LINES)
        self._loop = asyncio.get_running_loop()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._process = self._begin(below, theirs)
        except BaseException:
            self._control.close()
            raise
        self._control.setblocking(False)
        self._loop.add_reader(self._control, self._receive)

    def _begin(self, below: Zygote | None, control: socket.socket) -> ZygoteProcess:
        if below is None:
            interpreter = self._key.interpreter
            return NewProcess(interpreter, control, self._said.append, self._gone)
        ask = partial(below.ask, zygote.ZYGOTE, self._key.modules)
        return ForkOfAnother(ask, control, self._said.append, self._gone)

    async def begun(self, seconds: float) -> None:
        """Waits until it serves, or has said why it does not; one that takes longer is killed."""
        try:
            async with asyncio.timeout(seconds):
                await asyncio.shield(self._hello)
        except TimeoutError:
            self._late = f"its imports took longer than {seconds:g} s"
            self.kill()
            if self._below and not self.pid:
                self._below.kill()  # which does not fork
            await asyncio.shield(self._hello)

    async def fork(
        self,
        charge: Charge,
        process: ForkedProcess,
        standard: tuple[int, int, int, int],
        handed: Mapping[str, int],
    ) -> None:
        """Forks a worker; the descriptors are stdout, stderr, link and slate, then the named ones.

        Raises:
            OSError: it cannot be asked, cannot fork, or died.
        """
        self.ask(zygote.WORKER, asdict(charge), process, (*standard, *handed.values()), handed)
        try:
            async with asyncio.timeout(FORK_SECONDS):
                await asyncio.shield(process.forked)
        except TimeoutError as error:
            self.kill()
            raise OSError(f"its zygote did not fork within {FORK_SECONDS:g} s") from error

    def ask(
        self,
        kind: int,
        told: object,
        process: ForkedProcess,
        descriptors: tuple[int, ...],
        names: Iterable[str] = (),
    ) -> None:
        """Asks for a fork; `process` hears what becomes of it.

        Raises:
            OSError: it cannot be asked.
        """
        if self.ended:
            raise ZygoteLost("its zygote has ended")
        number = next(self._numbers)
        request = bytes(msgpack.packb([number, kind, told, list(names)]) or b"")
        if len(request) > zygote.MAX_REQUEST:
            raise OSError(errno.EMSGSIZE, f"its charge has {len(request)} bytes: is sys.path long?")
        # Duplicates: the caller may close its own before these are sent.
        copies = _duplicates(*descriptors)
        self._waiting[number] = process
        process.asked()
        self._out.append((number, request, copies))
        if len(self._out) == 1:
            self._send()

    @property
    def over(self) -> bool:
        """Whether another is to be tried: it served, or what ended it will not do so again."""
        return self.ended and (self._passing or not self.refusal)

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

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
            self._gone(self._process.reap(), asked=True)

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
            close(*self._out.popleft()[2])
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
                self._refuses(item[1])
                if self.refusal:
                    self.kill()  # a thread of what it imported may keep it
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

    def _refuses(self, why: str, *, tell: bool = True) -> None:
        self.refusal = why
        if why and tell:
            # Nobody asked for the adapter to be imported here: that it cannot be is no fault.
            event = "adapter.not_preloaded" if self._key.adapter else "zygote.refused"
            self._tell(event, self._key.name, why)
        self._hello.set_result(None)

    def _gone(self, code: int, *, asked: bool = False) -> None:
        """Its process has ended: what it still said counts, then its workers are gone too."""
        if self.ended:
            return
        self._retiring = False
        self._receive()
        self.ended = True
        self._loop.remove_reader(self._control)
        self._loop.remove_writer(self._control)
        self._control.close()
        for _, _, copies in self._out:
            close(*copies)
        self._out.clear()
        how = "" if code == UNKNOWN_EXIT else f" with code {code}"
        last = f"; it printed last: {self._said[-1]}" if self._said else ""
        if not self._hello.done():
            # Only what its own imports did is its fault, and will be so the next time.
            self._passing = asked or not self._below or self._below.ended or not self.pid
            self._refuses(self._late or f"it ended{how} before it was ready{last}", tell=not asked)
        elif not self.refusal and not asked:
            self._tell("zygote.lost", self._key.name, f"it ended{how}{last}")
        waiting, self._waiting = self._waiting, {}
        for process in waiting.values():
            process.failed(ZygoteLost(f"its zygote ended{how}{last}"))
        alive, self._alive = self._alive, {}
        for process in alive.values():
            process.orphaned()


class ZygoteLost(OSError):
    """The zygote died before it forked."""


def _duplicates(*descriptors: int) -> tuple[int, ...]:
    found: list[int] = []
    try:
        found.extend(map(os.dup, descriptors))  # those before one that fails are in it
    except OSError:
        close(*found)
        raise
    return tuple(found)


def close(*descriptors: int) -> None:
    """Closes descriptors."""
    for each in descriptors:
        os.close(each)

"""The helper process that workers are forked from: `python -m engine.pool.zygote FD ENGINE TOLD`.

It imports once what every worker needs, then forks on request: workers, and zygotes that import
what some workers need besides, and fork those. It has one thread and no gRPC, so that a fork is
safe; when an import brought either, it says so and ends. Linux only. Requests come over a
SOCK_SEQPACKET pair:

    engine: [number, WORKER, charge, names] with the descriptors stdout, stderr, link, slate, then
            the named; [number, ZYGOTE, modules, []] with stdout, stderr, control
    zygote: [READY, refusal] once; [FORKED, number, pid] with the process's pidfd; [FAILED, number,
            text]; [EXITED, pid, code], where a signal's number is negative

It dies with the engine, and its children with it. A child that ended takes its group with it.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import msgpack

from citadel.adapter import Adapter, tool
from citadel.errors import AdapterFailed
from citadel.tools import warm
from engine.pool import child, slate
from engine.pool.hosting import Charge
from engine.pool.lifeline import die_with

READY, FORKED, FAILED, EXITED = 0, 1, 2, 3
WORKER, ZYGOTE = 0, 1
STDOUT, STDERR, LINK, SLATE = range(4)
CONTROL = LINK
"""Where in a request's descriptors these are; the named ones follow."""
MAX_REQUEST = 192 * 1024
MAX_DESCRIPTORS = 64
MAX_NAME = 15
REFUSED_CODE = 3
_PR_SET_NAME = 15

Become = Callable[[], None]


class _Warm(Adapter):
    """Makes pydantic load what it loads with the first schemas: some 30 ms for every worker."""

    @tool
    def warm(self, a: int, b: float = 0.0, c: str = "", d: list[int] | None = None) -> list[str]:
        """Is never called."""
        return [c, *map(str, d or [a, b])]


class Zygote:
    """Forks on request, and tells of every end."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._ended, self._wake = os.pipe()
        os.set_blocking(self._ended, False)
        os.set_blocking(self._wake, False)

    def run(self) -> Become:
        """Serves until the engine is gone; in a child, returns what it is to do."""
        # Not before: what was preloaded may have set signals of its own.
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the engine's to handle
        signal.signal(signal.SIGCHLD, lambda *_: None)  # its number in the pipe is the news
        signal.set_wakeup_fd(self._wake)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._ended, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._ended in ready:
                self._reap()
            if self._control.fileno() in ready and (become := self._serve()):
                return become

    def say(self, *item: Any, descriptors: tuple[int, ...] = ()) -> None:
        """Tells the engine; one that is gone needs no zygote."""
        try:
            socket.send_fds(self._control, [bytes(msgpack.packb(item) or b"")], descriptors)
        except OSError:
            os._exit(0)

    def _serve(self) -> Become | None:
        data, descriptors, flags, _ = socket.recv_fds(
            self._control, MAX_REQUEST, MAX_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
        )
        if not data:
            os._exit(0)
        number, kind, told, names = msgpack.unpackb(data)
        parent = os.getpid()
        pid = -1
        try:
            if flags & socket.MSG_CTRUNC:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            pid = os.fork()
        except OSError as error:
            self.say(FAILED, number, f"fork: {error.strerror}")
        if not pid:
            self._leave(parent, descriptors)
            if kind == ZYGOTE:
                return _zygote(told, descriptors)
            return _worker(told, names, descriptors)
        for each in descriptors:  # which leaves room for the pidfd
            os.close(each)
        if pid > 0:
            watch = os.pidfd_open(pid)
            self.say(FORKED, number, pid, descriptors=(watch,))
            os.close(watch)
        return None

    def _reap(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._ended, 4096)
        while True:
            try:
                how = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if how is None:
                return
            # Until it is reaped, no other process or group has its number.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(how.si_pid, signal.SIGKILL)
            os.waitpid(how.si_pid, 0)
            code = how.si_status if how.si_code == os.CLD_EXITED else -how.si_status
            self.say(EXITED, how.si_pid, code)

    def _leave(self, parent: int, descriptors: list[int]) -> None:
        """Makes this process, a moment ago its parent's copy, one of its own."""
        os.setsid()
        die_with(parent)
        signal.set_wakeup_fd(-1)
        for each in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(each, signal.SIG_DFL)
        for ours in (self._control.detach(), self._ended, self._wake):
            os.close(ours)
        os.dup2(descriptors[STDOUT], 1)
        os.dup2(descriptors[STDERR], 2)
        os.close(descriptors[STDOUT])
        os.close(descriptors[STDERR])
        _reseed()


def _worker(told: dict[str, Any], names: list[str], descriptors: list[int]) -> Become:
    charge = Charge(**told)
    _name(charge.worker)
    charge.descriptors.update(zip(names, descriptors[SLATE + 1 :], strict=True))
    link = socket.socket(fileno=descriptors[LINK])
    board = slate.connect(f"fd:{descriptors[SLATE]}")
    return lambda: child.run(charge, link, board)


def _zygote(modules: list[str], descriptors: list[int]) -> Become:
    _name("zygote")
    control = socket.socket(fileno=descriptors[CONTROL])
    return lambda: serve(control, modules)


def main() -> None:
    """Becomes the first zygote of an engine for one interpreter; see the module's docstring."""
    descriptor, engine, path = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
    die_with(engine)
    sys.path[:] = [*path, *(each for each in sys.path if each not in path)]
    warm(_Warm)
    sys.argv = ["citadel-worker"]
    serve(socket.socket(fileno=descriptor), [])


def serve(control: socket.socket, modules: list[str]) -> None:
    """Imports, checks what that brought, and forks; in what was forked, goes on as that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the engine's to handle
    zygote = Zygote(control)
    refusal = _preload(modules) or _unfit()
    zygote.say(READY, refusal)
    if refusal:
        sys.exit(REFUSED_CODE)
    gc.collect()
    gc.freeze()  # a collection in a child does not copy the pages of what was here before
    become = zygote.run()
    del zygote
    become()


def _preload(modules: list[str]) -> str:
    """Imports modules; what went wrong, or nothing."""
    for name in modules:
        try:
            _warm_adapters(importlib.import_module(name))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's module may raise anything
            return f"preload {name}: {type(error).__qualname__}: {error}"
    return ""


def _warm_adapters(module: ModuleType) -> None:
    """Makes the schemas of a module's adapters; what is wrong with them their workers tell."""
    for each in vars(module).values():
        if isinstance(each, type) and issubclass(each, Adapter) and each is not Adapter:
            with suppress(AdapterFailed):
                warm(each)


def _unfit() -> str:
    """Why no worker may be forked from this process, or nothing."""
    if "grpc" in sys.modules:
        return "gRPC is imported: a fork of it does not work"
    threads = threading.active_count()
    if threads > 1:
        names = ", ".join(each.name for each in threading.enumerate())
        return f"it has {threads} threads ({names}): a fork would copy one"
    tasks = len(list(Path("/proc/self/task").iterdir()))
    if tasks > 1:
        return f"a library started {tasks - 1} threads: a fork would copy none of them"
    return ""


def _reseed() -> None:
    """Gives each worker random numbers of its own."""
    random.seed()
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()


def _name(worker: str) -> None:
    """What lists of processes show."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, worker.encode()[-MAX_NAME:], 0, 0, 0)


if __name__ == "__main__":
    main()

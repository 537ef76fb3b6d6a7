"""The process of a zygote: a new interpreter, or a fork of another zygote. Loop thread only."""

from __future__ import annotations

import asyncio
import json
import os
import select
import socket
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from typing import Protocol

from engine.pool.forked import ForkedProcess, read
from engine.pool.link import EXIT_SECONDS
from engine.pool.output import Lines
from engine.pool.spawn import UNKNOWN_EXIT, Ears, Interpreter

OnLine = Callable[[str], None]
OnExit = Callable[[int], None]


class ZygoteProcess(Protocol):
    """What a zygote runs in. Tells of each line that it prints, and, with its code, of its end."""

    @property
    def pid(self) -> int:
        """Its process id; 0 until it is forked."""
        ...

    def kill(self) -> None:
        """Kills it, and so what it forked."""

    def reap(self) -> int:
        """Waits for the end of one that was killed: the kernel's time. Lets go; its exit code."""
        ...


class NewProcess:
    """A new interpreter: `python -m engine.pool.zygote`."""

    def __init__(
        self, interpreter: Interpreter, control: socket.socket, on_line: OnLine, on_exit: OnExit
    ) -> None:
        """Starts it with its end of the control socket.

        Raises:
            OSError: it cannot be started.
        """
        self._loop = asyncio.get_running_loop()
        self._on_line, self._on_exit = on_line, on_exit
        self._lines = Lines()
        arguments = (str(control.fileno()), str(os.getpid()), json.dumps(interpreter.path()))
        with ExitStack() as undo:
            self._process = undo.enter_context(
                subprocess.Popen(  # noqa: S603 - the operator's own interpreter
                    interpreter.command("engine.pool.zygote", *arguments),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    env=interpreter.environment(),
                    pass_fds=(control.fileno(),),
                    start_new_session=True,
                )
            )
            undo.callback(self._process.kill)
            self._watch = os.pidfd_open(self._process.pid)
            undo.pop_all()
        self.pid = self._process.pid
        assert self._process.stdout is not None
        self._output = self._process.stdout.fileno()
        for descriptor in (self._output, self._watch):
            os.set_blocking(descriptor, False)
        self._loop.add_reader(self._output, self._printed)
        self._loop.add_reader(self._watch, self._ended)

    def kill(self) -> None:
        """Kills it."""
        self._process.kill()

    def reap(self) -> int:
        """Waits for its end."""
        code = self._process.wait()
        self._printed()
        for descriptor in (self._output, self._watch):
            self._loop.remove_reader(descriptor)
        os.close(self._watch)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return code

    def _ended(self) -> None:
        self._on_exit(self.reap())

    def _printed(self) -> None:
        data = read(self._output)
        if data is None:
            return
        for line in self._lines.feed(data) if data else self._lines.end():
            self._on_line(line)
        if not data:
            self._loop.remove_reader(self._output)


Ask = Callable[[ForkedProcess, tuple[int, ...]], None]
"""Asks the parent to fork it, with these descriptors."""


class ForkOfAnother:
    """A fork of another zygote, with what that has imported."""

    def __init__(self, ask: Ask, control: socket.socket, on_line: OnLine, on_exit: OnExit) -> None:
        """Asks for it.

        Raises:
            OSError: it cannot be asked for.
        """
        ears = Ears(on_line=on_line, on_frame=_nothing, on_garbage=_nothing)
        self._on_exit = on_exit
        self._process = ForkedProcess(ears)
        outputs = self._process.outputs()
        try:
            ask(self._process, (*outputs, control.fileno()))
        except BaseException:
            self._process.let_go()
            raise
        finally:
            for each in outputs:
                os.close(each)
        self._process.forked.add_done_callback(self._forked)
        self._process.exited.add_done_callback(self._exited)

    @property
    def pid(self) -> int:
        """Its process id; 0 until it is forked."""
        return self._process.pid

    def kill(self) -> None:
        """Kills it."""
        self._process.kill()

    def reap(self) -> int:
        """Waits for its end; its parent may not yet have told the code."""
        if self._process.watch >= 0:
            poll = select.poll()
            poll.register(self._process.watch, select.POLLIN)
            poll.poll(EXIT_SECONDS * 1e3)
        self._process.let_go()
        known = self._process.exited.done() and not self._process.exited.cancelled()
        return self._process.exited.result() if known else UNKNOWN_EXIT

    def _forked(self, forked: asyncio.Future[None]) -> None:
        if forked.exception() is not None:
            self._on_exit(self.reap())

    def _exited(self, exited: asyncio.Future[int]) -> None:
        if not exited.cancelled():
            self._on_exit(self.reap())


def _nothing(said: object) -> None:
    """It sends no frames."""
    del said

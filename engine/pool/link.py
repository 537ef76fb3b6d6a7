"""The engine's end of a worker: its process, its output and its socket. Loop thread only."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
from collections.abc import Callable
from typing import Any, cast

from citadel.errors import WireError
from engine.pool import jobs
from engine.pool.frames import MISSHAPEN, Splitter, frame
from engine.pool.output import Lines

EXIT_SECONDS = 5.0
"""How long the kernel may take to end a killed process."""
SETTLE_SECONDS = 0.5
"""How long pipes and links of an ended process may stay open: others may hold them."""


_log = logging.getLogger("citadel.pool")


class Process(asyncio.SubprocessProtocol):
    """A child process. Its end is known at once, even when what it started holds its pipes."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        loop = asyncio.get_running_loop()
        self.pid = 0
        self.exited: asyncio.Future[int] = loop.create_future()
        self.output_ended: asyncio.Future[None] = loop.create_future()
        self._on_line = on_line
        self._lines = {1: Lines(), 2: Lines()}
        self._transport: asyncio.SubprocessTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It runs."""
        self._transport = cast("asyncio.SubprocessTransport", transport)
        self.pid = self._transport.get_pid()
        jobs.hold(self.pid)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """It printed something."""
        for line in self._lines[fd].feed(data):
            self._on_line(line)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """One of its two outputs ended."""
        del exc
        for line in self._lines.pop(fd, Lines()).end():
            self._on_line(line)
        if not self._lines and not self.output_ended.done():
            self.output_ended.set_result(None)

    def process_exited(self) -> None:
        """It ended."""
        code = self._transport.get_returncode() if self._transport else None
        if not self.exited.done():
            self.exited.set_result(-1 if code is None else code)

    def kill(self) -> None:
        """Kills the process and what it started in its group, also when it has ended itself."""
        if self._transport is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self.pid, signal.SIGKILL)
            elif not self.exited.done():
                self._transport.kill()

    async def end(self) -> None:
        """Kills it, waits for its end and for what it still says, each within a bound."""
        if self._transport is None:
            return
        self.kill()
        # To close the transport before the exit was seen would reap the process twice.
        await asyncio.wait({self.exited}, timeout=EXIT_SECONDS)
        await asyncio.wait({self.output_ended}, timeout=SETTLE_SECONDS)
        self._transport.close()


class Connection(asyncio.Protocol):
    """A socket whose end is a future, and that writes what was queued in a loop tick at once."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._out: list[bytes] = []
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket ended."""
        del exc
        if not self.closed.done():
            self.closed.set_result(None)

    def flush(self) -> None:
        """Writes what is queued."""
        out, self._out = self._out, []
        if self._transport and not self._transport.is_closing():
            self._transport.write(b"".join(out))

    def close(self) -> None:
        """Closes the socket."""
        if self._transport:
            self._transport.abort()


class Link(Connection):
    """A worker's socket. Frames that are sent in one loop tick leave in one write."""

    def __init__(
        self,
        on_frame: Callable[[list[Any]], None],
        on_garbage: Callable[[str], None],
        *,
        token: bytes = b"",
    ) -> None:
        super().__init__()
        self.proved: asyncio.Future[None] = self._loop.create_future()
        self._on_frame = on_frame
        self._on_garbage = on_garbage
        self._token = token
        self._head = b""
        self._splitter = Splitter()

    def data_received(self, data: bytes) -> None:
        """The worker said something."""
        if self._token:
            data = self._checked(data)
        try:
            for item in self._splitter.feed(data):
                self._on_frame(item)
        except WireError as error:
            self._on_garbage(str(error))
        except MISSHAPEN as error:
            _log.exception("a frame of a worker could not be taken")
            self._on_garbage(f"a frame of a wrong shape ({type(error).__name__}: {error})")

    def send(self, item: list[Any]) -> None:
        """Queues a frame."""
        if not self._out:
            self._loop.call_soon(self.flush)
        self._out.append(frame(item))

    async def end(self) -> None:
        """Waits, within a bound, for the last that the worker said; then closes the socket."""
        if self._transport is not None:
            await asyncio.wait({self.closed}, timeout=SETTLE_SECONDS)
            self.close()
            await asyncio.wait({self.closed}, timeout=SETTLE_SECONDS)

    def _checked(self, data: bytes) -> bytes:
        """What follows the token by which a worker proves itself; a wrong one closes the link."""
        self._head += data
        size = len(self._token)
        if len(self._head) < size:
            return b""
        head, rest = self._head[:size], self._head[size:]
        if not secrets.compare_digest(head, self._token):
            self.close()
            return b""
        self._token = b""
        if not self.proved.done():
            self.proved.set_result(None)
        return rest


class Relay(Link):
    """A worker's socket whose bytes are passed on as they come, both ways."""

    def __init__(self, on_data: Callable[[bytes], None], *, token: bytes = b"") -> None:
        super().__init__(_nothing, _nothing, token=token)
        self._on_data = on_data
        self._held = False

    def data_received(self, data: bytes) -> None:
        """The worker said something."""
        if self._token:
            data = self._checked(data)
        if data:
            self._on_data(data)

    def pass_on(self, data: bytes) -> None:
        """Writes bytes that another link carried."""
        if self._transport and not self._transport.is_closing():
            self._transport.write(data)

    def hold(self, held: bool) -> None:
        """Stops to read, or goes on: who takes the bytes has enough for now."""
        if self._transport and held != self._held and not self._transport.is_closing():
            self._held = held
            if held:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()


def _nothing(said: object) -> None:
    """A relay splits no frames."""
    del said

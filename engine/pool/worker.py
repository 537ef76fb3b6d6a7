"""One worker: its process, its link, what it prints. The shell around the scheduler's seats.

Loop thread only. A worker is spawned, told its commands, and watched until its process has ended;
then its pool hears `on_exit` once, with how it ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import sys
import time
from collections import deque
from typing import Any, Protocol, cast

from citadel.errors import AdapterFailed, CitadelError, WireError, WorkerLost
from citadel.vocabulary import WorkerState
from engine.pool import frames

OUTPUT_LINES = 50
"""Lines a worker printed that are kept for error messages."""
MAX_LINE = 4_096
"""Longer lines are cut."""
_THREAD_LIMITS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


class Owner(Protocol):
    """What a worker tells its pool."""

    def on_ready(self, worker: Worker, tools: list[list[Any]]) -> None:
        """It can take commands; its tools are [name, description, input, output schema]."""

    def on_frame(self, worker: Worker, item: list[Any]) -> None:
        """It said something about a command."""

    def on_output(self, worker: Worker, line: str) -> None:
        """It printed a line."""

    def on_exit(self, worker: Worker) -> None:
        """Its process has ended; called once."""


class Worker:
    """A process that hosts the pool's adapter."""

    def __init__(self, worker_id: str, pool: str, adapter: str, owner: Owner) -> None:
        self.id = worker_id
        self.pid = 0
        self.state: WorkerState = "starting"
        self.since_ns = self.started_ns = time.time_ns()
        self.done = self.failed = 0
        self.rss_bytes, self.cpu = 0, 0.0
        self.command_id = self.tool = ""
        self.cause = ""
        self.output: deque[str] = deque(maxlen=OUTPUT_LINES)
        self.refusal = self.traceback = ""
        self.process: asyncio.subprocess.Process | None = None
        self._pool = pool
        self._adapter = adapter
        self._owner = owner
        self._link: _Link | None = None

    async def run(self, start_timeout: float) -> None:
        """Spawns the process and watches it until it ends, however it ends."""
        try:
            link = await self._spawn()
            self._link = link
            assert self.process is not None
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._capture(self.process.stdout), name=f"{self.id} stdout")
                tasks.create_task(self._capture(self.process.stderr), name=f"{self.id} stderr")
                tasks.create_task(self._watch_start(start_timeout), name=f"{self.id} start")
                await self.process.wait()
                link.became_ready.set()
        except OSError as error:
            self.refusal = f"the process could not be started: {error}"
        finally:
            self.kill()
            if self.process:
                await asyncio.shield(self.process.wait())  # SIGKILL was sent: it ends at once
            if self._link:
                self._link.close()
                await asyncio.sleep(0)  # the transport closes its socket in the next tick
            self._owner.on_exit(self)

    def send(self, item: list[Any]) -> None:
        """Queues a frame; those of one loop tick leave in one write."""
        if self._link:
            self._link.send(frames.frame(item))

    def to(self, state: WorkerState, cause: str = "") -> None:
        """Goes to another state."""
        if state != self.state:
            self.state, self.since_ns = state, time.time_ns()
        self.cause = cause or self.cause

    def kill(self, cause: str = "") -> None:
        """Kills the process and what it started."""
        self.cause = cause or self.cause
        process = self.process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()

    def how_it_ended(self) -> str:
        """The exit in words: the signal or the exit code, and what was printed last."""
        if self.refusal:
            return self.refusal
        code = self.process.returncode if self.process else None
        if code is None:
            text = "its process could not be started"
        elif code < 0:
            text = f"its process was killed by {_signal_name(-code)}"
        else:
            text = f"its process exited with code {code}"
        if self.cause:
            text += f" ({self.cause})"
        if self.output:
            text += f"; it printed last: {self.output[-1]}"
        return text

    def on_frame(self, item: list[Any]) -> None:
        """Takes a frame of the link."""
        if item[0] == frames.READY:
            self.to("ready")
            if self._link:
                self._link.became_ready.set()
            self._owner.on_ready(self, item[1])
        elif item[0] == frames.REFUSED:
            self.refusal, self.traceback = item[1], item[2]
        else:
            self._owner.on_frame(self, item)

    async def _spawn(self) -> _Link:
        loop = asyncio.get_running_loop()
        environment = {**os.environ, **dict.fromkeys(_THREAD_LIMITS, "1"), "PYTHONUNBUFFERED": "1"}
        if sys.platform == "win32":
            return await self._spawn_over_tcp(environment)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            # The link first: whatever is cancelled from here on, it is closed with the worker.
            _, link = await loop.create_unix_connection(lambda: _Link(self), sock=ours)
            self._link = link
            self.process = await asyncio.create_subprocess_exec(
                *self._command(f"fd:{theirs.fileno()}"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                env=environment,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self.pid = self.process.pid
        return link

    async def _spawn_over_tcp(self, environment: dict[str, str]) -> _Link:
        """Where descriptors cannot be handed down: loopback, and a token that proves the child."""
        token = secrets.token_bytes(32)
        accepted: asyncio.Future[_Link] = asyncio.get_running_loop().create_future()
        server = await asyncio.get_running_loop().create_server(
            lambda: _Link(self, token=token, accepted=accepted), "127.0.0.1", 0
        )
        async with server:
            port = server.sockets[0].getsockname()[1]
            self.process = await asyncio.create_subprocess_exec(
                *self._command(f"127.0.0.1:{port}"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**environment, "CITADEL_WORKER_TOKEN": token.hex()},
            )
            self.pid = self.process.pid
            return await accepted

    def _command(self, where: str) -> list[str]:
        command = [sys.executable, "-m", "engine.pool.child", where, self.id, self._pool]
        return [*command, self._adapter, str(os.getpid())]

    async def _watch_start(self, timeout: float) -> None:  # noqa: ASYNC109 - ours to enforce
        assert self._link is not None
        try:
            async with asyncio.timeout(timeout):
                await self._link.became_ready.wait()
        except TimeoutError:
            self.refusal = f"the adapter did not set up within {timeout:g} s"
            self.kill("start timeout")

    async def _capture(self, stream: asyncio.StreamReader | None) -> None:
        assert stream is not None
        while True:
            try:
                data = await stream.readline()
            except ValueError:  # a line longer than the reader's buffer: take it in parts
                data = await stream.read(MAX_LINE)
            if not data:
                return
            line = data.decode("utf-8", "replace").rstrip()[:MAX_LINE]
            if line:
                self.output.append(line)
                self._owner.on_output(self, line)

    def lost(self, command_id: str) -> CitadelError:
        """The error of the command that ran when it died."""
        return WorkerLost(
            f"worker {self.id} died while it ran command {command_id}: {self.how_it_ended()}",
            subject=self.id,
            details={"worker": self.id, "pid": str(self.pid), "output": "\n".join(self.output)},
        )

    def start_failure(self) -> CitadelError:
        """The error of commands when no worker can start."""
        return AdapterFailed(
            f"adapter {self._adapter} cannot be hosted: {self.how_it_ended()}",
            subject=self._adapter,
            remedy="Mend the adapter, then recycle the pool",
            details={"output": "\n".join(self.output), "traceback": self.traceback},
        )


class _Link(asyncio.Protocol):
    """The engine's end of a worker's socket."""

    def __init__(
        self,
        worker: Worker,
        *,
        token: bytes = b"",
        accepted: asyncio.Future[_Link] | None = None,
    ) -> None:
        self.became_ready = asyncio.Event()
        self._worker = worker
        self._token = token
        self._accepted = accepted
        self._head = b""
        self._splitter = frames.Splitter()
        self._out: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._token:
            self._head += data
            if len(self._head) < len(self._token):
                return
            head, data = self._head[: len(self._token)], self._head[len(self._token) :]
            if not secrets.compare_digest(head, self._token):
                self.close()
                return
            self._token = b""
            if self._accepted and not self._accepted.done():
                self._accepted.set_result(self)
        try:
            for item in self._splitter.feed(data):
                self._worker.on_frame(item)
        except WireError as error:
            self._worker.kill(f"it sent garbage: {error}")

    def send(self, data: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def close(self) -> None:
        if self._transport:
            self._transport.close()

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._transport and not self._transport.is_closing():
            self._transport.write(b"".join(out))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

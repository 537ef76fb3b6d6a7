"""A worker that a zygote forked, as the engine sees it: its pidfd and its two outputs.

Loop thread only. Linux only.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from contextlib import ExitStack, suppress

from engine.pool.link import EXIT_SECONDS, SETTLE_SECONDS
from engine.pool.output import Lines
from engine.pool.spawn import UNKNOWN_EXIT, Ears

READ_BYTES = 65_536
STATUS_SECONDS = 0.5
"""How long a zygote may take to tell the exit code of a worker that has ended."""


class ForkedProcess:
    """A worker that a zygote forked; see `engine.pool.spawn.Running`."""

    def __init__(self, ears: Ears) -> None:
        self._loop = asyncio.get_running_loop()
        self.pid = 0
        self.forked: asyncio.Future[None] = self._loop.create_future()
        self.exited: asyncio.Future[int] = self._loop.create_future()
        self.output_ended: asyncio.Future[None] = self._loop.create_future()
        self._ears = ears
        self._lines: dict[int, Lines] = {}
        self.watch = -1
        """Its pidfd, from when it was forked."""
        self._asked = self._doomed = self._orphaned = self._dead = self._over = False

    def outputs(self) -> tuple[int, int]:
        """Two new pipes' ends for its stdout and stderr, the caller's to close.

        Raises:
            OSError: no descriptors are left.
        """
        with ExitStack() as undo:
            pipes = [self._pipe(undo) for _ in ("stdout", "stderr")]
            undo.pop_all()
        for each, _ in pipes:
            os.set_blocking(each, False)
            self._lines[each] = Lines()
            self._loop.add_reader(each, self._printed, each)
        return pipes[0][1], pipes[1][1]

    def kill(self) -> None:
        """Kills the process and what it started in its group."""
        self._doomed = True
        if not self.pid or self.exited.done():
            return  # the zygote killed the group before it reaped
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with suppress(ProcessLookupError):  # it may not have its group yet
            if self.watch >= 0:
                signal.pidfd_send_signal(self.watch, signal.SIGKILL)
            else:
                os.kill(self.pid, signal.SIGKILL)

    async def end(self) -> None:
        """Kills it, waits for its end and for what it still says, each within a bound."""
        self.kill()
        if self._asked:
            await asyncio.wait({self.exited}, timeout=EXIT_SECONDS)
            await asyncio.wait({self.output_ended}, timeout=SETTLE_SECONDS)
        self.let_go()

    def let_go(self) -> None:
        """Closes what the engine has of it."""
        for each in list(self._lines):
            self._close(each)
        self._over = True
        self._unwatch()

    # ── what its zygote tells ────────────────────────────────────────────────────────────────

    def asked(self) -> None:
        """The request for it is on its way."""
        self._asked = True

    def began(self, pid: int, watch: int) -> None:
        """It runs; a pidfd of -1: no descriptor was left for it, and the start has failed."""
        self.pid, self.watch = pid, watch
        if watch < 0:
            self._dead = True  # only its zygote tells its end, or takes it along
            self.kill()
            self._not_born(OSError(errno.EMFILE, "no descriptor is left to watch it by"))
            return
        self._loop.add_reader(watch, self._seen_dead)
        self.forked.set_result(None)
        if self._doomed:
            self.kill()
        if self._over:  # its start was given up before
            self._unwatch()

    def failed(self, error: OSError) -> None:
        """It was never born."""
        self._not_born(error)
        self.exited.cancel()
        self._asked = False

    def ended(self, code: int) -> None:
        """It has ended, and how."""
        if not self.exited.done():
            self.exited.set_result(code)

    def orphaned(self) -> None:
        """Its zygote has ended, and nobody can tell its exit code any more."""
        self._orphaned = True
        if self._ears.on_lost and not self.exited.done():
            self._ears.on_lost("its zygote ended")
        if self._dead:
            self.ended(UNKNOWN_EXIT)

    def _not_born(self, error: OSError) -> None:
        self.forked.set_exception(error)
        self.forked.exception()  # a start that was cancelled asks no more

    def _unwatch(self) -> None:
        if self.watch >= 0:
            self._loop.remove_reader(self.watch)
            os.close(self.watch)
            self.watch = -1

    def _pipe(self, undo: ExitStack) -> tuple[int, int]:
        ends = os.pipe()
        for each in ends:
            undo.callback(os.close, each)
        return ends

    def _seen_dead(self) -> None:
        self._dead = True
        self._loop.remove_reader(self.watch)
        if self._orphaned:
            self.ended(UNKNOWN_EXIT)
        else:
            self._loop.call_later(STATUS_SECONDS, self.ended, UNKNOWN_EXIT)

    def _printed(self, descriptor: int) -> None:
        data = read(descriptor)
        if data:
            for line in self._lines[descriptor].feed(data):
                self._ears.on_line(line)
        elif data is not None:
            self._close(descriptor)

    def _close(self, descriptor: int) -> None:
        self._loop.remove_reader(descriptor)
        os.close(descriptor)
        for line in self._lines.pop(descriptor).end():
            self._ears.on_line(line)
        if not self._lines and not self.output_ended.done():
            self.output_ended.set_result(None)


def read(descriptor: int) -> bytes | None:
    """What is there; nothing at its end; None when there is nothing yet."""
    try:
        return os.read(descriptor, READ_BYTES)
    except BlockingIOError:
        return None
    except OSError:
        return b""

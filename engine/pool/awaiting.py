"""The event loop of a lane: async tools run on it, one command at a time. Worker's process only.

Imported when the first async tool runs: workers of plain tools do without asyncio. The loop lives
as long as its lane; tasks that a tool leaves behind are cancelled when its command ends.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any

from citadel.errors import Cancelled


class Loop:
    """One lane's loop."""

    def __init__(self, link: int = -1, readable: Callable[[], None] | None = None) -> None:
        # Only a selector loop can watch the link, also on Windows.
        factory = asyncio.SelectorEventLoop if sys.platform == "win32" else None
        self._runner = asyncio.Runner(loop_factory=factory)
        self._loop = self._runner.get_loop()
        self._task: asyncio.Task[Any] | None = None
        self._ending = False
        self._waiters: list[asyncio.Future[None]] = []
        if readable is not None:
            self._loop.add_reader(link, readable)

    def run(self, work: Coroutine[Any, Any, Any], stopped: Callable[[], bool]) -> Any:
        """Runs it to its end, in the context of the caller.

        Raises:
            Cancelled: `cancel` ended it, or it was `stopped` before.
        """
        self._ending = False
        self._task = self._loop.create_task(work, context=copy_context())
        if stopped():
            self._loop.call_soon(self._cancel)
        try:
            return self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            if self._task.cancelling():
                raise Cancelled("the command was cancelled") from None
            raise
        finally:
            self._task = None
            self._sweep()

    async def wait(self, over: Callable[[], bool]) -> None:
        """Until it is over: looked at whenever something came for the lane."""
        while not over():
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._waiters.append(waiter)
            await waiter

    def changed(self) -> None:
        """Something came for the lane. Any thread."""
        if self._waiters:
            self._loop.call_soon_threadsafe(self._wake)

    def cancel(self) -> None:
        """Cancels what runs. Any thread."""
        if self._task is not None:
            self._loop.call_soon_threadsafe(self._cancel)

    def close(self) -> None:
        """Ends the loop; its lane runs no more."""
        self._runner.close()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _cancel(self) -> None:
        if self._task is not None and not self._ending:
            self._ending = True  # once: a second one would end the task's own finally blocks
            self._task.cancel()

    def _sweep(self) -> None:
        left = asyncio.all_tasks(self._loop)
        if left:
            for task in left:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))

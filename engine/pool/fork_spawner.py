"""Brings workers to life by forks: from the zygote of their key, or plainly where none serves.

Loop thread only. Linux only. See `engine.pool.spawn.Spawner`; what was begun is undone when a start
fails or is cancelled.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import replace

from engine.pool import slate
from engine.pool.forked import ForkedProcess
from engine.pool.forks import START_SECONDS, Key, Zygote, ZygoteLost, Zygotes, close
from engine.pool.hosting import Charge
from engine.pool.spawn import Ears, Hosted, PlainSpawner, link_of

TRIES = 2
"""Zygotes that a worker's start may see die."""


class ForkSpawner:
    """Forks workers from a zygote; plainly where that refuses. See `engine.pool.spawn.Spawner`."""

    def __init__(
        self, zygotes: Zygotes, key: Key, plain: PlainSpawner, seconds: float = START_SECONDS
    ) -> None:
        """An adapter whose import takes longer than so many seconds is imported by each worker."""
        self._zygotes = zygotes
        self._key = key
        self._plain = plain
        self._seconds = seconds

    async def ready(self) -> None:
        """Waits for the zygote; a start that fails is told by the spawn."""
        with suppress(OSError):
            await self._zygotes.ready(self._key, self._seconds)

    def renew(self) -> None:
        """Sees changes in modules from now on."""
        self._zygotes.renew(self._key)

    def crowded(self) -> str:
        """There is one machine."""
        return ""

    async def spawn(self, charge: Charge, ears: Ears, descriptors: Mapping[str, int]) -> Hosted:
        """Forks one; when zygotes die again and again, starts it plainly."""
        for _ in range(TRIES):
            with suppress(ZygoteLost):
                found = await self._zygotes.ready(self._key, self._seconds)
                if found.refusal:
                    break
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
                lent.callback(close, *outputs)
                undo.push_async_callback(link.end)
                undo.push_async_callback(process.end)
                ours.setblocking(False)
                # The link listens before the worker can speak.
                await loop.create_unix_connection(lambda: link, sock=ours)
                standard = (*outputs, theirs.fileno(), memory)
                await found.fork(told, process, standard, handed)
            undo.pop_all()
        return Hosted(process, link, board)

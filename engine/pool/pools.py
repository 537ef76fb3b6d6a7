"""All pools of an engine, by name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from citadel.errors import Conflict, NotFound
from citadel.values import Parcel
from citadel.vocabulary import PoolState
from citadel.wire.messages import (
    CommandResult,
    PoisonEntry,
    PoolStatus,
    SessionStatus,
    Tool,
    WorkerDetail,
)
from engine.pool.asks import Asks
from engine.pool.births import Births
from engine.pool.gauges import pool_gauges
from engine.pool.memory import COPY_BYTES, Lease
from engine.pool.pool import Pool
from engine.pool.results import PoolResult
from engine.pool.scheduler import Counts
from engine.pool.settings import PoolCommand, PoolSettings
from engine.telemetry.hub import LiveHub
from engine.telemetry.pulse import Gauge
from engine.telemetry.recorder import Recorder


class Pools:
    """Finds the pool of a command, and changes pools for operators."""

    def __init__(
        self,
        settings: Sequence[PoolSettings],
        recorder: Recorder,
        hub: LiveHub,
        folder: Path | None = None,
    ) -> None:
        """`folder` is the engine's data folder: environments are made below it."""
        self._births = Births(recorder, folder)
        self._pools = {
            each.name: Pool(each, recorder, hub, self._births.spawner(each)) for each in settings
        }
        self._recorder = recorder
        self.asks = Asks(self._pools)

    async def run(self) -> None:
        """Serves until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._births.run(), name="environments")
                for pool in self._pools.values():
                    tasks.create_task(pool.run(), name=f"pool {pool.name}")
        finally:
            self._births.close()

    async def ready(self) -> None:
        """Returns once each pool has a worker, or is failed."""
        for pool in self._pools.values():
            await pool.ready()

    async def drain(self, seconds: float) -> bool:
        """Takes no more commands; whether those that were there ended in time."""
        drained = await asyncio.gather(*(pool.drain(seconds) for pool in self._pools.values()))
        return all(drained)

    def submit(self, command: PoolCommand) -> Coroutine[Any, Any, CommandResult]:
        """Runs a command to its end; see `Pool.submit`."""
        return self._known(command.pool).submit(command)

    async def submit_parts(self, command: PoolCommand) -> PoolResult:
        """Runs a command whose caller is in this process: large values are not copied.

        The arguments' buffers are copied at most once, and not at all when they are in a lease;
        arrays made of the result's parcel hold their memory in the worker's slab.
        """
        pool = self._known(command.pool)
        return cast("PoolResult", await pool.submit(await _brought(pool, command)))

    def lease(self, pool: str, nbytes: int) -> Lease:
        """Memory in a pool's slab, to write in place and pass without a copy.

        Raises:
            QuotaExceeded: the slab has no room for it.
        """
        return self._known(pool).memory.lease(nbytes)

    def begin(self, command: PoolCommand) -> asyncio.Future[CommandResult]:
        """Takes a command; see `Pool.begin`."""
        return self._known(command.pool).begin(command)

    def stream(
        self, command: PoolCommand, items: AsyncIterable[bytes] | None = None
    ) -> AsyncGenerator[bytes | CommandResult]:
        """Runs a command that takes or gives a stream; see `Pool.stream`."""
        # Parcels are for who takes parts.
        found = self._known(command.pool).stream(command, items)
        return cast("AsyncGenerator[bytes | CommandResult]", found)

    async def stream_parts(
        self, command: PoolCommand, items: AsyncIterable[bytes | Parcel] | None = None
    ) -> AsyncGenerator[Parcel | PoolResult]:
        """Runs a stream whose caller is in this process: large items are not copied on their way.

        Arrays made of an item that the tool gave hold their memory in the worker's slab.
        """
        pool = self._known(command.pool)
        given = pool.stream(await _brought(pool, command), items)
        async with aclosing(given) as found:
            async for each in found:
                if isinstance(each, CommandResult):
                    yield cast("PoolResult", each)
                else:
                    yield Parcel.of(each) if isinstance(each, bytes) else each

    def cancel(self, command_id: str, reason: str = "", pool: str = "") -> str:
        """Cancels the command of a pool, or of each that has one with this id: what it was.

        Of several, "running" if one was.

        Raises:
            NotFound: there is no such pool.
        """
        was = {found.cancel(command_id, reason) for found in self._some(pool)}
        return next((each for each in ("running", "queued") if each in was), "unknown")

    def status(self) -> tuple[PoolStatus, ...]:
        """Every pool, as the wire has it."""
        return tuple(pool.status() for pool in self._pools.values())

    def counts(self, pool: str) -> Counts:
        """How a pool's commands ended so far."""
        return self._known(pool).commands.scheduler.counts

    def inspect_worker(self, pool: str, worker: str) -> WorkerDetail:
        """The life of a worker, also of one that ended lately.

        Raises:
            NotFound: there is no such worker, or no more.
        """
        return self._known(pool).crew.inspect(worker)

    def tools(self, pool: str) -> tuple[Tool, ...]:
        """The tools of a pool's adapter; none until a worker was ready once."""
        return self._known(pool).crew.tools

    def check_revision(self, pool: str, revision: int) -> None:
        """Refuses a change that was based on a stale revision.

        Raises:
            Conflict: names the current one.
        """
        current = self._known(pool).revision
        if revision not in (0, current):
            raise Conflict(
                f"pool {pool} is at revision {current}, the change was based on {revision}",
                subject=pool,
                details={"current": str(current)},
            )

    async def resize(
        self, pool: str, size: int, min_size: int = 0, max_size: int = 0
    ) -> PoolStatus:
        """Wants another number of workers; with a `max_size` the pool itself says how many."""
        found = self._known(pool)
        found.crew.rescale(size, min_size, max_size)
        text = f"{min_size} to {max_size} workers" if max_size else f"{size} workers"
        self._recorder.event("pool.resized", subject=pool, message=text)
        found.changed()
        return found.status()

    async def recycle(self, pool: str, worker: str = "") -> PoolStatus:
        """Replaces one worker, or all, without losing capacity."""
        found = self._known(pool)
        found.crew.recycle(worker)
        found.changed()
        return found.status()

    async def kill(
        self, pool: str, worker: str, cause: str = "killed by an operator"
    ) -> PoolStatus:
        """Kills one worker's process."""
        found = self._known(pool)
        found.kill(worker, cause)
        return found.status()

    async def set_state(self, pool: str, state: PoolState) -> PoolStatus:
        """Lets a pool serve, pauses it (commands wait), or drains it (new ones are refused)."""
        found = self._known(pool)
        before = found.state
        found.set_state(state)
        if found.state != before:
            self._recorder.event("pool.state", subject=pool, message=f"{before} → {state}")
            found.changed()
        return found.status()

    # ── sessions and poison ──────────────────────────────────────────────────────────────────

    def sessions(self, pool: str = "") -> tuple[SessionStatus, ...]:
        """The open sessions of one pool, or of all."""
        return tuple(each for found in self._some(pool) for each in found.sessions.sessions())

    def set_variables(
        self, pool: str, key: str, variables: bytes, revision: int = 0
    ) -> SessionStatus:
        """Sets a session's variables (a msgpack map, nil removes); its next command sees them."""
        return self._known(pool).sessions.set(key, variables, revision)

    def end_session(self, pool: str, key: str) -> SessionStatus:
        """Ends a session."""
        return self._known(pool).sessions.end(key)

    def poison(self, pool: str = "") -> tuple[PoisonEntry, ...]:
        """The commands that killed workers of one pool, or of all."""
        return tuple(each for found in self._some(pool) for each in found.resilience.poison())

    def release_poison(self, pool: str, fingerprint: str) -> PoisonEntry:
        """Lets a quarantined command through again."""
        found = self._known(pool)
        entry = found.resilience.release(fingerprint)
        found.changed()
        return entry

    def gauges(self) -> list[Gauge]:
        """The sampled values of each pool, for the metrics."""
        return [
            gauge
            for pool in self._pools.values()
            for gauge in pool_gauges(pool.status(), pool.crew.workers.values())
        ]

    def _some(self, name: str) -> Sequence[Pool]:
        return [self._known(name)] if name else list(self._pools.values())

    def _known(self, name: str) -> Pool:
        if name not in self._pools:
            raise NotFound(
                f"there is no pool {name!r}",
                subject=name,
                remedy=f"Pools are {', '.join(self._pools) or 'none'}",
            )
        return self._pools[name]


async def _brought(pool: Pool, command: PoolCommand) -> PoolCommand:
    """A command whose caller is in this process, with what is very large of it in the slab."""
    buffers = command.buffers
    if any(each.nbytes > COPY_BYTES for each in buffers):
        buffers = await pool.memory.bring(buffers)
    elif command.parts:
        return command
    return replace(command, buffers=buffers, parts=True)

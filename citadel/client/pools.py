"""Worker pools from outside: calls, batches, streams, sessions, and what operators change."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from citadel.client.batch import Batch
from citadel.client.commands import CommandOptions, packed, unpacked
from citadel.client.connection import Connection
from citadel.client.group import Group, change
from citadel.client.toolstream import Items, ToolStream
from citadel.client.watch import Lost, Update
from citadel.errors import UnknownSession
from citadel.vocabulary import Affinity, PoolState, Priority
from citadel.wire import messages as m
from citadel.wire.columns import rows

ANSWER_SECONDS = 10.0
"""What the engine has, after a command's deadline, to say what became of it."""
Watch = Callable[[Sequence[str]], AsyncGenerator[Update]]


class Caller:
    """A pool with options: `pools.on("python", deadline=5).call("add", a=1)`."""

    def __init__(self, connection: Connection, pool: str, options: CommandOptions) -> None:
        self.pool = pool
        self.options = options
        self._connection = connection

    async def call(self, tool: str, /, **arguments: Any) -> Any:
        """Runs a tool and returns its value."""
        command = self.options.command(self.pool, tool, arguments)
        return unpacked((await run(self._connection, command)).value)

    def stream(self, tool: str, items: Items | None = None, /, **arguments: Any) -> ToolStream:
        """Runs a tool that takes a stream (`items`), gives one, or both; iterate over the answer.

        An argument of the tool may be named `items`: the stream is given by place.
        """
        command = self.options.command(self.pool, tool, arguments)
        return ToolStream(self._connection, command, items)

    def batch(self) -> Batch:
        """Many calls over one stream."""
        return Batch(self._connection, self.pool, self.options)

    async def many(
        self, calls: Iterable[tuple[str, Mapping[str, Any]]], *, errors: bool = False
    ) -> list[Any]:
        """Runs calls, each a tool and its arguments, over one stream; their values in order.

        With `errors` an error stands where the value of its call would; without, the first one in
        order is raised once all have ended.
        """
        async with self.batch() as batch:
            futures = [await batch.begin(tool, **arguments) for tool, arguments in calls]
        failed = [future.exception() for future in futures]
        if not errors and (first := next(filter(None, failed), None)) is not None:
            raise first
        return [error or future.result() for error, future in zip(failed, futures, strict=True)]


class PoolSession(Caller):
    """Calls that share variables, and go to one worker: `pools.session("python", "alice")`.

    It begins with its first command, and ends when it is told to, or unused for long.
    """

    def __init__(
        self, connection: Connection, pool: str, options: CommandOptions, watch: Watch
    ) -> None:
        super().__init__(connection, pool, options)
        self.key = options.session
        self._watch = watch

    async def status(self) -> m.SessionStatus:
        """Where it is, and what it holds.

        Raises:
            UnknownSession: it has not begun, or has ended.
        """
        request = m.ListSessionsRequest(pool=self.pool)
        reply = await self._connection.call("Pools.ListSessions", request, traced=False)
        for each in reply.sessions:
            if each.key == self.key:
                return each
        raise UnknownSession(f"pool {self.pool} has no session {self.key!r}", subject=self.key)

    async def variables(self) -> dict[str, Any]:
        """Its variables; a value that JSON cannot say is a text."""
        return json.loads((await self.status()).variables_json or "{}")

    async def set(self, revision: int = 0, /, **variables: Any) -> m.SessionStatus:
        """Sets variables, None removes one; its next command sees them.

        Raises:
            UnknownSession: it has not begun, or has ended.
            Conflict: a revision was given, and the session is at another.
        """
        request = m.SetVariablesRequest(
            pool=self.pool,
            session=self.key,
            variables=packed(variables, "the variables"),
            revision=revision,
        )
        return await self._connection.call("Pools.SetVariables", request)

    async def watch(self) -> AsyncGenerator[dict[str, Any]]:
        """Its variables now, and whenever they change; ends when the session does."""
        seen: tuple[int, str] | None = None
        async with aclosing(self._watch(["session"])) as updates:
            async for update in updates:
                if isinstance(update, Lost) or "session" not in update.tables:
                    continue
                for row in rows(update.tables["session"]):
                    if (row["pool"], row["key"]) != (self.pool, self.key):
                        continue
                    if row["state"] == "gone":
                        return
                    if (now := (row["revision"], row["variables"])) != seen:
                        seen = now
                        yield json.loads(row["variables"] or "{}")

    async def end(self, *, actor: str = "", reason: str = "") -> m.SessionStatus:
        """Ends it; its worker forgets what it held."""
        request = m.EndSessionRequest(
            pool=self.pool, session=self.key, change=change(0, actor, reason)
        )
        return await self._connection.call("Pools.EndSession", request)


class PoolsGroup(Group):
    """Worker pools and their commands."""

    def __init__(self, connection: Connection, watch: Watch) -> None:
        super().__init__(connection)
        self._watch = watch

    # ── commands ─────────────────────────────────────────────────────────────────────────────

    async def run(self, command: m.Command) -> m.CommandResult:
        """Runs a command as the wire has it."""
        return await run(self._connection, command)

    async def call(self, pool: str, tool: str, /, **arguments: Any) -> Any:
        """Runs a tool and returns its value: `await pools.call("python", "add", a=1)`."""
        return await self.on(pool).call(tool, **arguments)

    def on(
        self,
        pool: str,
        *,
        deadline: float = 0.0,
        session: str = "",
        affinity: Affinity | None = None,
        priority: Priority | None = None,
        mission: str = "",
        mission_class: str = "",
    ) -> Caller:
        """A pool with options for calls, batches and streams; see `CommandOptions`."""
        options = CommandOptions(
            deadline=deadline,
            session=session,
            affinity=affinity,
            priority=priority,
            mission=mission,
            mission_class=mission_class,
        )
        return Caller(self._connection, pool, options)

    def batch(self, pool: str, **options: Any) -> Batch:
        """Many calls over one stream; takes the options of `on`."""
        return self.on(pool, **options).batch()

    def session(
        self, pool: str, key: str, *, affinity: Affinity | None = None, **options: Any
    ) -> PoolSession:
        """Calls that share variables and a worker; takes the other options of `on`."""
        bound = self.on(pool, affinity=affinity, **options).options
        return PoolSession(self._connection, pool, replace(bound, session=key), self._watch)

    async def cancel(self, command_id: str, *, pool: str = "", reason: str = "") -> str:
        """Cancels by id: what the command was, "queued", "running" or "unknown".

        Ids are unique in a pool: without one, every pool's command with this id is cancelled.
        """
        request = m.CancelRequest(command_id=command_id, reason=reason, pool=pool)
        return (await self._call("Pools.Cancel", request)).was

    # ── what there is ────────────────────────────────────────────────────────────────────────

    async def list(self) -> tuple[m.PoolStatus, ...]:
        """Every pool with its workers."""
        return (await self._call("Pools.List", m.ListPoolsRequest(), traced=False)).pools

    async def tools(self, pool: str) -> tuple[m.Tool, ...]:
        """The tools of a pool's adapter."""
        return (await self._call("Pools.Tools", m.ToolsRequest(pool=pool), traced=False)).tools

    async def inspect_worker(self, pool: str, worker: str) -> m.WorkerDetail:
        """One worker's life, memory and last words; also of one that ended lately."""
        request = m.InspectWorkerRequest(pool=pool, worker=worker)
        return await self._call("Pools.InspectWorker", request, traced=False)

    async def sessions(self, pool: str = "") -> tuple[m.SessionStatus, ...]:
        """The open sessions of a pool, or of all."""
        request = m.ListSessionsRequest(pool=pool)
        return (await self._call("Pools.ListSessions", request, traced=False)).sessions

    async def poison(self, pool: str = "") -> tuple[m.PoisonEntry, ...]:
        """Commands that killed workers, of a pool or of all."""
        request = m.ListPoisonRequest(pool=pool)
        return (await self._call("Pools.ListPoison", request, traced=False)).entries

    # ── what operators change ────────────────────────────────────────────────────────────────

    async def resize(
        self,
        pool: str,
        size: int,
        *,
        min_size: int = 0,
        max_size: int = 0,
        revision: int = 0,
        actor: str = "",
        reason: str = "",
    ) -> m.PoolStatus:
        """Wants another number of workers; with a `max_size` the pool itself says how many."""
        request = m.ResizeRequest(
            pool=pool,
            size=size,
            min_size=min_size,
            max_size=max_size,
            change=change(revision, actor, reason),
        )
        return await self._call("Pools.Resize", request)

    async def set_state(
        self, pool: str, state: PoolState, *, revision: int = 0, actor: str = "", reason: str = ""
    ) -> m.PoolStatus:
        """Lets it serve, pauses it (commands wait), or drains it (new ones are refused)."""
        request = m.SetPoolStateRequest(
            pool=pool, state=state, change=change(revision, actor, reason)
        )
        return await self._call("Pools.SetState", request)

    async def recycle(
        self, pool: str, worker: str = "", *, actor: str = "", reason: str = ""
    ) -> m.PoolStatus:
        """Replaces one worker, or all."""
        request = m.RecycleRequest(pool=pool, worker=worker, change=change(0, actor, reason))
        return await self._call("Pools.Recycle", request)

    async def kill_worker(
        self, pool: str, worker: str, *, actor: str = "", reason: str = ""
    ) -> m.PoolStatus:
        """Kills one worker's process."""
        request = m.KillWorkerRequest(pool=pool, worker=worker, change=change(0, actor, reason))
        return await self._call("Pools.KillWorker", request)

    async def end_session(
        self, pool: str, key: str, *, actor: str = "", reason: str = ""
    ) -> m.SessionStatus:
        """Ends a session; its worker forgets what it held."""
        request = m.EndSessionRequest(pool=pool, session=key, change=change(0, actor, reason))
        return await self._call("Pools.EndSession", request)

    async def release_poison(
        self, pool: str, fingerprint: str, *, actor: str = "", reason: str = ""
    ) -> m.PoisonEntry:
        """Lets a command run again that had killed workers."""
        request = m.ReleasePoisonRequest(
            pool=pool, fingerprint=fingerprint, change=change(0, actor, reason)
        )
        return await self._call("Pools.ReleasePoison", request)


async def run(connection: Connection, command: m.Command) -> m.CommandResult:
    """Runs a command to its end; without a deadline the pool's own default ends it."""
    seconds = command.deadline_seconds
    timeout = seconds + ANSWER_SECONDS if seconds else None
    return await connection.call("Pools.Run", command, timeout=timeout)

"""The one crossing between the window and an engine: the stream in, commands out.

It connects, watches into the room's clock (and so the store), runs commands as RPCs, and reconnects
with back-off, resuming where it was. It refuses to draw anything and to decide anything about
missions or policies. It runs on the window's asyncio loop, on the main thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any, Protocol

from app.clock import RoomClock
from app.commands import Command, Outcome, Then
from app.store import ConnectionState, FleetStore, GapNote
from app.targets import Target
from citadel.client.client import Client
from citadel.client.connection import TLS
from citadel.client.watch import Batch, Lost, Snapshot, Update
from citadel.errors import CitadelError, EngineError, QueueFull, Unavailable

COMMANDS_WAITING = 256
"""The most commands that may be under way; more are refused."""

COMMAND_SECONDS = 30.0

RESTART_SECONDS = (0.1, 0.5, 2.0, 5.0, 10.0)
"""Waits before an embedded engine that ended by itself is started again; then the user decides."""


class Engines(Protocol):
    """Where an embedded engine comes from: app/embed.py."""

    @property
    def running(self) -> bool:
        """Whether it lives."""
        ...

    async def start(self) -> tuple[str, str]:
        """Address and token."""
        ...

    async def stop(self) -> None:
        """Ends it."""
        ...

    def last_words(self) -> str:
        """The end of its standard error."""
        ...


class Link:
    """Keeps the store true to one engine, and is the window's `CommandSink`."""

    def __init__(
        self,
        store: FleetStore,
        clock: RoomClock,
        engines: Engines,
        ended: Callable[[Outcome], None],
        changed: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._engines = engines
        self._ended = ended
        self._changed = changed
        self._client: Client | None = None
        self._target: Target | None = None
        self._wanted = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._group: asyncio.TaskGroup | None = None
        self._under_way = 0
        self._tickets = 0
        self._seq = 0

    # ── the connection ──────────────────────────────────────────────────────────────────────────
    @property
    def target(self) -> Target | None:
        """Where it connects, or is connected."""
        return self._target

    def connect(self, target: Target) -> None:
        """Leaves the present engine, if any, and connects to another."""
        self._target = target
        state = self._store.connection
        state.mode, state.address = target.mode, target.address
        state.last_message_ns = state.attempt = 0
        state.info, state.instance_id = None, ""
        self._show("connecting")
        self._wake()

    def disconnect(self) -> None:
        """Stops trying; what is on screen stays, dimmed."""
        self._target = None
        self._show("idle")
        self._wake()

    def reconnect(self) -> None:
        """Tries again now, without waiting for the back-off."""
        if self._target is not None:
            had_data = bool(self._store.connection.last_message_ns)
            self._show("reconnecting" if had_data else "connecting")
            self._wake()

    def _wake(self) -> None:
        self._wanted.set()
        if self._watching is not None:
            self._watching.cancel()

    async def run(self) -> None:
        """Serves until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                while True:
                    await self._wanted.wait()
                    self._wanted.clear()
                    if self._target is None:
                        await self._engines.stop()
                        continue
                    task = group.create_task(self._serve(self._target), name="watch the engine")
                    self._watching = task
                    await asyncio.wait([task])
        finally:
            self._group = None
            await self._engines.stop()

    async def _serve(self, target: Target) -> None:
        """One target, until it is left or makes no sense any more."""
        if target.mode == "remote":
            await self._engines.stop()
        try:
            for wait in RESTART_SECONDS:
                await self._watch_once(target)
                # Only the end of an embedded engine leads here: another one takes its place.
                self._store.connection.error = "It ended by itself; another one is being started."
                self._show("reconnecting")
                await asyncio.sleep(wait)
            raise Unavailable(
                f"the embedded engine ended {len(RESTART_SECONDS)} times",
                remedy="See its last words in the details",
                details={"stderr": self._engines.last_words()},
            )
        except CitadelError as error:
            self._explain(error)
            self._show("lost" if self._store.connection.last_message_ns else "idle")

    async def _watch_once(self, target: Target) -> None:
        address, token = target.address, target.token
        if target.mode == "embedded":
            address, token = await self._engines.start()
            self._store.connection.address = address
        tls = TLS(ca=target.ca) if target.tls else None
        client = Client(address, token=token, tls=tls)
        self._client = client
        try:
            async with contextlib.aclosing(self._resumed(client)) as updates:
                async for update in updates:
                    self._take(update)
                    if isinstance(update, Lost) and self._embedded_is_gone(target):
                        return
        finally:
            self._client = None
            await client.close()

    def _resumed(self, client: Client) -> AsyncGenerator[Update]:
        """Goes on where this target's stream broke."""
        instance = self._store.connection.instance_id
        return client.watch(instance_id=instance, since_seq=self._seq if instance else 0)

    def _embedded_is_gone(self, target: Target) -> bool:
        return target.mode == "embedded" and not self._engines.running

    def _take(self, update: Update) -> None:
        state = self._store.connection
        match update:
            case Snapshot():
                if state.instance_id and state.instance_id != update.info.instance_id:
                    state.gaps.clear()
                state.info, state.instance_id = update.info, update.info.instance_id
                self._seq = update.seq
                self._stamp(update.time_ns)
                self._clock.reset(update.tables)
                self._show("live")
            case Batch():
                self._seq = update.seq
                self._stamp(update.time_ns)
                self._clock.take(update.tables, update.time_ns)
                if update.gap is not None:
                    state.gaps.append(GapNote(time_ns=update.time_ns, gap=update.gap))
                    self._changed()
                if not state.live:
                    self._show("live")
            case Lost():
                self._explain(update.error)
                state.attempt += 1
                self._show("reconnecting" if state.last_message_ns else "connecting")

    def _stamp(self, engine_ns: int) -> None:
        state = self._store.connection
        now = time.time_ns()
        state.last_message_ns = now
        state.clock_offset_ns = engine_ns - now

    def _explain(self, error: CitadelError) -> None:
        state = self._store.connection
        state.error, state.remedy = error.message, error.remedy
        if error.details:
            state.error += "\n" + "\n".join(error.details.values())

    def _show(self, name: Any) -> None:
        state: ConnectionState = self._store.connection
        if name == "live":
            state.error = state.remedy = ""
            state.attempt = 0
        state.state = name
        self._store.touch("connection")
        self._changed()

    # ── commands ────────────────────────────────────────────────────────────────────────────────
    def send(self, command: Command, then: Then | None = None) -> int:
        """Runs a command; its outcome comes to `then`, and to who made this link."""
        self._tickets += 1
        if self._group is None or self._client is None:
            error = Unavailable("no engine is connected", remedy="Connect to an engine first")
            self._end(Outcome(command=command, error=error), then)
        elif self._under_way >= COMMANDS_WAITING:
            error = QueueFull(f"{COMMANDS_WAITING} commands are under way already")
            self._end(Outcome(command=command, error=error), then)
        else:
            self._under_way += 1
            name = f"command {self._tickets}: {command.method}"
            self._group.create_task(self._run(self._client, command, then), name=name)
        return self._tickets

    async def _run(self, client: Client, command: Command, then: Then | None) -> None:
        try:
            reply = await client.connection.call(
                command.method, command.request, timeout=COMMAND_SECONDS, traced=command.changes
            )
            outcome = Outcome(command=command, reply=reply)
        except CitadelError as error:
            outcome = Outcome(command=command, error=error)
        except Exception as error:  # noqa: BLE001 - a command's failure must not end the window
            wrapped = EngineError(f"{type(error).__name__}: {error}", subject=command.method)
            outcome = Outcome(command=command, error=wrapped)
        finally:
            self._under_way -= 1
        self._end(outcome, then)

    def _end(self, outcome: Outcome, then: Then | None) -> None:
        self._ended(outcome)
        if then is None:
            return
        try:
            then(outcome)
        except Exception as error:  # noqa: BLE001 - a view's fault must not end the stream
            text = f"the window failed on the reply: {type(error).__name__}: {error}"
            fault = EngineError(text, subject=outcome.command.method)
            self._ended(Outcome(command=outcome.command, error=fault))

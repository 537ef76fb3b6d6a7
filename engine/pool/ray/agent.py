"""A node's own engine: `python -m engine.pool.ray.agent`. Hosts the workers that the engine wants.

It runs as a process of its own below a Ray actor, and imports no Ray. It keeps one connection to
the engine and passes bytes between that and its workers' links, without looking into them; what
leaves in one loop tick leaves in one write. When a worker dies it reads the worker's slate, so that
the engine learns which command ran. It ends, with its workers, when the engine or its actor does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, cast

from citadel.errors import Unauthenticated, WireError
from engine.pool.fork_spawner import ForkSpawner
from engine.pool.forks import Key, Zygotes
from engine.pool.frames import Splitter, frame
from engine.pool.hosting import TOKEN_VARIABLE
from engine.pool.lifeline import die_with
from engine.pool.link import Connection
from engine.pool.ray import protocol
from engine.pool.ray.tenant import Tenant
from engine.pool.spawn import Interpreter, PlainSpawner, Spawner

TICK_SECONDS = 0.1
"""How often slates are looked at for answers that wait."""


class Uplink(Connection):
    """The node's end of the connection."""

    def __init__(
        self, on_node: Callable[[list[Any]], None], on_piece: Callable[[int, bytes], None]
    ) -> None:
        super().__init__()
        self.heard = self._loop.time()
        self.on_pressure: Callable[[bool], None] = lambda _: None
        self._on_node = on_node
        self._on_piece = on_piece
        self._records = protocol.Records()
        self._splitter = Splitter()

    def data_received(self, data: bytes) -> None:
        """Something for the node, or for workers."""
        self.heard = self._loop.time()
        try:
            for worker, piece in self._records.feed(data):
                if worker:
                    self._on_piece(worker, piece)
                else:
                    for item in self._splitter.feed(piece):
                        self._on_node(item)
        except WireError:
            self.close()

    def pause_writing(self) -> None:
        """The engine reads slowly: so do we."""
        self.on_pressure(True)

    def resume_writing(self) -> None:
        """It has caught up."""
        self.on_pressure(False)

    def send(self, worker: int, data: bytes) -> None:
        """Queues bytes of a worker's stream."""
        if not self._out:
            self._loop.call_soon(self.flush)
        self._out += (protocol.HEADER.pack(worker, len(data)), data)

    def tell(self, item: list[Any]) -> None:
        """Queues a frame of the node's own."""
        self.send(protocol.NODE, frame(item))


class Agent:
    """The workers of one node, and its connection."""

    def __init__(self, interpreter: Interpreter, preload: tuple[str, ...]) -> None:
        self._tenants: dict[int, Tenant] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._left = asyncio.Event()
        self._uplink = Uplink(self._told, self._relay)
        self._uplink.on_pressure = self._press
        self._pressed = False
        self._zygotes = Zygotes(lambda *told: self._uplink.tell([protocol.NOTICE, *told]))
        self._spawner: Spawner = PlainSpawner(interpreter)
        if sys.platform == "linux":
            key = Key(interpreter=interpreter, preload=preload)
            self._spawner = ForkSpawner(self._zygotes, key, PlainSpawner(interpreter))

    async def serve(self, host: str, port: int, ticket: protocol.Ticket) -> None:
        """Connects, and hosts workers until the engine says otherwise or is gone.

        Raises:
            OSError: the engine cannot be reached.
            Unauthenticated: who answers is not the engine.
        """
        async with asyncio.timeout(protocol.HANDSHAKE_SECONDS):
            await connect(host, port, ticket, self._uplink)
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            watching = tasks.create_task(self._watch(), name="watch")
            leaving = tasks.create_task(self._left.wait(), name="leave")
            ends = {self._uplink.closed, leaving, watching}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            self._left.set()  # what the engine still says starts no worker any more
            watching.cancel()
            leaving.cancel()
            for tenant in self._tenants.values():
                tenant.kill()
        self._zygotes.close()
        self._uplink.flush()
        self._uplink.close()

    async def _watch(self) -> None:
        """Looks at slates; returns when the engine has been silent for too long."""
        loop = asyncio.get_running_loop()
        while loop.time() - self._uplink.heard < protocol.SILENCE_SECONDS:
            await asyncio.sleep(TICK_SECONDS)
            for tenant in self._tenants.values():
                tenant.nudge()

    # ── what the engine says ─────────────────────────────────────────────────────────────────

    def _told(self, item: list[Any]) -> None:
        match item:
            case [protocol.SPAWN, int(number), charge]:
                self._spawn(number, charge)
            case [protocol.KILL, int(number)]:
                if tenant := self._tenants.get(number):
                    tenant.kill()
            case [protocol.PING, clock]:
                measures = [each.measure() for each in self._tenants.values()]
                self._uplink.tell([protocol.PONG, clock, time.monotonic(), measures])
            case [protocol.LEAVE]:
                self._left.set()
            case _:
                self._uplink.close()

    def _spawn(self, number: int, charge: dict[str, Any]) -> None:
        if self._tasks is None or self._left.is_set():
            return
        tenant = self._tenants[number] = Tenant(number, charge, self._spawner, self._uplink)
        tenant.hold(self._pressed)
        task = self._tasks.create_task(tenant.run(), name=f"worker {number}")
        task.add_done_callback(lambda _: self._tenants.pop(number, None))

    def _relay(self, number: int, piece: bytes) -> None:
        if tenant := self._tenants.get(number):
            tenant.relay(piece)

    def _press(self, pressed: bool) -> None:
        self._pressed = pressed
        for tenant in self._tenants.values():
            tenant.hold(pressed)


async def connect(host: str, port: int, ticket: protocol.Ticket, uplink: asyncio.Protocol) -> None:
    """Connects to the engine; each side proves that it knows the token; `uplink` takes over.

    Raises:
        OSError: it cannot be reached, or closed the connection.
        Unauthenticated: who answers is not the engine.
    """
    loop = asyncio.get_running_loop()
    greeting = _Greeting(ticket, uplink)
    transport, _ = await loop.create_connection(lambda: greeting, host, port)
    try:
        await greeting.done
    except BaseException:
        transport.abort()
        raise


class _Greeting(asyncio.Protocol):
    """The node's side of the proof."""

    def __init__(self, ticket: protocol.Ticket, uplink: asyncio.Protocol) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ticket = ticket
        self._uplink = uplink
        self._nonce = self._said = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Who answers is to prove that it is the engine."""
        self._transport = cast("asyncio.Transport", transport)
        words, self._nonce = protocol.hello(self._ticket)
        self._transport.write(words)

    def connection_lost(self, exc: Exception | None) -> None:
        """We were sent away."""
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the engine does not know this node"))

    def data_received(self, data: bytes) -> None:
        """Its proof: ours is the answer."""
        assert self._transport is not None
        self._said += data
        if self.done.done() or len(self._said) < protocol.ANSWER_BYTES:
            return
        answer, rest = self._said[: protocol.ANSWER_BYTES], self._said[protocol.ANSWER_BYTES :]
        try:
            proof = protocol.confirm(self._ticket, self._nonce, answer)
        except Unauthenticated as error:
            self.done.set_exception(error)
            return
        self._transport.write(proof)
        self._transport.set_protocol(self._uplink)
        self._uplink.connection_made(self._transport)
        if rest:
            self._uplink.data_received(rest)
        self.done.set_result(None)


def main() -> None:
    """Reads where its engine is from its argument, and the token from its environment."""
    told = json.loads(sys.argv[1])
    die_with(told["actor"])
    token = os.environ.pop(TOKEN_VARIABLE)
    ticket = protocol.Ticket(key=bytes.fromhex(told["key"]), token=bytes.fromhex(token))
    path = told["path"]  # for the workers: nothing of it may stand in for what is imported here
    sys.path[:] = [*path, *(each for each in sys.path if each not in path)]

    interpreter = Interpreter(
        python=told["python"], variables=tuple(sorted(told["variables"].items()))
    )

    async def serve() -> None:
        await Agent(interpreter, tuple(told["preload"])).serve(told["host"], told["port"], ticket)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())


if __name__ == "__main__":
    main()

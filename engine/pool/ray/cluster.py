"""The nodes of one pool on a Ray cluster: gets them placed, lets them in, replaces those lost.

Loop thread only. A `Cluster` is the pool's spawner: a worker goes to the node with the fewest, and
waits for one that is about to come before it takes more than its share of another. Ray places one
actor a node and reserves its CPUs; it restarts nothing. A node is lost when its connection ends,
when it is silent, or when Ray says that its actor is gone, whichever is first.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from citadel.errors import CitadelError, NotReady
from engine.pool.hosting import Charge
from engine.pool.ray import driver, protocol, shipping
from engine.pool.ray.door import Door
from engine.pool.ray.placer import Placer, acquire, release
from engine.pool.ray.remote import Node
from engine.pool.restarts import BACKOFF_SECONDS, PROVED_SECONDS
from engine.pool.settings import PoolSettings
from engine.pool.spawn import Ears, Hosted
from engine.telemetry.recorder import Recorder

ZYGOTE_EVENTS = frozenset(("zygote.refused", "zygote.lost"))
"""What nodes may tell of themselves."""
LEAVE_SECONDS = 2.0
"""How long nodes may take to end their workers when the pool stops."""


class Cluster:
    """Where the workers of a pool live, when its backend is Ray."""

    def __init__(self, settings: PoolSettings, recorder: Recorder) -> None:
        self.nodes: dict[int, Node] = {}
        self._settings = settings
        self._recorder = recorder
        self._door = Door()
        self._homes: dict[int, str] = {}
        """Ray's ids of the nodes that we are on, by slot."""
        workers = max(settings.size, settings.scale.max_size)
        self._share = -(-workers // settings.ray.nodes)
        """Workers of a node, for which Ray reserves CPUs; it has more while others are lost."""
        self._coming = set(range(settings.ray.nodes))
        """Slots whose node may be there soon: it is tried for, and has not failed yet."""
        self._error: CitadelError | None = None
        self._changed = asyncio.Event()
        self._placer: Placer | None = None
        self._acquiring = asyncio.Lock()
        self._leaving = False

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Keeps the nodes; in the end all that was placed is gone, and Ray's driver with it."""
        pool, nodes = self._settings.name, self._settings.ray.nodes
        try:
            async with asyncio.TaskGroup() as tasks:
                keepers = [
                    tasks.create_task(self._keep(slot), name=f"node {slot} of pool {pool}")
                    for slot in range(nodes)
                ]
                try:
                    yield
                finally:
                    await self._leave()
                    for keeper in keepers:
                        keeper.cancel()
        finally:
            self._door.close()
            if self._placer is not None:
                placer, self._placer = self._placer, None
                await asyncio.shield(asyncio.to_thread(release, placer))

    # ── the spawner ──────────────────────────────────────────────────────────────────────────

    def renew(self) -> None:
        """Workers are to be replaced: the new ones spread over the nodes as if they were gone.

        A node keeps its zygote: what pools on Ray preload is read when the node begins.
        """
        for node in self._up():
            node.renew()

    def crowded(self) -> str:
        """The node with the most workers, when another one that is here has at least two less."""
        loads = sorted((node.load[1], node.name) for node in self._up())
        return loads[-1][1] if len(loads) > 1 and loads[-1][0] - loads[0][0] > 1 else ""

    async def ready(self) -> None:
        """Waits for a node with room, or until no more come.

        Raises:
            NotReady: there is none, and the last try to get one failed.
        """
        while not self._room():
            if not self.nodes and not self._coming and self._error is not None:
                raise self._error
            self._changed.clear()
            await self._changed.wait()

    async def spawn(self, charge: Charge, ears: Ears, descriptors: Mapping[str, int]) -> Hosted:
        """Starts a worker on the node that has the fewest; descriptors do not go so far.

        Raises:
            OSError: it cannot be started, or its node was lost meanwhile.
            NotReady: there is no node.
        """
        del descriptors
        while not (nodes := self._up()):
            await self.ready()
        node = min(nodes, key=lambda node: node.load)
        return await node.spawn(charge, ears)

    def _up(self) -> list[Node]:
        """The nodes that are not lost; that one is may be known before its keeper has its turn."""
        return [node for node in self.nodes.values() if not node.gone.done()]

    def _room(self) -> bool:
        nodes = self._up()
        if self._coming:
            return any(node.load[1] < self._share for node in nodes)
        return bool(nodes)

    # ── keeping nodes ────────────────────────────────────────────────────────────────────────

    async def _keep(self, slot: int) -> None:
        """Keeps a node in a slot, with a growing wait between failures."""
        loop, failures = asyncio.get_running_loop(), 0
        while not self._leaving:
            await asyncio.sleep(BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)])
            try:
                async with self._placed(slot) as node:
                    began = loop.time()
                    self._joined(slot, node)
                    self._lost(slot, node, await node.gone)
                    failures = 0 if loop.time() - began > PROVED_SECONDS else failures + 1
            except (CitadelError, OSError) as error:
                failures += 1
                self._failed(slot, error)

    async def _leave(self) -> None:
        self._leaving = True
        nodes = list(self.nodes.values())
        for node in nodes:
            node.leave()
        if nodes:
            await asyncio.wait({node.gone for node in nodes}, timeout=LEAVE_SECONDS)

    def _joined(self, slot: int, node: Node) -> None:
        self.nodes[slot] = node
        self._coming.discard(slot)
        self._error = None
        node.on_notice = self._noticed
        # Heartbeats of workers come with the answers to pings.
        node.ping_seconds = min(node.ping_seconds, self._settings.heartbeat.interval_seconds)
        self._changed.set()
        self._tell("node.joined", node, "info", f"workers of pool {self._settings.name} go there")

    def _lost(self, slot: int, node: Node, cause: str) -> None:
        del self.nodes[slot]
        self._coming.add(slot)
        if not self._leaving:
            self._tell("node.lost", node, "error", cause)

    def _failed(self, slot: int, error: CitadelError | OSError) -> None:
        self._coming.discard(slot)
        pool = self._settings.name
        self._error = NotReady(
            f"pool {pool} has no place on a Ray cluster: {error}",
            subject=pool,
            remedy=getattr(error, "remedy", "") or "See what Ray says: ray status",
        )
        self._changed.set()

    def _noticed(self, event: str, subject: str, text: str) -> None:
        if event in ZYGOTE_EVENTS:
            self._recorder.event(
                event, subject=subject, severity="warning", message=text, context=None
            )

    def _tell(self, event: str, node: Node, severity: str, message: str) -> None:
        self._recorder.event(
            event, subject=node.name, severity=severity, message=message, context=None
        )

    @asynccontextmanager
    async def _placed(self, slot: int) -> AsyncGenerator[Node]:
        """A node that is connected; in the end it and its actor are let go of.

        Raises:
            NotReady: there is no Ray, no cluster, or no room, or the node did not come.
        """
        seconds = self._settings.ray.timeout_seconds
        placer = await self._connected(seconds)
        loop, ticket = asyncio.get_running_loop(), protocol.Ticket()
        arrived = self._door.expect(ticket)
        placed: asyncio.Future[str] = loop.create_future()
        over: asyncio.Future[str] = loop.create_future()

        def heard(item: list[Any]) -> None:
            if item[0] == driver.GONE:
                _settle(over, item[2])
            elif not over.done():
                self._homes[slot] = item[2]
                _settle(placed, f"{item[3]}/{item[4]}")

        def hear(item: list[Any]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits
                loop.call_soon_threadsafe(heard, item)

        placer.place(ticket.key, hear, self._about(ticket, seconds))
        try:
            node = await self._arrived(placed, arrived, over, seconds)
            over.add_done_callback(lambda over: over.cancelled() or node.lose(over.result()))
            yield node
        finally:
            over.cancel()
            self._homes.pop(slot, None)
            self._door.forget(ticket)
            if arrived.done():  # also one that came when its place was gone already
                arrived.result().lose("its pool let go of it")
            placer.remove(ticket.key)

    async def _arrived(
        self,
        placed: asyncio.Future[str],
        arrived: asyncio.Future[Node],
        over: asyncio.Future[str],
        seconds: float,
    ) -> Node:
        """The node, once it is placed and connected, with its name."""
        due = asyncio.get_running_loop().time() + seconds
        for step in (placed, arrived):
            left = due - asyncio.get_running_loop().time()
            await asyncio.wait({step, over}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if over.done():
            raise NotReady(over.result(), remedy=_remedy(over.result()))
        if not placed.done():
            raise NotReady(f"Ray placed no actor within {seconds:g} s")
        if arrived.done():
            node = arrived.result()
            node.name = placed.result()
            return node
        raise NotReady(
            f"node {placed.result()} did not connect within {seconds:g} s",
            remedy=f"Nodes must reach {self._door.host}:{self._door.port}; see the key ray.listen",
        )

    def _about(self, ticket: protocol.Ticket, seconds: float) -> list[Any]:
        """What the driver is asked for."""
        settings = self._settings
        told = {
            "host": self._door.host,
            "port": self._door.port,
            "key": ticket.key.hex(),
            "path": shipping.paths(settings),
            "python": settings.environment.python,
            "variables": settings.environment.variables,
            "preload": settings.environment.preload,
        }
        return [
            told,
            ticket.token.hex(),
            self._share * settings.ray.cpus_per_worker,
            list(self._homes.values()),
            seconds,
        ]

    async def _connected(self, seconds: float) -> Placer:
        """Ray's driver, connected to the cluster, with our door open.

        Raises:
            NotReady: Ray is not installed, or there is no cluster.
            BadConfig: nothing can listen where the settings say, or what to upload is not there.
        """
        async with self._acquiring:
            if self._placer is not None and not self._placer.alive:
                gone, self._placer = self._placer, None
                await asyncio.to_thread(release, gone)
            if self._placer is None:
                uploads = shipping.uploads(self._settings)
                # Not in a thread: who is cancelled meanwhile would never give it back.
                self._placer = acquire(self._settings.ray.address, uploads)
            connected = asyncio.wrap_future(self._placer.connected)
            try:
                async with asyncio.timeout(seconds):
                    address = await asyncio.shield(connected)
            except TimeoutError:
                raise NotReady(f"Ray did not connect within {seconds:g} s") from None
            local = not self._settings.ray.address
            await self._door.open(self._settings.ray.listen, "127.0.0.1" if local else address)
            return self._placer


def _settle(future: asyncio.Future[str], value: str) -> None:
    if not future.done():
        future.set_result(value)


def _remedy(why: str) -> str:
    if "No module named" in why or "ModuleNotFoundError" in why:
        return (
            "Install citadel-command[ray] on the nodes, or set the pool's key ray.code to "
            "shared or upload"
        )
    return ""

"""Ray's driver, in a process of its own: `python -m engine.pool.ray.driver`. Only places actors.

The engine never imports Ray: Ray's core aborts its process when a cluster goes away, brings threads
and signal handlers, and `ray.init` may hang. Here that costs a process that is started again.

It reads frames from its input and writes frames to what was its output; what Ray prints goes to its
error output. No command of a pool passes here. It ends when it is told to, or when its input does
because the engine died; it ends the cluster that it started first, since some of Ray's processes
outlive a driver that is killed.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.pool.frames import Splitter, frame
from engine.pool.ray.actor import Host

PLACE = 1
"""engine: [PLACE, key, told, token, CPUs, taken nodes, seconds]"""
REMOVE = 2
"""engine: [REMOVE, key]"""
STOP = 3
"""engine: [STOP]"""

CONNECTED = 11
"""driver: [CONNECTED, address of this machine in the cluster]"""
FAILED = 12
"""driver: [FAILED, what, remedy]: there is no cluster; the driver exits"""
PLACED = 13
"""driver: [PLACED, key, Ray's node id, address, actor's process id]"""
GONE = 14
"""driver: [GONE, key, why]: was not placed, or has ended"""

TICK_SECONDS = 0.5
"""How often placements are looked at that may be late."""
READ_BYTES = 64 * 1024

END_SECONDS = 12.0
"""How long Ray may take to let go, once the engine is gone."""

Inbox = queue.SimpleQueue[list[Any] | Callable[[], None] | None]
"""What the engine says, what is to be done about an actor, or the end."""


@dataclass(slots=True)
class Placement:
    """An actor that was asked for."""

    actor: Any
    node: str
    address: str
    cpus: float
    due: float
    """When it has been waited for long enough; 0: it is there."""


class Driver:
    """The actors of one engine on one cluster."""

    def __init__(self, ray: Any, say: Callable[[list[Any]], None], inbox: Inbox) -> None:
        self._ray = ray
        self._say = say
        self._events = inbox
        self._placements: dict[bytes, Placement] = {}
        self._host = ray.remote(max_restarts=0, max_task_retries=0)(Host)

    def run(self) -> None:
        """Does what it is told until that is to end."""
        while True:
            try:
                event = self._events.get(timeout=TICK_SECONDS)
            except queue.Empty:
                self._expire()
                continue
            if event is None:
                break
            if callable(event):
                event()
            elif event[0] == PLACE:
                self._place(*event[1:])
            elif event[0] == REMOVE:
                self._remove(event[1])
        for key in list(self._placements):
            self._remove(key)

    # ── placements ───────────────────────────────────────────────────────────────────────────

    def _place(
        self,
        key: bytes,
        told: dict[str, Any],
        token: str,
        cpus: float,
        taken: list[str],
        seconds: float,
    ) -> None:
        try:
            self._ask(key, told, token, cpus, taken, seconds)
        except Exception as error:  # noqa: BLE001 - Ray raises many kinds; the engine tells them
            self._placements.pop(key, None)
            self._say([GONE, key, f"Ray took no actor: {_said(error)}"])

    def _ask(
        self,
        key: bytes,
        told: dict[str, Any],
        token: str,
        cpus: float,
        taken: list[str],
        seconds: float,
    ) -> None:
        node = self._choose(cpus, taken)
        if node is None:
            self._say([GONE, key, f"no node of the cluster has {cpus:g} CPUs left: {self._free()}"])
            return
        strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        actor = self._host.options(
            num_cpus=cpus,
            scheduling_strategy=strategy(node["NodeID"], soft=False),
        ).remote(told, token)
        self._placements[key] = Placement(
            actor, node["NodeID"], node["NodeManagerAddress"], cpus, time.monotonic() + seconds
        )
        self._when(actor.where.remote(), lambda done: self._placed(key, done))

    def _placed(self, key: bytes, done: Any) -> None:
        placement = self._placements.get(key)
        if placement is None:
            return
        if (error := done.exception()) is not None:
            self._gone(key, f"its actor did not start: {_said(error)}")
            return
        placement.due = 0.0
        _, actor, _ = done.result()
        self._say([PLACED, key, placement.node, placement.address, actor])
        self._when(placement.actor.wait.remote(), lambda done: self._ended(key, done))

    def _ended(self, key: bytes, done: Any) -> None:
        if (error := done.exception()) is not None:
            self._gone(key, f"its actor died: {_said(error)}")
            return
        code, last = done.result()
        words = last.strip().rpartition("\n")[2]
        self._gone(key, f"the node's engine ended with code {code}{f': {words}' if words else ''}")

    def _expire(self) -> None:
        now = time.monotonic()
        for key, placement in list(self._placements.items()):
            if placement.due and placement.due < now:
                what = f"{placement.cpus:g} CPUs on node {placement.address}"
                self._gone(key, f"Ray did not give {what} in time; others may have them")

    def _gone(self, key: bytes, why: str) -> None:
        if key in self._placements:
            self._remove(key)
            self._say([GONE, key, why])

    def _remove(self, key: bytes) -> None:
        if placement := self._placements.pop(key, None):
            with contextlib.suppress(Exception):  # whatever Ray says: it is let go of
                self._ray.kill(placement.actor, no_restart=True)

    def _when(self, reference: Any, then: Callable[[Any], None]) -> None:
        """Has the main thread do something once a reference is ready."""
        reference.future().add_done_callback(
            lambda done: self._events.put(lambda: then(done)),
        )

    # ── nodes ────────────────────────────────────────────────────────────────────────────────

    def _choose(self, cpus: float, taken: list[str]) -> dict[str, Any] | None:
        """The emptiest node that has the CPUs: one that is not taken, if there is."""
        fit = [node for node in self._alive() if self._left(node) >= cpus]
        return max(
            fit, key=lambda node: (node["NodeID"] not in taken, self._left(node)), default=None
        )

    def _alive(self) -> list[dict[str, Any]]:
        return [node for node in self._ray.nodes() if node["Alive"]]

    def _left(self, node: dict[str, Any]) -> float:
        """CPUs of a node that no actor of ours has; what others use, Ray knows."""
        ours = sum(each.cpus for each in self._placements.values() if each.node == node["NodeID"])
        return node["Resources"].get("CPU", 0.0) - ours

    def _free(self) -> str:
        nodes = [f"{node['NodeManagerAddress']} {self._left(node):g}" for node in self._alive()]
        return ", ".join(nodes) or "it has no node"


def read(source: int, inbox: Inbox) -> None:
    """Puts what the engine says in the inbox, until it says no more: a thread."""
    splitter = Splitter()
    while data := os.read(source, READ_BYTES):
        for item in splitter.feed(data):
            inbox.put(None if item[0] == STOP else item)
    inbox.put(None)
    guard = threading.Timer(END_SECONDS, os._exit, (1,))
    guard.daemon = True
    guard.start()


def connect(address: str, uploads: list[str]) -> Any:
    """Ray's module, connected to a cluster; an empty address starts one of this machine.

    Ray copies the modules in `uploads`, folders and files, to where actors run.

    Raises:
        Exception: whatever Ray raises.
    """
    ray = importlib.import_module("ray")  # an extra, and slow to import
    importlib.import_module("ray.util.scheduling_strategies")

    quiet: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    if uploads:
        quiet["runtime_env"] = {"py_modules": uploads}
    if address:
        ray.init(address=address, **quiet)
    else:
        ray.init(address="local", include_dashboard=False, **quiet)
    return ray


def main() -> None:
    """Connects, then serves its input."""
    told = json.loads(sys.argv[1])
    inbox: Inbox = queue.SimpleQueue()
    threading.Thread(target=read, args=(sys.stdin.fileno(), inbox), daemon=True).start()
    with os.fdopen(os.dup(1), "wb", buffering=0) as output:
        os.dup2(2, 1)
        lock = threading.Lock()

        def say(item: list[Any]) -> None:
            with lock, contextlib.suppress(BrokenPipeError):
                output.write(frame(item))

        try:
            ray = connect(told["address"], told["uploads"])
        except ImportError as error:
            say([FAILED, f"Ray cannot be imported: {error}", "pip install 'citadel-command[ray]'"])
            return
        except Exception as error:  # noqa: BLE001 - Ray raises many kinds; the engine tells them
            where = told["address"] or "of this machine"
            remedy = "See that the cluster runs and its address is right: ray status"
            say([FAILED, f"the Ray cluster {where} cannot be reached: {_said(error)}", remedy])
            return
        say([CONNECTED, ray.util.get_node_ip_address()])
        try:
            Driver(ray, say, inbox).run()
        finally:
            ray.shutdown()


def _said(error: BaseException) -> str:
    """The last line of an error: Ray's are long, and say at the end what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


if __name__ == "__main__":
    main()

"""What the control room can ask of pools: workers, sessions, poison. Pure; as app/commands.py.

A command that takes something from somebody says so in its `consequence`, in the numbers of the row
that it was made from; views ask before they send it. Drains and kills can lose nothing silently.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from app.commands import Command, change
from app.store import Row
from citadel.wire import messages as wire

SETTABLE = ("serving", "paused", "draining")
Settable = Literal["serving", "paused", "draining"]
_VERBS = {"serving": "Resume", "paused": "Pause", "draining": "Drain"}
_REASONS = {"serving": "resumed by hand", "paused": "paused by hand", "draining": "drained by hand"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """How many workers a pool has; with a `most` it decides itself between the two."""

    size: int
    least: int = 0
    most: int = 0

    @classmethod
    def of(cls, pool: Row) -> Sizing:
        """As a pool's row says."""
        return cls(size=pool["size"], least=pool["min_size"], most=pool["max_size"])

    def __str__(self) -> str:
        return f"{self.least}…{self.most}" if self.most else str(self.size)


def numbered(count: int, one: str, many: str = "") -> str:
    """A count with its noun: "1 command", "12 commands"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


# ── pools ───────────────────────────────────────────────────────────────────────────────────────
def set_pool_state(pool: Row, state: Settable) -> Command:
    """Lets a pool serve, pauses it, or drains it."""
    name, was = pool["name"], pool["state"]

    def to(wanted: str) -> Command:
        return Command(
            method="Pools.SetState",
            request=wire.SetPoolStateRequest(
                pool=name, state=wanted, change=change(_REASONS[wanted])
            ),
            title=f"{_VERBS[wanted]} pool {name}",
            changes=True,
        )

    undo = to(was) if was in SETTABLE and was != state else None
    return replace(to(state), undo=undo, consequence=_state_consequence(pool, state))


def _state_consequence(pool: Row, state: Settable) -> str:
    running = numbered(pool["running"], "running command")
    if state == "serving":
        return f"{numbered(pool['queued'], 'waiting command')} can start."
    finish = "finishes" if pool["running"] == 1 else "finish"
    if state == "paused":
        return (
            f"{running} {finish}. {pool['queued']:,} queued and all new ones wait until it is "
            "resumed; those whose deadline passes meanwhile fail."
        )
    return (
        f"{running} {finish}, {pool['queued']:,} queued still run, new ones are refused until it "
        "is resumed."
    )


def resize_pool(pool: str, to: Sizing, *, was: Sizing | None = None) -> Command:
    """Sets how many workers a pool has."""

    def made(sizing: Sizing) -> Command:
        return Command(
            method="Pools.Resize",
            request=wire.ResizeRequest(
                pool=pool,
                size=sizing.size,
                min_size=sizing.least,
                max_size=sizing.most,
                change=change("resized by hand"),
            ),
            title=f"Resize pool {pool} to {sizing}",
            changes=True,
        )

    undo = None if was is None else made(was)
    return replace(made(to), undo=undo, consequence=resize_consequence(to, was))


def resize_consequence(to: Sizing, was: Sizing | None) -> str:
    """What becomes of the workers."""
    if to.most:
        return (
            f"The pool sizes itself between {to.least:,} and {to.most:,} workers, by how long "
            "commands wait."
        )
    if not to.size:
        return "No worker is left when the running commands have ended; new commands wait."
    more = to.size - was.size if was is not None else 0
    if more > 0:
        return f"{numbered(more, 'more worker')} {'starts' if more == 1 else 'start'}."
    if more < 0:
        return f"{numbered(-more, 'worker')} finish what they run, and end; no command is lost."
    return f"The pool keeps {numbered(to.size, 'worker')}."


def recycle_pool(pool: str, worker: str = "", *, workers: int = 0) -> Command:
    """Replaces one worker, or all of them, without losing commands."""
    what = f"{numbered(workers, 'worker')} of pool {pool}" if workers else f"The workers of {pool}"
    if worker:
        what = f"Worker {worker}"
    return Command(
        method="Pools.Recycle",
        request=wire.RecycleRequest(pool=pool, worker=worker, change=change("recycled by hand")),
        title=f"Recycle {f'worker {worker}' if worker else f'pool {pool}'}",
        changes=True,
        consequence=(
            f"{what}: a new one is ready before an old one drains. No command is lost; what only "
            "an old worker's memory holds is."
        ),
    )


def kill_worker(worker: Row) -> Command:
    """Kills a worker's process; its running command fails."""
    name, running = worker["id"], worker["running"]
    lost = "It runs nothing now."
    if running > 1:
        lost = f"Its {running:,} running commands fail, or are tried again where they may be."
    elif running or worker["command_id"]:
        lost = (
            f"Its command {worker['tool']} fails, or is tried again where it may be "
            f"({worker['command_id']})."
        )
    return Command(
        method="Pools.KillWorker",
        request=wire.KillWorkerRequest(
            pool=worker["pool"], worker=name, change=change("killed by hand")
        ),
        title=f"Kill worker {name}",
        changes=True,
        consequence=f"{lost} Its process ends at once, and another one takes its place.",
    )


def inspect_worker(pool: str, worker: str) -> Command:
    """A worker's life, its memory over time, and what it printed."""
    return Command(
        method="Pools.InspectWorker",
        request=wire.InspectWorkerRequest(pool=pool, worker=worker),
        title=f"Inspect worker {worker}",
        quiet=True,
    )


def list_tools(pool: str) -> Command:
    """The tools of a pool."""
    return Command(
        method="Pools.Tools", request=wire.ToolsRequest(pool=pool), title=f"Tools of {pool}"
    )


# ── sessions ────────────────────────────────────────────────────────────────────────────────────
def end_session(session: Row) -> Command:
    """Ends a session; its variables and what its worker holds for it are given up."""
    key, worker = session["key"], session["worker"]
    holder = f" and what worker {worker} holds for it" if worker else ""
    return Command(
        method="Pools.EndSession",
        request=wire.EndSessionRequest(
            pool=session["pool"], session=key, change=change("ended by hand")
        ),
        title=f"End session {key}",
        changes=True,
        consequence=(
            f"Its variables{holder} are given up, after "
            f"{numbered(session['commands'], 'command')}. A later command with this key begins a "
            "new session."
        ),
    )


# ── poison ──────────────────────────────────────────────────────────────────────────────────────
def list_poison(pool: str) -> Command:
    """The commands that killed workers of a pool, with their input."""
    return Command(
        method="Pools.ListPoison",
        request=wire.ListPoisonRequest(pool=pool),
        title=f"Poison of {pool}",
        quiet=True,
    )


def release_poison(poison: Row) -> Command:
    """Lets a command run again that killed workers."""
    return Command(
        method="Pools.ReleasePoison",
        request=wire.ReleasePoisonRequest(
            pool=poison["pool"],
            fingerprint=poison["fingerprint"],
            change=change("released by hand"),
        ),
        title=f"Release {poison['tool']} in pool {poison['pool']}",
        changes=True,
        consequence=(
            f"{poison['tool']} may run with this input again. It killed "
            f"{numbered(poison['kills'], 'worker')}; each new run may kill another one, and the "
            "count begins anew."
        ),
    )


def detail_of(reply: Any, pool: str, worker: str) -> wire.WorkerDetail | None:
    """The reply to `inspect_worker`, when it is of this worker."""
    if not isinstance(reply, wire.WorkerDetail) or reply.status is None:
        return None
    return reply if (reply.pool or pool, reply.status.id) == (pool, worker) else None

"""Pools, workers, sessions and poison as people read them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from citadel.cli import show
from citadel.cli.text import ago, clock, count, duration, headline, size

if TYPE_CHECKING:
    from citadel.wire.messages import (
        PoisonEntry,
        PoolStatus,
        SessionStatus,
        WorkerDetail,
        WorkerStatus,
    )

EXCERPT = 60
"""Characters of variables that a table shows."""
CURVE_ROWS = 20
"""Points of a worker's memory that are shown, evenly spread over what there is."""


def show_pool(status: PoolStatus) -> None:
    """A pool and its workers."""
    show.record(
        {
            "pool": status.name,
            "state": status.state,
            "adapter": status.adapter,
            "runs on": _runs_on(status),
            "workers": _workers(status),
            "commands": _commands(status),
            "waited": duration(status.queue_wait_seconds * 1e9)
            if status.queue_wait_seconds
            else "",
            "breaker": status.breaker if status.breaker not in ("", "closed") else "",
            "sessions": status.sessions or "",
            "poisoned": status.poisoned or "",
            "memory": _memory(status),
            "error": headline(status.error),
        }
    )
    show_workers(status.workers)


def show_workers(workers: Iterable[WorkerStatus]) -> None:
    """A line a worker; nodes and troubles only where there are some."""
    workers = tuple(workers)
    nodes, troubled = any(each.node for each in workers), any(map(_trouble, workers))
    headers = ["worker", "process:", "state", "memory:", "done:", "failed:", "runs", "since"]
    show.table(
        [*headers, *["node"] * nodes, *["trouble"] * troubled],
        (
            (
                each.id,
                each.pid or "",
                each.state,
                size(each.rss_bytes) if each.rss_bytes else "",
                count(each.done),
                count(each.failed),
                f"{each.tool} and {each.running - 1} more" if each.running > 1 else each.tool,
                ago(each.started_unix_nanos),
                *[each.node] * nodes,
                *[_trouble(each)] * troubled,
            )
            for each in workers
        ),
    )


def show_worker(detail: WorkerDetail) -> None:
    """One worker: what it is, its life, its memory, what it said."""
    if detail.status is not None:
        show_workers([detail.status])
    if detail.ended:
        show.record({"ended": detail.ended})
    show.table(["since", "for:", "state", "cause"], _life(detail))
    if detail.memory:
        step = -(-len(detail.memory) // CURVE_ROWS)
        show.table(
            ["time", "memory:", "its share:"],
            (
                (
                    clock(each.time_unix_nanos),
                    size(each.rss_bytes),
                    size(each.pss_bytes) if each.pss_bytes else "",
                )
                for each in detail.memory[::step]
            ),
        )
    for line in detail.output:
        show.text(line)


def show_sessions(sessions: Iterable[SessionStatus], empty: str) -> None:
    """A line a session."""
    show.table(
        ["session", "pool", "state", "worker", "commands:", "variables", "since", "ends in"],
        (
            (
                each.key,
                each.pool,
                each.state,
                each.worker,
                count(each.commands),
                _cut(each.variables_json if each.variables_json != "{}" else ""),
                ago(each.created_unix_nanos),
                _until(each.expires_unix_nanos),
            )
            for each in sessions
        ),
        empty=empty,
    )


def show_poison(entries: Iterable[PoisonEntry], empty: str) -> None:
    """A line a command that killed workers."""
    show.table(
        ["fingerprint", "pool", "tool", "killed:", "state", "arguments:", "last", "error"],
        (
            (
                each.fingerprint,
                each.pool,
                each.tool,
                count(each.kills),
                "quarantined" if each.quarantined else "counted",
                size(len(each.arguments)),
                ago(each.last_unix_nanos),
                headline(each.error),
            )
            for each in entries
        ),
        empty=empty,
    )


def _runs_on(status: PoolStatus) -> str:
    usual = status.backend in ("", "local") and status.profile in ("", "process")
    return "" if usual else f"{status.backend or 'local'}, {status.profile or 'process'}"


def _workers(status: PoolStatus) -> str:
    scale = f", between {status.min_size} and {status.max_size}" if status.max_size else ""
    return f"{len(status.workers)} of {status.size}{scale}"


def _commands(status: PoolStatus) -> str:
    told = f"{status.running} running, {status.queued} of {status.queue_limit} queued"
    if status.queued:
        told += (
            f" ({status.queued_urgent} urgent, {status.queued_normal} normal,"
            f" {status.queued_later} later)"
        )
    usual = status.queue_policy in ("", "reject")
    return told if usual else f"{told}; when full: {status.queue_policy}"


def _memory(status: PoolStatus) -> str:
    if not status.slab_used_bytes and not status.leases:
        return ""
    used, whole = size(status.slab_used_bytes), size(status.slab_bytes)
    return f"{used} of {whole} shared, {status.leases} leases"


def _trouble(worker: WorkerStatus) -> str:
    missed = f"{worker.missed_heartbeats} heartbeats missed" if worker.missed_heartbeats else ""
    return ", ".join(filter(None, (worker.taint, missed)))


def _life(detail: WorkerDetail) -> Iterator[tuple[str, str, str, str]]:
    nexts = [each.since_unix_nanos for each in detail.history[1:]]
    for each, until in zip(detail.history, [*nexts, time.time_ns()], strict=True):
        lasted = duration(max(0, until - each.since_unix_nanos))
        yield clock(each.since_unix_nanos), lasted, each.state, each.cause


def _until(unix_nanos: int) -> str:
    return duration(max(0, unix_nanos - time.time_ns())) if unix_nanos else ""


def _cut(text: str) -> str:
    return text if len(text) <= EXCERPT else text[: EXCERPT - 1] + "…"

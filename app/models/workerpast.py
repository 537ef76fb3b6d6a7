"""A worker's past from two sources: what this window saw of it, and what the engine tells of it.

The window saw everything since it connected; the engine remembers a little from before. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.models.lives import RANK, Curve, Life, Step, pixels
from citadel.wire.messages import StateChange, WorkerDetail

_AT_WORK = frozenset({"ready", "busy"})
SECOND = 1_000_000_000


def joined(past: Sequence[str], seen: Sequence[str]) -> list[str]:
    """Lines told at once and lines that came one by one, each once where the two overlap."""
    if not past or not seen:
        return list(past or seen)
    for start in range(len(past)):
        length = min(len(past) - start, len(seen))
        if list(past[start : start + length]) == list(seen[:length]):
            return [*past[:start], *seen] if start + length >= len(past) else list(past)
    for start in range(1, len(seen)):
        if list(seen[start : start + len(past)]) == list(past):
            return list(seen)
    return [*past, *seen]


def steps(life: Life | None, detail: WorkerDetail | None) -> list[Step]:
    """The states that a worker went through, oldest first; ready and busy in turn are one.

    The engine tells each state once: when it was last in it, and for how long in all.
    """
    changes = detail.history if detail is not None else ()
    found = [
        Step(change.state, change.since_unix_nanos, change.cause)
        for change in changes
        if change.state not in _AT_WORK
    ]
    found += _first_work(changes)
    told = {(step.state, step.since_ns) for step in found}
    if life is not None:
        found += [step for step in life.steps if (step.state, step.since_ns) not in told]
    found.sort(key=lambda step: step.since_ns)
    kept: list[Step] = []
    for step in found:
        if not (kept and kept[-1].state in _AT_WORK and step.state in _AT_WORK):
            kept.append(step)
    return kept


def _first_work(changes: Sequence[StateChange]) -> list[Step]:
    """When it began to work: as what it was most of the time, ready or busy."""
    at_work = [change for change in changes if change.state in _AT_WORK]
    if not at_work:
        return []
    since_ns = min(change.since_unix_nanos for change in at_work)
    start = next((change for change in changes if change.state == "starting"), None)
    if start is not None and start.seconds:
        since_ns = min(since_ns, start.since_unix_nanos + round(start.seconds * SECOND))
    state = max(at_work, key=lambda change: (change.seconds, -change.since_unix_nanos)).state
    return [Step(state, since_ns)]


@dataclass(frozen=True, slots=True)
class Told:
    """What the engine told of a worker, and how long it had been in each state here by then."""

    detail: WorkerDetail
    seen: Mapping[str, int]


def shares(life: Life | None, told: Told | None, now_ns: int) -> dict[str, int]:
    """Nanoseconds in each state, most first: the engine's totals, and what was seen since.

    A state that it is in is among them, however short.
    """
    spent = life.shares(now_ns) if life is not None else {}
    if told is not None and any(change.seconds for change in told.detail.history):
        spent = {state: max(ns - told.seen.get(state, 0), 0) for state, ns in spent.items()}
        for change in told.detail.history:
            spent[change.state] = spent.get(change.state, 0) + round(change.seconds * SECOND)
    pairs = sorted(spent.items(), key=lambda pair: -pair[1])
    now_in = life.row.get("state") if life is not None else None
    return {state: ns for state, ns in pairs if ns > 0 or state == now_in}


def curve(life: Life | None, detail: WorkerDetail | None) -> Curve:
    """Memory and CPU over time: the engine's points up to the first that was seen here."""
    seen = life.curve() if life is not None else _empty()
    if detail is None or not detail.memory:
        return seen
    first = int(seen.times[0]) if len(seen) else np.iinfo(np.int64).max
    older = [point for point in detail.memory if point.time_unix_nanos < first]
    return Curve(
        np.concatenate([np.array([p.time_unix_nanos for p in older], np.int64), seen.times]),
        np.concatenate([np.array([p.rss_bytes for p in older], np.float64), seen.rss]),
        np.concatenate([np.array([p.pss_bytes for p in older], np.float64), seen.pss]),
        # The engine does not remember the CPU.
        np.concatenate([np.full(len(older), np.nan), seen.cpu]),
    )


def strip(
    life: Life | None, past: Sequence[Step], start_ns: int, end_ns: int, columns: int
) -> NDArray[np.int64]:
    """The state to show in each pixel of a strip (see `pixels`)."""
    codes = {state: code for code, state in enumerate(RANK)}
    times, seen = life.changes() if life is not None else (np.zeros(0, np.int64),) * 2
    first = int(times[0]) if len(times) else np.iinfo(np.int64).max
    older = [(s.since_ns, codes.get(s.state, 0)) for s in past if s.since_ns < first]
    pairs = np.array(older, np.int64).reshape(-1, 2)
    return pixels(
        np.concatenate([pairs[:, 0], times]),
        np.concatenate([pairs[:, 1], seen]),
        start_ns,
        end_ns,
        columns,
    )


def _empty() -> Curve:
    nothing = np.zeros(0, np.float64)
    return Curve(np.zeros(0, np.int64), nothing, nothing, nothing)

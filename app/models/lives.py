"""What became of each worker: its memory and CPU over its life, and the states it went through.

Fed with the rows of topic `worker`. Every history is bounded: a curve that is full keeps half of
its points (of each pair the higher one, so that a peak is never lost) and grows on at half the
resolution; so a whole life is always there. Pure; numpy, no Qt. Main thread only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from citadel.vocabulary import GONE, WORKER_STATES

POINTS = 600
"""Points of one worker's curve."""
FIRST_POINTS = 32
GAP_NS = 500_000_000
"""Points that come sooner after one another are one."""
FLIPS = 2_048
"""Changes between ready and busy that a strip keeps."""
STEPS = 64
"""Other changes of state that a life keeps, with their causes."""
LIVES = 2_048
"""Workers whose lives are kept; those that ended long ago go first."""

RANK = ("ready", "busy", "starting", "draining", "stopped", "lost")
"""Of several states in one pixel the last one of these is shown."""
_CODES = {state: code for code, state in enumerate(RANK)}
_AT_WORK = frozenset({"ready", "busy"})
assert set(RANK) == set(WORKER_STATES)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """A worker came to a state, and why."""

    state: str
    since_ns: int
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """Values over time: resident bytes, proportional bytes, and shares of a core."""

    times: NDArray[np.int64]
    rss: NDArray[np.float64]
    pss: NDArray[np.float64]
    cpu: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.times)


class _Points:
    """A curve that halves its resolution when it is full."""

    __slots__ = ("_gap_ns", "_latest", "_times", "_values", "count")

    def __init__(self) -> None:
        self._times = np.zeros(FIRST_POINTS, np.int64)
        self._values = np.zeros((FIRST_POINTS, 3), np.float64)
        self._gap_ns = GAP_NS
        self._latest: tuple[int, tuple[float, float, float]] = (0, (0.0, 0.0, 0.0))
        self.count = 0

    def add(self, time_ns: int, values: tuple[float, float, float]) -> None:
        last = self.count - 1
        self._latest = (time_ns, values)
        if self.count and time_ns - int(self._times[last]) < self._gap_ns:
            self._values[last] = np.maximum(self._values[last], values)
            return
        if self.count == len(self._times):
            self._make_room()
        self._times[self.count], self._values[self.count] = time_ns, values
        self.count += 1

    def _make_room(self) -> None:
        if self.count < POINTS:
            size = min(2 * self.count, POINTS)
            self._times = np.resize(self._times, size)
            self._values = np.resize(self._values, (size, 3))
            return
        half = POINTS // 2
        self._times[:half] = self._times[::2]
        self._values[:half] = self._values.reshape(half, 2, 3).max(axis=1)
        self.count = half
        self._gap_ns *= 2

    def curve(self) -> Curve:
        """The points, and the present value after them."""
        times, values = self._times[: self.count], self._values[: self.count]
        if self.count and self._latest[0] > times[-1]:
            times = np.append(times, self._latest[0])
            values = np.concatenate([values, [self._latest[1]]])
        return Curve(times, values[:, 0], values[:, 1], values[:, 2])


class Life:
    """One worker, from its first row to its last; the last row stays."""

    __slots__ = ("_flips", "_points", "_spent", "ended", "row", "steps")

    def __init__(self) -> None:
        self._points = _Points()
        self._flips: deque[tuple[int, int]] = deque(maxlen=FLIPS)
        self._spent: dict[str, int] = {}
        self.steps: deque[Step] = deque(maxlen=STEPS)
        self.row: Row = {}
        self.ended = False

    def take(self, row: Row) -> None:
        """A row that is true now."""
        before, self.row = self.row, row
        state, since_ns = row["state"], row["since_ns"]
        if row["rss_bytes"] and row["time_ns"]:
            sizes = (float(row["rss_bytes"]), float(row["pss_bytes"]), float(row["cpu"]))
            self._points.add(row["time_ns"], sizes)
        if before and (before["state"], before["since_ns"]) == (state, since_ns):
            if self.steps and self.steps[-1].state == state and row["cause"] != before["cause"]:
                self.steps[-1] = replace(self.steps[-1], cause=row["cause"])
            return
        if before:
            passed = max(since_ns - before["since_ns"], 0)
            self._spent[before["state"]] = self._spent.get(before["state"], 0) + passed
        self._flips.append((since_ns, _CODES.get(state, 0)))
        known = bool(before) and before["state"] in _AT_WORK
        if not (known and state in _AT_WORK):
            self.steps.append(Step(state, since_ns, row["cause"]))

    def curve(self) -> Curve:
        """Memory and CPU."""
        return self._points.curve()

    def trail(self, points: int) -> list[float]:
        """The newest resident sizes, for a small picture."""
        return self._points.curve().rss[-points:].tolist()

    def changes(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Times and codes (places in RANK) of the states, oldest first."""
        first = self._flips[0][0] if self._flips else 0
        older = [(s.since_ns, _CODES.get(s.state, 0)) for s in self.steps if s.since_ns < first]
        pairs = np.array([*older, *self._flips], np.int64).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]

    def shares(self, now_ns: int) -> dict[str, int]:
        """Nanoseconds in each state since it was first seen."""
        if not self.row:
            return {}
        state, passed = self.row["state"], max(now_ns - self.row["since_ns"], 0)
        return {**self._spent, state: self._spent.get(state, 0) + passed}


class Lives:
    """The lives of all workers, by pool and id."""

    def __init__(self) -> None:
        self._lives: dict[tuple[str, str], Life] = {}

    def take(self, row: Row) -> None:
        """A row of topic `worker`."""
        key = (row["pool"], row["id"])
        life = self._lives.get(key)
        if row["state"] == GONE:
            if life is not None:
                life.ended = True
            return
        if life is None:
            if len(self._lives) >= LIVES:
                self._forget_one()
            life = self._lives[key] = Life()
        life.take(row)

    def end_all(self, pool: str) -> None:
        """A pool is gone, its workers with it."""
        for (name, _), life in self._lives.items():
            life.ended = life.ended or name == pool

    def get(self, pool: str, worker: str) -> Life | None:
        """A worker's life, also when it ended."""
        return self._lives.get((pool, worker))

    def clear(self) -> None:
        """Forgets everything."""
        self._lives.clear()

    def __len__(self) -> int:
        return len(self._lives)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._lives)

    def _forget_one(self) -> None:
        ended = next((key for key, life in self._lives.items() if life.ended), None)
        del self._lives[ended or next(iter(self._lives))]


def pixels(
    times: NDArray[np.int64], codes: NDArray[np.int64], start_ns: int, end_ns: int, columns: int
) -> NDArray[np.int64]:
    """The state to show in each column of a strip: its place in RANK, or -1 before the first.

    In a column with several states the highest one shows: a crash is never hidden.
    """
    edges = start_ns + np.linspace(0, end_ns - start_ns, columns + 1).astype(np.int64)
    if not len(times):
        return np.full(columns, -1, np.int64)
    edges[-1] += 1  # What begins at the very end shows.
    # From the state that held when the column began to the last one that began in it.
    low = np.searchsorted(times, edges[:-1], side="right") - 1
    high = np.searchsorted(times, edges[1:], side="left")
    pairs = np.stack([np.maximum(low, 0), np.maximum(high, 1)], axis=1).ravel()
    tops = np.maximum.reduceat(np.append(codes, -1), pairs)[::2]
    return np.where(high > 0, tops, -1)

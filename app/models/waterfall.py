"""The layout of one trace: lanes by service in which no two spans overlap, and what to paint.

Everything that a frame does is numpy over the visible part: spans of a lane are sorted, so a
`searchsorted` finds them; where they outnumber pixels, a pyramid of the most severe code a bucket
is read instead. The maximum over every touched bucket is taken, so that no error is ever lost. No
Qt.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.models.spans import FLAGGED
from citadel.wire.columns import Table

SOURCES = (
    "engine",
    "api",
    "client",
    "pool",
    "worker",
    "user",
    "sentinel",
    "provider",
    "guard",
)
"""Codes 1… in the order of what may cover what: the later wins a pixel."""
OPEN, FLAG, ERROR = len(SOURCES) + 1, len(SOURCES) + 2, len(SOURCES) + 3
FINEST = 2**16
"""Buckets of a pyramid's finest level."""
DIRECT_PER_PIXEL = 32
"""Spans a pixel up to which they are drawn one by one."""
MAX_LANES = 2_000
"""Lanes that are laid out; what needs more is merged into the last one of its service."""


@dataclass(frozen=True, slots=True)
class Lane:
    """Spans that do not overlap, by start; the arrays are views into the layout's order."""

    service: str
    source: str
    first: int
    last: int


class Waterfall:
    """A laid-out trace."""

    def __init__(self, table: Table, now_ns: int = 0) -> None:
        """Lays spans out.

        Args:
            table: topic `span`, any order; a span that is there twice counts once, ended if it did.
            now_ns: the end of spans that are still open.
        """
        rows = _newest_of_each(table)
        start = table["start_ns"][rows].astype(np.int64)
        end = table["end_ns"][rows].astype(np.int64)
        open_ = end == 0
        latest = int(max(end.max(initial=0), start.max(initial=0), now_ns if open_.any() else 0))
        end = np.maximum(np.where(open_, latest, end), start)
        self.begin_ns = int(start.min()) if len(start) else 0
        self.end_ns = max(latest, self.begin_ns + 1)
        self.unfinished = bool(open_.any())
        codes = _codes(table, rows, open_)
        order, lanes = _lanes(table, rows, start, end)
        self.lanes = lanes
        self.rows = rows[order]
        """Of each span in the layout's order, its row in the table."""
        self.start = start[order] - self.begin_ns
        self.end = end[order] - self.begin_ns
        self.code = codes[order]
        self._pyramids: dict[int, list[NDArray[np.uint8]]] = {}

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def span_ns(self) -> int:
        """From the first start to the last end."""
        return self.end_ns - self.begin_ns

    def visible(self, lane: Lane, start: float, end: float) -> tuple[int, int]:
        """The spans of a lane that touch a stretch: from, to, in the layout's order."""
        ends = self.end[lane.first : lane.last]
        starts = self.start[lane.first : lane.last]
        low = lane.first + int(np.searchsorted(ends, start, "left"))
        high = lane.first + int(np.searchsorted(starts, end, "right"))
        return low, max(low, high)

    def paint(self, lane: Lane, start: float, end: float, width: int) -> NDArray[np.uint8]:
        """The most severe code of each pixel of a stretch of a lane; 0 where there is nothing."""
        row = np.zeros(width, np.uint8)
        low, high = self.visible(lane, start, end)
        if low == high or end <= start:
            return row
        scale = width / (end - start)
        if high - low > DIRECT_PER_PIXEL * width:
            self._from_pyramid(lane, start, end, row)
            return row
        left = np.clip(((self.start[low:high] - start) * scale).astype(np.int64), 0, width - 1)
        right = np.clip(np.ceil((self.end[low:high] - start) * scale).astype(np.int64), 1, width)
        _fill(row, left, np.maximum(right, left + 1), self.code[low:high])
        return row

    def at(self, lane: Lane, time: float, slack: float) -> int | None:
        """The span of a lane at a time, or the nearest one within the slack; the severest wins."""
        low, high = self.visible(lane, time - slack, time + slack)
        if low == high:
            return None
        inside = (self.start[low:high] <= time) & (self.end[low:high] >= time)
        if inside.any():
            return low + int(np.flatnonzero(inside)[0])
        return low + int(np.argmax(self.code[low:high]))

    def summary(self, low: int, high: int) -> tuple[int, int, float]:
        """Of some spans that are drawn as one: how many, errors, and the p99 in seconds."""
        durations = (self.end[low:high] - self.start[low:high]) / 1e9
        errors = int((self.code[low:high] == ERROR).sum())
        return high - low, errors, float(np.quantile(durations, 0.99)) if high > low else 0.0

    def _from_pyramid(self, lane: Lane, start: float, end: float, row: NDArray[np.uint8]) -> None:
        levels = self._pyramid(lane)
        width = len(row)
        per_pixel = (end - start) / width
        finest = self.span_ns / FINEST
        level = int(np.clip(np.floor(np.log2(max(per_pixel / finest, 1.0))), 0, len(levels) - 1))
        buckets = levels[level]
        size = finest * 2**level
        edges = start + np.arange(width + 1) * per_pixel
        left = np.clip((edges[:-1] / size).astype(np.int64), 0, len(buckets) - 1)
        right = np.clip(np.ceil(edges[1:] / size).astype(np.int64), 1, len(buckets))
        # A pixel touches at most four buckets of this level.
        for step in range(int((right - left).max(initial=1))):
            index = np.minimum(left + step, right - 1)
            np.maximum(row, buckets[np.maximum(index, left)], out=row)
        row[edges[:-1] > self.span_ns] = 0
        row[edges[1:] < 0] = 0

    def _pyramid(self, lane: Lane) -> list[NDArray[np.uint8]]:
        if lane.first not in self._pyramids:
            base = np.zeros(FINEST, np.uint8)
            scale = FINEST / self.span_ns
            chosen = slice(lane.first, lane.last)
            left = np.clip((self.start[chosen] * scale).astype(np.int64), 0, FINEST - 1)
            right = np.clip(np.ceil(self.end[chosen] * scale).astype(np.int64), 1, FINEST)
            _fill(base, left, np.maximum(right, left + 1), self.code[chosen])
            levels = [base]
            while len(levels[-1]) > 1:
                finer = levels[-1]
                levels.append(np.maximum(finer[0::2], finer[1::2]))
            self._pyramids[lane.first] = levels
        return self._pyramids[lane.first]


def _fill(
    row: NDArray[np.uint8],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    codes: NDArray[np.uint8],
) -> None:
    """Raises row[left:right] to each code: a ragged fill without a loop."""
    single = right - left == 1
    np.maximum.at(row, left[single], codes[single])
    left, lengths, codes = left[~single], (right - left)[~single], codes[~single]
    if len(left):
        offsets = np.arange(lengths.sum()) - np.repeat(lengths.cumsum() - lengths, lengths)
        np.maximum.at(row, np.repeat(left, lengths) + offsets, np.repeat(codes, lengths))


def _newest_of_each(table: Table) -> NDArray[np.int64]:
    """One row a span id: the last one told, but an ended one rather than an open one."""
    ids = table["span_id"]
    if not len(ids):
        return np.zeros(0, np.int64)
    order = np.lexsort((np.arange(len(ids)), table["end_ns"] != 0, ids))
    last = np.append(ids[order][1:] != ids[order][:-1], True)
    return np.sort(order[last])


def _codes(table: Table, rows: NDArray[np.int64], open_: NDArray[np.bool_]) -> NDArray[np.uint8]:
    numbers = {source: code for code, source in enumerate(SOURCES, 1)}
    sources: list[str] = table["source"][rows].tolist()
    codes = np.fromiter((numbers.get(s, 1) for s in sources), np.uint8, len(sources))
    codes[open_] = OPEN
    for index in np.flatnonzero(codes == numbers["guard"]):
        text = table["attributes"][rows[index]]
        if any(sign in text for sign in FLAGGED):
            codes[index] = FLAG
    codes[table["status"][rows] == 2] = ERROR
    return codes


def _lanes(
    table: Table, rows: NDArray[np.int64], start: NDArray[np.int64], end: NDArray[np.int64]
) -> tuple[NDArray[np.int64], list[Lane]]:
    """Packs each service's spans into as few lanes as they need; services by first start."""
    groups: dict[tuple[str, str], list[int]] = {}
    services: list[str] = table["service"][rows].tolist()
    sources: list[str] = table["source"][rows].tolist()
    for index in np.lexsort((-(end - start), start)).tolist():
        source = sources[index]
        groups.setdefault((services[index] or source, source), []).append(index)
    order: list[int] = []
    lanes: list[Lane] = []
    starts, ends = start.tolist(), end.tolist()
    room = max(1, MAX_LANES // max(1, len(groups)))
    for (service, source), members in groups.items():
        for packed in _packed(members, starts, ends, room):
            lanes.append(Lane(service, source, len(order), len(order) + len(packed)))
            order += packed
    start[:], end[:] = starts, ends
    return np.array(order, np.int64), lanes


def _packed(members: list[int], starts: list[int], ends: list[int], most: int) -> list[list[int]]:
    """Greedy interval partition: the lane that is free longest takes the next span."""
    lanes: list[list[int]] = []
    free: list[tuple[int, int]] = []
    for index in members:
        if free and (free[0][0] <= starts[index] or len(lanes) >= most):
            until, lane = heapq.heappop(free)
            if until > starts[index]:
                # No lane is left: what would overlap begins where the last one ends.
                starts[index] = until
                ends[index] = max(until, ends[index])
            lanes[lane].append(index)
        else:
            lane = len(lanes)
            lanes.append([index])
        heapq.heappush(free, (ends[index], lane))
    return lanes


def as_rows(table: Table, row: int) -> dict[str, Any]:
    """One row as a dict of plain values."""
    return {
        name: column[row].item() if hasattr(column[row], "item") else column[row]
        for name, column in table.items()
    }

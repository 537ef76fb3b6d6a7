"""The layout of one trace: lanes by service in which no two spans overlap, and what to paint.

A service's spans are laid out by their place in the tree: a span's children of the same service
are in lanes below it. All that a frame does is numpy over the visible part: spans of a lane are
sorted, so a `searchsorted` finds those that touch a pixel, and the most severe of *every* one of
them is the pixel's code; no error is ever merged away. Where spans far outnumber pixels, the
maxima of blocks of spans are read instead of the spans. No recursion, no Qt.
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
BLOCK = 64
"""Spans whose maximum is kept, for views in which a pixel has many."""
LATEST = float(2**63 - 1024)
"""The last float that is an int64: times of a faulty clock may be beyond."""

Ints = NDArray[np.int64]
Codes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Lane:
    """Spans first…last of the layout's order: by start, none overlaps another."""

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
        self.unfinished = bool(open_.any())
        latest = int(
            max(end.max(initial=0), start.max(initial=0), now_ns if self.unfinished else 0)
        )
        end = np.maximum(np.where(open_, latest, end), start)
        self.begin_ns = int(start.min()) if len(start) else 0
        self.end_ns = max(latest, self.begin_ns + 1)
        order, self.lanes = _lanes(table, rows, start, end)
        self.rows = rows[order]
        """Of each span in the layout's order, its row in the table."""
        self.start = start[order] - self.begin_ns
        self.end = end[order] - self.begin_ns
        self.code = _codes(table, self.rows, open_[order])
        self._peaks: dict[int, Codes] = {}

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def span_ns(self) -> int:
        """From the first start to the last end."""
        return self.end_ns - self.begin_ns

    def visible(self, lane: Lane, start: float, end: float) -> tuple[int, int]:
        """The spans of a lane that touch a stretch: from, to, in the layout's order."""
        low, high = self._ranges(lane, _edges(start, end, 1))
        return int(low[0]), max(int(low[0]), int(high[0]))

    def paint(self, lane: Lane, start: float, end: float, width: int) -> Codes:
        """The most severe code of each pixel of a stretch of a lane; 0 where there is nothing."""
        if lane.first == lane.last or end <= start or width < 1:
            return np.zeros(max(width, 0), np.uint8)
        low, high = self._ranges(lane, _edges(start, end, width))
        low, high = low - lane.first, high - lane.first
        codes = self.code[lane.first : lane.last]
        if int(high[-1]) - int(low[0]) <= BLOCK * width:
            return _peak(codes, low, high)
        # Whole blocks by their maxima, and the spans before and after them one by one.
        first, last = -(-low // BLOCK), high // BLOCK
        row = _peak(self._blocks(lane), first, last)
        np.maximum(row, _peak(codes, low, np.minimum(first * BLOCK, high)), out=row)
        return np.maximum(row, _peak(codes, np.maximum(last * BLOCK, low), high), out=row)

    def at(self, lane: Lane, start: float, end: float, slack: float = 0.0) -> int | None:
        """The span that `paint` shows where a pixel covers a stretch, or the nearest in the slack.

        Of several the most severe, of those the longest.
        """
        low, high = self.visible(lane, start, end)
        if low == high:
            low, high = self.visible(lane, start - slack, end + slack)
            if low == high:
                return None
            middle = (start + end) / 2
            near = np.maximum(self.start[low:high] - middle, middle - self.end[low:high])
            return low + int(np.argmin(near))
        codes = self.code[low:high]
        worst = np.flatnonzero(codes == codes.max()) + low
        return int(worst[np.argmax(self.end[worst] - self.start[worst])])

    def lane_of(self, index: int) -> int:
        """The number of the lane that has a span."""
        lasts = [lane.last for lane in self.lanes]
        return int(np.searchsorted(lasts, index, "right"))

    def overview(self, rows: int, width: int) -> Codes:
        """All lanes on some rows: shape (rows, width); lanes that share one, the severest wins."""
        rows = max(1, min(rows, len(self.lanes)))
        codes = np.zeros((rows, width), np.uint8)
        length = float(self.span_ns + 1)  # what happens at the very end counts too
        for number, lane in enumerate(self.lanes):
            row = codes[number * rows // len(self.lanes)]
            if lane.last - lane.first > 1:
                np.maximum(row, self.paint(lane, 0.0, length, width), out=row)
            else:  # a deep chain has a lane a span
                left, right = (self._column(at[lane.first], width) for at in (self.start, self.end))
                part = row[left : right + 1]
                np.maximum(part, self.code[lane.first], out=part)
        return codes

    def _column(self, time: int, width: int) -> int:
        return min(int(time) * width // self.span_ns, width - 1)

    def _ranges(self, lane: Lane, edges: Ints) -> tuple[Ints, Ints]:
        """Of each stretch between two edges, the spans that touch it: from, to.

        A span that ends where a stretch begins is not in it, unless it is an instant.
        """
        starts, ends = self.start[lane.first : lane.last], self.end[lane.first : lane.last]
        begun = starts.searchsorted(edges, "left")
        low = np.minimum(ends.searchsorted(edges[:-1], "right"), begun[:-1])
        return low + lane.first, np.maximum(begun[1:], low) + lane.first

    def _blocks(self, lane: Lane) -> Codes:
        if lane.first not in self._peaks:
            codes = self.code[lane.first : lane.last]
            self._peaks[lane.first] = np.maximum.reduceat(codes, np.arange(0, len(codes), BLOCK))
        return self._peaks[lane.first]


def _edges(start: float, end: float, width: int) -> Ints:
    """The edges of pixels in whole nanoseconds: integers, or `searchsorted` would copy columns."""
    edges = np.ceil(np.linspace(start, end, width + 1))
    return np.minimum(edges, LATEST).astype(np.int64)


def _peak(codes: Codes, low: Ints, high: Ints) -> Codes:
    """The maximum of codes[low:high] for each pair; 0 where that is empty."""
    empty = high <= low
    if empty.all():
        return np.zeros(len(low), np.uint8)
    pairs = np.empty(2 * len(low), np.int64)
    pairs[::2], pairs[1::2] = np.where(empty, 0, low), np.where(empty, 1, high)
    base = int(pairs.min())
    # One more than is read: `reduceat` takes no index at the end.
    taken = np.append(codes[base : int(pairs.max())], np.uint8(0))
    return np.where(empty, 0, np.maximum.reduceat(taken, pairs - base)[::2]).astype(np.uint8)


def _newest_of_each(table: Table) -> Ints:
    """One row a span id: the last one told, but an ended one rather than an open one."""
    ids = table["span_id"]
    if not len(ids):
        return np.zeros(0, np.int64)
    order = np.lexsort((np.arange(len(ids)), table["end_ns"] != 0, ids))
    last = np.append(ids[order][1:] != ids[order][:-1], True)
    return np.sort(order[last])


def _codes(table: Table, rows: Ints, open_: NDArray[np.bool_]) -> Codes:
    numbers = {source: code for code, source in enumerate(SOURCES, 1)}
    sources: list[str] = table["source"][rows].tolist()
    codes = np.fromiter((numbers.get(s, 1) for s in sources), np.uint8, len(sources))
    for index in np.flatnonzero(codes == numbers["guard"]):
        text = table["attributes"][rows[index]]
        if any(sign in text for sign in FLAGGED):
            codes[index] = FLAG
    codes[open_] = OPEN
    codes[table["status"][rows] == 2] = ERROR
    return codes


def _lanes(table: Table, rows: Ints, start: Ints, end: Ints) -> tuple[Ints, list[Lane]]:
    """Packs spans into lanes: services by first start, in each the tree's levels from above."""
    numbers: dict[tuple[str, str], int] = {}
    pairs = zip(table["service"][rows].tolist(), table["source"][rows].tolist(), strict=True)
    keys = ((service or source, source) for service, source in pairs)
    group = np.fromiter((numbers.setdefault(k, len(numbers)) for k in keys), np.int64, len(rows))
    first = np.full(len(numbers), np.iinfo(np.int64).max)
    np.minimum.at(first, group, start)
    rank = np.empty(len(numbers), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(numbers))
    level = levels(table["span_id"][rows], table["parent_id"][rows], group)
    order = np.lexsort((start - end, start, level, rank[group]))
    names = list(numbers)
    lanes: list[Lane] = []
    packed: list[Ints] = []
    at = 0
    for part in np.split(order, _changes(rank[group][order], level[order])):
        for lane in _packed(part, start, end) if len(part) else ():
            service, source = names[group[lane[0]]]
            lanes.append(Lane(service, source, at, at + len(lane)))
            packed.append(lane)
            at += len(lane)
    return np.concatenate(packed) if packed else np.zeros(0, np.int64), lanes


def _changes(*columns: Ints) -> Ints:
    """Where one of some columns has another value than just before."""
    changed = np.zeros(max(len(columns[0]) - 1, 0), np.bool_)
    for column in columns:
        changed |= column[1:] != column[:-1]
    return np.flatnonzero(changed) + 1


def levels(ids: NDArray[Any], parents: NDArray[Any], group: Ints) -> Ints:
    """How many parents each span has above it without a break in its own group.

    Each round doubles how far up every span looks, so that no chain is too deep. Spans of a ring,
    which only a faulty sender makes, are at the top.
    """
    number = len(ids)
    if not number:
        return np.zeros(0, np.int64)
    by_id = np.argsort(ids, kind="stable")
    place = np.minimum(np.searchsorted(ids, parents, sorter=by_id), number - 1)
    above = by_id[place]
    linked = (ids[above] == parents) & (parents != 0) & (group[above] == group)
    jump = np.where(linked, above, np.arange(number))
    steps = linked.astype(np.int64)
    for _ in range(number.bit_length()):
        if not linked[jump].any():
            break
        steps = steps + steps[jump]
        jump = jump[jump]
    return np.where(linked[jump], 0, steps)


def _packed(members: Ints, start: Ints, end: Ints) -> list[Ints]:
    """Greedy interval partition of spans by start: the lane that is free longest takes the next."""
    begins, ends = start[members], end[members]
    if (begins[1:] >= np.maximum.accumulate(ends)[:-1]).all():
        return [members]
    lanes: list[list[int]] = []
    free: list[tuple[int, int]] = []
    for index, begin, until in zip(members.tolist(), begins.tolist(), ends.tolist(), strict=True):
        if free and free[0][0] <= begin:
            lane = free[0][1]
            lanes[lane].append(index)
            heapq.heapreplace(free, (until, lane))
        else:
            heapq.heappush(free, (until, len(lanes)))
            lanes.append([index])
    return [np.array(lane, np.int64) for lane in lanes]


def as_rows(table: Table, row: int) -> dict[str, Any]:
    """One row as a dict of plain values."""
    return {
        name: column[row].item() if hasattr(column[row], "item") else column[row]
        for name, column in table.items()
    }

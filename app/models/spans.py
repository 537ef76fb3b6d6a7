"""The newest spans in columns: numpy arrays of numbers, texts interned. Bounded; no Qt.

When it is full the older half goes at once, so that appending stays cheap. A span that was told
while it was open and again when it ended is two rows; the later one counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from citadel.wire.columns import Table
from citadel.wire.topics import TOPICS

CAPACITY = 262_144
RECENT = 20_000
"""Rows that `recent_traces` looks at."""
_KINDS = TOPICS["span"].columns
FLAGGED = tuple(f'"citadel.guard.decision": "{word}"' for word in ("flag", "redact", "block"))
"""Of these texts the attributes of a guard's span have one when it did not simply allow."""


class SpanColumns:
    """Rows of topic `span`, oldest first."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._columns: dict[str, NDArray[Any]] = {
            name: np.zeros(0, "<u4" if kind == "str" else f"<{kind}")
            for name, kind in _KINDS.items()
        }
        self._texts: list[str] = [""]
        self._codes: dict[str, int] = {"": 0}
        self.count = 0
        self.received = 0
        self.forgotten = 0

    def append(self, table: Table) -> None:
        """Takes rows of topic `span`."""
        added = len(table["span_id"])
        if not added:
            return
        taken = min(added, self._capacity)
        self.received += added
        self.forgotten += added - taken
        self._make_room(taken)
        start, end = self.count, self.count + taken
        for name, kind in _KINDS.items():
            values = table[name][added - taken :]
            self._columns[name][start:end] = self._interned(values) if kind == "str" else values
        self.count = end

    def clear(self) -> None:
        """Forgets everything."""
        self.__init__(self._capacity)

    def column(self, name: str) -> NDArray[Any]:
        """A column of numbers; of a text column the codes."""
        return self._columns[name][: self.count]

    def text(self, code: int) -> str:
        """The text of a code."""
        return self._texts[code]

    def table(self, rows: NDArray[Any]) -> Table:
        """Some rows, texts and all, as they came."""
        found: dict[str, NDArray[Any]] = {}
        for name, kind in _KINDS.items():
            values = self.column(name)[rows]
            found[name] = self._read(values) if kind == "str" else values
        return found

    def trace(self, trace_hi: int, trace_lo: int) -> Table:
        """The rows of a trace that are here; it may have more in the engine's store."""
        chosen = (self.column("trace_hi") == np.uint64(trace_hi)) & (
            self.column("trace_lo") == np.uint64(trace_lo)
        )
        return self.table(np.flatnonzero(chosen))

    def recent_traces(self, limit: int = 200) -> Mapping[str, NDArray[Any]]:
        """The newest traces as rows of topic `trace_summary`, newest first.

        One whose root is still open has end_ns 0.
        """
        first = max(0, self.count - RECENT)
        low, high = self.column("trace_lo")[first:], self.column("trace_hi")[first:]
        if not len(low):
            return {name: np.zeros(0) for name in TOPICS["trace_summary"].columns}
        _, lead, trace = np.unique(low, return_index=True, return_inverse=True)
        number = len(lead)
        starts = np.full(number, np.iinfo(np.int64).max)
        ends = np.zeros(number, np.int64)
        np.minimum.at(starts, trace, self.column("start_ns")[first:])
        np.maximum.at(ends, trace, self.column("end_ns")[first:])
        errors = np.bincount(trace, self.column("status")[first:] == 2, number)
        spans = self._distinct(trace, first, number)
        flags = np.bincount(trace, self._flagged(first), number)
        root = lead.copy()
        roots = np.flatnonzero(self.column("parent_id")[first:] == 0)
        root[trace[roots]] = roots  # of one that was told twice the later row, the ended one
        ends[self.column("end_ns")[first:][root] == 0] = 0
        newest = np.argsort(-starts, kind="stable")[:limit]
        at = root[newest]
        return {
            "trace_hi": high[at],
            "trace_lo": low[at],
            "name": self._read(self.column("name")[first:][at]),
            "start_ns": starts[newest],
            "end_ns": ends[newest],
            "spans": spans[newest].astype(np.uint32),
            "errors": errors[newest].astype(np.uint32),
            "flags": flags[newest].astype(np.uint32),
            "mission": self._read(self.column("mission")[first:][at]),
            "mission_class": self._read(self.column("mission_class")[first:][at]),
        }

    def _read(self, codes: NDArray[np.uint32]) -> NDArray[Any]:
        texts = np.empty(len(codes), object)
        texts[:] = [self._texts[code] for code in codes.tolist()]
        return texts

    def _distinct(self, trace: NDArray[Any], first: int, number: int) -> NDArray[Any]:
        _, index = np.unique(self.column("span_id")[first:], return_index=True)
        return np.bincount(trace[index], minlength=number)

    def _flagged(self, first: int) -> NDArray[Any]:
        codes = self.column("attributes")[first:]
        guards = self.column("source")[first:] == self._codes.get("guard", -1)
        found = np.zeros(len(codes), bool)
        for row in np.flatnonzero(guards):
            found[row] = any(sign in self._texts[codes[row]] for sign in FLAGGED)
        return found

    def _interned(self, texts: NDArray[Any]) -> NDArray[np.uint32]:
        codes = self._codes
        made = np.empty(len(texts), np.uint32)
        for index, text in enumerate(texts.tolist()):
            code = codes.get(text)
            if code is None:
                code = codes[text] = len(self._texts)
                self._texts.append(text)
            made[index] = code
        return made

    def _make_room(self, added: int) -> None:
        if self.count + added > self._capacity:
            least = self.count + added - self._capacity
            self._forget(min(self.count, max(self._capacity // 2, least)))
        if self.count + added > len(self._columns["span_id"]):
            size = min(self._capacity, max(1_024, 2 * (self.count + added)))
            for name, column in self._columns.items():
                grown = np.zeros(size, column.dtype)
                grown[: self.count] = column[: self.count]
                self._columns[name] = grown

    def _forget(self, oldest: int) -> None:
        """Drops the oldest rows, and the texts that only they had."""
        kept = slice(oldest, self.count)
        self.forgotten += oldest
        used: set[int] = {0}
        for name, column in self._columns.items():
            left = column[kept].copy()
            if _KINDS[name] == "str":
                used.update(np.unique(left).tolist())
            column[: len(left)] = left
        self.count -= oldest
        order = sorted(used)
        renumbered = np.zeros(len(self._texts), np.uint32)
        renumbered[order] = np.arange(len(order), dtype=np.uint32)
        self._texts = [self._texts[code] for code in order]
        self._codes = {text: code for code, text in enumerate(self._texts)}
        for name, kind in _KINDS.items():
            if kind == "str":
                column = self._columns[name]
                column[: self.count] = renumbered[column[: self.count]]

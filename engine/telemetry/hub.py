"""The live hub: numbers every row, remembers the present state, and streams to watchers.

Loop thread only. One ring of RING_LIMIT rows serves all watchers; none of them can slow the engine.
A watcher that falls behind gets larger batches with state rows reduced to the last one of each key;
one that falls out of the ring gets an explicit gap.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple

from citadel.errors import InvalidRequest
from citadel.vocabulary import GONE
from citadel.wire.columns import pack
from citadel.wire.messages import ColumnBatch, Gap, WatchBatch
from citadel.wire.topics import STREAMED, TOPICS

RING_LIMIT = 65_536
"""Rows that a watcher may be behind before it loses some."""
BATCH_ROWS = 256
BATCH_SECONDS = 0.016
SLOW_BATCH_ROWS = 8_192
"""Rows that one batch to a slow watcher stands for."""
LOG_LIMIT = 2_000
"""Rows of each log topic that a snapshot holds."""
_RECENT_LIMITS = {"latency": 20_000, "span": 5_000}


class _Entry(NamedTuple):
    topic: str
    row: tuple[Any, ...]


class LiveHub:
    """All rows of one engine instance, in order."""

    def __init__(self, instance_id: str, *, clock: Callable[[], int] = time.time_ns) -> None:
        self.instance_id = instance_id
        self.seq = 0
        self._clock = clock
        self._ring: deque[_Entry] = deque(maxlen=RING_LIMIT)
        self._state: dict[str, dict[tuple[Any, ...], tuple[Any, ...]]] = {}
        self._logs: dict[str, deque[tuple[Any, ...]]] = {}
        self._keys: dict[str, tuple[int, ...]] = {}
        self._state_column: dict[str, int] = {}
        self._waiters: set[asyncio.Event] = set()
        for name in STREAMED:
            topic = TOPICS[name]
            columns = list(topic.columns)
            if topic.key:
                self._state[name] = {}
                self._keys[name] = tuple(columns.index(column) for column in topic.key)
                if "state" in columns:
                    self._state_column[name] = columns.index("state")
            else:
                self._logs[name] = deque(maxlen=_RECENT_LIMITS.get(name, LOG_LIMIT))

    def publish(self, topic: str, row: tuple[Any, ...]) -> None:
        """Appends one row, in the order of the topic's columns."""
        self.seq += 1
        self._ring.append(_Entry(topic, row))
        log = self._logs.get(topic)
        if log is not None:
            log.append(row)
        else:
            self._remember(topic, row)
        for waiter in self._waiters:
            waiter.set()

    def publish_many(self, topic: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Appends rows of one topic."""
        for row in rows:
            self.publish(topic, row)

    def state(self, topic: str) -> list[tuple[Any, ...]]:
        """The present rows of a state topic."""
        return list(self._state[topic].values())

    def snapshot(self, topics: Sequence[str]) -> tuple[int, list[ColumnBatch]]:
        """The sequence number of now, and per topic the present state or the newest rows."""
        wanted = self._checked(topics)
        batches = [
            pack(name, list(self._logs[name]) if name in self._logs else self.state(name))
            for name in wanted
        ]
        return self.seq, batches

    async def watch(
        self, topics: Sequence[str], since_seq: int, instance_id: str
    ) -> AsyncGenerator[WatchBatch]:
        """Yields batches from after `since_seq`, for as long as the caller listens.

        Sequence numbers count the rows of all topics, so a batch's numbers have holes where other
        topics' rows were; `last_seq` of one batch + 1 is always `first_seq` of the next.
        """
        wanted = frozenset(self._checked(topics))
        cursor = since_seq or self.seq
        cause = ""
        if (instance_id and instance_id != self.instance_id) or cursor > self.seq:
            cursor, cause = self.seq, "restarted"
        event = asyncio.Event()
        self._waiters.add(event)
        try:
            while True:
                gap = self._gap(cursor, cause)
                if gap is not None:
                    cursor, cause = gap.to_seq, ""
                elif cursor == self.seq:
                    event.clear()
                    await event.wait()
                    if self.seq - cursor < BATCH_ROWS:
                        await asyncio.sleep(BATCH_SECONDS)
                    continue
                batch = self._batch(wanted, cursor, gap)
                if batch.batches or gap is not None:
                    yield batch
                else:
                    await asyncio.sleep(BATCH_SECONDS)
                cursor = batch.last_seq
        finally:
            self._waiters.discard(event)

    def _gap(self, cursor: int, cause: str) -> Gap | None:
        oldest = self.seq - len(self._ring)
        if cause:
            return Gap(from_seq=0, to_seq=self.seq, cause=cause)
        if cursor < oldest:
            return Gap(from_seq=cursor + 1, to_seq=oldest, cause="slow_client")
        return None

    def _batch(self, wanted: frozenset[str], cursor: int, gap: Gap | None) -> WatchBatch:
        behind = self.seq - cursor
        slow = behind > 4 * BATCH_ROWS
        take = min(behind, SLOW_BATCH_ROWS if slow else BATCH_ROWS)
        start = len(self._ring) - behind
        tables: dict[str, list[tuple[Any, ...]]] = {}
        for entry in islice(self._ring, start, start + take):
            if entry.topic in wanted:
                tables.setdefault(entry.topic, []).append(entry.row)
        if slow:
            tables = {name: self._coalesced(name, rows) for name, rows in tables.items()}
        return WatchBatch(
            instance_id=self.instance_id,
            first_seq=cursor + 1,
            last_seq=cursor + take,
            time_unix_nanos=self._clock(),
            batches=tuple(pack(name, rows) for name, rows in tables.items()),
            gap=gap,
            coalesced=slow,
        )

    def _coalesced(self, topic: str, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        if topic not in self._keys:
            return rows
        last: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        for row in rows:
            key = tuple(row[index] for index in self._keys[topic])
            last.pop(key, None)
            last[key] = row
        return list(last.values())

    def _remember(self, topic: str, row: tuple[Any, ...]) -> None:
        key = tuple(row[index] for index in self._keys[topic])
        column = self._state_column.get(topic)
        if column is not None and row[column] == GONE:
            self._state[topic].pop(key, None)
        else:
            self._state[topic][key] = row

    def _checked(self, topics: Sequence[str]) -> Sequence[str]:
        if unknown := [name for name in topics if name not in STREAMED]:
            raise InvalidRequest(
                f"there is no topic {', '.join(unknown)} to watch",
                subject=unknown[0],
                remedy=f"Topics are {', '.join(STREAMED)}",
            )
        return topics or STREAMED

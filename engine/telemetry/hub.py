"""The live hub: numbers every row, remembers the present state, and streams to watchers.

Loop thread only. One ring of RING_LIMIT rows serves all watchers; none of them can slow the engine.
A watcher that falls behind gets larger batches with state rows reduced to the last one of each key;
one that falls out of the ring gets an explicit gap. It holds no row for any watcher.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence

from citadel.errors import InvalidRequest
from citadel.vocabulary import GONE
from citadel.wire.columns import pack
from citadel.wire.messages import ColumnBatch, Gap, WatchBatch
from citadel.wire.topics import STREAMED, TOPICS
from engine.telemetry.batches import Row, Stretch, collect
from engine.telemetry.rows import check_row

RING_LIMIT = 65_536
"""Rows that a watcher may be behind before it loses some."""
BATCH_ROWS = 256
BATCH_SECONDS = 0.016
"""A batch leaves when this many rows wait, or when the first has waited so long."""
SLOW_ROWS = 4 * BATCH_ROWS
"""A watcher that is further behind is slow."""
SLOW_BATCH_ROWS = 8_192
"""Rows that one batch to a slow watcher stands for."""
HEARTBEAT_SECONDS = 1.0
"""Without news a batch without rows leaves this often: the client knows that the engine lives, and
where to resume."""
LOG_LIMIT = 2_000
"""Rows of each log topic that a snapshot holds."""
_RECENT_LIMITS = {"latency": 20_000, "span": 5_000}
_TRUSTED = frozenset({"span", "latency", "counter"})
"""Topics whose rows are made in this package, many a second: not checked one by one."""


class _Waiter:
    """A watcher that sleeps until the sequence reaches a number."""

    __slots__ = ("event", "target")

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.target = 0

    async def reach(self, target: int, seconds: float) -> None:
        """Sleeps until the sequence is there, or the time is over."""
        self.target = target
        self.event.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.event.wait()


class LiveHub:
    """All rows of one engine instance, in order."""

    def __init__(
        self, instance_id: str, *, clock: Callable[[], int] = time.time_ns, ring: int = RING_LIMIT
    ) -> None:
        self.instance_id = instance_id
        self.seq = 0
        self.lost = 0
        """Rows that watchers were told they missed, because the ring no longer had them."""
        self.extra: dict[str, Callable[[], Iterable[Row]]] = {}
        """Rows that a topic's snapshot begins with, computed when it is taken."""
        self.taps: dict[str, list[Callable[[Row], object]]] = {}
        """Who else is told each row of a topic that is not one of the busy ones: span, latency,
        counter."""
        self._clock = clock
        self._ring: list[tuple[str, Row]] = [("", ())] * ring
        self._state: dict[str, dict[Row, Row]] = {}
        self._logs: dict[str, deque[Row]] = {}
        self._keys: dict[str, tuple[int, ...]] = {}
        self._state_column: dict[str, int] = {}
        self._waiters: set[_Waiter] = set()
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

    def publish(self, topic: str, row: Row) -> None:
        """Appends one row, in the order of the topic's columns.

        Raises:
            EngineError: the row does not fit; the fault is its publisher's.
        """
        if topic not in _TRUSTED:
            check_row(topic, row)
            for told in self.taps.get(topic, ()):
                told(row)
        self.seq = seq = self.seq + 1
        ring = self._ring
        ring[seq % len(ring)] = (topic, row)
        log = self._logs.get(topic)
        if log is not None:
            log.append(row)
        else:
            self._remember(topic, row)
        for waiter in self._waiters:
            if seq >= waiter.target:
                waiter.event.set()

    def publish_many(self, topic: str, rows: Iterable[Row]) -> None:
        """Appends rows of one topic."""
        for row in rows:
            self.publish(topic, row)

    @property
    def watchers(self) -> int:
        """How many clients watch."""
        return len(self._waiters)

    def state(self, topic: str) -> list[Row]:
        """The present rows of a state topic."""
        return list(self._state[topic].values())

    def snapshot(self, topics: Sequence[str]) -> tuple[int, list[ColumnBatch]]:
        """The sequence number of now, and per topic the present state or the newest rows."""
        wanted = self._checked(topics)
        return self.seq, [pack(name, self.present(name)) for name in wanted]

    async def watch(
        self, topics: Sequence[str], since_seq: int, instance_id: str
    ) -> AsyncGenerator[WatchBatch]:
        """Yields batches from after `since_seq`, for as long as the caller listens.

        Sequence numbers count the rows of all topics, so a batch's numbers have holes where other
        topics' rows were; `last_seq` of one batch + 1 is always `first_seq` of the next, or the
        `from_seq` of its gap.
        """
        wanted = frozenset(self._checked(topics))
        gap = self._resumed(since_seq, instance_id)
        said = gap.to_seq if gap else since_seq or self.seq
        cursor = said
        waiter = _Waiter()
        self._waiters.add(waiter)
        beat = time.monotonic() + HEARTBEAT_SECONDS
        try:
            while True:
                if gap is None and cursor == self.seq and time.monotonic() < beat:
                    await waiter.reach(cursor + 1, beat - time.monotonic())
                    if 0 < self.seq - cursor < BATCH_ROWS:
                        await waiter.reach(cursor + BATCH_ROWS, BATCH_SECONDS)
                    continue
                if cursor < self._oldest() - 1:
                    self.lost += self._oldest() - 1 - cursor
                    cursor = self._oldest() - 1
                    gap = Gap(from_seq=said + 1, to_seq=cursor, cause="slow_client")
                    said = cursor
                slow = self.seq - cursor > SLOW_ROWS
                stretch = self._stretch(cursor, wanted, slow=slow)
                cursor += stretch.taken
                if stretch.tables or gap or time.monotonic() >= beat:
                    yield self._batch(said + 1, cursor, stretch, gap, slow=slow)
                    said, gap = cursor, None
                    beat = time.monotonic() + HEARTBEAT_SECONDS
        finally:
            self._waiters.discard(waiter)

    def _resumed(self, since_seq: int, instance_id: str) -> Gap | None:
        """What a watcher that comes back has missed for good."""
        if not since_seq:
            return None
        if (instance_id and instance_id != self.instance_id) or since_seq > self.seq:
            return Gap(from_seq=0, to_seq=self.seq, cause="restarted")
        if since_seq < self._oldest() - 1:
            self.lost += self._oldest() - 1 - since_seq
            return Gap(from_seq=since_seq + 1, to_seq=self._oldest() - 1, cause="retention")
        return None

    def _oldest(self) -> int:
        """The oldest number that the ring still has."""
        return max(1, self.seq - len(self._ring) + 1)

    def _stretch(self, cursor: int, wanted: frozenset[str], *, slow: bool) -> Stretch:
        take = min(self.seq - cursor, SLOW_BATCH_ROWS if slow else BATCH_ROWS)
        ring, size = self._ring, len(self._ring)
        entries = (ring[seq % size] for seq in range(cursor + 1, cursor + take + 1))
        return collect(entries, wanted, self._keys if slow else {})

    def _batch(
        self, first_seq: int, last_seq: int, stretch: Stretch, gap: Gap | None, *, slow: bool
    ) -> WatchBatch:
        return WatchBatch(
            instance_id=self.instance_id,
            first_seq=first_seq,
            last_seq=last_seq,
            time_unix_nanos=self._clock(),
            batches=tuple(pack(name, rows) for name, rows in stretch.tables.items()),
            gap=gap,
            coalesced=slow,
        )

    def present(self, topic: str) -> list[Row]:
        """What a snapshot of a topic has: its present state, or its newest rows."""
        extra = self.extra.get(topic)
        rows = self._logs[topic] if topic in self._logs else self._state[topic].values()
        return [*(extra() if extra else ()), *rows]

    def _remember(self, topic: str, row: Row) -> None:
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

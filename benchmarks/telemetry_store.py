"""The span store: what it costs to write, to read while it writes, and how well it tells what was.

- ingest: batches of 500 rows through the store's writer, with its indexes, its texts, summaries and
  histograms, against `executemany` of the same rows into one plain table with the same indexes (by
  trace, by start) at the same pragmas; both turn ids into BLOBs, and that is all the peer does.
- a trace by its id, p99, while 10,000 rows a second are written, against the same store at rest.
- adjusted counts: the error of a count among 50,000 traces, told from a sample in which the rare
  are kept more often, against the naive one (kept traces over the mean rate). Median of 20 runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Generator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Ratio, interleaved
from engine.telemetry.encode import Row
from engine.telemetry.estimate import Sample, estimate
from engine.telemetry.span_writer import CACHE_KIB, CHECKPOINT_PAGES, SpanWriter
from engine.telemetry.store import BATCH_ROWS, SpanStore

INGEST_ROWS = 100_000
SPANS_OF_TRACE = 5
STORED_TRACES = 20_000
LOOKUPS = 400
ROWS_A_SECOND = 10_000
SLICE_SECONDS = 0.05
COUNTED_TRACES = 50_000
COUNTED_RUNS = 20

_PLAIN = """
CREATE TABLE span (
  trace_id BLOB NOT NULL, span_id BLOB NOT NULL, parent_id BLOB, start_ns INTEGER NOT NULL,
  end_ns INTEGER NOT NULL, kind INTEGER NOT NULL, status INTEGER NOT NULL, name TEXT NOT NULL,
  source TEXT NOT NULL, service TEXT NOT NULL, mission TEXT NOT NULL, mission_class TEXT NOT NULL,
  sentinel TEXT NOT NULL, pool TEXT NOT NULL, attributes TEXT NOT NULL, events TEXT NOT NULL,
  links TEXT NOT NULL, status_message TEXT NOT NULL, trace_state TEXT NOT NULL,
  threshold INTEGER NOT NULL, flagged INTEGER NOT NULL
) STRICT;
CREATE INDEX span_by_trace ON span (trace_id, start_ns);
CREATE INDEX span_by_start ON span (start_ns);
"""


def run(rounds: int = 7) -> list[Ratio]:
    """Three rows."""
    return [_ingest(rounds), _lookup(rounds), _counts()]


def made_rows(seed: int, traces: int, start_ns: int) -> list[Row]:
    """Spans as pools make them: some attributes are of many spans, and some of one only."""
    numbers = random.Random(seed)
    rows: list[Row] = []
    for trace in range(traces):
        high, low = numbers.getrandbits(64), numbers.getrandbits(64)
        start, root = start_ns + trace * 100_000, numbers.getrandbits(64) or 1
        for number in range(SPANS_OF_TRACE):
            name = f"run tool_{numbers.randrange(12)}"
            # Of a trace's five spans, two have attributes that no other span has.
            own = {"citadel.command.id": f"{high:016x}{number}"} if number < 2 else {}
            attributes = json.dumps(
                {"citadel.pool": "python", "citadel.tool": name, "citadel.attempt": 1, **own}
            )
            ids = high, low, root if number == 0 else numbers.getrandbits(64) or 1
            began = start + number * 9_000
            times = began, began + numbers.randrange(10**5, 10**8)
            scope = name, "worker", f"python-{numbers.randrange(8)}", "survey", "standard"
            place = f"surveyor-{numbers.randrange(40)}", "python"
            texts = attributes, "[]", "[]", "", ""
            parent = root if number else 0
            rows.append((*ids, parent, *times, 1, 0, *scope, *place, *texts, 0))
    return rows


def _ingest(rounds: int) -> Ratio:
    seeds = count()
    now = time.time_ns()

    def batches() -> list[list[Row]]:
        rows = made_rows(next(seeds), INGEST_ROWS // SPANS_OF_TRACE, now)
        return [rows[at : at + BATCH_ROWS] for at in range(0, len(rows), BATCH_ROWS)]

    def ours() -> float:
        parts = batches()
        with tempfile.TemporaryDirectory() as folder:
            writer = SpanWriter(Path(folder) / "day.db")
            began = time.perf_counter()
            for part in parts:
                writer.write(part)
            writer.fold()
            took = time.perf_counter() - began
            writer.close()
        return took / INGEST_ROWS * 1e6

    def plain() -> float:
        parts = batches()
        sql = f"INSERT INTO span VALUES ({', '.join('?' * 21)})"
        with tempfile.TemporaryDirectory() as folder, _plain(Path(folder) / "p.db") as connection:
            began = time.perf_counter()
            for part in parts:
                with connection:
                    connection.executemany(sql, map(_ready, part))
            return (time.perf_counter() - began) / INGEST_ROWS * 1e6

    return interleaved(
        ours,
        plain,
        name=f"{INGEST_ROWS:,} spans into the store, a span",
        peer_name="plain executemany, same indexes",
        unit="µs",
        rounds=rounds,
        bar="≤ 1.25 (0.8× the rate), stretch 0.83 (1.2×)",
    )


@contextlib.contextmanager
def _plain(path: Path) -> Generator[sqlite3.Connection]:
    connection = sqlite3.connect(path)
    for pragma in (
        "journal_mode = WAL",
        "synchronous = NORMAL",
        f"cache_size = -{CACHE_KIB}",
        f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
    ):
        connection.execute(f"PRAGMA {pragma}")
    connection.executescript(_PLAIN)
    try:
        yield connection
    finally:
        connection.close()


def _ready(row: Row) -> tuple[Any, ...]:
    high, low, span, parent, *rest = row
    ids = (high << 64 | low).to_bytes(16, "big"), span.to_bytes(8, "big")
    return (*ids, parent.to_bytes(8, "big") if parent else None, *rest, 0)


def _lookup(rounds: int) -> Ratio:
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        store = SpanStore(Path(folder) / "spans")
        rows = made_rows(-1, STORED_TRACES, time.time_ns())
        for at in range(0, len(rows), 10 * BATCH_ROWS):
            store.write(rows[at : at + 10 * BATCH_ROWS])
            runner.run(store.flush())
        ids = [row[0] << 64 | row[1] for row in rows[::SPANS_OF_TRACE]]
        fresh = made_rows(-2, 12 * ROWS_A_SECOND, time.time_ns())
        numbers = random.Random(5)
        row = interleaved(
            lambda: _while_written(store, fresh, lambda: runner.run(_p99(store, ids, numbers))),
            lambda: runner.run(_p99(store, ids, numbers)),
            name=f"a trace by id while {ROWS_A_SECOND:,} rows a second are written, p99",
            peer_name="at rest",
            unit="ms",
            rounds=rounds,
            bar="≤ 5, stretch 2, none busy",
        )
        assert store.lost == 0
        store.close()
    return row


async def _p99(store: SpanStore, ids: Sequence[int], numbers: random.Random) -> float:
    took: list[float] = []
    for _ in range(LOOKUPS):
        began = time.perf_counter()
        rows, _ = await store.get(numbers.choice(ids))
        took.append(time.perf_counter() - began)
        assert len(rows) == SPANS_OF_TRACE
        await asyncio.sleep(0.002)
    return sorted(took)[round(0.99 * LOOKUPS) - 1] * 1e3


def _while_written(store: SpanStore, rows: Sequence[Row], measure: Any) -> float:
    """What is measured while a thread writes at ROWS_A_SECOND."""
    ended = threading.Event()
    size = round(ROWS_A_SECOND * SLICE_SECONDS)
    lost = [0]

    def write() -> None:
        due = time.monotonic()
        for number in count():
            at = number * size % len(rows)
            lost[0] += store.write(rows[at : at + size])
            due += SLICE_SECONDS
            if ended.wait(max(0.0, due - time.monotonic())):
                return

    thread = threading.Thread(target=write)
    thread.start()
    try:
        return measure()
    finally:
        ended.set()
        thread.join()
        asyncio.run(store.flush())
        assert lost == [0]


def _counts() -> Ratio:
    """The relative errors of both, each a median over the runs; the rate of a class is its own."""
    pairs: list[tuple[float, float]] = []
    for run_ in range(COUNTED_RUNS):
        numbers = np.random.default_rng(run_)
        rates = np.array([0.05, 0.2, 1.0])[numbers.integers(0, 3, COUNTED_TRACES)]
        # The rare are kept more often, as are errors.
        errors = numbers.random(COUNTED_TRACES) < np.where(rates == 1.0, 0.3, 0.02)
        kept = numbers.random(COUNTED_TRACES) < rates
        found = estimate(
            Sample(
                trace=np.arange(int(kept.sum())),
                weight=1.0 / rates[kept],
                seconds=np.ones(int(kept.sum())),
                error=errors[kept],
            )
        )
        truth = float(errors.sum())
        naive = errors[kept].sum() / kept.mean()
        pairs.append((abs(found.errors.value - truth) / truth, abs(naive - truth) / truth))
    ratios = [mine / theirs for mine, theirs in pairs]
    return Ratio(
        name=f"error of an adjusted count, {COUNTED_RUNS} runs of {COUNTED_TRACES:,} traces",
        unit="of the truth",
        ours=statistics.median(mine for mine, _ in pairs),
        peer=statistics.median(theirs for _, theirs in pairs),
        peer_name="naive: kept over the mean rate",
        ratio=statistics.median(ratios),
        low=min(ratios),
        high=max(ratios),
        bar="≤ 0.05",
    )

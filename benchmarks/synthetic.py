"""Synthetic spans, named so: tables of topic `span` for the painters' benchmarks and tests."""

from __future__ import annotations

import numpy as np

from citadel.wire.columns import Table
from citadel.wire.topics import TOPICS

SERVICES = ("python", "python-1", "python-2", "executor-1", "executor-2", "llm_guard")
SOURCES = ("pool", "worker", "worker", "sentinel", "sentinel", "guard")
BEGIN_NS = 1_700_000_000_000_000_000


def spans(count: int, *, seed: int = 0, errors: int = 1) -> Table:
    """`count` spans of one trace in six services, back to back, with a few lone errors."""
    source = np.random.default_rng(seed)
    service = np.arange(count) % len(SERVICES)
    lengths = source.lognormal(9.5, 1.0, count).astype(np.int64) + 1
    start = np.zeros(count, np.int64)
    for number in range(len(SERVICES)):
        mine = service == number
        gaps = source.integers(0, 2_000, int(mine.sum()))
        ends = np.cumsum(lengths[mine] + gaps)
        start[mine] = ends - lengths[mine]
    status = np.zeros(count, np.uint8)
    status[source.choice(count, errors, replace=False)] = 2
    columns: dict[str, np.ndarray] = {
        name: np.full(count, "", object) if kind == "str" else np.zeros(count, f"<{kind}")
        for name, kind in TOPICS["span"].columns.items()
    }
    names = np.array([f"step {number}" for number in range(16)], object)
    columns |= {
        "trace_lo": np.ones(count, np.uint64),
        "span_id": np.arange(1, count + 1, dtype=np.uint64),
        "start_ns": start + BEGIN_NS,
        "end_ns": start + lengths + BEGIN_NS,
        "status": status,
        "kind": np.ones(count, np.uint8),
        "name": names[np.arange(count) % len(names)],
        "service": np.array(SERVICES, object)[service],
        "source": np.array(SOURCES, object)[service],
        "attributes": np.full(count, "{}", object),
        "events": np.full(count, "[]", object),
        "links": np.full(count, "[]", object),
    }
    return columns

"""What a worker's answers mean: typed errors, and spans for the recorder. Loop thread only."""

from __future__ import annotations

from typing import Any

from citadel.errors import CitadelError
from engine.pool.hosting import error_from
from engine.telemetry.policy import Root
from engine.telemetry.recorder import Recorder


def error_of(item: list[Any], command: str, worker: str) -> CitadelError:
    """The typed error of [FAILED, number, seconds, kind, message, remedy, details, rows]."""
    _, _, _, kind, message, remedy, details, *_ = item
    return error_from(kind, message, remedy, {**details, "worker": worker}, command)


def ingest(recorder: Recorder, pool: str, rows: Any) -> None:
    """Hands a worker's spans to the recorder; their trace was decided when the command came."""
    about = Root(pool=pool, source="worker")
    for row in rows if isinstance(rows, list) else (rows,):
        # An adapter may have written to the socket: what is no row is counted as invalid.
        whole = tuple(row) if isinstance(row, list) else ()
        hi, lo = whole[:2] if len(whole) > 1 else (0, 0)
        ids = isinstance(hi, int) and isinstance(lo, int)
        recorder.ingest_row(hi << 64 | lo if ids else 0, about, whole)

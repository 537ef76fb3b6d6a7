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


def ingest(recorder: Recorder, pool: str, rows: list[list[Any]]) -> None:
    """Hands a worker's spans to the recorder; their trace was decided when the command came."""
    about = Root(pool=pool, source="worker")
    for row in rows:
        recorder.ingest_row(row[0] << 64 | row[1], about, tuple(row))

"""What a worker's answers mean: typed errors, and spans for the recorder. Loop thread only."""

from __future__ import annotations

from typing import Any

import citadel.errors
from citadel.errors import CitadelError, EngineError
from engine.telemetry.recorder import Recorder
from engine.telemetry.sampling import Root


def error_of(item: list[Any], command: str, worker: str) -> CitadelError:
    """The typed error of [FAILED, number, seconds, kind, message, remedy, details, rows]."""
    _, _, _, kind, message, remedy, details, *_ = item
    cls = getattr(citadel.errors, str(kind), EngineError)
    if not (isinstance(cls, type) and issubclass(cls, CitadelError)):
        cls = EngineError
    told = {str(key): str(value) for key, value in details.items()}
    return cls(
        str(message),
        subject=command,
        remedy=str(remedy),
        details={**told, "worker": worker},
    )


def ingest(recorder: Recorder, pool: str, rows: list[list[Any]]) -> None:
    """Hands a worker's spans to the recorder; their trace was decided when the command came."""
    about = Root(pool=pool, source="worker")
    for row in rows:
        recorder.ingest_row(row[0] << 64 | row[1], about, tuple(row))

"""What a client is told of an exception, and what only the engine's log and events say.

Errors of the tree cross as they are. Anything else is a fault of ours: it becomes an `EngineError`
that names an incident; its traceback never leaves the engine.
"""

from __future__ import annotations

import logging
import traceback

from citadel.errors import CitadelError, EngineError, Unauthenticated
from citadel.trace import new_span_id
from engine.telemetry.recorder import Recorder

MAX_TRACEBACK = 4_000
"""Characters of a traceback's end that an event keeps."""
_log = logging.getLogger("citadel.api")


def translated(recorder: Recorder, name: str, raised: BaseException) -> CitadelError:
    """The error of the tree for what was raised in an RPC ("Service.Method")."""
    if isinstance(raised, Unauthenticated):
        _log.warning("%s: %s", name, raised)
    if isinstance(raised, CitadelError):
        return raised
    incident = f"{new_span_id():016x}"
    text = "".join(traceback.format_exception(raised))[-MAX_TRACEBACK:]
    _log.error("incident %s in %s\n%s", incident, name, text)
    recorder.count("citadel.incidents", where="api")
    recorder.event(
        "engine.incident",
        subject=name,
        severity="error",
        message=f"{type(raised).__name__}: {raised}",
        incident=incident,
        traceback=text,
    )
    return EngineError(
        f"{name} failed inside the engine ({type(raised).__name__})",
        subject=name,
        remedy=f"See incident {incident} in the engine's events and log",
        details={"incident": incident},
    )

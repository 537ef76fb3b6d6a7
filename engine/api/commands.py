"""Commands as clients send them, checked and made ready for a pool."""

from __future__ import annotations

from citadel.errors import InvalidRequest
from citadel.trace import SpanContext, new_span_id
from citadel.vocabulary import AFFINITIES, MISSION_CLASSES, PRIORITIES
from citadel.wire.messages import Command
from engine.pool.settings import PoolCommand
from engine.telemetry.recorder import Span

REPLY_SECONDS = 0.05
"""Before a client's deadline a command gives up by this, so that the typed error still arrives."""
_MAX_SECONDS = float("inf")


def pool_command(
    request: Command, parent: Span | SpanContext | None, seconds_left: float | None
) -> PoolCommand:
    """What a pool is told.

    Args:
        request: as it came.
        parent: the span that it is below; None: it has a trace of its own.
        seconds_left: until its client gives up; None when it did not say.

    Raises:
        InvalidRequest: a word is none that the wire knows, or the deadline makes no sense.
    """
    if request.mission_class and request.mission_class not in MISSION_CLASSES:
        raise _no_word("mission class", request.mission_class, MISSION_CLASSES)
    if request.affinity and request.affinity not in AFFINITIES:
        raise _no_word("affinity", request.affinity, AFFINITIES)
    if request.priority and request.priority not in PRIORITIES:
        raise _no_word("priority", request.priority, PRIORITIES)
    if not 0.0 <= request.deadline_seconds < _MAX_SECONDS:
        raise InvalidRequest(
            f"a deadline of {request.deadline_seconds} s makes no sense",
            subject="deadline_seconds",
            remedy="Give seconds, or 0 for the pool's default",
        )
    return PoolCommand(
        id=request.id or f"{new_span_id():016x}",
        pool=request.pool,
        tool=request.tool,
        arguments=request.arguments,
        deadline_seconds=_earlier(request.deadline_seconds, seconds_left),
        mission=request.mission,
        mission_class=request.mission_class,
        priority=request.priority or None,
        session=request.session,
        affinity=request.affinity or "hint",
        parent=parent,
    )


def _earlier(wanted: float, left: float | None) -> float:
    """The earlier of a command's deadline (0: none) and the client's own."""
    if left is None:
        return wanted
    left = max(left - REPLY_SECONDS, 0.001)
    return min(wanted, left) if wanted else left


def _no_word(what: str, said: str, words: tuple[str, ...]) -> InvalidRequest:
    return InvalidRequest(
        f"{said!r} is no {what}", subject=said, remedy=f"There are {', '.join(words)}"
    )
